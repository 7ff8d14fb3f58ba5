// What merges and moves do to a whole database: runs go down the levels, answers stay, space comes back,
// nothing waits that need not.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/levels.h"

namespace lightning {
namespace {

TEST_F(Levels, WritesInOrderAreWrittenOnce) {
  reopen(512 * KiB);  // against the fixed pages of a file
  for (uint64_t i = 0; i < 30'000; ++i) put(i);
  ASSERT_TRUE(db_.flush().ok());
  work();
  const Stats before = stats();
  EXPECT_GE(before.move_bytes, before.flush_bytes_written * 9 / 10);
  EXPECT_EQ(before.merge_bytes_written, 0u);
  EXPECT_EQ(before.sorted_runs, 1u);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_LE(stats().write_amplification(), 1.2);
  EXPECT_GE(stats().move_bytes, before.move_bytes);
  expect_compact();
}

// What a drain has passed is given back file by file; what may go to the last level as it is stays whole.
TEST_F(Levels, AFlushIsCutWhereItWillBeMerged) {
  reopen(1 * MiB);
  for (uint64_t i = 0; i < 5'000; ++i) put(2 * i);
  ASSERT_TRUE(db_.flush().ok());
  work();
  ASSERT_EQ(level(kLast).files, 1u);
  for (uint64_t i = 0; i < 4'000; ++i) put(2 * i + 1);
  ASSERT_TRUE(db_.flush().ok());
  EXPECT_GE(level(0).files, 3u);
  EXPECT_EQ(level(0).runs, 1u);
  for (uint64_t i = 0; i < 4'000; ++i) put(100'000 + i);
  ASSERT_TRUE(db_.flush().ok());
  work();
  EXPECT_EQ(level(kLast).files, 2u);
  expect_answers();
}

// A removal takes little of the log and may hide much.
TEST_F(Levels, RemovalsAreFlushedBeforeTheWriteBufferIsFull) {
  reopen(1 * MiB);
  for (uint64_t i = 0; i < 8'000; ++i) put(i, 400);
  ASSERT_TRUE(db_.flush().ok());
  work();
  const uint64_t before = stats().flushes;
  for (uint64_t i = 0; i < 8'000; i += 2) remove(i);
  work();
  EXPECT_GT(stats().flushes, before);
  expect_answers();
}

TEST_F(Levels, OverwritesGoDownAllLevels) {
  overwrite(60'000, 6'000);
  work();
  const Stats now = stats();
  EXPECT_GE(now.merges, 20u);
  EXPECT_GT(now.merge_bytes_read, now.merge_bytes_written / 2);
  EXPECT_TRUE(levels_.contains(0) && levels_.contains(1) && levels_.contains(kLast));
  EXPECT_LE(now.sorted_runs, 9u);
  EXPECT_EQ(run_files_on_disk(), now.run_files);
  expect_answers();
  ASSERT_TRUE(db_.compact().ok());
  expect_compact();
  EXPECT_EQ(run_files_on_disk(), stats().run_files);
  // Nothing is left to be done.
  const uint64_t merges = stats().merges;
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().merges, merges);
}

TEST_F(Levels, SettleWhenNobodyWrites) {
  overwrite(6'000, 2'000);
  ASSERT_TRUE(db_.flush().ok());
  work();
  for (int i = 0; i < 20; ++i) env_.sleep(kNanosPerSecond / 2);
  work();
  const Stats now = stats();
  uint64_t upper = 0;
  for (const Stats::Level& level : now.levels) upper += level.number == kLast ? 0 : level.bytes;
  ASSERT_FALSE(now.levels.empty());
  EXPECT_EQ(now.levels.back().number, kLast);
  EXPECT_LE(upper, now.levels.back().bytes / 5);
  EXPECT_LE(now.run_entries, model_.size() * 5 / 4);
}

// Nobody asks for it: what was removed is not kept because its removals are in memory.
TEST_F(Levels, WhenEverythingIsRemovedNothingIsLeft) {
  reopen(16 * MiB);
  for (uint64_t i = 0; i < 20'000; ++i) put(i);
  ASSERT_TRUE(db_.flush().ok());
  work();
  for (uint64_t i = 0; i < 20'000; ++i) remove(i);
  for (int i = 0; i < 20; ++i) env_.sleep(kNanosPerSecond / 2);
  work();
  EXPECT_EQ(run_files_on_disk(), 0u);
  EXPECT_LT(stats().disk_bytes, 1 * MiB);
  EXPECT_LE(stats().log_bytes, 17 * MiB);
}

TEST_F(Levels, StatsSayWhatCompactionWouldGiveBack) {
  reopen(16 * MiB);
  for (uint64_t i = 0; i < 20'000; ++i) put(i);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().reclaimable_bytes, 0u);
  const uint64_t all = stats().disk_bytes;
  for (uint64_t i = 0; i < 10'000; ++i) remove(i);
  EXPECT_NEAR(static_cast<double>(stats().reclaimable_bytes), static_cast<double>(all) / 2,
              static_cast<double>(all) / 20);
  ASSERT_TRUE(db_.remove_range(key_of(10'000), key_of(15'000)).ok());
  for (uint64_t i = 10'000; i < 15'000; ++i) model_.erase(key_of(i));
  ASSERT_TRUE(db_.flush().ok());
  EXPECT_GT(stats().reclaimable_bytes, all * 7 / 10);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().reclaimable_bytes, 0u);
  EXPECT_LT(stats().disk_bytes, all * 3 / 10);
}

TEST_F(Levels, ASnapshotSeesThroughEveryMerge) {
  overwrite(8'000, 2'000);
  Result<Snapshot> snapshot = db_.snapshot();
  ASSERT_TRUE(snapshot);
  const std::map<std::string, std::string> then = model_;
  for (int round = 0; round < 4; ++round) {
    overwrite(6'000, 2'000);
    for (uint64_t i = 0; i < 500; ++i) remove(random_.below(2'000));
    if (round % 2 == 0) work();
    expect_answers(then, {.snapshot = &*snapshot});
  }
  ASSERT_TRUE(db_.compact().ok());
  expect_answers(then, {.snapshot = &*snapshot});
  EXPECT_GT(stats().run_entries, model_.size());
  *snapshot = Snapshot();
  ASSERT_TRUE(db_.compact().ok());
  expect_compact();
}

// Nobody asks for it, and nothing else is written.
TEST_F(Levels, WhatASnapshotKeptGoesAfterIt) {
  overwrite(4'000, 2'000);
  Result<Snapshot> snapshot = db_.snapshot();
  ASSERT_TRUE(snapshot);
  overwrite(10'000, 2'000);
  for (uint64_t i = 0; i < 500; ++i) remove(i);
  ASSERT_TRUE(db_.compact().ok());
  const auto run_bytes = [&] { return stats().disk_bytes - stats().log_bytes; };
  const uint64_t kept = run_bytes();
  const auto wait = [&] {
    for (int i = 0; i < 60; ++i) env_.sleep(kNanosPerSecond / 2);
    work();
  };
  wait();
  EXPECT_EQ(run_bytes(), kept) << "somebody reads it";
  *snapshot = Snapshot();
  wait();
  EXPECT_LE(run_bytes(), kept * 7 / 10);
  EXPECT_EQ(stats().run_entries, model_.size());
  const uint64_t merges = stats().merges;
  wait();
  EXPECT_EQ(stats().merges, merges);
  expect_answers();
}

TEST_F(Levels, AQueueKeepsNoRemovals) {
  uint64_t head = 0;
  uint64_t tail = 0;
  while (head < 2'000) put(head++);
  uint64_t removals = 0;
  for (int i = 0; i < 15'000; ++i) {
    put(head++);
    remove(tail++);
    if (i % 1'000 != 0) continue;
    work();
    uint64_t now = 0;
    for (const Stats::Level& level : stats().levels) now += level.removals;
    removals = std::max(removals, now);
  }
  EXPECT_LE(removals, 1'000u);
  while (tail < head) remove(tail++);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().run_files, 0u);
  EXPECT_EQ(run_files_on_disk(), 0u);
}

TEST_F(Levels, AFlushDoesNotWaitForAMerge) {
  for (int i = 0; i < 5; ++i) {
    overwrite(300, 2'000);
    ASSERT_TRUE(db_.flush().ok());
    if (i == 0) work();  // the first one moves to the last level
  }
  // The merge that is due takes a thousand seconds.
  env_.faults().add({.call = SimCall::sync,
                     .name_part = ".run",
                     .code = StatusCode::ok,
                     .delay_ns = 1'000 * kNanosPerSecond});
  env_.sleep(kNanosPerSecond / 10);
  ASSERT_EQ(env_.faults().injected(), 1u) << "no merge began";
  const uint64_t began = env_.clock().monotonic_ns();
  const uint64_t merges = stats().merges;
  for (int i = 0; i < 2; ++i) {
    overwrite(300, 2'000);
    ASSERT_TRUE(db_.flush().ok());
  }
  EXPECT_LT(env_.clock().monotonic_ns() - began, 100 * kNanosPerSecond);
  EXPECT_EQ(stats().merges, merges);
  expect_answers();
  env_.sleep(1'100 * kNanosPerSecond);
  work();
  EXPECT_GT(stats().merges, merges);
}

TEST_F(Levels, AMergeThatFailsChangesNothingAndIsTriedAgain) {
  const SimCall calls[] = {SimCall::create, SimCall::write, SimCall::sync, SimCall::sync_directory};
  for (const SimCall call : calls) {
    for (const StatusCode code : {StatusCode::io_error, StatusCode::no_space}) {
      if (call == SimCall::sync_directory) continue;  // ends all commits: not a merge's own failure
      overwrite(2'000, 2'000);
      ASSERT_TRUE(db_.flush().ok());
      env_.faults().add({.call = call, .name_part = ".run", .times = 3, .code = code});
      const uint64_t injected = env_.faults().injected();
      const Status failed = db_.compact();
      ASSERT_EQ(failed.code(), code) << sim_call_name(call);
      ASSERT_GT(env_.faults().injected(), injected);
      expect_answers();
      env_.faults().clear();
      env_.sleep(kNanosPerSecond);
      work();
      EXPECT_TRUE(db_.background_error().ok()) << db_.background_error().to_string();
      EXPECT_EQ(run_files_on_disk(), stats().run_files);
      expect_answers();
    }
  }
}

TEST_F(Levels, ADrainGoesOnAfterReopening) {
  overwrite(20'000, 6'000);
  ASSERT_TRUE(db_.flush().ok());
  // Compaction is stopped between two of its steps.
  env_.faults().add({.call = SimCall::create, .name_part = ".run", .after = 2, .times = kForever});
  EXPECT_FALSE(db_.compact().ok());
  note_levels();
  EXPECT_TRUE(levels_.contains(kDrain));
  expect_answers();
  ASSERT_TRUE(db_.close().ok());
  env_.faults().clear();
  open();
  expect_answers();
  work();
  ASSERT_EQ(stats().levels.size(), 1u);
  expect_answers();
  EXPECT_EQ(run_files_on_disk(), stats().run_files);
}

TEST_F(Levels, CompactionEndsWhileWritersGoOn) {
  overwrite(10'000, 3'000);
  bool done = false;
  env_.spawn("compaction", [&] {
    EXPECT_TRUE(db_.compact().ok());
    done = true;
  });
  env_.spawn("writer", [&] {
    while (!done) {
      put(random_.below(3'000));
      env_.sleep(1'000);
    }
  });
  ASSERT_TRUE(env_.run().ok());
  expect_answers();
}

TEST_F(Levels, ADroppedKeyspaceGoesWithCompaction) {
  Result<Keyspace> gone = db_.keyspace("gone");
  ASSERT_TRUE(gone);
  for (uint64_t i = 0; i < 3'000; ++i) {
    put(i);
    ASSERT_TRUE(gone->put(key_of(i), "value").ok());
  }
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_TRUE(db_.drop_keyspace("gone").ok());
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().run_entries, model_.size() + 1);  // and the note that the id was used
}

// A file in the middle of which a keyspace was holds nothing of it after one rewrite.
TEST_F(Levels, ADroppedKeyspaceIsCompactedOnce) {
  Result<Keyspace> gone = db_.keyspace("gone");
  Result<Keyspace> later = db_.keyspace("later");
  ASSERT_TRUE(gone && later);
  for (uint64_t i = 0; i < 200; ++i) {
    put(i);
    ASSERT_TRUE(gone->put(key_of(i), "value").ok());
    ASSERT_TRUE(later->put(key_of(i), "value").ok());
  }
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_TRUE(db_.drop_keyspace("gone").ok());
  ASSERT_TRUE(db_.compact().ok());
  const uint64_t merges = stats().merges;
  EXPECT_GE(merges, 1u);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().merges, merges);
}

}  // namespace
}  // namespace lightning
