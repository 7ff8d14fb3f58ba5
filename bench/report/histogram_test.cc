#include "bench/report/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace lightning::bench {
namespace {

TEST(HistogramTest, AnEmptyOneAnswersZero) { EXPECT_EQ(Histogram().percentile(50), 0u); }

TEST(HistogramTest, SmallDurationsAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.add(value);
  for (const uint64_t percent : {1, 25, 50, 75, 100}) EXPECT_EQ(histogram.percentile(percent), percent);
}

TEST(HistogramTest, EveryDurationIsFoundWithinOne64thOfItself) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const uint64_t value : {uint64_t{1} << bit, (uint64_t{1} << bit) | (uint64_t{1} << bit >> 1),
                                 (uint64_t{1} << bit) - 1 + (uint64_t{1} << bit)}) {
      Histogram histogram;
      histogram.add(value);
      const uint64_t found = histogram.percentile(50);
      const uint64_t distance = found > value ? found - value : value - found;
      EXPECT_LE(distance, value / 64) << value;
    }
  }
}

TEST(HistogramTest, AgreesWithSortedSamples) {
  std::mt19937_64 random(7);  // the same sequence in every run
  std::lognormal_distribution<double> durations(6, 2);
  Histogram histogram;
  std::vector<uint64_t> sorted(100'000);
  for (uint64_t& sample : sorted) histogram.add(sample = static_cast<uint64_t>(durations(random)));
  std::ranges::sort(sorted);
  for (const double percent : {0.1, 1.0, 50.0, 90.0, 99.0, 99.9}) {
    const size_t rank = static_cast<size_t>(std::ceil(percent * static_cast<double>(sorted.size()) / 100));
    const double exact = static_cast<double>(sorted[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), exact, exact / 64) << percent;
  }
}

TEST(HistogramTest, MergingAddsCounts) {
  Histogram fast, slow;
  for (int i = 0; i < 90; ++i) fast.add(10);
  for (int i = 0; i < 10; ++i) slow.add(1'000'000);
  fast.merge(slow);
  EXPECT_EQ(fast.count(), 100u);
  EXPECT_EQ(fast.max(), 1'000'000u);
  EXPECT_EQ(fast.percentile(90), 10u);
  EXPECT_NEAR(static_cast<double>(fast.percentile(91)), 1e6, 1e6 / 64);
}

}  // namespace
}  // namespace lightning::bench
