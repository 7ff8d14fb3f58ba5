#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "io/file_handle.h"
#include "io/page_size.h"
#include "io/posix_test_support.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

class PosixFile : public testing::Test {
 protected:
  ScratchDirectory scratch_;
  std::unique_ptr<Directory> directory_ = open_directory(scratch_.path());
};

TEST_F(PosixFile, ReadsWhatWasWrittenAndShortOnlyAtTheEnd) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  ASSERT_TRUE(file->write(0, "hello").ok());
  ASSERT_TRUE(file->write(10, "world").ok());
  ASSERT_TRUE(file->sync().ok());
  char bytes[32];
  Result<uint64_t> count = file->read(0, bytes, sizeof(bytes));
  ASSERT_TRUE(count);
  EXPECT_EQ(std::string(bytes, *count), std::string("hello\0\0\0\0\0world", 15));
  count = file->read(12, bytes, 2);
  ASSERT_TRUE(count);
  EXPECT_EQ(std::string(bytes, *count), "rl");
  count = file->read(100, bytes, 2);
  ASSERT_TRUE(count);
  EXPECT_EQ(*count, 0u);
  EXPECT_EQ(*file->size(), 15u);
  ASSERT_TRUE(file->truncate(3).ok());
  EXPECT_EQ(*file->size(), 3u);
}

// Wherever and however little is asked for, and where the file system refuses direct reads, too.
TEST_F(PosixFile, ReadsDirectlyWhatIsThere) {
  std::string whole;
  for (uint64_t i = 0; whole.size() < 50'000; ++i) whole.append(std::to_string(i * i)).append(" ");
  const std::unique_ptr<File> written = create_file(*directory_, "a");
  ASSERT_TRUE(written->write(0, whole).ok());
  Result<std::unique_ptr<File>> file = directory_->open("a", OpenMode::read);
  ASSERT_TRUE(file);
  (*file)->read_directly();
  Result<PageMemory> memory = PageMemory::map(1 << 20);
  ASSERT_TRUE(memory);
  for (const uint64_t shift : {0, 1, 512}) {  // of the address
    for (const uint64_t offset : {0, 1, 4095, 4096, 8192, 12'345, 49'152, 49'999, 60'000}) {
      for (const uint64_t size : {0, 1, 100, 4096, 5000, 8192, 200'000}) {
        char* const to = memory->data() + shift;
        const Result<uint64_t> count = (*file)->read(offset, to, size);
        ASSERT_TRUE(count) << count.status().to_string();
        const std::string expected = offset > whole.size() ? "" : whole.substr(offset, size);
        ASSERT_EQ(std::string(to, *count), expected) << offset << ", " << size;
      }
    }
  }
}

TEST_F(PosixFile, AllocatesBlocksOrSaysThatItCannot) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  const Status status = file->allocate(1 << 20);
  if (status.is(StatusCode::not_supported)) GTEST_SKIP() << "the file system under TMPDIR reserves nothing";
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(*file->size(), uint64_t{1} << 20);
  EXPECT_GE(*file->disk_bytes(), uint64_t{1} << 20);
}

TEST_F(PosixFile, AFailedWriteSaysWhere) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {10'000, before.rlim_max};
  const auto previous = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = file->write(9'000, std::string(2'000, 'x'));  // the kernel takes the first 1,000
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, previous);
  EXPECT_TRUE(status.is(StatusCode::io_error)) << status.to_string();
  EXPECT_EQ(status.file(), "a");
  EXPECT_EQ(status.offset(), 10'000u);
  EXPECT_EQ(*file->size(), 10'000u);
}

TEST_F(PosixFile, AFileOpenedForReadingIsNotWritten) {
  ASSERT_TRUE(create_file(*directory_, "a")->write(0, "x").ok());
  Result<std::unique_ptr<File>> file = directory_->open("a", OpenMode::read);
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->write(0, "y").is(StatusCode::io_error));
}

TEST_F(PosixFile, IsRecyclableWhileItHasOneName) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  ASSERT_TRUE(file->write(0, std::string(10'000, 'x')).ok());
  EXPECT_TRUE(file->recyclable());
  ASSERT_TRUE(directory_->link("a", *directory_, "b").ok());
  EXPECT_FALSE(file->recyclable());
  ASSERT_TRUE(directory_->remove("b").ok());
  EXPECT_TRUE(file->recyclable());
}

TEST_F(PosixFile, AHoleReadsAsZerosAndTakesNoSpace) {
  const std::unique_ptr<File> file = create_file(*directory_, "a");
  const uint64_t page = page_bytes();
  ASSERT_TRUE(file->write(0, std::string(64 * page, 'x')).ok());
  ASSERT_TRUE(file->sync().ok());
  const Status status = file->punch(page + 1, 62 * page);
  if (status.is(StatusCode::not_supported)) GTEST_SKIP() << "the file system punches no holes";
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(*file->size(), 64 * page);
  EXPECT_LE(*file->disk_bytes(), 4 * page);
  std::string bytes(64 * page, '?');
  ASSERT_EQ(*file->read(0, bytes.data(), bytes.size()), bytes.size());
  EXPECT_EQ(bytes, std::string(page + 1, 'x') + std::string(62 * page, '\0') + std::string(page - 1, 'x'));
  EXPECT_FALSE((*directory_->open("a", OpenMode::read))->punch(0, page).ok());
}

TEST(PosixFileOnXfs, IsNotRecyclableWhileACopySharesItsBlocks) {
  ScratchMount mount;
  if (!mount.mount_image("mkfs.xfs -q -m reflink=1", uint64_t{320} << 20))
    GTEST_SKIP() << "needs root and mkfs.xfs";
  const std::unique_ptr<Directory> directory = open_directory(mount.path());
  const std::unique_ptr<File> file = create_file(*directory, "a");
  const std::string page(page_bytes(), 'x');
  // More extents than one question answers, the last one shared.
  for (uint64_t at = 0; at < 200; ++at) ASSERT_TRUE(file->write(at * 2 * page_bytes(), page).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_TRUE(file->recyclable());
  {
    const FileHandle from(open((mount.path() + "/a").c_str(), O_RDONLY));
    const FileHandle to(open((mount.path() + "/copy").c_str(), O_RDWR | O_CREAT, 0600));
    const uint64_t last = 199 * 2 * page_bytes();
    const file_clone_range range = {from.get(), last, page_bytes(), 0};
    ASSERT_EQ(ioctl(to.get(), FICLONERANGE, &range), 0);
  }
  EXPECT_FALSE(file->recyclable());
}

TEST(PosixFileOnAFullDisk, SaysNoSpaceAndGoesOnWhenThereIsSome) {
  ScratchMount mount;
  if (!mount.mount_tmpfs("1m")) GTEST_SKIP() << "needs root to mount a tmpfs";
  const std::unique_ptr<Directory> directory = open_directory(mount.path());
  EXPECT_LE(*directory->free_bytes(), uint64_t{1} << 20);
  const std::unique_ptr<File> ballast = create_file(*directory, "ballast");
  ASSERT_TRUE(ballast->allocate(900 << 10).ok());

  const std::unique_ptr<File> file = create_file(*directory, "a");
  EXPECT_TRUE(file->allocate(512 << 10).is(StatusCode::no_space));
  ASSERT_TRUE(file->truncate(512 << 10).ok());  // a hole
  const Status written = file->write(0, std::string(512 << 10, 'x'));
  EXPECT_TRUE(written.is(StatusCode::no_space)) << written.to_string();
  EXPECT_EQ(written.file(), "a");

  ASSERT_TRUE(ballast->truncate(0).ok());
  EXPECT_TRUE(file->write(0, std::string(512 << 10, 'x')).ok());
  EXPECT_TRUE(file->allocate(512 << 10).ok());
}

}  // namespace
}  // namespace lightning
