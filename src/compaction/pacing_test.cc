#include "compaction/pacing.h"

#include <gtest/gtest.h>

namespace lightning {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kFlush = 100 * kMiB;
constexpr uint64_t kFlushNs = 10'000'000;  // a MiB at that speed

Pace with_memory(uint64_t free, uint64_t backlog) {
  return pace_of({.free_bytes = free, .backlog_bytes = backlog, .runs = 0, .flush_bytes_per_s = kFlush});
}
Pace with_runs(uint64_t runs) {
  return pace_of({.free_bytes = kMiB, .backlog_bytes = 0, .runs = runs, .flush_bytes_per_s = kFlush});
}

/// Of a last level of a thousand MiB.
Pace with_space(uint64_t upper, uint64_t removed) {
  return pace_of({.upper_bytes = upper * kMiB,
                  .removed_bytes = removed * kMiB,
                  .last_bytes = 1000 * kMiB,
                  .flush_bytes_per_s = kFlush});
}

TEST(Pacing, WithoutDebtWritersAreFree) {
  EXPECT_EQ(with_memory(kMiB, 0).reason, PaceReason::none);
  EXPECT_EQ(with_memory(3 * kMiB, kMiB).ns_per_mib, 0u);
  EXPECT_EQ(with_runs(kRunsUnpaced).ns_per_mib, 0u);
}

TEST(Pacing, AtAsMuchFreeAsOwedWritersGoAsFlushesDo) {
  EXPECT_EQ(with_memory(kMiB, kMiB).ns_per_mib, kFlushNs);
  EXPECT_EQ(with_memory(kMiB, kMiB).reason, PaceReason::memory);
}

TEST(Pacing, HalfwayToTheMostWritersGoAsMergesDo) {
  EXPECT_EQ(with_runs((kRunsUnpaced + kRunsMost) / 2).ns_per_mib, 3 * kFlushNs);
  EXPECT_EQ(with_runs((kRunsUnpaced + kRunsMost) / 2).reason, PaceReason::merges);
  EXPECT_EQ(with_space(500, 0).ns_per_mib, 3 * kFlushNs);
  EXPECT_EQ(with_space(500, 0).reason, PaceReason::merges);
}

TEST(Pacing, SpaceIsWhatMayBeGarbageOverWhatIsLeft) {
  EXPECT_EQ(with_space(400, 0).ns_per_mib, 0u);
  EXPECT_GT(with_space(401, 0).ns_per_mib, 0u);
  // Removals also shrink what is left.
  EXPECT_EQ(with_space(0, 285).ns_per_mib, 0u);
  EXPECT_GT(with_space(0, 287).ns_per_mib, 0u);
  EXPECT_LT(with_space(0, 333).ns_per_mib, 3 * kFlushNs);
  EXPECT_GT(with_space(0, 334).ns_per_mib, 3 * kFlushNs);
  EXPECT_EQ(with_space(0, 2000).ns_per_mib, 10 * kFlushNs);
  // Beside little data it is counted in write buffers.
  Debt small{.upper_bytes = 120 * kMiB,
             .last_bytes = 10 * kMiB,
             .tier_bytes_min = 96 * kMiB,
             .flush_bytes_per_s = kFlush};
  EXPECT_EQ(pace_of(small).ns_per_mib, 0u);
  small.upper_bytes = 168 * kMiB;
  EXPECT_EQ(pace_of(small).ns_per_mib, 3 * kFlushNs);
}

TEST(Pacing, ARemovalCountsAsWhatItRemoves) {
  Debt debt{.free_bytes = kMiB, .backlog_bytes = kMiB, .entry_bytes = 120, .flush_bytes_per_s = kFlush};
  EXPECT_EQ(pace_of(debt).removal_bytes, 120u);
}

TEST(Pacing, BeginsEarlyAndRisesWithTheDebt) {
  uint64_t before = 0;
  for (uint64_t backlog = 34; backlog <= 1000; ++backlog) {
    const uint64_t price = with_memory(100 * kMiB, backlog * kMiB).ns_per_mib;
    EXPECT_GE(price, before);
    before = price;
  }
  EXPECT_LT(with_memory(100 * kMiB, 36 * kMiB).ns_per_mib, kFlushNs / 10);
  before = 0;
  for (uint64_t runs = kRunsUnpaced + 1; runs < 100; ++runs) {
    const uint64_t price = with_runs(runs).ns_per_mib;
    EXPECT_GE(price, before);
    before = price;
  }
}

TEST(Pacing, NeverStopsAWriter) {
  EXPECT_EQ(with_memory(0, kMiB).ns_per_mib, 3 * kFlushNs);
  EXPECT_EQ(with_runs(UINT64_MAX).ns_per_mib, 10 * kFlushNs);
}

TEST(Pacing, TheLargerDebtCounts) {
  Debt debt{.free_bytes = kMiB, .backlog_bytes = kMiB, .runs = kRunsMost, .flush_bytes_per_s = kFlush};
  EXPECT_EQ(pace_of(debt).reason, PaceReason::merges);
  debt.runs = kRunsUnpaced + 1;
  EXPECT_EQ(pace_of(debt).reason, PaceReason::memory);
}

TEST(Pacing, NothingIsGuessedBeforeTheFirstFlush) {
  EXPECT_EQ(pace_of({.free_bytes = 0, .backlog_bytes = kMiB, .runs = 100, .flush_bytes_per_s = 0}).ns_per_mib,
            0u);
}

}  // namespace
}  // namespace lightning
