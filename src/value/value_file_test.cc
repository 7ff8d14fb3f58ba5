#include "value/value_file.h"

#include <gtest/gtest.h>

#include "testing/sim_env.h"
#include "value/value_files.h"

namespace lightning {
namespace {

std::string name_of(uint64_t number) { return "values" + std::to_string(number); }

class ValueFileTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = *env_.files().open_directory("db", true);
    std::unique_ptr<File> file = *directory_->open(name_of(7), OpenMode::create);
    ASSERT_TRUE(file->write(0, std::string(4096, 'h') + value_ + std::string(100, 't')).ok());
  }

  SimEnv env_;
  std::unique_ptr<Directory> directory_;
  const std::string value_ = std::string(5000, 'v');
  const uint64_t sum_ = checksum(value_.data(), value_.size(), value_file_seed(7, 4096));
};

TEST_F(ValueFileTest, ReadsWhatVerifiesAndNothingElse) {
  for (const bool mapped : {true, false}) {
    ValueFiles files(*directory_, name_of, mapped);
    Result<std::shared_ptr<const ValueFile>> file = files.open(7);
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    EXPECT_EQ((*file)->mapped_bytes() != 0, mapped);
    std::string_view value;
    std::shared_ptr<const void> owner;
    Status status;
    ASSERT_TRUE((*file)->read(4096, 5000, sum_, &value, &owner, &status)) << status.to_string();
    EXPECT_EQ(value, value_);
    EXPECT_NE(owner, nullptr);  // a copy: what lies under it may be given up
    for (const auto& [offset, size, sum] : {std::tuple<uint64_t, uint64_t, uint64_t>{4095, 5000, sum_},
                                            {4096, 4999, sum_},
                                            {4096, 5000, sum_ + 1},
                                            {4096, 1 << 20, sum_},
                                            {UINT64_MAX, 1, sum_},
                                            {1 << 20, 0, sum_}}) {
      ASSERT_FALSE((*file)->read(offset, size, sum, &value, &owner, &status)) << offset;
      EXPECT_EQ(status.code(), StatusCode::corruption);
      EXPECT_EQ(status.file(), name_of(7));
    }
  }
}

TEST_F(ValueFileTest, IsOpenedOnceAndCountsItsUses) {
  ValueFiles files(*directory_, name_of, true);
  std::shared_ptr<const ValueFile> file = *files.open(7);
  EXPECT_EQ(*files.open(7), file);
  EXPECT_EQ(file->uses(), 0u);
  {
    ValueFile::Use one(file);
    EXPECT_EQ(file->uses(), 1u);
    const ValueFile::Use other(std::move(one));
    const ValueFile::Use another(file);
    EXPECT_EQ(file->uses(), 2u);
  }
  EXPECT_EQ(file->uses(), 0u);
  const std::weak_ptr<const ValueFile> gone = file;
  file = nullptr;
  EXPECT_TRUE(gone.expired());
  EXPECT_TRUE(files.open(7).ok());
  const Status missing = files.open(8).status();
  EXPECT_EQ(missing.code(), StatusCode::corruption);
  EXPECT_EQ(missing.file(), name_of(8));
}

}  // namespace
}  // namespace lightning
