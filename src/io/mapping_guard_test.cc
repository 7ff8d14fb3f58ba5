#include "io/mapping_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/env.h"
#include "io/file_handle.h"
#include "io/page_size.h"
#include "io/scratch_directory.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

namespace lightning {
namespace {

/// A file of `pages` pages filled with 'f', and a mapping of it.
struct MappedFile {
  std::unique_ptr<File> file;
  std::unique_ptr<MappedRegion> region;

  MappedFile(const std::string& path, const std::string& name, uint64_t pages, MapMode mode) {
    Result<std::unique_ptr<Directory>> directory = posix_env().files().open_directory(path, false);
    file = *(*directory)->open(name, OpenMode::create);
    EXPECT_TRUE(file->write(0, std::string(pages * page_bytes(), 'f')).ok());
    region = *file->map(0, pages * page_bytes(), mode);
  }
  volatile char& at(uint64_t page, uint64_t offset = 0) {
    return region->data()[page * page_bytes() + offset];
  }
};

class MappingGuard : public testing::Test {
 protected:
  ScratchDirectory scratch_;
};

TEST_F(MappingGuard, AStoreBeyondTheEndIsKeptAndNoted) {
  MappedFile mapped(scratch_.path(), "a", 4, MapMode::write);
  MappedFile other(scratch_.path(), "b", 4, MapMode::write);
  ASSERT_TRUE(mapped.file->truncate(page_bytes()).ok());
  EXPECT_FALSE(mapped.region->faulted());
  mapped.at(2, 7) = 's';
  EXPECT_TRUE(mapped.region->faulted());
  EXPECT_EQ(mapped.at(2, 7), 's');
  EXPECT_EQ(mapped.at(2, 8), 0) << "what cannot be read is zero";
  mapped.region->drop(0, 4 * page_bytes());
  EXPECT_EQ(mapped.at(2, 7), 's') << "a private page is not dropped";
  EXPECT_EQ(mapped.at(0), 'f');
  mapped.at(0) = 'g';
  char byte = 0;
  ASSERT_EQ(*mapped.file->read(0, &byte, 1), 1u);
  EXPECT_EQ(byte, 'g') << "other pages are still the file's";
  EXPECT_TRUE(mapped.region->populate(0, page_bytes()).is(StatusCode::io_error));

  other.at(3) = 'o';
  EXPECT_FALSE(other.region->faulted());
}

TEST_F(MappingGuard, ALoadBeyondTheEndReadsZerosAndIsNoted) {
  MappedFile mapped(scratch_.path(), "a", 4, MapMode::read);
  ASSERT_TRUE(mapped.file->truncate(2 * page_bytes()).ok());
  EXPECT_EQ(mapped.at(1), 'f');
  EXPECT_FALSE(mapped.region->faulted());
  EXPECT_EQ(mapped.at(3, 5), 0);
  EXPECT_TRUE(mapped.region->faulted());
  EXPECT_EQ(mapped.at(1), 'f');
}

TEST_F(MappingGuard, AnswersForManyMappingsWhileOthersComeAndGo) {
  std::vector<std::unique_ptr<MappedFile>> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back(std::make_unique<MappedFile>(scratch_.path(), std::to_string(i), 2, MapMode::write));
  }
  for (int i = 0; i < 200; i += 2) files[i].reset();
  for (int i = 1; i < 200; i += 2) {
    ASSERT_TRUE(files[i]->file->truncate(page_bytes()).ok());
    files[i]->at(1) = 's';
    ASSERT_TRUE(files[i]->region->faulted());
    ASSERT_EQ(files[i]->at(1), 's');
  }
}

TEST_F(MappingGuard, ThreadsThatFaultOnOnePageLoseNoStore) {
  constexpr int kThreads = 4;
  constexpr uint64_t kPages = 64;
  MappedFile mapped(scratch_.path(), "a", kPages, MapMode::write);
  ASSERT_TRUE(mapped.file->truncate(0).ok());
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      ready.fetch_add(1);
      while (ready.load() != kThreads) std::this_thread::yield();
      for (uint64_t page = 0; page < kPages; ++page)
        mapped.at(page, static_cast<uint64_t>(i)) = static_cast<char>(i + 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t page = 0; page < kPages; ++page) {
    for (int i = 0; i < kThreads; ++i) ASSERT_EQ(mapped.at(page, static_cast<uint64_t>(i)), i + 1) << page;
  }
}

TEST(MappingGuardOnAFullDisk, StoresIntoAHoleGoOn) {
  ScratchMount mount;
  if (!mount.mount_tmpfs("256k")) GTEST_SKIP() << "needs root to mount a tmpfs";
  MappedFile mapped(mount.path(), "a", 1, MapMode::write);
  constexpr uint64_t kPages = 256;
  ASSERT_TRUE(mapped.file->truncate(kPages * page_bytes()).ok());
  const std::unique_ptr<MappedRegion> region = *mapped.file->map(0, kPages * page_bytes(), MapMode::write);
  for (uint64_t page = 0; page < kPages; ++page) region->data()[page * page_bytes()] = 's';
  EXPECT_TRUE(region->faulted());
  for (uint64_t page = 0; page < kPages; ++page) ASSERT_EQ(region->data()[page * page_bytes()], 's');
}

// A page of which the file has one block of four: a store into it must find space for the rest, and finds
// none.
TEST(MappingGuardOnAFullDisk, APrivatePageHoldsTheBytesThatWereThere) {
  ScratchMount mount;
  if (!mount.mount_image("mkfs.ext4 -q -b 1024 -O ^has_journal", uint64_t{4} << 20)) {
    GTEST_SKIP() << "needs root and mkfs.ext4";
  }
  MappedFile mapped(mount.path(), "a", 1, MapMode::read);
  ASSERT_TRUE(mapped.file->truncate(0).ok());
  ASSERT_TRUE(mapped.file->write(0, std::string(1024, 'r')).ok());
  ASSERT_TRUE(mapped.file->truncate(2 * page_bytes()).ok());
  ASSERT_TRUE(mapped.file->sync().ok());
  MappedFile ballast(mount.path(), "ballast", 1, MapMode::read);
  uint64_t end = page_bytes();
  while (ballast.file->write(end, std::string(512, 'b')).ok()) end += 512;

  const std::unique_ptr<MappedRegion> region = *mapped.file->map(0, 2 * page_bytes(), MapMode::write);
  volatile char* const data = region->data();
  EXPECT_EQ(data[0], 'r');
  data[2000] = 's';
  ASSERT_TRUE(region->faulted());
  EXPECT_EQ(data[2000], 's');
  EXPECT_EQ(data[0], 'r');
  EXPECT_EQ(data[1023], 'r');
}

TEST(MappingGuardOnXfs, AStoreAfterAShutdownGoesOn) {
  ScratchMount mount;
  if (!mount.mount_image("mkfs.xfs -q", uint64_t{320} << 20)) GTEST_SKIP() << "needs root and mkfs.xfs";
  constexpr uint64_t kPages = 256;
  MappedFile mapped(mount.path(), "a", kPages, MapMode::write);
  ASSERT_TRUE(mapped.region->populate(0, kPages * page_bytes()).ok());
  ASSERT_TRUE(mapped.file->sync().ok());
  {
    const FileHandle root(open(mount.path().c_str(), O_RDONLY | O_DIRECTORY));
    uint32_t without_log_flush = 2;
    ASSERT_EQ(ioctl(root.get(), _IOR('X', 125, uint32_t), &without_log_flush), 0);  // XFS_IOC_GOINGDOWN
  }
  EXPECT_TRUE(mapped.file->sync().is(StatusCode::io_error));
  for (uint64_t page = 0; page < kPages; ++page) mapped.at(page) = 's';
  EXPECT_TRUE(mapped.region->faulted());
  for (uint64_t page = 0; page < kPages; ++page) {
    ASSERT_EQ(mapped.at(page), 's');
    ASSERT_EQ(mapped.at(page, 1), 'f') << "the page was in memory and must not become zeros";
  }
}

TEST_F(MappingGuard, AChildHasNoMapping) {
  MappedFile mapped(scratch_.path(), "a", 2, MapMode::write);
  EXPECT_EQ(run_in_child([&] {
              signal(SIGSEGV, SIG_DFL);
              return mapped.at(0);
            }),
            -SIGSEGV);
  EXPECT_EQ(mapped.at(0), 'f');
}

// The following run in processes of their own, since a guard is installed once. These end by _exit(), so that
// their files must not need a destructor.

std::unique_ptr<MappedFile> mapped_file_without_a_name(uint64_t pages, MapMode mode) {
  const ScratchDirectory scratch;
  return std::make_unique<MappedFile>(scratch.path(), "a", pages, mode);
}

/// A page beyond the end of its file that the guard knows nothing of.
volatile char* unguarded_page() {
  const FileHandle file(open("/tmp", O_TMPFILE | O_RDWR, 0600));
  if (ftruncate(file.get(), 1) != 0) std::abort();
  char* const data =
      static_cast<char*>(mmap(nullptr, 2 * page_bytes(), PROT_READ, MAP_SHARED, file.get(), 0));
  if (data == MAP_FAILED) std::abort();
  return data + page_bytes();
}

// Stored before the access that faults, so the pointer is volatile too.
volatile char* volatile g_expected_address = nullptr;

void exit_by_handler(int, siginfo_t* info, void*) {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  const bool as_asked = info->si_addr == g_expected_address && sigismember(&mask, SIGUSR1) == 1 &&
                        sigismember(&mask, SIGUSR2) == 0 && sigismember(&mask, SIGBUS) == 1;
  _exit(as_asked ? 42 : 43);
}

class MappingGuardDeathTest : public testing::Test {
 protected:
  MappingGuardDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void install_former_handler() {
    struct sigaction former{};
    former.sa_sigaction = exit_by_handler;
    former.sa_flags = SA_SIGINFO;
    sigaddset(&former.sa_mask, SIGUSR1);
    sigaction(SIGBUS, &former, nullptr);
  }
};

TEST_F(MappingGuardDeathTest, ElsewhereTheFormerHandlerRuns) {
  const auto body = [] {
    install_former_handler();
    const std::unique_ptr<MappedFile> mapped = mapped_file_without_a_name(2, MapMode::write);
    if (!mapped->file->truncate(page_bytes()).ok()) _exit(1);
    mapped->at(1) = 's';
    if (!mapped->region->faulted()) _exit(2);
    g_expected_address = unguarded_page();
    _exit(*g_expected_address);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(42), "");
}

TEST_F(MappingGuardDeathTest, AfterItsMappingIsGoneARangeIsNobodys) {
  const auto body = [] {
    install_former_handler();
    std::unique_ptr<MappedFile> mapped = mapped_file_without_a_name(2, MapMode::write);
    char* const data = mapped->region->data();
    mapped.reset();
    void* const begin = const_cast<char*>(unguarded_page() - page_bytes());
    const uint64_t size = 2 * page_bytes();
    if (begin != data && mremap(begin, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, data) != data) _exit(1);
    g_expected_address = data + page_bytes();
    _exit(*g_expected_address);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(42), "");
}

TEST_F(MappingGuardDeathTest, WithoutRoomForMoreMappingsTheWholeRangeIsReplaced) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs mappings of its own";
  const auto body = [] {
    const std::unique_ptr<MappedFile> mapped = mapped_file_without_a_name(16, MapMode::read);
    if (!mapped->file->truncate(page_bytes()).ok()) _exit(1);
    void* last = nullptr;
    for (bool readable = false;; readable = !readable) {  // neighbours that cannot be merged
      const int protection = readable ? PROT_READ : PROT_NONE;
      void* const page = mmap(nullptr, page_bytes(), protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (page == MAP_FAILED) break;
      last = page;
    }
    munmap(last, page_bytes());  // room for a mapping in the place of another, not for one more
    if (mapped->at(8) != 0 || !mapped->region->faulted()) _exit(2);
    _exit(mapped->at(0) == 0 && mapped->at(15) == 0 ? 0 : 3);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(0), "");
}

TEST_F(MappingGuardDeathTest, WithoutAFormerHandlerTheSignalKills) {
  const auto by_fault = [] {
    signal(SIGBUS, SIG_DFL);
    if (!mapping_guard_in_force()) _exit(1);
    _exit(*unguarded_page());
  };
  EXPECT_EXIT(by_fault(), testing::KilledBySignal(SIGBUS), "");
  const auto by_ignored_fault = [] {
    signal(SIGBUS, SIG_IGN);
    if (!mapping_guard_in_force()) _exit(1);
    _exit(*unguarded_page());
  };
  EXPECT_EXIT(by_ignored_fault(), testing::KilledBySignal(SIGBUS), "");
  const auto sent = [] {
    signal(SIGBUS, SIG_DFL);
    if (!mapping_guard_in_force()) _exit(1);
    raise(SIGBUS);
    _exit(0);
  };
  EXPECT_EXIT(sent(), testing::KilledBySignal(SIGBUS), "");
  const auto sent_and_ignored = [] {
    signal(SIGBUS, SIG_IGN);
    if (!mapping_guard_in_force()) _exit(1);
    raise(SIGBUS);
    _exit(mapping_guard_in_force() ? 0 : 2);
  };
  EXPECT_EXIT(sent_and_ignored(), testing::ExitedWithCode(0), "");
}

TEST_F(MappingGuardDeathTest, KnowsWhenAnotherHandlerTookItsPlace) {
  const auto body = [] {
    if (!posix_env().guards_mappings()) _exit(1);
    signal(SIGBUS, SIG_DFL);
    _exit(posix_env().guards_mappings() ? 2 : 0);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace lightning
