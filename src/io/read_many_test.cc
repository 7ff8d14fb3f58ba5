// File::read_many(), by rings and without them: a build that has no liburing goes the second way.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "io/env.h"
#include "io/read_ring.h"
#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr size_t kFiles = 3;
constexpr uint64_t kRoom = 1 << 20;

class ReadMany : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  ReadMany() {
    has_rings_ = allow_read_rings(std::get<0>(GetParam()));
    Result<std::unique_ptr<Directory>> directory = posix_env().files().open_directory(scratch_.path(), false);
    EXPECT_TRUE(directory);
    for (size_t f = 0; f < kFiles; ++f) {
      const std::string name(1, static_cast<char>('a' + f));
      std::string& bytes = bytes_[f];
      while (bytes.size() < 70'000 + 1'000 * f) bytes += name + std::to_string(bytes.size());
      EXPECT_TRUE((*(*directory)->open(name, OpenMode::create))->write(0, bytes).ok());
      files_[f] = *(*directory)->open(name, OpenMode::read);
      if (std::get<1>(GetParam())) files_[f]->read_directly();
    }
  }
  ~ReadMany() override { allow_read_rings(true); }

  bool by_ring() const { return has_rings_ && std::get<0>(GetParam()); }

  // Reads `count` pieces wherever, and looks at every byte.
  void read_some(Random& random, size_t count) const {
    const PageMemory memory = *PageMemory::map(kRoom);
    std::vector<ReadRequest> requests(count);
    uint64_t at = 0;
    for (ReadRequest& one : requests) {
      const size_t f = random.below(kFiles);
      const bool aligned = random.below(2) == 0;  // as direct reads want it, and others
      one.file = files_[f].get();
      one.offset = aligned ? random.below(20) * 4096 : random.below(80'000);
      one.size = aligned ? 4096 * (1 + random.below(2)) : random.below(9'000);
      at = aligned ? (at + 4095) / 4096 * 4096 : at;
      one.to = memory.data() + at;
      at += one.size;
      ASSERT_LE(at, kRoom);
    }
    files_[0]->read_many(requests);
    for (const ReadRequest& one : requests) {
      size_t f = 0;
      while (files_[f].get() != one.file) ++f;
      ASSERT_TRUE(one.count) << one.count.status().to_string();
      const uint64_t from = std::min<uint64_t>(one.offset, bytes_[f].size());
      ASSERT_EQ(std::string(one.to, *one.count), bytes_[f].substr(from, one.size)) << one.offset;
    }
  }

  ScratchDirectory scratch_;
  bool has_rings_ = false;
  std::string bytes_[kFiles];
  std::unique_ptr<File> files_[kFiles];
};

TEST_P(ReadMany, ReadsWhatReadWouldRead) {
  Random random(1);
  for (const size_t count : {0, 1, 2, 3, 31, 32, 33, 70}) {
    for (int round = 0; round < 10; ++round) read_some(random, count);
  }
}

TEST_P(ReadMany, GoesByARingWhereThatIsAllowed) {
  Random random(2);
  const uint64_t before = reads_by_ring();
  read_some(random, 10);
  EXPECT_EQ(reads_by_ring() > before, by_ring());
}

TEST_P(ReadMany, EachFailsAlone) {
  const PageMemory memory = *PageMemory::map(3 * 4096);
  std::vector<ReadRequest> requests;
  for (uint64_t i = 0; i < 3; ++i)
    requests.push_back(
        {.file = files_[i].get(), .offset = 4096, .to = memory.data() + i * 4096, .size = 4096});
  requests[1].to = nullptr;  // no address to read to
  files_[0]->read_many(requests);
  for (const size_t i : {0, 2}) {
    ASSERT_TRUE(requests[i].count);
    EXPECT_EQ(std::string(requests[i].to, *requests[i].count), bytes_[i].substr(4096, 4096));
  }
  const Status alone = files_[1]->read(4096, nullptr, 4096).status();
  ASSERT_FALSE(requests[1].count);
  EXPECT_EQ(requests[1].count.status().to_string(), alone.to_string());
  EXPECT_EQ(alone.file(), "b");
  EXPECT_EQ(alone.offset(), 4096u);
}

TEST_P(ReadMany, AForkedChildLeavesTheRingsAlone) {
  Random random(3);
  read_some(random, 10);  // so that there is one
  const pid_t child = fork();
  if (child == 0) {
    const uint64_t before = reads_by_ring();
    read_some(random, 10);
    _exit(HasFailure() || reads_by_ring() != before ? 1 : 0);
  }
  int outcome = -1;
  ASSERT_EQ(waitpid(child, &outcome, 0), child);
  EXPECT_EQ(outcome, 0);
  read_some(random, 10);
}

TEST_P(ReadMany, SignalsDoNotCutThem) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  struct sigaction former;
  ASSERT_EQ(sigaction(SIGALRM, &action, &former), 0);
  const itimerval often = {{0, 100}, {0, 100}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  Random random(4);
  for (int round = 0; round < 100; ++round) read_some(random, 32);
  const itimerval never = {};
  ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
  ASSERT_EQ(sigaction(SIGALRM, &former, nullptr), 0);
}

// More of them than there are rings, so that some read one after the other; and few descriptors are taken.
TEST_P(ReadMany, ManyThreadsShareFewRings) {
  const auto descriptors = [] {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return std::distance(begin(open), end(open));
  };
  const auto before = descriptors();
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2 * kRingsMax; ++t) {
    threads.emplace_back([this, t] {
      Random random(t);
      for (int round = 0; round < 20; ++round) read_some(random, 20);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(descriptors(), before + static_cast<int>(kRingsMax));
}

// As often as a ring is wanted and cannot be made.
TEST(ReadRing, IsDoneWithoutWhereDescriptorsAreShort) {
  const pid_t child = fork();  // whose rings are not used, so a program of its own stands for it
  if (child == 0) {
    const std::string filter = "--gtest_filter=ReadRing.DISABLED_ReadsWithoutDescriptors";
    execl("/proc/self/exe", "io_threads_test", filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
    _exit(1);
  }
  int outcome = -1;
  ASSERT_EQ(waitpid(child, &outcome, 0), child);
  EXPECT_EQ(outcome, 0);
}

TEST(ReadRing, DISABLED_ReadsWithoutDescriptors) {
  ScratchDirectory scratch;
  Result<std::unique_ptr<Directory>> directory = posix_env().files().open_directory(scratch.path(), false);
  const std::unique_ptr<File> file = *(*directory)->open("a", OpenMode::create);
  ASSERT_TRUE(file->write(0, "hello").ok());
  const int next = dup(0);
  close(next);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {static_cast<rlim_t>(next), before.rlim_max};
  const auto read = [&](size_t count) -> std::string {
    char bytes[10] = {};
    ReadRequest requests[2] = {{.file = file.get(), .offset = 0, .to = bytes, .size = 5},
                               {.file = file.get(), .offset = 3, .to = bytes + 5, .size = 5}};
    file->read_many({requests, count});
    return requests[0].count && requests[1].count ? std::string(bytes, 5 + *requests[1].count) : "";
  };
  EXPECT_EQ(read(1), "hello");  // one makes no ring; a sanitizer takes descriptors when it first sees a type
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(read(2), "hellolo");
  EXPECT_EQ(reads_by_ring(), 0u);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(read(2), "hellolo");
  EXPECT_EQ(reads_by_ring() != 0, allow_read_rings(true));
}

INSTANTIATE_TEST_SUITE_P(RingOrNot, ReadMany, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param) ? "Ring" : "OneByOne") +
                                  (std::get<1>(one.param) ? "Direct" : "Cached");
                         });

}  // namespace
}  // namespace lightning
