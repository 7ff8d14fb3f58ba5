#include "base/park.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/barrier.h"

namespace lightning {
namespace {

TEST(Park, ReturnsAtOnceWhenTheWordChanged) {
  const std::atomic<uint32_t> word{1};
  park(word, 0);
}

TEST(Park, EndsByItsTimeout) {
  const std::atomic<uint32_t> word{0};
  park(word, 0, 0);
  park(word, 0, 1'000'000);
  park(word, 0, 999);
}

TEST(Park, SleepsUntilSomebodyWakesIt) {
  for (uint64_t timeout_ns :
       {kParkForever, kParkForever - 1}) {  // the second is too long for the kernel's clock
    std::atomic<uint32_t> word{0};
    std::atomic<bool> woken{false};
    std::thread sleeper([&] {
      while (word.load(std::memory_order_acquire) == 0) park(word, 0, timeout_ns);
      woken.store(true);
    });
    EXPECT_FALSE(woken.load());
    word.store(1, std::memory_order_release);
    unpark_one(word);
    sleeper.join();
    EXPECT_TRUE(woken.load());
  }
}

TEST(Park, UnparkAllWakesEverySleeper) {
  std::atomic<uint32_t> word{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i < 8; ++i) {
    sleepers.emplace_back([&] {
      while (word.load(std::memory_order_acquire) == 0) park(word, 0);
    });
  }
  word.store(1, std::memory_order_release);
  unpark_all(word);
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST(Park, AParkerTakesThePlaceOfTheSystemInItsThreadOnly) {
  struct Recorder final : Parker {
    std::string calls;
    void park(const std::atomic<uint32_t>&, uint32_t expected, uint64_t timeout_ns) override {
      calls += "park " + std::to_string(expected) + " " + std::to_string(timeout_ns) + ",";
    }
    void unpark(const std::atomic<uint32_t>&, int count) override { calls += count == 1 ? "one," : "all,"; }
    void yield() override { calls += "yield,"; }
    void interleave(const char*) override {}
  };
  Recorder recorder;
  set_this_thread_parker(&recorder);
  std::thread([&] { EXPECT_EQ(this_thread_parker(), nullptr); }).join();
  const std::atomic<uint32_t> word{3};
  park(word, 3, 7);
  unpark_one(word);
  unpark_all(word);
  yield_thread();
  spin_pause();
  EXPECT_EQ(this_thread_parker(), &recorder);
  set_this_thread_parker(nullptr);
  yield_thread();
  spin_pause();
  EXPECT_EQ(recorder.calls, "park 3 7,one,all,yield,yield,");
}

// Dekker's pair: of two threads that each store and then load the other's word, at least one sees the other's
// store.
TEST(HeavyBarrier, PairsWithACompilerBarrier) {
  constexpr int kRounds = 3'000;
  std::atomic<int> frequent{0};
  std::atomic<int> rare{0};
  std::atomic<int> frequent_saw{0};
  std::atomic<int> start{0};
  std::atomic<int> done{0};
  int violations = 0;
  std::thread thread([&] {
    for (int round = 1; round <= kRounds; ++round) {
      while (start.load(std::memory_order_acquire) != round) yield_thread();
      if (heavy_barrier_available()) {
        frequent.store(round, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        frequent_saw.store(rare.load(std::memory_order_relaxed), std::memory_order_relaxed);
      } else {
        frequent.exchange(round, std::memory_order_seq_cst);
        frequent_saw.store(rare.load(std::memory_order_seq_cst), std::memory_order_relaxed);
      }
      done.store(round, std::memory_order_release);
    }
  });
  for (int round = 1; round <= kRounds; ++round) {
    start.store(round, std::memory_order_release);
    rare.exchange(round, std::memory_order_seq_cst);
    heavy_barrier();
    const int rare_saw = frequent.load(std::memory_order_seq_cst);
    while (done.load(std::memory_order_acquire) != round) yield_thread();
    if (rare_saw != round && frequent_saw.load(std::memory_order_relaxed) != round) ++violations;
  }
  thread.join();
  EXPECT_EQ(violations, 0);
}

}  // namespace
}  // namespace lightning
