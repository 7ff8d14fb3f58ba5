#include "testing/sim_scheduler.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/park.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kMs = 1'000'000;

/// A step at which others may run, as INTERLEAVE() is in a sim build.
void interleave(const char* step) { this_thread_parker()->interleave(step); }

/// Three threads append to a list under a mutex and hand a token around.
std::string race(uint64_t seed, uint64_t* hash) {
  SimEnv env({.seed = seed, .switch_probability = 0.3});
  Mutex mutex;
  CondVar changed;
  std::string order;
  int turn = 0;
  for (int id = 0; id < 3; ++id) {
    env.spawn("racer " + std::to_string(id), [&, id] {
      for (int i = 0; i < 5; ++i) {
        interleave("race.begin");
        const MutexLock lock(mutex);
        interleave("race.locked");
        order += static_cast<char>('a' + id);
      }
      const MutexLock lock(mutex);
      while (turn != id) changed.wait(mutex);
      order += static_cast<char>('A' + id);
      ++turn;
      changed.notify_all();
    });
  }
  EXPECT_TRUE(env.run().ok());
  *hash = env.trace_hash();
  return order;
}

TEST(SimScheduler, OneSeedOneTraceManySeedsManyTraces) {
  std::set<std::string> orders;
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    uint64_t first = 0, second = 0;
    const std::string order = race(seed, &first);
    EXPECT_EQ(race(seed, &second), order) << "seed " << seed;
    EXPECT_EQ(first, second) << "seed " << seed;
    ASSERT_EQ(order.size(), 18u);
    orders.insert(order);
    hashes.insert(first);
  }
  EXPECT_GT(orders.size(), 20u);
  EXPECT_EQ(hashes.size(), 30u);
}

TEST(SimScheduler, FindsALostUpdate) {
  const auto count = [](uint64_t seed) {
    SimEnv env({.seed = seed, .switch_probability = 0.3});
    int value = 0;
    for (int id = 0; id < 2; ++id) {
      env.spawn("adder", [&] {
        for (int i = 0; i < 3; ++i) {
          const int seen = value;
          interleave("adder.read");
          value = seen + 1;
        }
      });
    }
    EXPECT_TRUE(env.run().ok());
    return value;
  };
  std::set<int> values;
  for (uint64_t seed = 1; seed <= 50; ++seed) values.insert(count(seed));
  EXPECT_TRUE(values.contains(6));
  EXPECT_TRUE(values.contains(3));
}

TEST(SimScheduler, ReportsADeadlockWithNames) {
  bool found = false;
  for (uint64_t seed = 1; seed <= 50 && !found; ++seed) {
    // What stuck threads use must live as long as they do: for ever.
    struct Shared {
      Mutex left, right;
    };
    auto* shared = new Shared;
    SimEnv env({.seed = seed, .switch_probability = 0.5});
    const auto both = [](Mutex& first, Mutex& second) {
      first.lock();
      interleave("between the locks");
      second.lock();
      second.unlock();
      first.unlock();
    };
    env.spawn("left first", [=] { both(shared->left, shared->right); });
    env.spawn("right first", [=] { both(shared->right, shared->left); });
    const Status status = env.run();
    if (status.ok()) {
      delete shared;
      continue;
    }
    found = true;
    EXPECT_TRUE(status.is(StatusCode::deadlock));
    EXPECT_NE(status.message().find("left first waits at word"), std::string::npos) << status.to_string();
    EXPECT_NE(status.message().find("right first waits at word"), std::string::npos) << status.to_string();
    static std::vector<Shared*> kept;
    kept.push_back(shared);
  }
  EXPECT_TRUE(found);
}

TEST(SimSchedulerDeathTest, StopsWhenMainIsDeadlocked) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        SimEnv env;
        const std::atomic<uint32_t> word{0};
        for (;;) park(word, 0);
      },
      "main waits at word 0");
}

TEST(SimSchedulerDeathTest, StopsACallByAStrangeThread) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        SimEnv env;
        set_this_thread_parker(nullptr);
        (void)env.files().open_directory("db", true);
      },
      "not the running one");
}

TEST(SimScheduler, BackgroundTasksRunWhileMainWaits) {
  SimEnv env;
  std::atomic<uint32_t> done{0};
  ASSERT_TRUE(env.executor()
                  .schedule(Lane::slow, 0,
                            [&] {
                              done.store(1);
                              unpark_all(done);
                            })
                  .ok());
  while (done.load() == 0) park(done, 0);
  int ran = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(env.executor().schedule(i % 2 == 0 ? Lane::quick : Lane::slow, 0, [&] { ++ran; }).ok());
  }
  ASSERT_TRUE(env.run_until_idle().ok());
  EXPECT_EQ(ran, 10);
}

TEST(SimScheduler, TimeLeapsToDelayedTasksAndTimeouts) {
  SimEnv env({.spurious_wake_probability = 0});
  const uint64_t start = env.clock().monotonic_ns();
  uint64_t ran_at = 0;
  ASSERT_TRUE(
      env.executor().schedule(Lane::quick, 100 * kMs, [&] { ran_at = env.clock().monotonic_ns(); }).ok());
  ASSERT_TRUE(env.run_until_idle().ok());
  EXPECT_EQ(ran_at, 0u);
  env.sleep(50 * kMs);
  EXPECT_EQ(ran_at, 0u);
  env.sleep(60 * kMs);
  EXPECT_GE(ran_at, start + 100 * kMs);
  EXPECT_LT(ran_at, start + 101 * kMs);
  const std::atomic<uint32_t> word{0};
  const uint64_t before = env.clock().monotonic_ns();
  park(word, 0, 3600'000 * kMs);
  EXPECT_GE(env.clock().monotonic_ns() - before, 3600'000 * kMs);
  park(word, 1);  // the word is not 1: returns
}

TEST(SimScheduler, ASpinningThreadLetsTheClockAndOthersRun) {
  SimEnv env;
  bool ready = false;
  ASSERT_TRUE(env.executor().schedule(Lane::quick, 1000 * kMs, [&] { ready = true; }).ok());
  while (!ready) spin_pause();
  EXPECT_GE(env.clock().monotonic_ns(), 1000 * kMs);
}

TEST(SimScheduler, ALaneHasABoundedNumberOfThreads) {
  SimEnv env({.threads_per_lane = 1});
  auto* released = new std::atomic<uint32_t>{0};  // stuck threads use it for ever
  static std::atomic<uint32_t>* kept = released;
  bool quick_ran = false;
  ASSERT_TRUE(env.executor()
                  .schedule(Lane::slow, 0,
                            [=] {
                              while (released->load() == 0) park(*released, 0);
                            })
                  .ok());
  ASSERT_TRUE(env.run_until_idle().ok());  // the first task is parked now
  ASSERT_TRUE(env.executor().schedule(Lane::slow, 0, [=] { released->store(1); }).ok());
  ASSERT_TRUE(env.executor().schedule(Lane::quick, 0, [&] { quick_ran = true; }).ok());
  ASSERT_TRUE(env.run_until_idle().ok());
  EXPECT_TRUE(quick_ran);
  EXPECT_EQ(kept->load(), 0u);  // behind the first one in a lane of one thread
  EXPECT_EQ(env.scheduler().queued_tasks(), 1u);
  env.spawn("nobody", [] {});
  ASSERT_TRUE(env.run().ok());
  released->store(1);
  unpark_all(*released);
  ASSERT_TRUE(env.run_until_idle().ok());
  EXPECT_EQ(env.scheduler().queued_tasks(), 0u);
}

TEST(SimScheduler, WhatIsLeftRunsAtTheEnd) {
  int ran = 0;
  {
    SimEnv env;
    env.spawn("late", [&] { ++ran; });
    ASSERT_TRUE(env.executor().schedule(Lane::quick, 1000 * kMs, [&] { ++ran; }).ok());
  }
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(this_thread_parker(), nullptr);
}

TEST(SimScheduler, EnvsNestInsideAStep) {
  SimEnv outer({.seed = 7, .switch_probability = 0.5});
  uint64_t inner_runs = 0;
  outer.watch([&](const SimStep& step) {
    if (step.what != "write") return;
    SimEnv inner({}, outer.disk().kill_image());
    EXPECT_TRUE(inner.files().open_directory("db", false).ok());
    inner.spawn("inner", [&] { ++inner_runs; });
    EXPECT_TRUE(inner.run().ok());
  });
  for (int id = 0; id < 2; ++id) {
    outer.spawn("writer", [&outer, id] {
      Result<std::unique_ptr<Directory>> dir = outer.files().open_directory("db", true);
      ASSERT_TRUE(dir.ok());
      Result<std::unique_ptr<File>> file = (*dir)->open("f" + std::to_string(id), OpenMode::create);
      ASSERT_TRUE(file.ok());
      for (int i = 0; i < 5; ++i) ASSERT_TRUE((*file)->write(0, "x").ok());
    });
  }
  ASSERT_TRUE(outer.run().ok());
  EXPECT_EQ(inner_runs, 10u);
}

}  // namespace
}  // namespace lightning
