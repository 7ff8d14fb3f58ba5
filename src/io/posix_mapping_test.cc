#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "io/page_size.h"
#include "io/posix_test_support.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

class PosixMapping : public testing::Test {
 protected:
  ScratchDirectory scratch_;
  std::unique_ptr<Directory> directory_ = open_directory(scratch_.path());
};

TEST_F(PosixMapping, MappedBytesReachTheFileAndOutliveTheFileObject) {
  std::unique_ptr<File> file = create_file(*directory_, "a");
  ASSERT_TRUE(file->truncate(3 * page_bytes()).ok());
  Result<std::unique_ptr<MappedRegion>> region = file->map(page_bytes(), 2 * page_bytes(), MapMode::write);
  ASSERT_TRUE(region) << region.status().to_string();
  file.reset();
  EXPECT_TRUE((*region)->populate(0, 2 * page_bytes()).ok());
  (*region)->data()[5] = 'm';
  (*region)->drop(0, 2 * page_bytes());
  EXPECT_EQ((*region)->data()[5], 'm') << "drop takes pages out of the process, not bytes out of the file";
  EXPECT_FALSE((*region)->faulted());
  Result<std::unique_ptr<File>> again = directory_->open("a", OpenMode::read);
  ASSERT_TRUE(again);
  char byte = 0;
  ASSERT_EQ(*(*again)->read(page_bytes() + 5, &byte, 1), 1u);
  EXPECT_EQ(byte, 'm');
  Result<std::unique_ptr<MappedRegion>> view = (*again)->map(0, 3 * page_bytes(), MapMode::read);
  ASSERT_TRUE(view);
  EXPECT_TRUE((*view)->populate(10, 100).ok());
  EXPECT_EQ((*view)->data()[page_bytes() + 5], 'm');
}

TEST_F(PosixMapping, MapsOnlyWholePages) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  ASSERT_TRUE(file->truncate(page_bytes()).ok());
  EXPECT_TRUE(file->map(1, 10, MapMode::read).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(file->map(0, 0, MapMode::read).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(file->map(0, UINT64_MAX, MapMode::read).status().is(StatusCode::invalid_argument));
}

TEST_F(PosixMapping, PopulatingBeyondTheEndIsAnError) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  ASSERT_TRUE(file->truncate(4 * page_bytes()).ok());
  Result<std::unique_ptr<MappedRegion>> region = file->map(0, 4 * page_bytes(), MapMode::write);
  ASSERT_TRUE(region);
  ASSERT_TRUE(file->truncate(page_bytes()).ok());
  EXPECT_TRUE((*region)->populate(0, page_bytes()).ok());
  const Status status = (*region)->populate(2 * page_bytes(), page_bytes());
  EXPECT_TRUE(status.is(StatusCode::io_error)) << status.to_string();
  EXPECT_EQ(status.offset(), 2 * page_bytes());
}

TEST_F(PosixMapping, AFileOpenedForReadingIsNotWritten) {
  ASSERT_TRUE(create_file(*directory_, "a")->write(0, "x").ok());
  Result<std::unique_ptr<File>> file = directory_->open("a", OpenMode::read);
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->map(0, 1, MapMode::write).status().is(StatusCode::io_error));
}

TEST(PosixMappingOnAFullDisk, SaysNoSpaceAndGoesOnWhenThereIsSome) {
  ScratchMount mount;
  if (!mount.mount_tmpfs("1m")) GTEST_SKIP() << "needs root to mount a tmpfs";
  const std::unique_ptr<Directory> directory = open_directory(mount.path());
  const std::unique_ptr<File> ballast = create_file(*directory, "ballast");
  ASSERT_TRUE(ballast->allocate(900 << 10).ok());

  const std::unique_ptr<File> file = create_file(*directory, "a");
  ASSERT_TRUE(file->truncate(512 << 10).ok());  // a hole
  Result<std::unique_ptr<MappedRegion>> region = file->map(0, 512 << 10, MapMode::write);
  ASSERT_TRUE(region);
  const Status populated = (*region)->populate(0, 512 << 10);
  EXPECT_TRUE(populated.is(StatusCode::no_space)) << populated.to_string();
  EXPECT_FALSE((*region)->faulted());

  ASSERT_TRUE(ballast->truncate(0).ok());
  EXPECT_TRUE((*region)->populate(0, 512 << 10).ok());
}

}  // namespace
}  // namespace lightning
