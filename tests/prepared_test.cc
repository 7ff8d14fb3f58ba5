// Two-phase commit: what is prepared survives, keeps others from what it relies on, and can always be
// committed or given up.
#include <gtest/gtest.h>
#include <lightning/admin.h>
#include <lightning/database.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "io/scratch_directory.h"

namespace lightning {
namespace {

constexpr WriteOptions kAtOnce{.durability = Durability::process, .timeout_ms = 0, .ttl_ms = 0};

class Prepared : public testing::Test {
 protected:
  Prepared() { open(); }
  void open(const std::string& name = "db") {
    db_ = Database();
    Result<Database> opened = Database::open(scratch_.path() + "/" + name, options_);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  Transaction begin(Isolation isolation = Isolation::snapshot) {
    return db_.begin({.isolation = isolation, .lock_timeout_ms = 0});
  }
  void put(std::string_view key, std::string_view value) { ASSERT_TRUE(db_.put(key, value).ok()); }
  std::string get(std::string_view key) {
    const Lookup found = db_.get(key);
    return found ? std::string(found.value()) : "-";
  }
  std::string gids() {
    std::string text;
    const Result<Stats> stats = db_.stats();
    EXPECT_TRUE(stats.ok());
    for (const PreparedTransaction& prepared : stats->prepared_transactions) text += prepared.gid + " ";
    return text;
  }
  /// Puts a = 1 and b = 2, removes c and the range [r, s), under the name "g".
  void prepare_some() {
    put("c", "c");
    put("r1", "r");
    Transaction tx = begin();
    ASSERT_TRUE(tx.put("a", "1").ok());
    ASSERT_TRUE(tx.put("b", "2").ok());
    ASSERT_TRUE(tx.remove("c").ok());
    ASSERT_TRUE(tx.remove_range("r", "s").ok());
    const Status status = tx.prepare("g");
    ASSERT_TRUE(status.ok()) << status.to_string();
    EXPECT_TRUE(tx.get("a").status().is(StatusCode::closed));
  }
  void expect_nothing_visible() { EXPECT_EQ(get("a") + get("b") + get("c") + get("r1"), "--cr"); }
  void expect_all_visible() { EXPECT_EQ(get("a") + get("b") + get("c") + get("r1"), "12--"); }

  ScratchDirectory scratch_;
  Options options_{.durability = Durability::process};
  Database db_;
};

TEST_F(Prepared, IsInvisibleUntilItIsCommitted) {
  prepare_some();
  expect_nothing_visible();
  EXPECT_EQ(gids(), "g ");
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  expect_all_visible();
  EXPECT_EQ(gids(), "");
  EXPECT_TRUE(db_.commit_prepared("g").is(StatusCode::not_found));
  EXPECT_TRUE(db_.abort_prepared("g").is(StatusCode::not_found));
}

TEST_F(Prepared, LeavesNothingWhenItIsAborted) {
  prepare_some();
  ASSERT_TRUE(db_.abort_prepared("g").ok());
  expect_nothing_visible();
  EXPECT_EQ(gids(), "");
  for (const char* key : {"a", "b", "c", "r1"}) EXPECT_TRUE(db_.put(key, "x", kAtOnce).ok());
}

TEST_F(Prepared, SurvivesRestartsFlushesAndMergesWithItsLocks) {
  prepare_some();
  for (int round = 0; round < 4; ++round) {
    if (round % 2 == 1) {
      ASSERT_TRUE(db_.flush().ok());
      ASSERT_TRUE(db_.compact().ok());
    }
    open();
    EXPECT_EQ(gids(), "g ");
    expect_nothing_visible();
    for (const char* key : {"a", "b", "c", "r", "r1", "rz"}) {
      const Status status = db_.put(key, "x", kAtOnce);
      EXPECT_TRUE(status.is(StatusCode::busy)) << key << " " << status.to_string();
    }
    EXPECT_TRUE(db_.put("s", "x", kAtOnce).ok());
    EXPECT_TRUE(db_.put("aa", "x", kAtOnce).ok());
  }
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  expect_all_visible();
  open();
  expect_all_visible();
  EXPECT_EQ(gids(), "");
  EXPECT_TRUE(db_.put("a", "x", kAtOnce).ok());
}

TEST_F(Prepared, StandsAgainstEveryKindOfWrite) {
  prepare_some();
  EXPECT_TRUE(db_.remove("a", kAtOnce).is(StatusCode::busy));
  EXPECT_TRUE(db_.remove_range("", "aa", kAtOnce).is(StatusCode::busy));
  EXPECT_TRUE(db_.remove_range("rr", "z", kAtOnce).is(StatusCode::busy));
  EXPECT_TRUE(db_.put_if_absent("a", "x", kAtOnce).is(StatusCode::busy));
  WriteBatch batch;
  batch.put("free", "x");
  batch.put("b", "x");
  EXPECT_TRUE(db_.write(batch, kAtOnce).is(StatusCode::busy));
  for (const Isolation level : {Isolation::read_committed, Isolation::snapshot, Isolation::serializable}) {
    Transaction tx = db_.begin({.isolation = level, .timeout_ms = 0, .lock_timeout_ms = 0});
    ASSERT_TRUE(tx.put("b", "x").ok());
    EXPECT_TRUE(tx.commit().is(StatusCode::busy));
    EXPECT_TRUE(tx.lock("c").is(StatusCode::busy));
    EXPECT_TRUE(tx.prepare("other").is(StatusCode::busy));
  }
  expect_nothing_visible();
  EXPECT_EQ(get("free"), "-");
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  expect_all_visible();
}

TEST_F(Prepared, IsWaitedFor) {
  prepare_some();
  std::thread writer([&] { EXPECT_TRUE(db_.put("a", "later").ok()); });
  std::thread remover([&] { EXPECT_TRUE(db_.remove_range("q", "t").ok()); });
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  writer.join();
  remover.join();
  EXPECT_EQ(get("a"), "later");
}

TEST_F(Prepared, KeepsOthersFromWhatASerializableOneRead) {
  put("k", "1");
  Transaction tx = begin(Isolation::serializable);
  EXPECT_TRUE(tx.get("k"));
  EXPECT_TRUE(tx.get("absent").absent());
  EXPECT_TRUE(for_each(tx.scan("m", "n"), [](auto, auto) {}).ok());
  ASSERT_TRUE(tx.put("w", "1").ok());
  ASSERT_TRUE(tx.prepare("s").ok());
  for (int round = 0; round < 2; ++round) {
    for (const char* key : {"k", "absent", "m1", "w"})
      EXPECT_TRUE(db_.put(key, "x", kAtOnce).is(StatusCode::busy));
    EXPECT_TRUE(db_.put("l", "x", kAtOnce).ok());
    open();
  }
  // Another that relies on the same does not stand in its way.
  Transaction same = begin(Isolation::serializable);
  EXPECT_TRUE(same.get("k"));
  ASSERT_TRUE(same.put("w2", "1").ok());
  ASSERT_TRUE(same.prepare("t").ok());
  EXPECT_EQ(gids(), "s t ");
  ASSERT_TRUE(db_.commit_prepared("s").ok());
  EXPECT_TRUE(db_.put("k", "x", kAtOnce).is(StatusCode::busy));
  ASSERT_TRUE(db_.abort_prepared("t").ok());
  EXPECT_TRUE(db_.put("k", "x", kAtOnce).ok());
}

TEST_F(Prepared, IsRefusedWhereSomebodyWasFirst) {
  for (const Isolation level : {Isolation::repeatable_read, Isolation::snapshot, Isolation::serializable}) {
    Transaction tx = begin(level);
    EXPECT_TRUE(tx.get("k").status().ok());
    ASSERT_TRUE(tx.put("k", "mine").ok());
    put("k", "theirs");
    const Status status = tx.prepare("g");
    EXPECT_TRUE(status.is(StatusCode::conflict)) << status.to_string();
    EXPECT_EQ(gids(), "");
    EXPECT_TRUE(tx.get("k").status().is(StatusCode::closed));
    EXPECT_TRUE(db_.put("k", "free", kAtOnce).ok());
  }
  Transaction tx = begin(Isolation::snapshot);
  ASSERT_TRUE(tx.remove_range("a", "z").ok());
  put("m", "1");
  EXPECT_TRUE(tx.prepare("g").is(StatusCode::conflict));
}

TEST_F(Prepared, ChecksItsName) {
  prepare_some();
  Transaction tx = begin();
  ASSERT_TRUE(tx.put("n", "1").ok());
  EXPECT_TRUE(tx.prepare("g").is(StatusCode::already_exists));
  EXPECT_TRUE(tx.prepare("").is(StatusCode::invalid_argument));
  EXPECT_TRUE(tx.prepare(std::string(256, 'g')).is(StatusCode::invalid_argument));
  const std::string longest(255, '\0');
  ASSERT_TRUE(tx.prepare(longest).ok());
  open();
  ASSERT_TRUE(db_.commit_prepared(longest).ok());
  EXPECT_EQ(get("n"), "1");
  EXPECT_TRUE(db_.commit_prepared("").is(StatusCode::invalid_argument));
  Transaction reader = db_.begin({.read_only = true});
  EXPECT_TRUE(reader.prepare("r").is(StatusCode::invalid_argument));
}

TEST_F(Prepared, MayWriteNothingOrMuch) {
  Transaction nothing = begin();
  ASSERT_TRUE(nothing.prepare("nothing").ok());
  Transaction much = begin();
  const std::string value(3 << 20, 'v');
  ASSERT_TRUE(much.put("large", value).ok());
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(much.put("k" + std::to_string(i), "v").ok());
  ASSERT_TRUE(much.prepare("much").ok());
  open();
  EXPECT_EQ(gids(), "much nothing ");
  ASSERT_TRUE(db_.commit_prepared("nothing").ok());
  ASSERT_TRUE(db_.commit_prepared("much").ok());
  EXPECT_EQ(get("large"), value);
  EXPECT_EQ(get("k1999"), "v");
}

TEST_F(Prepared, CountsTimesToLiveFromTheCommitOn) {
  Transaction tx = begin();
  ASSERT_TRUE(tx.put("k", "v", 3'600'000).ok());
  ASSERT_TRUE(tx.put("for ever", "v", kNeverExpires).ok());
  ASSERT_TRUE(tx.prepare("g").ok());
  open();
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  EXPECT_EQ(get("k") + get("for ever"), "vv");
  ASSERT_TRUE(db_.flush().ok());
  const Result<Stats> stats = db_.stats();
  ASSERT_TRUE(stats.ok());
  uint64_t expiring = 0;
  for (const Stats::Level& level : stats->levels) expiring += level.expiring;
  EXPECT_EQ(expiring, 1u);
}

TEST_F(Prepared, KeepsItsKeyspaceFromBeingDropped) {
  Result<Keyspace> keyspace = db_.keyspace("k");
  ASSERT_TRUE(keyspace.ok());
  Transaction tx = begin();
  ASSERT_TRUE(tx.in(*keyspace).put("a", "1").ok());
  ASSERT_TRUE(tx.prepare("g").ok());
  std::atomic<bool> dropped{false};
  std::thread dropper([&] {
    EXPECT_TRUE(db_.drop_keyspace("k").ok());
    dropped = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(dropped);
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  dropper.join();
}

TEST_F(Prepared, IsPartOfCopiesAndRepairs) {
  prepare_some();
  ASSERT_TRUE(db_.backup(scratch_.path() + "/backup").ok());
  ASSERT_TRUE(db_.close().ok());
  const Result<RepairReport> repaired = repair(scratch_.path() + "/db", scratch_.path() + "/repaired");
  ASSERT_TRUE(repaired.ok()) << repaired.status().to_string();
  for (const char* name : {"backup", "repaired"}) {
    open(name);
    EXPECT_EQ(gids(), "g ") << name;
    expect_nothing_visible();
    ASSERT_TRUE(db_.commit_prepared("g").ok());
    expect_all_visible();
  }
}

// What was looked for may be longer than any key.
TEST_F(Prepared, MayHaveLookedForALongKey) {
  const std::string longest(70'000, 'a');
  ASSERT_TRUE(db_.create_index({.name = "whole", .key = {IndexField::whole_value(KeyType::text)}}).ok());
  ASSERT_TRUE(db_.wait_for_index("whole").ok());
  for (const bool by_index : {false, true}) {
    Transaction tx = begin(Isolation::serializable);
    if (by_index) {
      EXPECT_FALSE(tx.index("whole").find(ordered_key(longest)).advance());
    } else {
      EXPECT_FALSE(tx.scan_from(longest).advance());
    }
    ASSERT_TRUE(tx.put("r", by_index ? "2" : "1").ok());
    ASSERT_EQ(tx.prepare("g").to_string(), "ok");
    ASSERT_NO_FATAL_FAILURE(open());
    if (!by_index) {
      EXPECT_TRUE(db_.put("b", "x", kAtOnce).is(StatusCode::busy));
    }
    EXPECT_TRUE(db_.put("Z", "x", kAtOnce).ok());
    ASSERT_EQ(db_.commit_prepared("g").to_string(), "ok");
    EXPECT_EQ(get("r"), by_index ? "2" : "1");
    ASSERT_NO_FATAL_FAILURE(open());
  }
}

TEST_F(Prepared, KeepsWhatWasOnlyLocked) {
  put("looked at", "1");
  Transaction tx = begin();
  ASSERT_TRUE(tx.lock("absent").ok());
  ASSERT_TRUE(tx.get_for_update("looked at"));
  ASSERT_TRUE(tx.get_for_update("written").absent());
  ASSERT_TRUE(tx.put("written", "1").ok());
  ASSERT_TRUE(tx.prepare("g").ok());
  for (int round = 0; round < 3; ++round) {
    for (const char* key : {"absent", "looked at", "written"}) {
      EXPECT_TRUE(db_.put(key, "x", kAtOnce).is(StatusCode::busy)) << key << round;
      Transaction other = begin();
      EXPECT_TRUE(other.lock(key).is(StatusCode::busy)) << key << round;
      Transaction reader = begin(Isolation::serializable);
      EXPECT_TRUE(reader.get(key).status().ok());
      EXPECT_TRUE(reader.prepare("reader").is(StatusCode::busy)) << key << round;
    }
    ASSERT_NO_FATAL_FAILURE(open());
  }
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  EXPECT_TRUE(db_.put("absent", "x", kAtOnce).ok());
}

// Nobody promises to have seen no entry where one is promised.
TEST_F(Prepared, KeepsTheEntriesOfItsIndexes) {
  ASSERT_TRUE(db_.create_index({.name = "whole", .key = {IndexField::whole_value(KeyType::text)}}).ok());
  ASSERT_TRUE(db_.wait_for_index("whole").ok());
  Transaction tx = begin();
  ASSERT_TRUE(tx.put("a", "Oslo").ok());
  ASSERT_TRUE(tx.prepare("g").ok());
  for (int round = 0; round < 3; ++round) {
    Transaction reader = begin(Isolation::serializable);
    EXPECT_FALSE(reader.index("whole").find(ordered_key("Oslo")).advance());
    ASSERT_TRUE(reader.put("b", "Rome").ok());
    EXPECT_TRUE(reader.prepare("reader").is(StatusCode::busy)) << round;
    ASSERT_NO_FATAL_FAILURE(open());
  }
  ASSERT_EQ(db_.commit_prepared("g", kAtOnce).to_string(), "ok");
}

TEST_F(Prepared, OneOfManyCallsResolvesIt) {
  for (int round = 0; round < 20; ++round) {
    Transaction tx = begin();
    ASSERT_TRUE(tx.put("k", std::to_string(round)).ok());
    ASSERT_TRUE(tx.prepare("g").ok());
    std::atomic<int> commits{0};
    std::atomic<int> aborts{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const Status status = i % 2 == 0 ? db_.commit_prepared("g") : db_.abort_prepared("g");
        if (status.ok()) ++(i % 2 == 0 ? commits : aborts);
        EXPECT_TRUE(status.ok() || status.is(StatusCode::busy) || status.is(StatusCode::not_found));
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(commits + aborts, 1);
    EXPECT_EQ(get("k") == std::to_string(round), commits == 1);
    EXPECT_EQ(gids(), "");
  }
}

}  // namespace
}  // namespace lightning
