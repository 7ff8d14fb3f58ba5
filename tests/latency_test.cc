#include "engine/latency.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

namespace lightning {
namespace {

uint64_t count_of(const LatencyCounts& counts) {
  return std::accumulate(counts.buckets.begin(), counts.buckets.end(), uint64_t{0});
}

// Countdowns are of a thread: one of its own begins at nothing.
void in_a_thread(const std::function<void()>& body) { std::thread(body).join(); }

TEST(Latency, ABucketHoldsWhatIsNotAboveItsBound) {
  LatencyHistogram histogram;
  for (size_t i = 0; i < kLatencyBoundsNs.size(); ++i) {
    histogram.add(kLatencyBoundsNs[i], 1);
    histogram.add(kLatencyBoundsNs[i] + 1, 10);
  }
  const LatencyCounts counts = histogram.read();
  EXPECT_EQ(counts.buckets.front(), 1u);
  for (size_t i = 1; i < kLatencyBoundsNs.size(); ++i) EXPECT_EQ(counts.buckets[i], 11u) << i;
  EXPECT_EQ(counts.buckets.back(), 10u);
  const uint64_t bounds = std::accumulate(kLatencyBoundsNs.begin(), kLatencyBoundsNs.end(), uint64_t{0});
  EXPECT_EQ(counts.sum_ns, bounds * 11 + 10 * kLatencyBoundsNs.size());
}

TEST(Latency, NothingIsLostBetweenThreads) {
  constexpr uint64_t kTimes = 10'000;
  LatencyHistogram histogram;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const EpochGuard epoch;  // gives the thread a slot, hence a stripe
      for (uint64_t n = 0; n < kTimes; ++n) histogram.add(1'000, 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count_of(histogram.read()), 4 * kTimes * 2);
  EXPECT_EQ(histogram.read().sum_ns, 4 * kTimes * 2 * 1'000);
}

TEST(Latency, TimedOperationsStandForAll) {
  in_a_thread([] {
    constexpr uint64_t kOperations = 10'000;
    uint64_t stand_for = 0, timed = 0, last = 0;
    std::set<uint64_t> intervals;
    for (uint64_t i = 1; i <= kOperations; ++i) {
      if (!is_timed(Timed::commit)) continue;
      const uint64_t interval = begin_timed(Timed::commit);
      EXPECT_EQ(interval, i - last);
      stand_for += interval;
      last = i;
      intervals.insert(interval);
      ++timed;
    }
    EXPECT_EQ(stand_for, last);
    EXPECT_LT(kOperations - last, 96u);
    EXPECT_GT(timed, kOperations / 64 * 9 / 10);
    EXPECT_LT(timed, kOperations / 64 * 11 / 10);
    EXPECT_GT(intervals.size(), 40u) << "intervals that are all alike meet the same operation of a pattern";
  });
}

class CountingClock final : public Clock {
 public:
  uint64_t monotonic_ns() override { return now_ += 1'000; }
  int64_t unix_micros() override { return 0; }

 private:
  uint64_t now_ = 0;
};

// As get() does it: the call that is timed is made from within, and asks again.
struct Caller {
  CountingClock clock;
  LatencyHistogram histogram;
  uint64_t calls = 0;

  int call() {
    if (is_timed(Timed::get)) {
      return time_operation(Timed::get, clock, histogram, [this] { return call(); });
    }
    ++calls;
    return 7;
  }
};

TEST(Latency, AnOperationThatIsTimedIsDoneOnce) {
  in_a_thread([] {
    Caller caller;
    for (uint64_t i = 1; i <= 10'000; ++i) {
      EXPECT_EQ(caller.call(), 7);
      EXPECT_EQ(caller.calls, i);
      EXPECT_LE(count_of(caller.histogram.read()), i);
      EXPECT_LT(i - count_of(caller.histogram.read()), 96u);
    }
    EXPECT_EQ(caller.histogram.read().sum_ns, count_of(caller.histogram.read()) * 1'000);
  });
}

TEST(Latency, KindsCountForThemselves) {
  in_a_thread([] {
    EXPECT_TRUE(is_timed(Timed::get));
    (void)begin_timed(Timed::get);
    EXPECT_FALSE(is_timed(Timed::get));
    EXPECT_TRUE(is_timed(Timed::commit));
    (void)begin_timed(Timed::commit);
  });
}

}  // namespace
}  // namespace lightning
