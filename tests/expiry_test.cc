// Entries expire: no way of reading shows them afterwards, whatever the clock does, no older version of their
// key comes back, and background work gives their space back.

#include <gtest/gtest.h>
#include <lightning/database.h>

#include <string>
#include <utility>
#include <vector>

#include "admin/repair.h"
#include "admin/verify.h"
#include "api/open_in.h"
#include "testing/clock_env.h"
#include "testing/crash_images.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr int64_t kCenturyMicros = int64_t{100} * 365 * 24 * 3600 * 1'000'000;
constexpr uint64_t kSecond = 1000;

Options small() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.durability = Durability::process;
  return options;
}

std::string keys_of(Scan scan) {
  std::string keys;
  const Status status = for_each(std::move(scan), [&](std::string_view key, std::string_view) {
    keys.append(keys.empty() ? "" : " ").append(key);
  });
  EXPECT_TRUE(status.ok()) << status.to_string();
  return keys;
}

class Expiry : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override { db_ = Database(); }

  void open() {
    Result<Database> opened = open_in(clock_, "db", small(), OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void reopen() {
    ASSERT_TRUE(db_.close().ok());
    open();
  }
  void put(std::string_view key, std::string_view value, uint64_t ttl_ms = 0) {
    const Status status = db_.put(key, value, {.ttl_ms = ttl_ms});
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  /// Every way of reading says the same.
  void expect(std::string_view key, std::string_view value, const ReadOptions& options = {}) {
    const Lookup found = db_.get(key, options);
    ASSERT_TRUE(found) << key << ": " << found.status().to_string();
    EXPECT_EQ(found.value(), value);
    EXPECT_TRUE(db_.contains(key, options));
    Value many;
    ASSERT_TRUE(db_.get_many({&key, 1}, {&many, 1}, options).ok());
    ASSERT_TRUE(many.present());
    EXPECT_EQ(many.view(), value);
    Cursor cursor = db_.cursor(options);
    cursor.seek(key);
    ASSERT_TRUE(cursor.valid());
    EXPECT_EQ(cursor.key(), key);
    EXPECT_EQ(cursor.value(), value);
    cursor.seek_for_prev(key);
    ASSERT_TRUE(cursor.valid());
    EXPECT_EQ(cursor.key(), key);
    EXPECT_EQ(cursor.value(), value);
  }
  void expect_absent(std::string_view key, const ReadOptions& options = {}) {
    EXPECT_TRUE(db_.get(key, options).absent()) << key;
    EXPECT_TRUE(db_.contains(key, options).absent()) << key;
    Value many;
    ASSERT_TRUE(db_.get_many({&key, 1}, {&many, 1}, options).ok());
    EXPECT_FALSE(many.present()) << key;
    Cursor cursor = db_.cursor(options);
    cursor.seek(key);
    EXPECT_TRUE(!cursor.valid() || cursor.key() != key);
    cursor.seek_for_prev(key);
    EXPECT_TRUE(!cursor.valid() || cursor.key() != key);
    for (Scan& scan : std::array{db_.scan(options), db_.scan(options).reverse()}) {
      for (const Entry& entry : scan) EXPECT_NE(entry.key(), key);
      EXPECT_TRUE(scan.status().ok());
    }
  }
  Stats stats() {
    Result<Stats> stats = db_.stats();
    EXPECT_TRUE(stats.ok());
    return stats ? *stats : Stats();
  }

  SimEnv env_{{.seed = 5}};
  ClockEnv clock_{env_};
  Database db_;
};

TEST_F(Expiry, HidesAnEntryFromEveryReadOnceItsTimeHasPassed) {
  const std::string long_value(5000, 'v');
  const auto write = [&] {
    put("a", "always");
    put("b", "short", 10 * kSecond);
    put("c", long_value, 10 * kSecond);
    put("d", "", 10 * kSecond);
    put("e", "always");
  };
  for (const bool in_runs : {false, true}) {
    SCOPED_TRACE(in_runs);
    write();
    if (in_runs) {
      ASSERT_TRUE(db_.flush().ok());
    }
    clock_.pass_ms(10 * kSecond - 1);
    expect("b", "short");
    expect("c", long_value);
    expect("d", "");
    EXPECT_EQ(keys_of(db_.scan()), "a b c d e");
    EXPECT_EQ(keys_of(db_.scan().reverse()), "e d c b a");
    clock_.pass_ms(1);
    for (const char* key : {"b", "c", "d"}) expect_absent(key);
    EXPECT_EQ(keys_of(db_.scan()), "a e");
    EXPECT_EQ(keys_of(db_.scan().reverse()), "e a");
  }
}

TEST_F(Expiry, TakesTheTimeOfTheEntryThenOfTheWriteThenOfTheKeyspace) {
  Result<Keyspace> made = db_.keyspace("sessions", {.ttl_ms = 10 * kSecond});
  ASSERT_TRUE(made) << made.status().to_string();
  Keyspace sessions = *made;
  EXPECT_EQ(*sessions.default_ttl_ms(), 10 * kSecond);
  EXPECT_EQ(*db_.default_ttl_ms(), 0u);
  ASSERT_TRUE(sessions.put("default", "1").ok());
  ASSERT_TRUE(sessions.put("own", "2", {.ttl_ms = 30 * kSecond}).ok());
  ASSERT_TRUE(sessions.put("never", "3", {.ttl_ms = kNeverExpires}).ok());
  WriteBatch batch;
  batch.put(sessions, "of batch", "4");
  batch.put(sessions, "of entry", "5", 40 * kSecond);
  batch.put(sessions, "of entry never", "6", kNeverExpires);
  batch.put("elsewhere", "7");
  batch.remove(sessions, "nothing");
  ASSERT_TRUE(db_.write(batch, {.ttl_ms = 20 * kSecond}).ok());
  batch.clear();
  batch.put(sessions, "default of batch", "8");
  batch.put("for ever", "9");
  ASSERT_TRUE(db_.write(batch).ok());
  reopen();
  sessions = *db_.keyspace("sessions", {.ttl_ms = 77});  // it exists: its default stays
  EXPECT_EQ(*sessions.default_ttl_ms(), 10 * kSecond);

  EXPECT_EQ(keys_of(sessions.scan()), "default default of batch never of batch of entry of entry never own");
  clock_.pass_ms(10 * kSecond);
  EXPECT_EQ(keys_of(sessions.scan()), "never of batch of entry of entry never own");
  EXPECT_EQ(keys_of(db_.scan()), "elsewhere for ever");
  clock_.pass_ms(10 * kSecond);
  EXPECT_EQ(keys_of(sessions.scan()), "never of entry of entry never own");
  EXPECT_EQ(keys_of(db_.scan()), "for ever");
  clock_.pass_ms(20 * kSecond);
  EXPECT_EQ(keys_of(sessions.scan()), "never of entry never");
}

TEST_F(Expiry, AKeyspaceKeepsItsDefaultThroughReopeningAndNotThroughDropping) {
  Keyspace keyspace = *db_.keyspace("k");
  ASSERT_TRUE(keyspace.set_default_ttl(kSecond).ok());
  ASSERT_TRUE(db_.set_default_ttl(2 * kSecond).ok());
  reopen();
  EXPECT_EQ(*db_.default_ttl_ms(), 2 * kSecond);
  keyspace = *db_.keyspace("k", false);
  EXPECT_EQ(*keyspace.default_ttl_ms(), kSecond);
  ASSERT_TRUE(db_.drop_keyspace("k").ok());
  EXPECT_TRUE(keyspace.set_default_ttl(kSecond).is(StatusCode::not_found));
  EXPECT_TRUE(keyspace.default_ttl_ms().status().is(StatusCode::not_found));
  EXPECT_EQ(*db_.keyspace("k")->default_ttl_ms(), 0u);
  ASSERT_TRUE(db_.set_default_ttl(0).ok());
  reopen();
  EXPECT_EQ(*db_.default_ttl_ms(), 0u);
  EXPECT_EQ(*db_.keyspace("k")->default_ttl_ms(), 0u);
}

TEST_F(Expiry, ShowsWhenAnEntryExpires) {
  put("a", "1");
  put("b", "2", 1500);
  put("c", "3", UINT64_MAX - 1);
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  EXPECT_EQ(cursor.expiry_ms(), 0u);
  cursor.next();
  EXPECT_EQ(cursor.expiry_ms(), static_cast<uint64_t>(ClockEnv::kBeginMicros / 1000) + 1500);
  cursor.next();
  EXPECT_GT(cursor.expiry_ms(), static_cast<uint64_t>(kCenturyMicros));
}

TEST_F(Expiry, NeverBringsAnOlderVersionBack) {
  for (const bool older_below : {false, true}) {
    clock_.set_micros(ClockEnv::kBeginMicros + (older_below ? 100'000'000 : 0));
    put("k", "older");
    put("z", "beside");
    if (older_below) {
      ASSERT_TRUE(db_.compact().ok());
    }
    put("k", "expiring", 5 * kSecond);
    expect("k", "expiring");
    clock_.pass_ms(5 * kSecond);
    expect_absent("k");
    ASSERT_TRUE(db_.flush().ok());
    clock_.set_micros(clock_.micros() - kCenturyMicros);
    expect_absent("k");
    ASSERT_TRUE(db_.compact().ok());
    expect_absent("k");
    EXPECT_EQ(stats().run_entries, 1u);
    reopen();
    expect_absent("k");
  }
}

TEST_F(Expiry, AClockThatIsSetBackBringsNothingBack) {
  put("read", "1", kSecond);
  put("scanned", "2", kSecond);
  put("later", "3", 100 * kSecond);
  clock_.pass_ms(kSecond);
  EXPECT_TRUE(db_.get("read").absent());
  clock_.set_micros(clock_.micros() - kCenturyMicros);
  expect_absent("read");
  expect_absent("scanned");  // its time was the same
  expect("later", "3");
  // Time goes on from where it was.
  put("new", "4", kSecond);
  expect("new", "4");
  reopen();
  expect_absent("read");
  expect("later", "3");
  clock_.set_micros(ClockEnv::kBeginMicros + 2 * 1'000'000);
  expect_absent("new");
}

// One bad step of the clock costs no more than what was read or purged meanwhile.
TEST_F(Expiry, AClockThatIsSetForwardForAMomentIsForgotten) {
  put("a", "1", kSecond);
  put("b", "2", 100 * kSecond);
  clock_.set_micros(ClockEnv::kBeginMicros + kCenturyMicros);
  EXPECT_TRUE(db_.get("a").absent());
  clock_.set_micros(ClockEnv::kBeginMicros);
  expect_absent("a");
  expect("b", "2");
  // A merge gives up what it found expired, and goes no further either.
  put("c", "3", kSecond);
  put("older", "4", kSecond);
  ASSERT_TRUE(db_.flush().ok());
  clock_.set_micros(ClockEnv::kBeginMicros + 3'000'000);
  EXPECT_TRUE(db_.get("c").absent());
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().run_entries, 1u);
  put("d", "5", 10 * kSecond);
  clock_.set_micros(ClockEnv::kBeginMicros);
  put("e", "6", 10 * kSecond);
  clock_.set_micros(ClockEnv::kBeginMicros + 12'000'000);
  expect_absent("e");
  expect("d", "5");
  expect("b", "2");
}

// A unique index is built over two rows with one key, of which the first has expired; the clock is set back
// before anything was flushed.
TEST_F(Expiry, WhatAnIndexReliesOnSurvivesACrash) {
  put("k1", "same", 5 * kSecond);
  put("k2", "same");
  clock_.pass_ms(10 * kSecond);
  ASSERT_TRUE(db_.create_index({.name = "i", .key = {IndexField::whole_value()}, .unique = true}).ok());
  ASSERT_TRUE(db_.wait_for_index("i").ok());
  SimEnv after({.seed = 5}, env_.kill());
  ClockEnv clock(after);
  clock.set_micros(ClockEnv::kBeginMicros);
  Result<Database> again = open_in(clock, "db", {}, OpenKind::open);
  ASSERT_TRUE(again) << again.status().to_string();
  EXPECT_TRUE(again->get("k1").absent());
  EXPECT_TRUE(again->put("k2", "same").ok());
  const Result<VerifyReport> verified = again->verify();
  ASSERT_TRUE(verified);
  EXPECT_TRUE(verified->ok()) << verified->findings[0].what;
}

TEST_F(Expiry, AReaderUnderASnapshotJudgesByTheTimeOfItsRead) {
  put("k", "older");
  const Snapshot before = *db_.snapshot();
  put("k", "expiring", 5 * kSecond);
  const Snapshot within = *db_.snapshot();
  put("k", "newer");
  const ReadOptions at_before{.snapshot = &before};
  const ReadOptions at_within{.snapshot = &within};
  for (const bool merged : {false, true}) {
    if (merged) {
      ASSERT_TRUE(db_.compact().ok());
    }
    expect("k", "older", at_before);
    expect("k", "expiring", at_within);
    expect("k", "newer");
  }
  clock_.pass_ms(5 * kSecond);
  for (const bool merged : {false, true}) {
    if (merged) {
      put("l", "something to merge");
      ASSERT_TRUE(db_.compact().ok());
    }
    expect("k", "older", at_before);
    expect_absent("k", at_within);
    expect("k", "newer");
  }
}

TEST_F(Expiry, ACursorJudgesByOneMomentFromSeekToSeek) {
  for (int i = 0; i < 10; ++i) put("k" + std::to_string(i), "v", (1 + i) * kSecond);
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  ASSERT_EQ(cursor.key(), "k0");
  cursor.next();
  clock_.pass_ms(5 * kSecond);
  EXPECT_EQ(keys_of(db_.scan()), "k5 k6 k7 k8 k9");
  // Merges leave what the moment sees.
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_EQ(cursor.key(), "k1");
  for (const char* key : {"k2", "k3", "k4", "k5"}) {
    cursor.next();
    ASSERT_TRUE(cursor.valid());
    EXPECT_EQ(cursor.key(), key);
  }
  cursor.prev();
  EXPECT_EQ(cursor.key(), "k4");
  cursor.seek_first();
  EXPECT_EQ(cursor.key(), "k5");
  put("z", "something to merge");
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().run_entries, 6u);
}

TEST_F(Expiry, IsPurgedInTheBackgroundThoughNobodyWrites) {
  // The last level alone; a tier above it; a run of which nothing expires.
  for (int i = 0; i < 100; ++i) put("l" + std::to_string(i), std::string(500, 'v'), 100 * kSecond);
  for (int i = 0; i < 20; ++i) put("m" + std::to_string(i), "stays");
  ASSERT_TRUE(db_.compact().ok());
  env_.sleep(5'000'000'000);
  EXPECT_EQ(stats().run_entries, 120u);
  EXPECT_EQ(stats().levels.front().expiring, 100u);
  const uint64_t merges = stats().merges;
  clock_.pass_ms(99 * kSecond);
  env_.sleep(200'000'000'000);
  EXPECT_EQ(stats().merges, merges) << "nothing has expired";
  clock_.pass_ms(kSecond);
  env_.sleep(130'000'000'000);
  EXPECT_EQ(stats().run_entries, 20u);
  EXPECT_EQ(stats().levels.front().expiring, 0u);
  const uint64_t after = stats().merges;
  env_.sleep(400'000'000'000);
  EXPECT_EQ(stats().merges, after) << "a purge that repeats itself";
  clock_.set_micros(ClockEnv::kBeginMicros - kCenturyMicros);
  EXPECT_EQ(keys_of(db_.scan_prefix("l")), "");
}

TEST_F(Expiry, IsPurgedFromATierOverALastLevel) {
  for (int i = 0; i < 400; ++i) put("k" + std::to_string(i), std::string(900, 'o'));
  ASSERT_TRUE(db_.compact().ok());
  for (int i = 0; i < 3; ++i) put("k" + std::to_string(i), std::string(900, 'n'), 10 * kSecond);
  ASSERT_TRUE(db_.flush().ok());
  env_.sleep(5'000'000'000);
  ASSERT_EQ(stats().levels.size(), 2u);
  EXPECT_EQ(stats().levels.front().expiring, 3u);
  clock_.pass_ms(10 * kSecond);
  env_.sleep(130'000'000'000);
  uint64_t expiring = 0;
  for (const Stats::Level& level : stats().levels) expiring += level.expiring;
  EXPECT_EQ(expiring, 0u);
  clock_.set_micros(ClockEnv::kBeginMicros - kCenturyMicros);
  for (int i = 0; i < 3; ++i) expect_absent("k" + std::to_string(i));
  expect("k3", std::string(900, 'o'));
}

// A cursor that stands still keeps what its moment sees; the purge does not try again and again.
TEST_F(Expiry, APurgeWaitsForTheMomentOfACursor) {
  for (int i = 0; i < 50; ++i) put("k" + std::to_string(i), "v", kSecond);
  ASSERT_TRUE(db_.compact().ok());
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  clock_.pass_ms(kSecond);
  const uint64_t merges = stats().merges;
  env_.sleep(300'000'000'000);
  EXPECT_EQ(stats().merges, merges);
  EXPECT_EQ(stats().run_entries, 50u);
  cursor.next();
  EXPECT_TRUE(cursor.valid());
  cursor = Cursor();
  env_.sleep(130'000'000'000);
  EXPECT_EQ(stats().run_entries, 0u);
}

TEST_F(Expiry, WithoutItNobodyAsksTheClock) {
  const uint64_t asked = clock_.asked();
  Keyspace other = *db_.keyspace("other");
  for (int i = 0; i < 300; ++i) {
    put("k" + std::to_string(i), std::string(900, 'v'));
    ASSERT_TRUE(other.put("k", "v").ok());
  }
  expect("k7", std::string(900, 'v'));
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(db_.compact().ok());
  env_.sleep(5'000'000'000);
  expect("k7", std::string(900, 'v'));
  EXPECT_FALSE(keys_of(db_.scan()).empty());
  EXPECT_EQ(clock_.asked(), asked);
  put("with", "v", kSecond);
  EXPECT_GT(clock_.asked(), asked);
}

TEST_F(Expiry, VerifyAndRepairKeepTimesAndDefaults) {
  Keyspace keyspace = *db_.keyspace("k", {.ttl_ms = 50 * kSecond});
  ASSERT_TRUE(keyspace.put("of keyspace", "1").ok());
  put("inside", "2", 20 * kSecond);
  put("outside", std::string(3000, 'o'), 20 * kSecond);
  const Snapshot snapshot = *db_.snapshot();
  put("inside", "3", 30 * kSecond);
  ASSERT_TRUE(db_.flush().ok());
  put("in the log", "4", 20 * kSecond);
  put("expired", "5", kSecond);
  clock_.pass_ms(kSecond);
  expect_absent("expired");
  const Result<VerifyReport> verified = db_.verify();
  ASSERT_TRUE(verified) << verified.status().to_string();
  EXPECT_TRUE(verified->ok()) << verified->findings[0].what;
  ASSERT_TRUE(db_.close().ok());
  clock_.set_micros(clock_.micros() - kCenturyMicros);
  const Result<RepairReport> repaired = repair_in(clock_, "db", "repaired", {});
  ASSERT_TRUE(repaired) << repaired.status().to_string();
  EXPECT_TRUE(repaired->lost.empty());
  Result<Database> opened = open_in(clock_, "repaired", small(), OpenKind::open);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  keyspace = *db_.keyspace("k", false);
  EXPECT_EQ(*keyspace.default_ttl_ms(), 50 * kSecond);
  EXPECT_EQ(keys_of(db_.scan()), "in the log inside outside");
  EXPECT_EQ(keys_of(keyspace.scan()), "of keyspace");
  clock_.set_micros(ClockEnv::kBeginMicros + 20 * 1'000'000);
  EXPECT_EQ(keys_of(db_.scan()), "inside");
  clock_.pass_ms(10 * kSecond);
  EXPECT_EQ(keys_of(db_.scan()), "");
  clock_.pass_ms(20 * kSecond);
  EXPECT_EQ(keys_of(keyspace.scan()), "");
}

// Entries that expire under a range removal, under two and over it, in every kind of source.
TEST_F(Expiry, ARangeRemovalHidesWhatExpiresBeforeItAndNotWhatExpiresBehindIt) {
  for (int stage = 0; stage < 4; ++stage) {
    SCOPED_TRACE(stage);
    const auto settle = [&] {
      if (stage == 1) {
        ASSERT_TRUE(db_.flush().ok());
      } else if (stage == 2) {
        ASSERT_TRUE(db_.compact().ok());
      } else if (stage == 3) {
        reopen();
      }
    };
    put("a", "beside");
    put("k1", "older");
    put("k2", "older", 1000 * kSecond);
    put("k3", "older", 10 * kSecond);
    settle();
    const Snapshot before = stage == 3 ? Snapshot() : *db_.snapshot();
    ASSERT_TRUE(db_.remove_range("k", "l").ok());
    settle();
    WriteBatch batch;
    batch.put("k1", "hidden at once", 5 * kSecond);
    batch.remove_range("k1", "k2");
    batch.put("k2", "newer", 20 * kSecond);
    batch.put("k3", "newer");
    ASSERT_TRUE(db_.write(batch, {.ttl_ms = 30 * kSecond}).ok());
    settle();
    expect_absent("k1");
    expect("k2", "newer");
    expect("k3", "newer");
    if (before.valid()) {
      expect("k3", "older", {.snapshot = &before});
    }
    clock_.pass_ms(20 * kSecond);
    settle();
    expect_absent("k2");
    EXPECT_EQ(keys_of(db_.scan()), "a k3");
    if (before.valid()) {
      EXPECT_EQ(keys_of(db_.scan({.snapshot = &before})), "a k1 k2");
    }
    clock_.pass_ms(10 * kSecond);
    settle();
    EXPECT_EQ(keys_of(db_.scan()), "a");
    clock_.set_micros(clock_.micros() - kCenturyMicros);
    EXPECT_EQ(keys_of(db_.scan()), "a");
    const Result<VerifyReport> verified = db_.verify();
    ASSERT_TRUE(verified) << verified.status().to_string();
    EXPECT_TRUE(verified->ok()) << verified->findings[0].what;
    clock_.set_micros(ClockEnv::kBeginMicros + (stage + 1) * 10'000'000'000);
    ASSERT_TRUE(db_.remove_range("", "z").ok());
  }
}

// What has expired becomes a removal that stands over a range removal, over versions that a purge must not
// bring back, while a snapshot holds all of it.
TEST_F(Expiry, APurgeOverARangeRemovalBringsNothingBack) {
  for (int i = 0; i < 400; ++i) put("k" + std::to_string(i), std::string(900, 'o'));
  ASSERT_TRUE(db_.compact().ok());
  Snapshot before = *db_.snapshot();
  ASSERT_TRUE(db_.remove_range("k1", "k2").ok());
  ASSERT_TRUE(db_.flush().ok());
  for (int i = 0; i < 40; ++i) put("k" + std::to_string(i), "n", 10 * kSecond);
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(db_.remove_range("k30", "k31").ok());
  ASSERT_TRUE(db_.flush().ok());
  expect("k19", "n");
  expect_absent("k100");
  expect_absent("k30");
  clock_.pass_ms(10 * kSecond);
  const auto check = [&] {
    for (const char* key : {"k0", "k1", "k19", "k30", "k39", "k100", "k199"}) expect_absent(key);
    expect("k40", std::string(900, 'o'));
    expect("k299", std::string(900, 'o'));
    if (before.valid()) {
      expect("k19", std::string(900, 'o'), {.snapshot = &before});
    }
  };
  check();
  env_.sleep(130'000'000'000);
  check();
  clock_.set_micros(ClockEnv::kBeginMicros - kCenturyMicros);
  check();
  ASSERT_TRUE(db_.compact().ok());
  check();
  before.release();
  ASSERT_TRUE(db_.compact().ok());
  check();
  reopen();
  check();
  // Of 400 keys 111 are in the first range; 29 of those outside expired; the second has ten more.
  EXPECT_EQ(stats().run_entries, 400u - 111 - 29 - 10);
}

TEST_F(Expiry, AKeyspaceThatIsDroppedTakesItsEntriesAndItsDefaultAlong) {
  Keyspace keyspace = *db_.keyspace("k", {.ttl_ms = 50 * kSecond});
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(keyspace.put("k" + std::to_string(i), std::string(900, 'v')).ok());
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_TRUE(keyspace.put("in memory", "v").ok());
  ASSERT_TRUE(db_.drop_keyspace("k").ok());
  for (int round = 0; round < 2; ++round) {
    keyspace = *db_.keyspace("k");
    EXPECT_EQ(*keyspace.default_ttl_ms(), 0u);
    EXPECT_EQ(keys_of(keyspace.scan()), "");
    reopen();
  }
  ASSERT_TRUE(db_.flush().ok());
  env_.sleep(10'000'000'000);
  uint64_t expiring = 0;
  for (const Stats::Level& level : stats().levels) expiring += level.expiring;
  EXPECT_EQ(expiring, 0u);
}

TEST_F(Expiry, RepairKnowsRangeRemovalsAndTimes) {
  put("a", "1", 50 * kSecond);
  put("k1", "2", 50 * kSecond);
  put("k2", "3", 50 * kSecond);
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_TRUE(db_.remove_range("k", "l").ok());
  put("k2", "4", 20 * kSecond);
  ASSERT_TRUE(db_.flush().ok());
  put("k3", "5", 20 * kSecond);
  put("l", "6", 20 * kSecond);
  ASSERT_TRUE(db_.remove_range("k3", "k9").ok());
  ASSERT_TRUE(db_.close().ok());
  const Result<RepairReport> repaired = repair_in(clock_, "db", "repaired", {});
  ASSERT_TRUE(repaired) << repaired.status().to_string();
  EXPECT_TRUE(repaired->lost.empty());
  Result<Database> opened = open_in(clock_, "repaired", small(), OpenKind::open);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  EXPECT_EQ(keys_of(db_.scan()), "a k2 l");
  expect("k2", "4");
  clock_.pass_ms(20 * kSecond);
  EXPECT_EQ(keys_of(db_.scan()), "a");
}

// Read-only, everything expires in memory.
TEST_F(Expiry, HoldsInADatabaseOpenedReadOnly) {
  put("a", "1", kSecond);
  put("b", "2", 2 * kSecond);
  ASSERT_TRUE(db_.close().ok());
  Options options = small();
  options.read_only = true;
  Result<Database> opened = open_in(clock_, "db", options, OpenKind::open);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  clock_.pass_ms(kSecond);
  EXPECT_EQ(keys_of(db_.scan()), "b");
  clock_.set_micros(clock_.micros() - kCenturyMicros);
  EXPECT_EQ(keys_of(db_.scan()), "b");
}

// Cut at every change of the disk, and then the clock is set back by a century: an entry that has expired may
// be there again if nothing durable says otherwise, the version before it never; and what a purge relied on
// is never forgotten.
TEST(ExpiryCrash, NoCutBringsAnOlderVersionBack) {
  struct Moment {
    SimDisk disk;
    bool gone;  // a call that makes it durable that it has expired has returned
  };
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    std::vector<Moment> moments;
    bool gone = false;
    {
      SimEnv env({.seed = seed});
      ClockEnv clock(env);
      Result<Database> opened = open_in(clock, "db", small(), OpenKind::create);
      ASSERT_TRUE(opened);
      Database db = *std::move(opened);
      ASSERT_TRUE(db.put("k", "older").ok());
      ASSERT_TRUE(db.put("z", "beside").ok());
      ASSERT_TRUE(seed % 2 == 0 ? db.flush().ok() : db.compact().ok());
      ASSERT_TRUE(db.put("k", "expiring", {.durability = Durability::power, .ttl_ms = kSecond}).ok());
      env.watch([&](const SimStep&) {
        if (env.disk_changed()) moments.push_back({env.disk().kill_image(), gone});
      });
      if (seed > 2) {
        ASSERT_TRUE(db.flush().ok());
      }
      clock.pass_ms(kSecond);
      EXPECT_TRUE(db.get("k").absent());
      ASSERT_TRUE(db.compact().ok());
      gone = true;
      ASSERT_TRUE(db.put("after", "v", {.durability = Durability::power}).ok());
      ASSERT_TRUE(db.close().ok());
      env.watch(nullptr);
    }
    ASSERT_GT(moments.size(), 10u);
    for (Moment& moment : moments) {
      for_each_crash_image(moment.disk, {.limit = 12, .seed = seed}, [&](CrashImage image) {
        SimEnv env({.seed = seed}, std::move(image.disk));
        ClockEnv clock(env, ClockEnv::kBeginMicros - kCenturyMicros);
        for (const bool again : {false, true}) {
          Result<Database> opened = open_in(clock, "db", small(), OpenKind::open);
          ASSERT_TRUE(opened) << image.what << ": " << opened.status().to_string();
          const Lookup found = opened->get("k");
          ASSERT_TRUE(found.status().ok());
          EXPECT_TRUE(!found || found.value() == "expiring") << image.what << ": " << found.value();
          EXPECT_FALSE(found && moment.gone) << image.what;
          EXPECT_TRUE(opened->get("z"));
          if (!again) {
            ASSERT_TRUE(opened->compact().ok());
          }
          ASSERT_TRUE(opened->close().ok());
        }
      });
    }
  }
}

}  // namespace
}  // namespace lightning
