#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <string>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"
#include "io/posix_executor.h"
#include "io/scratch_directory.h"

static bool g_no_threads = false;

extern "C" int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
extern "C" int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                     void* (*start)(void*), void* argument) {
  return g_no_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

namespace lightning {
namespace {

/// What tasks note, and how a test waits for them.
class Journal {
 public:
  void note(const std::string& entry) {
    MutexLock lock(mutex_);
    entries_.push_back(entry);
    changed_.notify_all();
  }
  std::vector<std::string> wait_for(size_t count) {
    MutexLock lock(mutex_);
    while (entries_.size() < count) changed_.wait(mutex_);
    return entries_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> entries_ GUARDED_BY(mutex_);
};

Status schedule(Lane lane, uint64_t delay_ns, std::function<void()> task) {
  return posix_env().executor().schedule(lane, delay_ns, std::move(task));
}

constexpr uint64_t kMillisecondNs = 1'000'000;

TEST(PosixExecutor, MergesTakeTheThreadsOfSlowTasksWhereTheyGetNone) {
  static PosixExecutor& executor = *new PosixExecutor(posix_env().clock());  // its threads never end
  Journal journal;
  ASSERT_TRUE(executor.schedule(Lane::slow, 0, [&] { journal.note("slow"); }).ok());
  journal.wait_for(1);
  g_no_threads = true;
  EXPECT_TRUE(executor.schedule(Lane::merge, 0, [&] { journal.note("merge"); }).ok());
  EXPECT_FALSE(executor.schedule(Lane::quick, 0, [&] { journal.note("quick"); }).ok());
  g_no_threads = false;
  EXPECT_EQ(journal.wait_for(2).back(), "merge");
}

TEST(PosixExecutor, RunsTasksOfEqualDelayInOrder) {
  Journal journal;
  std::vector<std::string> expected;
  for (int i = 0; i < 1'000; ++i) {
    expected.push_back(std::to_string(i));
    ASSERT_TRUE(schedule(Lane::quick, 0, [&, i] { journal.note(std::to_string(i)); }).ok());
  }
  EXPECT_EQ(journal.wait_for(expected.size()), expected);
}

// A task is due from its call on: where a machine took longer for the calls than their delays lie apart,
// another order is right, and they are made again with more between them.
TEST(PosixExecutor, RunsTheEarlierDueFirstAndNoneTooSoon) {
  Clock& clock = posix_env().clock();
  bool told = false;
  for (uint64_t unit_ns = 10 * kMillisecondNs; !told; unit_ns *= 2) {
    Journal journal;
    // Held back, so that all are queued before the first one starts.
    Journal gate;
    ASSERT_TRUE(schedule(Lane::quick, 0, [&] { gate.wait_for(1); }).ok());
    const uint64_t begin = clock.monotonic_ns();
    for (uint64_t units : {3, 1, 2}) {
      ASSERT_TRUE(schedule(Lane::quick, units * unit_ns, [&, units, unit_ns] {
                    EXPECT_GE(clock.monotonic_ns(), begin + units * unit_ns);
                    journal.note(std::to_string(units));
                  }).ok());
    }
    told = clock.monotonic_ns() - begin < unit_ns;
    gate.note("go");
    const std::vector<std::string> order = journal.wait_for(3);
    if (told) {
      EXPECT_EQ(order, (std::vector<std::string>{"1", "2", "3"}));
    }
  }
}

TEST(PosixExecutor, TasksDoNotHoldUpThoseOfAnotherLane) {
  constexpr int kHeld = 6;  // more than there are threads
  for (const auto& [held, other] : {std::pair(Lane::slow, Lane::quick), std::pair(Lane::merge, Lane::quick),
                                    std::pair(Lane::merge, Lane::slow)}) {
    Journal gate;
    Journal journal;
    for (int i = 0; i < kHeld; ++i) {
      ASSERT_TRUE(schedule(held, 0, [&] {
                    gate.wait_for(1);
                    journal.note("held");
                  }).ok());
    }
    ASSERT_TRUE(schedule(other, 0, [&] { journal.note("other"); }).ok());
    EXPECT_EQ(journal.wait_for(1), std::vector<std::string>{"other"});
    gate.note("go");
    EXPECT_EQ(journal.wait_for(1 + kHeld).size(), 1u + kHeld);
  }
}

TEST(PosixExecutor, ADelayedTaskIsNotForgottenBehindOthers) {
  Journal journal;
  for (Lane lane : {Lane::quick, Lane::slow, Lane::merge}) {
    ASSERT_TRUE(schedule(lane, 5 * kMillisecondNs, [&] { journal.note("delayed"); }).ok());
    ASSERT_TRUE(schedule(lane, 0, [&] { journal.note("now"); }).ok());
    ASSERT_TRUE(schedule(lane, UINT64_MAX, [&] { journal.note("never"); }).ok());
  }
  const std::vector<std::string> entries = journal.wait_for(6);
  EXPECT_EQ(std::count(entries.begin(), entries.end(), "delayed"), 3);
  EXPECT_EQ(std::count(entries.begin(), entries.end(), "now"), 3);
}

TEST(PosixExecutor, TasksScheduleTasks) {
  Journal journal;
  ASSERT_TRUE(schedule(Lane::quick, 0, [&] {
                EXPECT_TRUE(schedule(Lane::slow, 0, [&] { journal.note("inner"); }).ok());
              }).ok());
  journal.wait_for(1);
}

TEST(PosixExecutor, ItsThreadsHaveNamesAndLeaveSignalsToOthers) {
  Journal journal;
  for (Lane lane : {Lane::quick, Lane::slow}) {
    ASSERT_TRUE(schedule(lane, 0, [&] {
                  char name[16];
                  pthread_getname_np(pthread_self(), name, sizeof(name));
                  sigset_t mask;
                  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
                  const bool blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1 &&
                                       sigismember(&mask, SIGBUS) == 0 && sigismember(&mask, SIGSEGV) == 0;
                  journal.note(std::string(name) + (blocked ? " blocks" : " takes"));
                }).ok());
    journal.wait_for(lane == Lane::quick ? 1 : 2);
  }
  EXPECT_EQ(journal.wait_for(2),
            (std::vector<std::string>{"lightning-quick blocks", "lightning-slow blocks"}));
}

TEST(PosixExecutor, AForkedChildHasNone) {
  Journal journal;
  ASSERT_TRUE(schedule(Lane::quick, 0, [&] { journal.note("parent"); }).ok());
  journal.wait_for(1);
  EXPECT_EQ(run_in_child([] { return schedule(Lane::quick, 0, [] {}).is(StatusCode::closed) ? 0 : 1; }), 0);
}

}  // namespace
}  // namespace lightning
