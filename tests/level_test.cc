// What merges and moves do to a whole database: runs go down the levels, answers stay, space comes back,
// nothing waits that need not. In the simulated Env, with small write buffers.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "api/open_in.h"
#include "engine/compactions.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint32_t kLast = 7;
constexpr uint32_t kDrain = 6;
constexpr uint64_t kNanosPerSecond = 1'000'000'000;

std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(15 - digits.size(), '0') + digits;
}

class Levels : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override {
    expect_answers();
    EXPECT_TRUE(db_.close().ok());
  }

  void open(uint64_t write_buffer_size = 64 * KiB) {
    options_.durability = Durability::process;
    options_.write_buffer_size = write_buffer_size;
    options_.memory_limit = 64 * MiB;
    Result<Database> opened = open_in(env_, "db", options_, OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void reopen(uint64_t write_buffer_size = 64 * KiB) {
    ASSERT_TRUE(db_.close().ok());
    db_ = Database();
    open(write_buffer_size);
  }
  Stats::Level level(uint64_t number) {
    for (const Stats::Level& level : stats().levels) {
      if (level.number == number) return level;
    }
    return {};
  }
  void put(uint64_t number, size_t size = 100) {
    std::string value = std::to_string(++writes_);
    value.resize(size, '.');
    ASSERT_TRUE(db_.put(key_of(number), value).ok());
    model_[key_of(number)] = value;
  }
  void remove(uint64_t number) {
    ASSERT_TRUE(db_.remove(key_of(number)).ok());
    model_.erase(key_of(number));
  }
  void overwrite(uint64_t puts, uint64_t keys) {
    for (uint64_t i = 0; i < puts; ++i) {
      put(random_.below(keys));
      if (i % 500 == 0) note_levels();
    }
  }
  /// Lets background work come to an end, but for what begins when nobody writes for a while.
  void work() {
    ASSERT_TRUE(env_.run_until_idle().ok());
    note_levels();
  }
  Stats stats() {
    Result<Stats> stats = db_.stats();
    EXPECT_TRUE(stats.ok());
    return stats ? *stats : Stats();
  }
  void note_levels() {
    for (const Stats::Level& level : stats().levels) levels_.insert(level.number);
  }
  void expect_answers() {
    expect_answers(model_, {});
    for (int i = 0; i < 200; ++i) {
      const std::string key = key_of(random_.below(20'000));
      const Lookup found = db_.get(key);
      ASSERT_TRUE(found.status().ok()) << found.status().to_string();
      const auto expected = model_.find(key);
      ASSERT_EQ(static_cast<bool>(found), expected != model_.end()) << key;
      if (found) {
        ASSERT_EQ(found.value(), expected->second);
      }
    }
  }
  void expect_answers(const std::map<std::string, std::string>& model, const ReadOptions& options) {
    auto expected = model.begin();
    Scan scan = db_.scan(options);
    while (scan.advance()) {
      ASSERT_NE(expected, model.end());
      ASSERT_EQ(scan.entry().key(), expected->first);
      ASSERT_EQ(scan.entry().value(), expected->second);
      ++expected;
    }
    ASSERT_TRUE(scan.status().ok()) << scan.status().to_string();
    ASSERT_EQ(expected, model.end());
  }
  /// One sorted run of what is alive, and nothing else.
  void expect_compact() {
    const Stats now = stats();
    ASSERT_LE(now.levels.size(), 1u);
    EXPECT_EQ(now.sorted_runs, now.levels.size());
    EXPECT_EQ(now.run_entries, model_.size());
    if (!now.levels.empty()) {
      EXPECT_EQ(now.levels[0].number, kLast);
      EXPECT_EQ(now.levels[0].removals, 0u);
    }
  }
  uint64_t run_files_on_disk() {
    uint64_t count = 0;
    Result<std::unique_ptr<Directory>> directory = env_.files().open_directory("db", false);
    Result<std::vector<FileInfo>> files = (*directory)->list();
    for (const FileInfo& file : *files) count += file.name.ends_with(".run") ? 1 : 0;
    return count;
  }

  SimEnv env_{{.seed = 20261129, .keeps_unsynced = false}};
  Options options_;
  Database db_;
  Random random_{1};
  uint64_t writes_ = 0;
  std::map<std::string, std::string> model_;
  std::set<uint64_t> levels_;  // seen
};

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

// What is beside it stays as it is.
TEST_F(Levels, ARangeIsCompactedAlone) {
  // Nothing is left that a drain would begin for by itself.
  overwrite(40'000, 8'000);
  ASSERT_TRUE(db_.compact().ok());
  work();
  overwrite(500, 8'000);
  for (uint64_t i = 3'000; i < 4'000; i += 20) remove(i);
  ASSERT_TRUE(db_.flush().ok());
  work();
  const Stats before = stats();
  ASSERT_GT(before.sorted_runs, 1u);
  ASSERT_TRUE(db_.compact_range(key_of(2'500), key_of(4'500)).ok());
  const Stats after = stats();
  EXPECT_GT(after.merge_bytes_written, before.merge_bytes_written);
  EXPECT_LT(after.merge_bytes_written - before.merge_bytes_written, before.disk_bytes / 2);
  EXPECT_EQ(level(kDrain).runs, 0u);
  EXPECT_EQ(run_files_on_disk(), stats().run_files);
  expect_answers();
  // Once more, there is nothing to be done.
  ASSERT_TRUE(db_.compact_range(key_of(2'500), key_of(4'500)).ok());
  EXPECT_EQ(stats().merges, after.merges);
  reopen();
  expect_answers();
  // To the end, and all of it: as compact().
  ASSERT_TRUE(db_.compact_range(key_of(4'500)).ok());
  ASSERT_TRUE(db_.compact_range().ok());
  EXPECT_EQ(stats().run_entries, model_.size());
  ASSERT_TRUE(db_.compact().ok());
  expect_compact();
}

// Removals go, and what they removed, within the range alone.
TEST_F(Levels, ARangeThatWasRemovedGivesItsSpaceBack) {
  reopen(1 * MiB);
  for (uint64_t i = 0; i < 20'000; ++i) put(i);
  ASSERT_TRUE(db_.compact().ok());
  for (uint64_t i = 5'000; i < 6'000; ++i) remove(i);
  ASSERT_TRUE(db_.remove_range(key_of(10'000), key_of(10'500)).ok());
  for (uint64_t i = 10'000; i < 10'500; ++i) model_.erase(key_of(i));
  ASSERT_TRUE(db_.flush().ok());
  Result<Snapshot> snapshot = db_.snapshot();
  ASSERT_TRUE(db_.compact_range(key_of(5'000), key_of(6'000)).ok());
  EXPECT_EQ(level(kLast).entries, 19'000u);
  EXPECT_EQ(level(0).range_removals, 1u);
  expect_answers(model_, {.snapshot = &*snapshot});
  ASSERT_TRUE(db_.compact_range(key_of(9'000), key_of(10'200)).ok());
  ASSERT_TRUE(db_.compact_range(key_of(10'200)).ok());
  EXPECT_EQ(level(kLast).entries, 18'500u);
  EXPECT_EQ(stats().sorted_runs, 1u);
  expect_compact();
}

TEST_F(Levels, TheBackgroundCompactsWhatItIsAskedTo) {
  overwrite(40'000, 6'000);
  for (uint64_t i = 1'000; i < 2'000; ++i) remove(i);
  ASSERT_TRUE(db_.compact_range(key_of(1'000), key_of(2'000), {.wait = false}).ok());
  ASSERT_TRUE(db_.compact_range(key_of(1'500), key_of(3'000), {.wait = false}).ok());
  overwrite(500, 6'000);
  work();
  EXPECT_EQ(level(kDrain).runs, 0u);
  expect_answers();
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(db_.compact({.wait = false}).ok());
  work();
  expect_compact();
  EXPECT_TRUE(db_.background_error().ok());
}

// What the background cannot begin it tries again, and says so.
TEST_F(Levels, ACompactionInTheBackgroundThatFailsIsTriedAgain) {
  overwrite(5'000, 3'000);
  env_.faults().add({.call = SimCall::create, .name_part = ".run", .times = 3, .code = StatusCode::no_space});
  ASSERT_TRUE(db_.compact({.wait = false}).ok());
  env_.sleep(kNanosPerSecond / 10);
  EXPECT_TRUE(db_.background_error().is(StatusCode::no_space));
  env_.sleep(2 * kNanosPerSecond);
  work();
  EXPECT_TRUE(db_.background_error().ok());
  expect_compact();
}

// What lies within another range is none of its own, and of many ranges it makes one.
TEST(Compactions, AreBounded) {
  Compactions compactions;
  EXPECT_TRUE(compactions.empty());
  compactions.add({.from = "b", .to = "d"});
  compactions.add({.from = "b", .to = "c"});
  EXPECT_EQ(compactions.first().span().to, "d");
  compactions.add({.from = "a", .to = ""});
  const Compactions::Range all = compactions.first();
  EXPECT_EQ(all.from + "," + all.to, "a,");
  compactions.add({.from = "x", .to = "y"});
  compactions.remove(all);
  EXPECT_TRUE(compactions.empty());
  std::string from = "a";
  std::string to = "a";
  for (char c = 'a'; c <= 'z'; ++c) {
    for (const char d : {'0', '2', '4', '6'}) {
      from = {c, d};
      to = {c, static_cast<char>(d + 1)};
      compactions.add({.from = from, .to = to});
    }
  }
  std::set<std::string> bounds;
  int count = 0;
  for (; !compactions.empty(); ++count) {
    const Compactions::Range range = compactions.first();
    bounds.insert({range.from, range.to});
    compactions.remove(range);
  }
  EXPECT_LE(count, 64);
  EXPECT_EQ(*bounds.begin(), "a0");
  EXPECT_EQ(*bounds.rbegin(), "z7");
}

TEST_F(Levels, TheBackgroundCompactsManyRanges) {
  reopen(1 * MiB);
  for (uint64_t i = 0; i < 20'000; ++i) put(i);
  ASSERT_TRUE(db_.compact().ok());
  for (uint64_t i = 0; i < 20'000; i += 100) remove(i);
  for (uint64_t i = 0; i < 20'000; i += 200) {
    ASSERT_TRUE(db_.compact_range(key_of(i), key_of(i + 200), {.wait = false}).ok());
  }
  work();
  expect_compact();
  EXPECT_EQ(level(kLast).entries, 19'800u);
}

// With bounds of the rows nobody knows where their entries are.
TEST_F(Levels, AKeyspaceIsCompactedWithItsIndexes) {
  constexpr uint64_t kKeys = 5'000;
  reopen(1 * MiB);
  Result<Keyspace> other = db_.keyspace("other");
  ASSERT_TRUE(other);
  ASSERT_TRUE(db_.create_index({.name = "all", .key = {IndexField::value_column(0)}}).ok());
  ASSERT_TRUE(db_.wait_for_index("all").ok());
  const auto change = [&](auto&& row, const std::function<Status(const std::string&)>& other_row,
                          uint64_t stride) {
    for (uint64_t i = 0; i < kKeys; i += stride) {
      row(i);
      ASSERT_TRUE(other_row(key_of(i)).ok());
    }
  };
  change([&](uint64_t i) { put(i); }, [&](const std::string& key) { return other->put(key, key); }, 1);
  ASSERT_TRUE(db_.compact().ok());
  const uint64_t rest = level(kLast).entries - 3 * kKeys;  // of the catalogue
  EXPECT_LT(rest, 8u);
  const auto entries = [&] { return level(kLast).entries - rest; };
  change([&](uint64_t i) { remove(i); }, [&](const std::string& key) { return other->remove(key); }, 100);
  constexpr uint64_t kRemoved = kKeys / 100;
  ASSERT_TRUE(db_.compact_range("0").ok());
  EXPECT_EQ(entries(), 3 * kKeys - kRemoved);
  ASSERT_TRUE(db_.compact_range().ok());
  EXPECT_EQ(entries(), 3 * kKeys - 2 * kRemoved);
  EXPECT_GT(level(0).entries, 0u);
  ASSERT_TRUE(other->compact_range({}, {}, {.wait = false}).ok());
  work();
  EXPECT_EQ(entries(), 3 * kKeys - 3 * kRemoved);
  EXPECT_EQ(stats().sorted_runs, 1u);
}

TEST_F(Levels, ACompactionOfARangeIsRefusedWhereItMeansNothing) {
  put(1);
  ASSERT_TRUE(db_.compact_range("b", "a").ok());
  ASSERT_TRUE(db_.compact_range("a", "a").ok());
  EXPECT_TRUE(db_.compact_range("a", std::string(70'000, 'x')).is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.compact_range(std::string(70'000, 'x')).is(StatusCode::invalid_argument));
  Result<Keyspace> gone = db_.keyspace("gone");
  ASSERT_TRUE(gone);
  ASSERT_TRUE(db_.drop_keyspace("gone").ok());
  EXPECT_TRUE(gone->compact_range("a").is(StatusCode::not_found));
  EXPECT_TRUE(Keyspace().compact_range("a").is(StatusCode::closed));
}

TEST_F(Levels, ScansMakeOneRunOfWhatTheyReadAgainAndAgain) {
  constexpr uint64_t kKeys = 20'000;
  for (uint64_t i = 0; i < kKeys; ++i) put(i);
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_GT(level(kLast).files, 8u);
  for (uint64_t i = 0; i < kKeys; i += 50) put(i);
  ASSERT_TRUE(db_.flush().ok());
  const auto idle = [&] {
    for (int i = 0; i < 10; ++i) env_.sleep(kNanosPerSecond / 2);
    work();
  };
  idle();
  ASSERT_EQ(stats().sorted_runs, 2u);
  const auto scan = [&](uint64_t first, uint64_t keys, int times) {
    Cursor cursor = db_.cursor();
    for (int i = 0; i < times; ++i) {
      if (i % 100 == 0) cursor = db_.cursor();
      cursor.seek(key_of(first + random_.below(keys)));
      ASSERT_TRUE(cursor.status().ok());
    }
  };
  // Of a part of the keys: that part alone.
  const Stats before = stats();
  scan(2'000, 1'000, 8'000);
  idle();
  const Stats part = stats();
  EXPECT_GT(part.merges, before.merges);
  EXPECT_LT(part.merge_bytes_written - before.merge_bytes_written, level(kLast).bytes / 3);
  EXPECT_EQ(part.sorted_runs, 2u);
  // It is one run now: nothing is left to be gained by reading it.
  scan(2'000, 900, 30'000);
  idle();
  EXPECT_EQ(stats().merges, part.merges);
  scan(0, kKeys, 80'000);
  idle();
  const Stats all = stats();
  EXPECT_EQ(all.sorted_runs, 1u);
  EXPECT_EQ(all.levels.size(), 1u);
  scan(0, kKeys, 20'000);
  idle();
  EXPECT_EQ(stats().merge_bytes_written, all.merge_bytes_written);
  EXPECT_EQ(stats().move_bytes, all.move_bytes);
  // Reading one key after the other asks for nothing.
  for (uint64_t i = 0; i < kKeys; i += 50) put(i);
  ASSERT_TRUE(db_.flush().ok());
  idle();
  for (int i = 0; i < 20'000; ++i) (void)db_.get(key_of(random_.below(kKeys)));
  idle();
  EXPECT_EQ(stats().sorted_runs, 2u);
}

class GarbageAge : public Levels {
 protected:
  static constexpr uint64_t kAgeSeconds = 100;

  void SetUp() override {
    options_.max_garbage_age_ms = kAgeSeconds * 1000;
    open(1 * MiB);
  }
  void age() {
    for (uint64_t i = 0; i < kAgeSeconds; ++i) env_.sleep(kNanosPerSecond);
    work();
  }
  void put_secret(uint64_t number) {
    ASSERT_TRUE(db_.put(key_of(number), "a secret").ok());
    model_[key_of(number)] = "a secret";
  }
  /// How many run files have it.
  uint64_t secrets() {
    uint64_t count = 0;
    Result<std::unique_ptr<Directory>> directory = env_.files().open_directory("db", false);
    Result<std::vector<FileInfo>> files = (*directory)->list();
    for (const FileInfo& info : *files) {
      if (!info.name.ends_with(".run")) continue;
      Result<std::unique_ptr<File>> file = (*directory)->open(info.name, OpenMode::read);
      std::string bytes(info.size, '\0');
      EXPECT_TRUE((*file)->read(0, bytes.data(), bytes.size()).ok());
      count += bytes.find("a secret") == std::string::npos ? 0 : 1;
    }
    return count;
  }
  /// A last level with a secret in it, among others.
  void prepare() {
    for (uint64_t i = 0; i < 20'000; ++i) i == 7'000 ? put_secret(i) : put(i);
    ASSERT_TRUE(db_.compact().ok());
    ASSERT_EQ(secrets(), 1u);
  }
};

TEST_F(GarbageAge, WhatIsAliveStays) {
  prepare();
  const Stats before = stats();
  for (int i = 0; i < 5; ++i) age();
  EXPECT_EQ(secrets(), 1u);
  EXPECT_EQ(stats().merges, before.merges);
}

TEST_F(GarbageAge, WhatWasRemovedOrOverwrittenIsGoneInTime) {
  prepare();
  for (const int way : {0, 1, 2}) {
    if (way == 0) remove(7'000);
    if (way == 1) put(7'000);
    if (way == 2) {
      ASSERT_TRUE(db_.remove_range(key_of(7'000), key_of(7'001)).ok());
      model_.erase(key_of(7'000));
    }
    EXPECT_EQ(secrets(), 1u);
    age();
    EXPECT_EQ(secrets(), 0u) << way;
    EXPECT_EQ(stats().sorted_runs, 1u);
    expect_answers();
    put_secret(7'000);
    ASSERT_TRUE(db_.compact().ok());
    ASSERT_EQ(secrets(), 1u);
  }
}

// One second does not matter, and writers that go on do not hold it up.
TEST_F(GarbageAge, WritersDoNotHoldItUp) {
  prepare();
  remove(7'000);
  uint64_t seconds = 0;
  for (; secrets() != 0 && seconds <= kAgeSeconds; ++seconds) {
    put(random_.below(6'000));
    env_.sleep(kNanosPerSecond);
  }
  EXPECT_LE(seconds, kAgeSeconds);
  EXPECT_GE(seconds, kAgeSeconds / 2);
}

TEST_F(GarbageAge, OpeningAgainForgetsNoTime) {
  prepare();
  remove(7'000);
  for (uint64_t i = 0; i < kAgeSeconds / 2; ++i) env_.sleep(kNanosPerSecond);
  reopen(1 * MiB);
  EXPECT_EQ(secrets(), 1u);
  for (uint64_t i = 0; i < kAgeSeconds / 2; ++i) env_.sleep(kNanosPerSecond);
  work();
  EXPECT_EQ(secrets(), 0u);
  // And of runs.
  put_secret(7'000);
  ASSERT_TRUE(db_.compact().ok());
  put(7'000);
  ASSERT_TRUE(db_.flush().ok());
  work();
  for (uint64_t i = 0; i < kAgeSeconds / 2; ++i) env_.sleep(kNanosPerSecond);
  EXPECT_EQ(secrets(), 1u);
  reopen(1 * MiB);
  for (uint64_t i = 0; i < kAgeSeconds / 2; ++i) env_.sleep(kNanosPerSecond);
  work();
  EXPECT_EQ(secrets(), 0u);
}

TEST_F(GarbageAge, ASnapshotKeepsWhatItSeesUntilItIsGone) {
  prepare();
  Result<Snapshot> snapshot = db_.snapshot();
  ASSERT_TRUE(snapshot);
  remove(7'000);
  age();
  EXPECT_EQ(db_.get(key_of(7'000), {.snapshot = &*snapshot}).value(), "a secret");
  EXPECT_EQ(secrets(), 1u);
  *snapshot = Snapshot();
  age();
  EXPECT_EQ(secrets(), 0u);
  const uint64_t merges = stats().merges;
  age();
  EXPECT_EQ(stats().merges, merges);
}

TEST_F(GarbageAge, WhatHasExpiredIsGoneInTime) {
  prepare();
  ASSERT_TRUE(db_.put(key_of(7'000), "a secret", {.ttl_ms = 20'000}).ok());
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_EQ(secrets(), 1u);
  env_.sleep(10 * kNanosPerSecond);
  EXPECT_EQ(secrets(), 1u);
  model_.erase(key_of(7'000));
  env_.sleep(20 * kNanosPerSecond);
  age();
  EXPECT_EQ(secrets(), 0u);
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

}  // namespace
}  // namespace lightning
