#include "base/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace lightning {
namespace {

TEST(Mutex, LetsOneThreadInAtATime) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20'000;
  Mutex mutex;
  int64_t count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        MutexLock lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, int64_t{kThreads} * kRounds);
}

TEST(Mutex, TryLockFailsWhileHeld) {
  Mutex mutex;
  const auto is_free = [&mutex] {
    if (!mutex.try_lock()) return false;
    mutex.unlock();
    return true;
  };
  {
    MutexLock lock(mutex);
    std::thread([&] { EXPECT_FALSE(is_free()); }).join();
  }
  EXPECT_TRUE(is_free());
}

TEST(CondVar, PassesATurnBackAndForth) {
  constexpr int kTurns = 5'000;
  Mutex mutex;
  CondVar changed;
  int turn = 0;
  std::thread other([&] {
    for (int i = 1; i < kTurns; i += 2) {
      MutexLock lock(mutex);
      while (turn != i) changed.wait(mutex);
      ++turn;
      changed.notify_one();
    }
  });
  for (int i = 0; i < kTurns; i += 2) {
    MutexLock lock(mutex);
    while (turn != i) changed.wait(mutex);
    ++turn;
    changed.notify_one();
  }
  other.join();
  EXPECT_EQ(turn, kTurns);
}

TEST(CondVar, NotifyAllWakesEveryWaiter) {
  constexpr int kThreads = 6;
  Mutex mutex;
  CondVar changed;
  int waiting = 0;
  bool open = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      MutexLock lock(mutex);
      ++waiting;
      changed.notify_all();
      while (!open) changed.wait(mutex);
    });
  }
  {
    MutexLock lock(mutex);
    while (waiting != kThreads) changed.wait(mutex);
    open = true;
    changed.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(CondVar, AWaitEndsByItsTimeoutWithTheMutexHeld) {
  Mutex mutex;
  CondVar changed;
  mutex.lock();
  changed.wait(mutex, 1'000'000);
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
}

}  // namespace
}  // namespace lightning
