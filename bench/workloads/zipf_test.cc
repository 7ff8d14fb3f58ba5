#include "bench/workloads/zipf.h"

#include <gtest/gtest.h>

#include <vector>

namespace lightning::bench {
namespace {

TEST(ZipfTest, SumsAreThoseOfAllWeights) {
  for (const uint64_t count : {1, 2, 999, 1'000, 1'001, 100'000}) {
    double sum = 0;
    for (uint64_t i = 1; i <= count; ++i) sum += std::pow(static_cast<double>(i), -0.99);
    EXPECT_NEAR(Zipf::sum_to(count), sum, sum * 1e-6) << count;
  }
}

TEST(ZipfTest, RanksAreBelowTheCountAndFallInFrequency) {
  constexpr uint64_t kCount = 1'000, kDraws = 1'000'000;
  const Zipf zipf(kCount);
  Random random(1);
  std::vector<uint64_t> seen(kCount);
  for (uint64_t i = 0; i < kDraws; ++i) ++seen.at(zipf(random));
  // What the method approximates: within a few percent for the first ranks, whose share is known.
  const double sum = Zipf::sum_to(kCount);
  for (const uint64_t rank : {0, 1}) {
    const double expected = kDraws * std::pow(static_cast<double>(rank + 1), -0.99) / sum;
    EXPECT_NEAR(static_cast<double>(seen[rank]), expected, expected * 0.03) << rank;
  }
  uint64_t first_tenth = 0;
  for (uint64_t rank = 0; rank < kCount / 10; ++rank) first_tenth += seen[rank];
  EXPECT_NEAR(static_cast<double>(first_tenth), kDraws * Zipf::sum_to(kCount / 10) / sum, kDraws * 0.03);
  EXPECT_GT(seen[kCount - 1], 0u);
}

TEST(ZipfTest, OfFewNumbersAllCome) {
  for (const uint64_t count : {2, 3}) {
    const Zipf zipf(count);
    Random random(7);
    std::vector<uint64_t> seen(count);
    for (int i = 0; i < 10'000; ++i) ++seen.at(zipf(random));
    for (const uint64_t times : seen) EXPECT_GT(times, 100u);
  }
}

}  // namespace
}  // namespace lightning::bench
