// get_for_update() and lock(): what they keep others from, who waits, who is refused and why; nobody writes
// what is locked, whichever way it goes into the database and however the threads fall.
//
// LIGHTNING_LOCK_SEEDS=n   so many interleavings
// LIGHTNING_LOCK_SEED=s    the first of them
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/random.h"
#include "testing/sim_env.h"
#include "tests/entries_source.h"

namespace lightning {
namespace {

constexpr uint64_t kSeedsByDefault = 60;
constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLongMs = 100'000'000;
constexpr WriteOptions kAtOnce{.durability = Durability::process, .timeout_ms = 0};
constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                 Isolation::serializable};

TransactionOptions at(Isolation isolation, uint64_t lock_timeout_ms = 0, uint64_t timeout_ms = 0) {
  return {.isolation = isolation, .timeout_ms = timeout_ms, .lock_timeout_ms = lock_timeout_ms};
}

class LockedKeys : public testing::Test {
 protected:
  LockedKeys() { open({}); }
  void open(Options options) {
    options.durability = Durability::process;
    options.memory_limit = 4 * MiB;
    options.write_buffer_size = 64 * KiB;
    db_ = Database();
    Result<Database> opened = open_in(env_, "db", options, OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  std::string get(std::string_view key) {
    const Lookup found = db_.get(key);
    return found ? std::string(found.value()) : "-";
  }
  /// What a locking read answers.
  static std::string take(TransactionKeyspace& tx, std::string_view key) {
    const Lookup found = tx.get_for_update(key);
    if (!found.status().ok()) return found.status().to_string();
    return found ? std::string(found.value()) : "-";
  }
  TransactionInfo info_of(const Transaction& tx) {
    const Result<std::vector<TransactionInfo>> list = db_.transactions();
    EXPECT_TRUE(list);
    for (const TransactionInfo& info : *list) {
      if (info.id == tx.id()) return info;
    }
    return {};
  }

  SimEnv env_{{.seed = 1}};
  Database db_;
};

std::string busy_over(std::string_view key, const Transaction& holder) {
  return "busy: \"" + std::string(key) + "\" is locked by transaction " + std::to_string(holder.id());
}

TEST_F(LockedKeys, AreReadAsTheyAreNowAtReadCommitted) {
  ASSERT_TRUE(db_.put("a", "1").ok());
  Transaction tx = db_.begin(at(Isolation::read_committed));
  ASSERT_TRUE(db_.put("a", "2").ok());
  EXPECT_EQ(take(tx, "a"), "2");
  EXPECT_EQ(take(tx, "b"), "-");
  ASSERT_TRUE(tx.put("a", "3").ok());
  EXPECT_EQ(take(tx, "a"), "3");  // its own write
  EXPECT_EQ(get("a"), "2");       // others read on
  EXPECT_EQ(info_of(tx).locks, 2U);
  ASSERT_TRUE(tx.commit().ok());
  EXPECT_EQ(get("a"), "3");
  ASSERT_TRUE(db_.put("a", "4", kAtOnce).ok());
}

TEST_F(LockedKeys, AreAsTheMomentSawThemOrAConflict) {
  for (const Isolation level : kLevels) {
    if (level == Isolation::read_committed) continue;
    for (const bool flushed : {false, true}) {
      ASSERT_TRUE(db_.put("a", "1").ok());
      ASSERT_TRUE(db_.put("b", "1").ok());
      Transaction tx = db_.begin(at(level));
      ASSERT_TRUE(db_.put("b", "2").ok());
      if (flushed) {
        ASSERT_TRUE(db_.flush().ok());
      }
      EXPECT_EQ(take(tx, "a"), "1");
      EXPECT_EQ(take(tx, "b"), "conflict: another commit was first to write \"b\"");
      EXPECT_TRUE(tx.status().is(StatusCode::closed));  // that was its end
      EXPECT_TRUE(db_.put("a", "3", kAtOnce).ok());     // and its locks are free
      Transaction other = db_.begin(at(level));
      ASSERT_TRUE(db_.remove_range("a", "c").ok());
      EXPECT_TRUE(other.lock("b").is(StatusCode::conflict));
    }
  }
}

TEST_F(LockedKeys, AreNotWrittenByAnybodyElse) {
  const std::string large(100'000, 'v');  // has a segment of its own
  ASSERT_TRUE(db_.put("k", "0").ok());
  Transaction tx = db_.begin(at(Isolation::read_committed));
  ASSERT_TRUE(tx.lock("k").ok());
  const std::string busy = busy_over("k", tx);
  EXPECT_EQ(db_.put("k", "1", kAtOnce).to_string(), busy);
  EXPECT_EQ(db_.put("k", large, kAtOnce).to_string(), busy);
  EXPECT_EQ(db_.remove("k", kAtOnce).to_string(), busy);
  EXPECT_EQ(db_.remove_range("a", "z", kAtOnce).to_string(), busy);
  EXPECT_EQ(db_.add("k", 1, kAtOnce).status().to_string(), busy);
  EXPECT_EQ(db_.compare_and_set("k", "0", "1", kAtOnce).to_string(), busy);
  WriteBatch batch;
  batch.put("j", "1");
  batch.put("k", "1");
  EXPECT_EQ(db_.write(batch, kAtOnce).to_string(), busy);
  for (const Isolation level : kLevels) {
    Transaction other = db_.begin(at(level));
    ASSERT_TRUE(other.put("k", "1").ok());
    EXPECT_EQ(other.commit().to_string(), busy);
    EXPECT_TRUE(other.status().ok());  // it may try again
    EXPECT_EQ(other.lock("k").to_string(), busy);
  }
  EXPECT_TRUE(db_.put("l", "1", kAtOnce).ok());
  EXPECT_TRUE(db_.remove_range("a", "k", kAtOnce).ok());
  EXPECT_EQ(get("j") + get("k"), "-0");  // a refused batch did nothing
  ASSERT_TRUE(tx.put("k", large).ok());
  ASSERT_TRUE(tx.commit().ok());
  EXPECT_EQ(get("k"), large);
  EXPECT_TRUE(db_.add("l", 1, kAtOnce).ok());
  EXPECT_TRUE(db_.remove_range("a", "z", kAtOnce).ok());
}

TEST_F(LockedKeys, StopIngestionsAndDropsUntilTheyAreFree) {
  Result<Keyspace> other = db_.keyspace("other");
  ASSERT_TRUE(other);
  ASSERT_TRUE(other->put("k", "0").ok());
  Transaction tx = db_.begin(at(Isolation::read_committed));
  ASSERT_TRUE(tx.lock("k").ok());
  ASSERT_TRUE(tx.in(*other).lock("k").ok());
  EntriesSource outside({{"l", "1"}, {"m", "1"}});
  EXPECT_TRUE(db_.ingest(outside).ok());
  EntriesSource around({{"j", "1"}, {"k", "1"}, {"l", "2"}});
  EXPECT_EQ(db_.ingest(around).status().to_string(), busy_over("k", tx));
  EXPECT_EQ(db_.drop_keyspace("other").to_string(), "busy: \"k\" in keyspace " + std::to_string(other->id()) +
                                                        " is locked by transaction " +
                                                        std::to_string(tx.id()));
  EXPECT_EQ(get("k") + get("l"), "-1");
  env_.spawn("ingests", [&] {
    EntriesSource again({{"j", "1"}, {"k", "1"}});
    EXPECT_TRUE(db_.ingest(again).ok());
  });
  env_.spawn("drops", [&] { EXPECT_TRUE(db_.drop_keyspace("other").ok()); });
  env_.spawn("ends", [&] {
    env_.sleep(10 * kMs);
    EXPECT_EQ(get("k"), "-");
    EXPECT_TRUE(tx.put("k", "2").ok());
    EXPECT_TRUE(tx.commit().ok());
  });
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(get("k"), "1");
  EXPECT_TRUE(other->get("k").status().is(StatusCode::not_found));
}

TEST_F(LockedKeys, AreRefusedWhereTheyMakeNoSense) {
  Transaction reader = db_.begin({.read_only = true});
  EXPECT_TRUE(reader.lock("a").is(StatusCode::invalid_argument));
  EXPECT_TRUE(reader.get_for_update("a").status().is(StatusCode::invalid_argument));
  Transaction tx = db_.begin();
  Result<Keyspace> dropped = db_.keyspace("dropped");
  ASSERT_TRUE(dropped);
  ASSERT_TRUE(db_.drop_keyspace("dropped").ok());
  EXPECT_TRUE(tx.in(*dropped).lock("a").is(StatusCode::not_found));
  EXPECT_TRUE(tx.lock(std::string(70'000, 'k')).is(StatusCode::invalid_argument));
  ASSERT_TRUE(tx.lock("a").ok());
  tx.abort();
  EXPECT_TRUE(tx.lock("a").is(StatusCode::closed));
  EXPECT_TRUE(TransactionKeyspace().lock("a").is(StatusCode::closed));
  EXPECT_TRUE(TransactionKeyspace().get_for_update("a").status().is(StatusCode::closed));
}

TEST_F(LockedKeys, OutliveSavepointsAndEndWithTheTransaction) {
  for (const bool aborted : {false, true}) {
    Transaction tx = db_.begin(at(Isolation::read_committed));
    const Savepoint point = tx.set_savepoint();
    EXPECT_EQ(take(tx, "a"), "-");
    ASSERT_TRUE(tx.rollback_to(point).ok());
    EXPECT_TRUE(db_.put("a", "1", kAtOnce).is(StatusCode::busy));
    if (aborted) tx.abort();
    tx = Transaction();
    EXPECT_TRUE(db_.put("a", "1", kAtOnce).ok());
    ASSERT_TRUE(db_.remove("a").ok());
  }
}

TEST_F(LockedKeys, TakeNoMoreMemoryThanATransactionMay) {
  Transaction tx = db_.begin(at(Isolation::read_committed));
  Status status;
  int locked = 0;
  for (; status.ok() && locked < 100'000; ++locked) status = tx.lock("k" + std::to_string(locked));
  EXPECT_TRUE(status.is(StatusCode::out_of_memory)) << status.to_string();
  EXPECT_GT(locked, 1000);
  EXPECT_TRUE(db_.put("k0", "1", kAtOnce).is(StatusCode::busy));
}

TEST_F(LockedKeys, ADeadlockEndsTheOneThatClosesTheCircle) {
  Transaction a = db_.begin(at(Isolation::read_committed, kLongMs));
  Transaction b = db_.begin(at(Isolation::read_committed, kLongMs));
  ASSERT_TRUE(a.lock("a").ok());
  ASSERT_TRUE(b.lock("b").ok());
  env_.spawn("a", [&] {
    EXPECT_EQ(take(a, "b"), "-");
    EXPECT_TRUE(a.put("b", "a was here").ok());
    EXPECT_TRUE(a.commit().ok());
  });
  while (info_of(a).waits_for != b.id()) yield_thread();
  EXPECT_EQ(info_of(b).waits_for, 0U);
  const Status victim = b.lock("a");
  EXPECT_EQ(victim.to_string(), "deadlock: \"a\" is locked by transaction " + std::to_string(a.id()) +
                                    "; to wait for it would close a circle");
  EXPECT_TRUE(b.status().is(StatusCode::closed));
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(get("b"), "a was here");
}

TEST_F(LockedKeys, ADeadlockOfACommitEndsTheTransaction) {
  Transaction a = db_.begin(at(Isolation::read_committed, kLongMs, kLongMs));
  Transaction b = db_.begin(at(Isolation::snapshot, kLongMs, kLongMs));
  ASSERT_TRUE(a.lock("a").ok());
  ASSERT_TRUE(b.lock("b").ok());
  ASSERT_TRUE(b.put("a", "1").ok());
  env_.spawn("a", [&] { EXPECT_TRUE(a.lock("b").ok()); });
  while (info_of(a).waits_for != b.id()) yield_thread();
  EXPECT_TRUE(b.commit().is(StatusCode::deadlock));
  EXPECT_TRUE(b.status().is(StatusCode::closed));
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(info_of(a).locks, 2U);
}

// A batch that holds one of its keys and waits for another lets go of what it has.
TEST_F(LockedKeys, ABatchIsNeverTheVictim) {
  Transaction a = db_.begin(at(Isolation::read_committed, kLongMs));
  Transaction b = db_.begin(at(Isolation::read_committed, kLongMs));
  ASSERT_TRUE(a.lock("x").ok());
  ASSERT_TRUE(b.lock("y").ok());
  bool written = false;
  env_.spawn("batch", [&] {
    WriteBatch batch;
    batch.put("x", "1");
    batch.put("y", "1");
    EXPECT_TRUE(db_.write(batch, {.timeout_ms = kLongMs}).ok());
    written = true;
  });
  env_.spawn("b", [&] {
    env_.sleep(10 * kMs);
    EXPECT_TRUE(b.lock("x").ok());  // waits behind the batch, which then waits for y
    EXPECT_FALSE(written);
    EXPECT_TRUE(b.commit().ok());
  });
  env_.sleep(20 * kMs);
  EXPECT_NE(info_of(b).waits_for, 0U);
  a.abort();
  ASSERT_TRUE(env_.run().ok());
  EXPECT_TRUE(written);
}

TEST_F(LockedKeys, AreWaitedForAsLongAsTheTimeoutsSay) {
  Transaction tx = db_.begin(at(Isolation::read_committed));
  ASSERT_TRUE(tx.lock("k").ok());
  const uint64_t began = env_.clock().monotonic_ns();
  Transaction other = db_.begin(at(Isolation::read_committed, 500));
  EXPECT_EQ(other.lock("k").to_string(), busy_over("k", tx));
  EXPECT_TRUE(other.status().ok());
  EXPECT_GE(env_.clock().monotonic_ns(), began + 500 * kMs);
  EXPECT_EQ(db_.put("k", "1", {.timeout_ms = 700}).to_string(), busy_over("k", tx));
  EXPECT_GE(env_.clock().monotonic_ns(), began + 1200 * kMs);
  EXPECT_EQ(info_of(other).locks, 0U);
}

// Whoever was first wrote the key, and the lock is another's when the next try wants it.
TEST_F(LockedKeys, AreWaitedForNoLongerByAWriteThatIsTriedAgain) {
  constexpr uint64_t kTimeoutMs = 10'000;
  Transaction first = db_.begin(at(Isolation::read_committed));
  Transaction second = db_.begin(at(Isolation::read_committed, kLongMs));
  ASSERT_TRUE(first.lock("k").ok());
  const uint64_t began = env_.clock().monotonic_ns();
  uint64_t ended = 0;
  int tries = 0;
  Status updated, locked;
  env_.spawn("updates", [&] {
    const auto change = [&](std::optional<std::string_view>) {
      ++tries;
      return std::optional<std::string>("2");
    };
    updated = db_.update("k", change, {.timeout_ms = kTimeoutMs});
    ended = env_.clock().monotonic_ns();
  });
  env_.sleep(10 * kMs);
  env_.spawn("locks", [&] { locked = second.lock("k"); });
  env_.sleep(kTimeoutMs * kMs / 2);
  ASSERT_TRUE(first.put("k", "1").ok());
  ASSERT_TRUE(first.commit().ok());
  ASSERT_TRUE(env_.run().ok());
  EXPECT_TRUE(locked.ok()) << locked.to_string();
  EXPECT_EQ(tries, 1);
  EXPECT_EQ(updated.to_string(), busy_over("k", second));
  EXPECT_GE(ended, began + kTimeoutMs * kMs);
  EXPECT_LE(ended, began + (kTimeoutMs + 100) * kMs);
}

TEST_F(LockedKeys, AreNothingToACloseThatComesMeanwhile) {
  Transaction tx = db_.begin(at(Isolation::read_committed));
  ASSERT_TRUE(tx.lock("k").ok());
  Transaction other = db_.begin(at(Isolation::read_committed, kLongMs));
  Status locked, put, ingested;
  env_.spawn("locks", [&] { locked = other.lock("k"); });
  env_.spawn("puts", [&] { put = db_.put("k", "1", {.timeout_ms = kLongMs}); });
  env_.spawn("ingests", [&] {
    EntriesSource source({{"j", "1"}, {"k", "1"}});
    ingested = db_.ingest(source).status();
  });
  env_.sleep(10 * kMs);
  EXPECT_TRUE(db_.close().ok());
  ASSERT_TRUE(env_.run().ok());
  EXPECT_TRUE(locked.is(StatusCode::closed)) << locked.to_string();
  EXPECT_TRUE(put.is(StatusCode::closed)) << put.to_string();
  EXPECT_TRUE(ingested.is(StatusCode::closed)) << ingested.to_string();
}

TEST_F(LockedKeys, ComeBackFromATransactionThatIsIdle) {
  open({.max_transaction_idle_ms = 1000});
  ASSERT_TRUE(db_.put("k", "0").ok());
  Transaction idle = db_.begin(at(Isolation::serializable));
  Transaction busy = db_.begin(at(Isolation::read_committed, kLongMs));
  ASSERT_TRUE(idle.lock("k").ok());
  ASSERT_TRUE(idle.put("l", "1").ok());
  Cursor cursor = idle.cursor();
  cursor.seek_first();
  for (int i = 0; i < 3; ++i) {
    env_.sleep(900 * kMs);
    EXPECT_TRUE(busy.get("k").status().ok());
    EXPECT_TRUE(idle.get("k").status().ok());
  }
  for (int i = 0; i < 3; ++i) {
    env_.sleep(900 * kMs);
    EXPECT_TRUE(busy.get("k").status().ok());
  }
  EXPECT_EQ(db_.transactions()->size(), 1U);
  EXPECT_TRUE(db_.put("k", "1", kAtOnce).ok());
  const Status status = idle.put("l", "2");
  EXPECT_EQ(status.to_string(),
            "closed: the transaction was aborted: it made no call for max_transaction_idle_ms = 1000");
  EXPECT_TRUE(idle.lock("k").is(StatusCode::closed));
  EXPECT_TRUE(idle.get("k").status().is(StatusCode::closed));
  cursor.seek_first();
  EXPECT_TRUE(cursor.status().is(StatusCode::closed));
  EXPECT_TRUE(idle.commit().is(StatusCode::closed));
  idle.abort();
  // A call is no idleness, however long it takes.
  Transaction holder = db_.begin(at(Isolation::read_committed));
  ASSERT_TRUE(holder.lock("k").ok());
  env_.spawn("waits", [&] { EXPECT_TRUE(busy.lock("k").ok()); });
  for (int i = 0; i < 4; ++i) {
    env_.sleep(900 * kMs);
    EXPECT_TRUE(holder.status().ok());
  }
  holder.abort();
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(info_of(busy).locks, 1U);
  EXPECT_EQ(get("l"), "-");
}

// One thread a way into the database, and some that lock: what is locked does not change.
class LockInterleaving {
 public:
  explicit LockInterleaving(uint64_t seed)
      : seed_(seed), env_({.seed = seed, .switch_probability = 0.25, .supports_allocate = seed % 3 != 0}) {}

  void run() {
    Result<Database> opened =
        open_in(env_, "db",
                {.durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB},
                OpenKind::create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    Database db = *std::move(opened);
    ASSERT_TRUE(db.put("n", "0").ok());
    for (int i = 0; i < kLockers; ++i) env_.spawn("locks", [&, i] { lock(db, i); });
    env_.spawn("puts", [&] {
      for (int i = 0; i < kSteps; ++i) expect_ok(db.put("k", std::to_string(i), kPatient));
    });
    env_.spawn("removes", [&] {
      for (int i = 0; i < kSteps; ++i) {
        expect_ok(i % 2 == 0 ? db.remove_range("j", "l", kPatient) : db.remove("k", kPatient));
      }
    });
    env_.spawn("batches", [&] {
      for (int i = 0; i < kSteps; ++i) {
        WriteBatch batch;
        batch.put("a", "1");
        batch.put("k", "b" + std::to_string(i) + std::string(i % 3 == 0 ? 5'000 : 0, '.'));
        expect_ok(db.write(batch, kPatient));
      }
    });
    env_.spawn("large", [&] {
      for (int i = 0; i < kSteps / 4; ++i) expect_ok(db.put("k", std::string(70'000 + i, 'l'), kPatient));
    });
    env_.spawn("ingests", [&] {
      for (int i = 0; i < kSteps / 8; ++i) {
        EntriesSource source({{"i", "1"}, {"k", "i" + std::to_string(i)}});
        expect_ok(db.ingest(source).status());
      }
    });
    // Of a key that is seldom locked, what does not pass through the active segment.
    env_.spawn("large", [&] {
      for (int i = 0; i < kSteps / 2; ++i) expect_ok(db.put("q", std::string(70'000 + i, 'q'), kPatient));
    });
    env_.spawn("ingests", [&] {
      for (int i = 0; i < kSteps / 8; ++i) {
        EntriesSource source({{"q", "i" + std::to_string(i)}});
        expect_ok(db.ingest(source).status());
      }
    });
    env_.spawn("locks", [&] { lock_and_look(db); });
    env_.spawn("adds", [&] {
      for (int i = 0; i < kSteps; ++i) expect_ok(db.add("n", 1, kPatient).status());
    });
    env_.spawn("flushes", [&] {
      for (int i = 0; i < 3; ++i) expect_ok(db.flush());
    });
    const Status outcome = env_.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    EXPECT_EQ(db.get("n").value(), std::to_string((kLockers + 1) * kSteps));  // no addition was lost
    for (const std::string_view key : {"k", "n", "i", "a", "q"}) expect_ok(db.put(key, "free", kAtOnce));
    EXPECT_TRUE(db.close().ok());
  }

 private:
  static constexpr int kLockers = 2;
  static constexpr int kSteps = 24;
  static constexpr WriteOptions kPatient{.durability = Durability::process, .timeout_ms = kLongMs};

  static void expect_ok(const Status& status) { EXPECT_TRUE(status.ok()) << status.to_string(); }
  static std::string text_of(const Lookup& found) {
    expect_ok(found.status());
    return found ? std::string(found.value()) : "-";
  }

  void lock_and_look(Database& db) {
    Random random(seed_ * 17);
    for (int i = 0; i < 2 * kSteps; ++i) {
      env_.sleep(random.below(200) * 1000);  // mostly a write finds no lock
      Transaction tx = db.begin(at(Isolation::read_committed, kLongMs));
      const std::string before = text_of(tx.get_for_update("q"));
      for (int looks = 0; looks < 3; ++looks) {
        EXPECT_EQ(text_of(db.get("q")).size(), before.size());
        yield_thread();
      }
    }
  }

  void lock(Database& db, int number) {
    Random random(seed_ * 13 + static_cast<uint64_t>(number));
    for (int i = 0; i < kSteps; ++i) {
      const Status status = db.transact(
          [&](Transaction& tx) -> Status {
            const bool k_first = random.below(2) == 0;
            std::string before;
            if (k_first) {
              const Lookup found = tx.get_for_update("k");
              if (!found.status().ok()) return found.status();
              before = text_of(found);
            }
            const Lookup count = tx.get_for_update("n");
            if (!count) return count.status();
            const int n = std::stoi(std::string(count.value()));
            if (!k_first) {
              const Lookup found = tx.get_for_update("k");
              if (!found.status().ok()) return found.status();
              before = text_of(found);
            }
            for (uint64_t looks = random.below(4); looks > 0; --looks) {
              EXPECT_EQ(text_of(db.get("k")), before);
              EXPECT_EQ(text_of(db.get("n")), std::to_string(n));
              yield_thread();
            }
            EXPECT_TRUE(tx.put("n", std::to_string(n + 1)).ok());
            return random.below(2) == 0 ? tx.put("k", "locked") : Status();
          },
          {.isolation = Isolation::read_committed,
           .timeout_ms = kLongMs,
           .durability = Durability::process,
           .lock_timeout_ms = kLongMs});
      expect_ok(status);
    }
  }

  const uint64_t seed_;
  SimEnv env_;
};

TEST(LockInterleavings, NobodyWritesWhatIsLocked) {
  const uint64_t seeds = uint_from_environment("LIGHTNING_LOCK_SEEDS", kSeedsByDefault);
  const uint64_t first_seed = uint_from_environment("LIGHTNING_LOCK_SEED", 1);
  for (uint64_t i = 0; i < seeds && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("seed " + std::to_string(first_seed + i));
    LockInterleaving(first_seed + i).run();
    count("lock_interleavings", 1);
  }
}

// Sixteen threads that move amounts, each under the locks of two accounts, in any order.
TEST(LockThreads, LoseNoUpdate) {
  constexpr int kThreads = 16;
  constexpr int kRounds = 60;
  constexpr int kAccounts = 6;
  ScratchDirectory scratch;
  Result<Database> db = Database::open(
      scratch.path("db"),
      {.durability = Durability::process, .memory_limit = 16 * MiB, .write_buffer_size = 64 * KiB});
  ASSERT_TRUE(db.ok()) << db.status().to_string();
  const auto account = [](uint64_t number) { return "account" + std::to_string(number); };
  for (int i = 0; i < kAccounts; ++i) ASSERT_TRUE(db->put(account(i), "1000").ok());
  ASSERT_TRUE(db->put("transfers", "0").ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(static_cast<uint64_t>(t) + 1);
      for (int i = 0; i < kRounds; ++i) {
        const std::string from = account(random.below(kAccounts));
        const std::string to = account(random.below(kAccounts));
        const Status status = db->transact(
            [&](Transaction& tx) -> Status {
              const auto add = [&](const std::string& key, int64_t amount) -> Status {
                const Lookup found = tx.get_for_update(key);
                if (!found) return found.status();
                return tx.put(key, std::to_string(std::stoll(std::string(found.value())) + amount));
              };
              if (Status s = add(from, -1); !s.ok()) return s;
              if (Status s = add(to, 1); !s.ok()) return s;
              return add("transfers", 1);
            },
            {.isolation = Isolation::read_committed, .timeout_ms = kLongMs, .lock_timeout_ms = kLongMs});
        ASSERT_TRUE(status.ok()) << status.to_string();
        ASSERT_TRUE(db->add("additions", 1).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t sum = 0;
  for (int i = 0; i < kAccounts; ++i) sum += std::stoll(std::string(db->get(account(i)).value()));
  EXPECT_EQ(sum, 1000 * kAccounts);
  EXPECT_EQ(db->get("transfers").value(), std::to_string(kThreads * kRounds));
  EXPECT_EQ(db->get("additions").value(), std::to_string(kThreads * kRounds));
  EXPECT_EQ(db->transactions()->size(), 0U);
}

}  // namespace
}  // namespace lightning
