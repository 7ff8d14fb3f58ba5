// Compaction that is asked for, by a caller, by scans or by the age of garbage. In the simulated Env.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <functional>
#include <set>
#include <string>

#include "engine/compactions.h"
#include "tests/entries_source.h"
#include "tests/levels.h"

namespace lightning {
namespace {

class AskedCompaction : public Levels {};

// What is beside it stays as it is.
TEST_F(AskedCompaction, ARangeIsCompactedAlone) {
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
  const uint64_t upper_bytes = level(0).bytes;
  ASSERT_TRUE(db_.compact_range(key_of(2'500), key_of(4'500)).ok());
  EXPECT_LE(level(0).bytes, upper_bytes);  // of a file that is cut in two, too
  work();  // what of a drain stands beside the range is left to the background
  const Stats after = stats();
  EXPECT_GT(after.merge_bytes_written, before.merge_bytes_written);
  EXPECT_LT(after.merge_bytes_written - before.merge_bytes_written, before.disk_bytes / 2);
  EXPECT_EQ(level(kDrain).runs, 0u);
  EXPECT_EQ(run_files_on_disk(), stats().run_files);
  expect_answers();
  // Once more, there is nothing to be done.
  ASSERT_TRUE(db_.compact_range(key_of(2'500), key_of(4'500)).ok());
  EXPECT_EQ(stats().merges, after.merges);
  // What is cut is verified and copied once.
  Result<VerifyReport> verified = db_.verify();
  ASSERT_TRUE(verified) << verified.status().to_string();
  EXPECT_TRUE(verified->findings.empty());
  Result<CopyReport> copied = db_.checkpoint("copy");
  ASSERT_TRUE(copied) << copied.status().to_string();
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
TEST_F(AskedCompaction, ARangeThatWasRemovedGivesItsSpaceBack) {
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

TEST_F(AskedCompaction, TheBackgroundCompactsWhatItIsAskedTo) {
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
TEST_F(AskedCompaction, ACompactionInTheBackgroundThatFailsIsTriedAgain) {
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

// However often it is tried, what is written meanwhile is not cut into pieces for it.
TEST_F(AskedCompaction, ACompactionThatWaitsForSpaceSealsNothingMore) {
  for (uint64_t i = 0; i < 100; ++i) put(i);
  env_.faults().add(
      {.call = SimCall::create, .name_part = ".run", .times = 20, .code = StatusCode::no_space});
  ASSERT_TRUE(db_.compact({.wait = false}).ok());
  for (uint64_t i = 0; i < 15; ++i) {
    env_.sleep(kNanosPerSecond / 5);
    put(i);
  }
  EXPECT_TRUE(db_.background_error().is(StatusCode::no_space));
  EXPECT_LE(stats().memtables, 2u);
  for (int i = 0; i < 20; ++i) env_.sleep(kNanosPerSecond / 5);
  work();
  EXPECT_TRUE(db_.background_error().ok());
  expect_compact();
}

// While an ingestion is in the View and not yet to be seen nothing is merged: it is waited for.
TEST(CompactionBesideIngestion, IsDoneWhenItReturns) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SimEnv env({.seed = seed});
    Database db = *open_in(env, "db", {.durability = Durability::process}, OpenKind::create);
    // So much that no drain begins by itself.
    const std::string value(100, '.');
    for (uint64_t i = 0; i < 2'000; ++i) ASSERT_TRUE(db.put(key_of(i), value).ok());
    ASSERT_TRUE(db.flush().ok());
    env.spawn("ingestion", [&] {
      for (uint64_t i = 0; i < 6; ++i) {
        EntriesSource source({{key_of(50), "ingested"}});
        EXPECT_TRUE(db.ingest(source).ok());
      }
    });
    env.spawn("compaction", [&] {
      for (uint64_t i = 0; i < 12; ++i) {
        EXPECT_TRUE(db.put(key_of(i), "later").ok());
        EXPECT_TRUE(db.compact().ok());
        const Result<Stats> stats = db.stats();
        for (const Stats::Level& level : stats->levels) EXPECT_NE(level.number, kDrain) << seed;
      }
    });
    ASSERT_TRUE(env.run().ok());
    EXPECT_EQ(db.get(key_of(50)).value(), "ingested");
  }
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

TEST_F(AskedCompaction, TheBackgroundCompactsManyRanges) {
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
TEST_F(AskedCompaction, AKeyspaceIsCompactedWithItsIndexes) {
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

TEST_F(AskedCompaction, ACompactionOfARangeIsRefusedWhereItMeansNothing) {
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

TEST_F(AskedCompaction, ScansMakeOneRunOfWhatTheyReadAgainAndAgain) {
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

}  // namespace
}  // namespace lightning
