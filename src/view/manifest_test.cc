#include "view/manifest.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/hash.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kDatabase = 99;
constexpr uint64_t kId = 12;

Image image_with(int fields) {
  Image image;
  for (int i = 0; i < fields; ++i) {
    image.fields[2 * i] = std::string(3 + i, 'f');
    image.items.push_back(std::string(10 + i, 'i'));
  }
  return image;
}

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() : directory_(*env_.files().open_directory("db", true)) {
    bytes_ = encode_manifest(kDatabase, kId, edit_between(Image(), image_with(1)), &end_);
    for (int i = 2; i <= 4; ++i) {
      ends_.push_back(end_);
      bytes_ += encode_manifest_record(edit_between(image_with(i - 1), image_with(i)), &end_);
    }
    EXPECT_EQ(bytes_.size(), end_.length);
  }
  Result<Image> read(std::string_view bytes) { return read(bytes, end_); }
  Result<Image> read(std::string_view bytes, const ManifestEnd& end) {
    env_.disk().put_file("db/0000000012.manifest", bytes);
    return read_manifest(*directory_, kDatabase, kId, end);
  }
  void expect_corruption(const Result<Image>& result) {
    EXPECT_TRUE(result.status().is(StatusCode::corruption)) << result.status().to_string();
    EXPECT_EQ(result.status().file(), "0000000012.manifest");
  }

  SimEnv env_;
  std::unique_ptr<Directory> directory_;
  std::string bytes_;
  ManifestEnd end_;
  std::vector<ManifestEnd> ends_;  // after one, two and three edits
};

TEST_F(ManifestTest, RoundTrip) {
  EXPECT_EQ(*read(bytes_), image_with(4));
  EXPECT_EQ(*read(bytes_, ends_[0]), image_with(1));
  EXPECT_EQ(*read(bytes_, ends_[2]), image_with(3));
  EXPECT_EQ(*read(bytes_ + "bytes that do not count"), image_with(4));
}

TEST_F(ManifestTest, EveryFlippedBitIsCorruption) {
  for (size_t offset = 0; offset < bytes_.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes_;
      flipped[offset] = static_cast<char>(flipped[offset] ^ (1 << bit));
      expect_corruption(read(flipped));
    }
  }
}

TEST_F(ManifestTest, EveryCutIsCorruption) {
  for (size_t size = 0; size < bytes_.size(); ++size) {
    const Result<Image> result = read(bytes_.substr(0, size));
    expect_corruption(result);
    EXPECT_EQ(result.status().offset(), size);
  }
  env_.disk().remove_file("db/0000000012.manifest");
  expect_corruption(read_manifest(*directory_, kDatabase, kId, end_));
}

TEST_F(ManifestTest, AnotherFilesBytes) {
  ManifestEnd end;
  const std::string other_id = encode_manifest(kDatabase, kId + 1, "", &end);
  expect_corruption(read(other_id, end));
  const std::string other_database = encode_manifest(kDatabase + 1, kId, "", &end);
  expect_corruption(read(other_database, end));
  expect_corruption(read(bytes_, {.length = end_.length, .hash = end_.hash + 1}));
  expect_corruption(read(bytes_, {.length = end_.length - 1, .hash = end_.hash}));
  expect_corruption(read(bytes_, {.length = kManifestHeaderBytes - 1, .hash = end_.hash}));
  expect_corruption(read(bytes_, {.length = kManifestBytesMax + 1, .hash = end_.hash}));
}

TEST_F(ManifestTest, EditThatDoesNotApply) {
  bytes_ += encode_manifest_record("\x20\x7f", &end_);
  expect_corruption(read(bytes_));
}

TEST_F(ManifestTest, NewerFormat) {
  store<uint32_t>(bytes_.data() + 8, 7);
  store(bytes_.data() + 32, checksum(bytes_.data(), 32, kManifestMagic));
  const Status status = read(bytes_).status();
  EXPECT_TRUE(status.is(StatusCode::not_supported));
  EXPECT_NE(status.message().find("version 7"), std::string_view::npos);
}

TEST_F(ManifestTest, OneRecordFurther) {
  const Image image = *read(bytes_, ends_[1]);
  EXPECT_EQ(*read_manifest_further(*directory_, kId, ends_[1], image), image_with(3));
  EXPECT_EQ(*read_manifest_further(*directory_, kId, ends_[2], image_with(3)), image_with(4));
  const auto nothing = [&](const std::string& bytes) {
    env_.disk().put_file("db/0000000012.manifest", bytes);
    return read_manifest_further(*directory_, kId, ends_[1], image).status().is(StatusCode::not_found);
  };
  EXPECT_TRUE(nothing(bytes_.substr(0, ends_[1].length)));
  EXPECT_TRUE(
      nothing(bytes_.substr(0, ends_[1].length) + bytes_.substr(ends_[2].length)));  // of another place
  for (uint64_t size = ends_[1].length; size < ends_[2].length; ++size) {
    EXPECT_TRUE(nothing(bytes_.substr(0, size)));
    std::string flipped = bytes_;
    flipped[size] = static_cast<char>(flipped[size] ^ 16);
    EXPECT_TRUE(nothing(flipped));
  }
}

}  // namespace
}  // namespace lightning
