// The policy under synthetic loads, without disk: what it writes, how many runs it leaves, how much space it
// takes. Ten thousand keys over 22 write buffers, as ten million over buffers of 64 MiB.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "compaction/churn_simulator.h"

namespace lightning {
namespace {

constexpr uint64_t kKeys = 10'000;
constexpr uint64_t kBufferPuts = 466;
constexpr uint64_t kSeed = 20261129;

// RocksDB's by its own counters for the same load, overwrites and settling, and how much of it is allowed. Of
// what is measured it is less (lightning-bench, churn): merges take no time here, and so each takes little.
constexpr double kRocksDbWriteAmplification = 5.1;
constexpr double kShareAllowed = 0.9;

class Churn : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(simulator.verify(), "");
    EXPECT_LE(simulator.totals.tier_runs_max, kTierRuns);
  }
  void overwrite(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) simulator.put(random() % kKeys);
  }
  /// Everything that is on disk is one sorted run, and alive.
  void expect_compact() {
    EXPECT_LE(simulator.runs(), 1u);
    EXPECT_EQ(simulator.removals(), 0u);
    EXPECT_EQ(simulator.entries() * 116, simulator.live_bytes());
    EXPECT_LE(simulator.space(), 1.15);
  }

  std::mt19937_64 random{kSeed};
  ChurnSimulator simulator{kBufferPuts};
};

TEST_F(Churn, RandomPutsAndOverwrites) {
  overwrite(kKeys);
  overwrite(kKeys);
  EXPECT_GT(simulator.totals.drain_steps, 20u);
  EXPECT_LE(simulator.totals.space_max, 1.6);
  EXPECT_LE(simulator.totals.runs_max, 9u);
  simulator.compact();
  EXPECT_LE(simulator.totals.write_amplification(), kShareAllowed * kRocksDbWriteAmplification);
  expect_compact();
}

TEST_F(Churn, EachKeyOnceAndOverwrites) {
  std::vector<uint64_t> keys(kKeys);
  std::iota(keys.begin(), keys.end(), 0);
  std::shuffle(keys.begin(), keys.end(), random);
  for (const uint64_t key : keys) simulator.put(key);
  overwrite(kKeys);
  EXPECT_LE(simulator.totals.space_max, 1.6);
  EXPECT_LE(simulator.totals.runs_max, 9u);
  simulator.compact();
  EXPECT_LE(simulator.totals.write_amplification(), kShareAllowed * kRocksDbWriteAmplification);
  expect_compact();
}

TEST_F(Churn, SequentialPutsAreWrittenOnce) {
  for (uint64_t i = 0; i < kKeys; ++i) simulator.put(i);
  EXPECT_GE(simulator.totals.moves, 20u);
  EXPECT_EQ(simulator.totals.merge_bytes, 0u);
  EXPECT_LE(simulator.totals.runs_max, 2u);
  simulator.compact();
  EXPECT_LE(simulator.totals.write_amplification(), 1.2);
  expect_compact();
}

TEST_F(Churn, ARangeIsCompactedByItself) {
  overwrite(5 * kKeys / 2);
  simulator.flush();
  const auto key = [](uint64_t number) { return ChurnSimulator::key_of(number); };
  // Files and pieces that hold keys of the range.
  const auto pieces = [&](const std::string& from, const std::string& to, bool upper) {
    std::vector<uint64_t> ids;
    for (const SortedRunInfo& run : simulator.levels()) {
      for (const RunPiece& piece : run.pieces) {
        const bool meets = KeySpan{.from = from, .to = to}.meets(range_of(piece));
        if (meets && (run.level != kLastLevel) == upper) ids.push_back(piece.file.id);
      }
    }
    return ids;
  };
  simulator.take_snapshot();
  for (int i = 0; i < 8; ++i) {
    const uint64_t first = random() % kKeys;
    const std::string from = key(first);
    const std::string to = key(first + random() % (kKeys / 5));
    const std::vector<uint64_t> far = pieces(key(0), key(first - std::min(first, kKeys / 4)), false);
    simulator.compact(from, to);
    EXPECT_EQ(simulator.verify(), "");
    if (from < to) {
      EXPECT_TRUE(pieces(from, to, true).empty());
    }
    EXPECT_EQ(pieces(key(0), key(first - std::min(first, kKeys / 4)), false), far);
    simulator.work(Goal::keep_up, UINT64_MAX);
    overwrite(200);
    if (i == 4) simulator.release_snapshot();
  }
  // A second time there is nothing to be done.
  simulator.compact(key(1'000), key(4'000));
  const uint64_t steps = simulator.totals.drain_steps;
  simulator.compact(key(1'000), key(4'000));
  EXPECT_EQ(simulator.totals.drain_steps, steps);
  simulator.compact();
  expect_compact();
}

TEST_F(Churn, SettlesWhenNobodyWrites) {
  overwrite(3 * kKeys / 2);
  simulator.flush();
  simulator.settle();
  EXPECT_LE(simulator.space(), 1.15);
}

TEST_F(Churn, WhatASnapshotMadeFilesKeepGoesAfterIt) {
  overwrite(2 * kKeys);
  simulator.take_snapshot();
  overwrite(2 * kKeys);
  simulator.compact();
  EXPECT_GT(simulator.space(), 1.6);
  simulator.settle();
  EXPECT_GT(simulator.space(), 1.6) << "somebody reads it";
  simulator.release_snapshot();
  simulator.settle();
  EXPECT_LE(simulator.space(), 1.1);
  EXPECT_EQ(simulator.entries() * 116, simulator.live_bytes());
}

// Of a file of the last level that a step came to the middle of, no rest is left over which the drain does
// not go on: the next step would be drawn into it, and from file to file through all that lie between.
TEST_F(Churn, ADrainPassesFilesThatItHasNoKeyFor) {
  std::vector<uint64_t> keys(4 * kKeys);
  std::iota(keys.begin(), keys.end(), 0);
  std::shuffle(keys.begin(), keys.end(), random);
  for (const uint64_t key : keys) simulator.put(2 * key);
  simulator.compact();
  ASSERT_GT(simulator.levels().back().pieces.size(), 16u);
  const uint64_t before = simulator.totals.merge_bytes;
  // Between all keys of three files, and of the first of another, so that what is left of that is small.
  const std::string begin = simulator.levels().back().pieces[3].file.smallest.substr(1);
  const uint64_t inserted = std::stoull(begin) / 2 + kBufferPuts / 8;
  for (uint64_t i = 0; i < inserted; ++i) simulator.put(2 * i + 1);
  simulator.put(8 * kKeys - 1);
  simulator.flush();
  simulator.settle();
  ASSERT_EQ(simulator.runs(), 1u);
  for (const RunPiece& piece : simulator.levels().back().pieces) EXPECT_EQ(piece.from, "");
  EXPECT_LE(simulator.totals.merge_bytes - before, 4 * kKeys * 116 * 2 / 3);
}

TEST_F(Churn, OverwritesOfAFewKeysTouchLittle) {
  for (uint64_t i = 0; i < kKeys; ++i) simulator.put(i);
  const uint64_t before = simulator.totals.merge_bytes;
  for (uint64_t i = 0; i < kKeys; ++i) simulator.put(random() % (kKeys / 20));
  EXPECT_LE(simulator.totals.merge_bytes - before, kKeys * 116 / 2);
}

TEST_F(Churn, AQueueStaysShort) {
  uint64_t head = 0;
  uint64_t tail = 0;
  while (head < kKeys / 2) simulator.put(head++);
  uint64_t entries_max = 0;
  for (uint64_t i = 0; i < kKeys; ++i) {
    simulator.put(head++);
    simulator.remove(tail++);
    entries_max = std::max(entries_max, simulator.removals());
  }
  EXPECT_LE(entries_max, 2 * kBufferPuts);
  EXPECT_LE(simulator.totals.write_amplification(), 2.5);
  while (tail < head) simulator.remove(tail++);
  simulator.flush();
  simulator.work(Goal::keep_up, UINT64_MAX);
  EXPECT_EQ(simulator.entries(), 0u);
}

TEST_F(Churn, AQueueThatIsNearlyEmptyIsNearlyNothing) {
  uint64_t tail = 0;
  for (uint64_t head = 0; head < kKeys; ++head) {
    simulator.put(head);
    if (head >= 50) simulator.remove(tail++);
  }
  EXPECT_LE(simulator.totals.write_amplification(), 0.4);
  EXPECT_LE(simulator.disk_bytes(), uint64_t{1000} * 116);
}

TEST_F(Churn, DeletingEverythingGivesItAllBack) {
  overwrite(kKeys);
  for (uint64_t i = 0; i < kKeys; ++i) simulator.remove(i);
  EXPECT_LE(simulator.totals.space_max, 1.65);
  simulator.compact();
  EXPECT_EQ(simulator.disk_bytes(), 0u);
  EXPECT_EQ(simulator.runs(), 0u);
}

TEST_F(Churn, DeletingHalfAtRandom) {
  overwrite(2 * kKeys);
  for (uint64_t i = 0; i < kKeys / 2; ++i) simulator.remove(random() % kKeys);
  EXPECT_LE(simulator.totals.space_max, 1.75);
  EXPECT_LE(simulator.totals.write_amplification(), kShareAllowed * kRocksDbWriteAmplification);
  simulator.compact();
  expect_compact();
}

TEST_F(Churn, ASnapshotKeepsWhatItSeesAndNoMore) {
  overwrite(kKeys);
  simulator.take_snapshot();
  for (int i = 0; i < 4; ++i) {
    overwrite(kKeys / 2);
    for (uint64_t k = 0; k < 500; ++k) simulator.remove(random() % kKeys);
    EXPECT_EQ(simulator.verify(), "");
  }
  simulator.compact();
  EXPECT_EQ(simulator.verify(), "");
  EXPECT_LE(simulator.space(), 2.3);
  simulator.release_snapshot();
  simulator.compact();
  expect_compact();
}

// Merges that lag behind: a step a flush, so that flushes come between the steps of a drain.
TEST_F(Churn, FlushesBetweenTheStepsOfADrain) {
  simulator.limit_work(1);
  for (int round = 0; round < 2; ++round) {
    overwrite(kKeys);
    for (uint64_t i = 0; i < kKeys / 4; ++i) simulator.remove(random() % kKeys);
  }
  EXPECT_EQ(simulator.verify(), "");
  simulator.work(Goal::keep_up, UINT64_MAX);
  EXPECT_EQ(simulator.verify(), "");
  simulator.compact();
  expect_compact();
  simulator.totals.tier_runs_max = 0;  // of a policy that is let work
}

// Small buffers, many levels, every kind of load in turn, and compactions that begin while a drain is half
// done.
TEST_F(Churn, AnyMixture) {
  ChurnSimulator many(40);
  for (int round = 0; round < 60; ++round) {
    many.limit_work(random() % 3 == 0 ? random() % 4 : UINT64_MAX);
    const uint64_t from = random() % 3000;
    const uint64_t width = 1 + random() % 2000;
    const uint64_t kind = random() % 5;
    for (uint64_t i = 0; i < 300; ++i) {
      const uint64_t key = kind == 0 ? from + i : from + random() % width;
      kind >= 3 && random() % 4 != 0 ? many.remove(key) : many.put(key);
    }
    if (random() % 8 == 0) many.take_snapshot();
    if (random() % 6 == 0) many.release_snapshot();
    if (random() % 10 == 0) many.settle();
    if (random() % 15 == 0) many.compact();
    ASSERT_EQ(many.verify(), "") << round;
  }
  EXPECT_GT(many.totals.tier_merges, 10u);
  EXPECT_GT(many.totals.drain_steps, 50u);
  EXPECT_GT(many.totals.moves, 10u);
}

}  // namespace
}  // namespace lightning
