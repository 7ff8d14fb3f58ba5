// Transactions: what each level sees, refuses and allows; own writes in front; checks that find what was
// flushed, merged, ingested, removed and range-removed since.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "io/scratch_directory.h"
#include "tests/entries_source.h"

namespace lightning {
namespace {

constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                 Isolation::serializable};

class Transactions : public testing::Test {
 protected:
  Transactions() { open({.durability = Durability::process}); }
  void open(const Options& options) {
    db_ = Database();
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  Transaction begin(Isolation isolation) { return db_.begin({.isolation = isolation}); }
  void put(std::string_view key, std::string_view value) { ASSERT_TRUE(db_.put(key, value).ok()); }
  std::string get(std::string_view key) {
    const Lookup found = db_.get(key);
    return found ? std::string(found.value()) : "-";
  }
  static std::string get(TransactionKeyspace& tx, std::string_view key) {
    const Lookup found = tx.get(key);
    EXPECT_TRUE(found.status().ok()) << found.status().to_string();
    return found ? std::string(found.value()) : "-";
  }
  static std::string all(Scan scan) {
    std::string text;
    for (const Entry& entry : scan) text.append(entry.key()).append("=").append(entry.value()).append(" ");
    EXPECT_TRUE(scan.status().ok()) << scan.status().to_string();
    return text;
  }

  ScratchDirectory scratch_;
  Database db_;
};

TEST_F(Transactions, ShowTheirOwnWritesAndNobodyElses) {
  for (const Isolation level : kLevels) {
    put("a", "1");
    put("b", "2");
    put("d", "4");
    Transaction tx = begin(level);
    ASSERT_TRUE(tx.put("c", "3").ok());
    ASSERT_TRUE(tx.remove("b").ok());
    ASSERT_TRUE(tx.put("d", "5").ok());
    EXPECT_EQ(get(tx, "a") + get(tx, "b") + get(tx, "c") + get(tx, "d"), "1-35");
    EXPECT_EQ(all(tx.scan()), "a=1 c=3 d=5 ");
    EXPECT_EQ(all(tx.scan().reverse()), "d=5 c=3 a=1 ");
    EXPECT_EQ(all(tx.scan("b", "d")), "c=3 ");
    EXPECT_EQ(get("b") + get("c") + get("d"), "2-4");
    std::vector<std::string_view> keys{"a", "b", "c", "d", "e"};
    std::vector<Value> values(5);
    ASSERT_TRUE(tx.get_many(keys, values).ok());
    EXPECT_FALSE(values[1].present());
    EXPECT_EQ(values[2].view(), "3");
    EXPECT_EQ(values[3].view(), "5");
    EXPECT_FALSE(values[4].present());
    ASSERT_TRUE(tx.commit().ok());
    EXPECT_TRUE(tx.commit().is(StatusCode::closed));
    EXPECT_EQ(all(db_.scan()), "a=1 c=3 d=5 ");
    ASSERT_TRUE(db_.remove_range("", "z").ok());
  }
}

TEST_F(Transactions, RemoveRangesOverWhatIsThereAndUnderWhatComes) {
  for (const char* key : {"a", "b", "c", "d", "e"}) put(key, "0");
  Transaction tx = begin(Isolation::serializable);
  ASSERT_TRUE(tx.put("bb", "1").ok());
  ASSERT_TRUE(tx.remove_range("b", "d").ok());
  ASSERT_TRUE(tx.put("c", "2").ok());
  EXPECT_EQ(get(tx, "b") + get(tx, "bb") + get(tx, "c") + get(tx, "d"), "--20");
  EXPECT_EQ(all(tx.scan()), "a=0 c=2 d=0 e=0 ");
  ASSERT_TRUE(tx.remove_range("c", "e").ok());
  EXPECT_EQ(all(tx.scan()), "a=0 e=0 ");
  EXPECT_EQ(all(tx.scan().reverse()), "e=0 a=0 ");
  ASSERT_TRUE(tx.commit().ok());
  EXPECT_EQ(all(db_.scan()), "a=0 e=0 ");
}

TEST_F(Transactions, CursorsFollowTheWritesOfTheirTransaction) {
  for (const char* key : {"b", "d", "f"}) put(key, "0");
  Transaction tx = begin(Isolation::snapshot);
  Cursor cursor = tx.cursor();
  cursor.seek("c");
  ASSERT_EQ(cursor.key(), "d");
  ASSERT_TRUE(tx.put("e", "1").ok());
  ASSERT_TRUE(tx.remove("d").ok());
  EXPECT_EQ(cursor.value(), "0");  // until its next move
  cursor.next();
  ASSERT_EQ(cursor.key(), "e");
  ASSERT_TRUE(tx.remove("e").ok());
  cursor.prev();
  ASSERT_EQ(cursor.key(), "b");
  const Savepoint point = tx.set_savepoint();
  ASSERT_TRUE(tx.put("c", "2").ok());
  cursor.next();
  ASSERT_EQ(cursor.key(), "c");
  ASSERT_TRUE(tx.rollback_to(point).ok());
  EXPECT_EQ(cursor.value(), "2");
  cursor.next();
  ASSERT_EQ(cursor.key(), "f");
  ASSERT_TRUE(tx.commit().ok());
  cursor.next();
  EXPECT_FALSE(cursor.valid());
  EXPECT_TRUE(cursor.status().is(StatusCode::closed));
}

TEST_F(Transactions, SeveralKeyspacesTakeEffectAtOnce) {
  Result<Keyspace> accounts = db_.keyspace("accounts");
  ASSERT_TRUE(accounts);
  ASSERT_TRUE(accounts->put("x", "1").ok());
  Transaction tx = begin(Isolation::serializable);
  TransactionKeyspace in = tx.in(*accounts);
  EXPECT_EQ(get(in, "x"), "1");
  ASSERT_TRUE(in.put("y", "2").ok());
  ASSERT_TRUE(tx.put("x", "default").ok());
  EXPECT_EQ(all(in.scan()), "x=1 y=2 ");
  EXPECT_EQ(all(tx.scan()), "x=default ");
  EXPECT_EQ(all(in.scan().reverse()), "y=2 x=1 ");
  ASSERT_TRUE(tx.commit().ok());
  EXPECT_EQ(all(accounts->scan()), "x=1 y=2 ");
  // A write into a dropped one fails as a whole.
  Transaction late = begin(Isolation::snapshot);
  ASSERT_TRUE(late.in(*accounts).put("z", "3").ok());
  ASSERT_TRUE(late.put("late", "1").ok());
  ASSERT_TRUE(db_.drop_keyspace("accounts").ok());
  EXPECT_FALSE(late.commit().ok());
  EXPECT_EQ(get("late"), "-");
}

// What happens between a transaction's moment and its commit, by which the check must find it wherever it is.
struct Between {
  const char* name;
  void (*happens)(Database& db);
};
void flush(Database& db) { ASSERT_TRUE(db.flush().ok()); }
void compact(Database& db) { ASSERT_TRUE(db.compact().ok()); }
constexpr Between kPlaces[] = {
    {"memory", [](Database&) {}},
    {"flushed", [](Database& db) { flush(db); }},
    {"flushed, and a new memtable",
     [](Database& db) {
       flush(db);
       ASSERT_TRUE(db.put("elsewhere", "1").ok());
     }},
    {"merged", [](Database& db) { compact(db); }},
    {"merged twice",
     [](Database& db) {
       compact(db);
       ASSERT_TRUE(db.put("elsewhere", "1").ok());
       flush(db);
       compact(db);
     }},
    {"log that is too long to look through",
     [](Database& db) {
       for (int i = 0; i < 3000; ++i)
         ASSERT_TRUE(db.put("zz" + std::to_string(i), std::string(100, 'v')).ok());
     }},
};
struct Change {
  const char* name;
  void (*makes)(Database& db);  // to key "k"
};
constexpr Change kChanges[] = {
    {"put", [](Database& db) { ASSERT_TRUE(db.put("k", "2").ok()); }},
    {"put of a value that stays in its file",
     [](Database& db) { ASSERT_TRUE(db.put("k", std::string(1 * MiB, 'v')).ok()); }},
    {"remove", [](Database& db) { ASSERT_TRUE(db.remove("k").ok()); }},
    {"put and remove",
     [](Database& db) {
       ASSERT_TRUE(db.put("k", "2").ok());
       ASSERT_TRUE(db.remove("k").ok());
     }},
    {"put, flush, remove",
     [](Database& db) {
       ASSERT_TRUE(db.put("k", "2").ok());
       flush(db);
       ASSERT_TRUE(db.remove("k").ok());
     }},
    {"range removal", [](Database& db) { ASSERT_TRUE(db.remove_range("j", "l").ok()); }},
    {"put and range removal",
     [](Database& db) {
       ASSERT_TRUE(db.put("k", "2").ok());
       ASSERT_TRUE(db.remove_range("j", "l").ok());
     }},
    {"ingestion",
     [](Database& db) {
       EntriesSource source(EntriesSource::Entries{{"k", "2"}});
       ASSERT_TRUE(db.ingest(source));
     }},
    {"transaction",
     [](Database& db) {
       Transaction tx = db.begin();
       ASSERT_TRUE(tx.put("k", "2").ok());
       ASSERT_TRUE(tx.commit().ok());
     }},
};

TEST_F(Transactions, ChecksFindEveryChangeWhereverItWent) {
  for (const bool there : {false, true}) {
    for (const Change& change : kChanges) {
      for (const Between& place : kPlaces) {
        for (const Isolation level :
             {Isolation::repeatable_read, Isolation::snapshot, Isolation::serializable}) {
          for (const bool by_range : {false, true}) {
            if (by_range && level != Isolation::serializable) continue;
            ASSERT_TRUE(db_.remove_range("", "zzzzz").ok());
            if (there) put("k", "1");
            Transaction tx = begin(level);
            if (level == Isolation::snapshot) {
              ASSERT_TRUE(tx.put("k", "mine").ok());
            } else if (by_range) {
              EXPECT_EQ(all(tx.scan("h", "m")), there ? "k=1 " : "");
              ASSERT_TRUE(tx.put("other", "mine").ok());
            } else {
              EXPECT_EQ(get(tx, "k"), there ? "1" : "-");
              ASSERT_TRUE(tx.put("other", "mine").ok());
            }
            ASSERT_NO_FATAL_FAILURE(change.makes(db_));
            ASSERT_NO_FATAL_FAILURE(place.happens(db_));
            const Status status = tx.commit();
            // A range removal over an absent key changes nothing: it may be forgotten (docs/transactions.md).
            const bool nothing_changed = !there && std::string(change.name) == "range removal";
            if (!nothing_changed || status.ok() == false) {
              EXPECT_TRUE(status.is(StatusCode::conflict))
                  << change.name << ", " << place.name << ", " << isolation_name(level) << ", there " << there
                  << ", by range " << by_range << ": " << status.to_string();
              // Of a range removal the first key of what it is over.
              EXPECT_NE(status.message().find_first_of("jk", status.message().find('"')), std::string::npos)
                  << change.name << ", " << place.name << ": " << status.to_string();
            }
          }
        }
      }
    }
  }
}

// Nothing that lies before the moment, or beside, is a conflict.
TEST_F(Transactions, ChecksFindNothingWhereNothingChanged) {
  for (const Between& place : kPlaces) {
    for (const Isolation level : kLevels) {
      ASSERT_TRUE(db_.remove_range("", "zzzzz").ok());
      put("k", "1");
      put("m", "1");
      ASSERT_TRUE(db_.remove("m").ok());
      put("p", std::string(1 * MiB, 'v'));
      flush(db_);
      put("l", "1");
      put("l", "2");
      Transaction tx = begin(level);
      EXPECT_EQ(get(tx, "k"), "1");
      EXPECT_EQ(get(tx, "m"), "-");
      EXPECT_EQ(get(tx, "p").size(), 1 * MiB);
      EXPECT_EQ(all(tx.scan("k", "n")), "k=1 l=2 ");
      EXPECT_EQ(all(tx.scan("k", "n").reverse().limit(1)), "l=2 ");
      ASSERT_TRUE(tx.put("k", "mine").ok());
      ASSERT_TRUE(tx.remove_range("ka", "kz").ok());
      put("n", "beside");
      put("jz", "beside");
      ASSERT_TRUE(db_.remove_range("n", "o").ok());
      ASSERT_NO_FATAL_FAILURE(place.happens(db_));
      const Status status = tx.commit();
      EXPECT_TRUE(status.ok()) << place.name << ", " << isolation_name(level) << ": " << status.to_string();
      EXPECT_EQ(get("k"), "mine");
    }
  }
}

TEST_F(Transactions, EachLevelAllowsWhatItSays) {
  put("x", "0");
  put("y", "0");
  // A lost update: read committed alone.
  for (const Isolation level : kLevels) {
    Transaction a = begin(level);
    Transaction b = begin(level);
    EXPECT_EQ(get(a, "x"), get(b, "x"));
    ASSERT_TRUE(a.put("x", "a").ok());
    ASSERT_TRUE(b.put("x", "b").ok());
    ASSERT_TRUE(a.commit().ok());
    EXPECT_EQ(b.commit().ok(), level == Isolation::read_committed) << isolation_name(level);
  }
  // Write skew: read committed and snapshot.
  for (const Isolation level : kLevels) {
    Transaction a = begin(level);
    Transaction b = begin(level);
    (void)get(a, "x");
    (void)get(b, "y");
    ASSERT_TRUE(a.put("y", "a").ok());
    ASSERT_TRUE(b.put("x", "b").ok());
    ASSERT_TRUE(a.commit().ok());
    const bool allowed = level == Isolation::read_committed || level == Isolation::snapshot;
    EXPECT_EQ(b.commit().ok(), allowed) << isolation_name(level);
  }
  // A phantom: all but serializable.
  for (const Isolation level : kLevels) {
    ASSERT_TRUE(db_.remove_range("p", "q").ok());
    Transaction a = begin(level);
    Transaction b = begin(level);
    EXPECT_EQ(all(a.scan_prefix("p")) + all(b.scan_prefix("p")), "");
    ASSERT_TRUE(a.put("p1", "a").ok());
    ASSERT_TRUE(b.put("p2", "b").ok());
    ASSERT_TRUE(a.commit().ok());
    EXPECT_EQ(b.commit().ok(), level != Isolation::serializable) << isolation_name(level);
  }
  // A key read twice: read committed sees another value.
  for (const Isolation level : kLevels) {
    put("x", "0");
    Transaction a = begin(level);
    EXPECT_EQ(get(a, "x"), "0");
    put("x", "1");
    EXPECT_EQ(get(a, "x"), level == Isolation::read_committed ? "1" : "0") << isolation_name(level);
    EXPECT_TRUE(a.commit().ok());  // it wrote nothing
  }
}

TEST_F(Transactions, RangeRemovalsAreChecked) {
  for (const char* key : {"a", "b", "c"}) put(key, "0");
  for (int variant = 0; variant < 3; ++variant) {
    Transaction tx = begin(Isolation::snapshot);
    ASSERT_TRUE(tx.remove_range("b", "d").ok());
    if (variant == 0) put("bb", "1");
    if (variant == 1) {
      ASSERT_TRUE(db_.remove_range("a", "bb").ok());
    }
    if (variant == 2) put("d", "1");
    EXPECT_EQ(tx.commit().ok(), variant == 2) << variant;
  }
}

TEST_F(Transactions, ConflictsLeaveNothingBehindAcrossAReopening) {
  put("x", "0");
  Transaction tx = begin(Isolation::serializable);
  EXPECT_EQ(get(tx, "x"), "0");
  ASSERT_TRUE(tx.put("y", std::string(3000, 'y')).ok());
  put("x", "1");
  EXPECT_TRUE(tx.commit().is(StatusCode::conflict));
  put("z", "2");
  open({.durability = Durability::process});
  EXPECT_EQ(all(db_.scan()), "x=1 z=2 ");
}

TEST_F(Transactions, LimitsSayWhatTheyAre) {
  open({.durability = Durability::process,
        .memory_limit = 4 * MiB,
        .write_buffer_size = 1 * MiB,
        .max_active_transactions = 2});
  {
    Transaction tx = begin(Isolation::snapshot);
    Status status;
    int written = 0;
    while (status.ok() && written < 100)
      status = tx.put("k" + std::to_string(written++), std::string(100'000, 'v'));
    EXPECT_TRUE(status.is(StatusCode::out_of_memory)) << status.to_string();
    EXPECT_GT(written, 5);
    ASSERT_TRUE(tx.commit().ok());  // without the last
    EXPECT_EQ(get("k" + std::to_string(written - 1)), "-");
    EXPECT_EQ(get("k0").size(), 100'000u);
  }
  Transaction a = begin(Isolation::snapshot);
  Transaction b = begin(Isolation::serializable);
  Transaction c = begin(Isolation::snapshot);
  EXPECT_TRUE(c.status().is(StatusCode::busy));
  EXPECT_TRUE(c.put("a", "b").is(StatusCode::busy));
  Result<std::vector<TransactionInfo>> list = db_.transactions();
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].id, a.id());
  EXPECT_EQ((*list)[1].isolation, Isolation::serializable);
  a.abort();
  EXPECT_TRUE(begin(Isolation::snapshot).status().ok());
  Transaction reader = db_.begin({.read_only = true});
  EXPECT_TRUE(reader.put("a", "b").is(StatusCode::invalid_argument));
}

TEST_F(Transactions, AnswerClosedAfterTheirEnd) {
  Transaction tx = begin(Isolation::snapshot);
  Transaction other = begin(Isolation::serializable);
  Transaction moved = std::move(tx);
  EXPECT_TRUE(tx.put("a", "b").is(StatusCode::closed));  // NOLINT: what a moved-from one answers
  EXPECT_TRUE(moved.put("a", "b").ok());
  Cursor cursor = moved.cursor();
  ASSERT_TRUE(db_.close().ok());
  EXPECT_TRUE(moved.get("a").status().is(StatusCode::closed));
  EXPECT_TRUE(moved.commit().is(StatusCode::closed));
  EXPECT_TRUE(other.commit().is(StatusCode::closed));
  cursor.seek_first();
  EXPECT_TRUE(cursor.status().is(StatusCode::closed));
  EXPECT_TRUE(db_.begin().status().is(StatusCode::closed));
}

TEST_F(Transactions, TransactRetriesUntilItIsFirst) {
  ASSERT_TRUE(db_.put("n", "0").ok());
  int tries = 0;
  Result<int> answer = db_.transact([&](Transaction& tx) -> Result<int> {
    const Lookup found = tx.get("n");
    const int n = std::stoi(std::string(found.value()));
    if (++tries < 4) {
      EXPECT_TRUE(db_.put("n", std::to_string(n + 10)).ok());
    }
    if (Status status = tx.put("n", std::to_string(n + 1)); !status.ok()) return status;
    return n + 1;
  });
  ASSERT_TRUE(answer) << answer.status().to_string();
  EXPECT_EQ(*answer, 31);
  EXPECT_EQ(get("n"), "31");
  EXPECT_EQ(tries, 4);
  // An error of the caller's is not tried again, and nothing is written.
  const Status refused = db_.transact([&](Transaction& tx) {
    EXPECT_TRUE(tx.put("n", "lost").ok());
    return Status(StatusCode::invalid_argument, "no");
  });
  EXPECT_EQ(refused.message(), "no");
  EXPECT_EQ(get("n"), "31");
  // Without time left a conflict comes through.
  const Status conflict = db_.transact(
      [&](Transaction& tx) {
        (void)tx.get("n");
        EXPECT_TRUE(db_.put("n", "0").ok());
        return tx.put("n", "1");
      },
      {.timeout_ms = 0});
  EXPECT_TRUE(conflict.is(StatusCode::conflict));
}

TEST_F(Transactions, OneKeyCallsDecideByWhatIsThere) {
  EXPECT_TRUE(db_.put_if_absent("k", "1").ok());
  EXPECT_TRUE(db_.put_if_absent("k", "2").is(StatusCode::already_exists));
  EXPECT_TRUE(db_.compare_and_set("k", "2", "3").is(StatusCode::conflict));
  EXPECT_TRUE(db_.compare_and_set("k", "1", "3").ok());
  EXPECT_EQ(get("k"), "3");
  EXPECT_TRUE(db_.compare_and_set("k", std::nullopt, "4").is(StatusCode::conflict));
  EXPECT_TRUE(db_.compare_and_set("k", "3", std::nullopt).ok());
  EXPECT_EQ(get("k"), "-");
  EXPECT_TRUE(db_.compare_and_set("k", std::nullopt, "").ok());
  EXPECT_EQ(get("k"), "");
  Result<int64_t> sum = db_.add("n", 5);
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum, 5);
  sum = db_.add("n", -12);
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum, -7);
  EXPECT_EQ(get("n"), "-7");
  EXPECT_TRUE(db_.add("k", 1).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.add("n", INT64_MIN).status().is(StatusCode::invalid_argument));
  ASSERT_TRUE(db_.update("k",
                         [](std::optional<std::string_view> now) {
                           return std::optional<std::string>(now ? std::string(*now) + "!" : "none");
                         })
                  .ok());
  EXPECT_EQ(get("k"), "!");
  ASSERT_TRUE(
      db_.update("k", [](std::optional<std::string_view>) { return std::optional<std::string>(); }).ok());
  EXPECT_EQ(get("k"), "-");
}

TEST_F(Transactions, OneKeyCallsSeeWhatWasFlushedMeanwhile) {
  for (const Between& place : kPlaces) {
    ASSERT_TRUE(db_.put("n", "1").ok());
    bool first = true;
    ASSERT_TRUE(db_.update("n",
                           [&](std::optional<std::string_view> now) {
                             const std::string seen(now.value_or("none"));
                             if (first) {
                               first = false;
                               EXPECT_TRUE(db_.put("n", "2").ok());
                               place.happens(db_);
                             }
                             return std::optional<std::string>(seen + "+");
                           })
                    .ok());
    EXPECT_EQ(get("n"), "2+") << place.name;
  }
}

TEST_F(Transactions, ExpiryIsJudgedByOneMoment) {
  ASSERT_TRUE(db_.put("k", "1", {.ttl_ms = 3'600'000}).ok());
  Transaction tx = begin(Isolation::serializable);
  EXPECT_EQ(get(tx, "k"), "1");
  EXPECT_EQ(all(tx.scan()), "k=1 ");
  ASSERT_TRUE(tx.put("t", "1", 3'600'000).ok());
  ASSERT_TRUE(tx.commit().ok());
  Cursor cursor = db_.cursor();
  cursor.seek("t");
  ASSERT_TRUE(cursor.valid());
  EXPECT_NE(cursor.expiry_ms(), 0u);
}

// More than a segment holds: it gets one of its own.
TEST_F(Transactions, OversizedCommitsAreCheckedToo) {
  open({.durability = Durability::process, .memory_limit = 256 * MiB, .write_buffer_size = 1 * MiB});
  for (const bool conflict : {false, true}) {
    for (const Isolation level : {Isolation::snapshot, Isolation::serializable}) {
      put("k", "0");
      Transaction tx = begin(level);
      EXPECT_EQ(get(tx, "k"), "0");
      ASSERT_TRUE(tx.put("k", "1").ok());
      ASSERT_TRUE(tx.put("large", std::string(5 * MiB, conflict ? 'c' : 'l')).ok());
      if (conflict) put("k", "other");
      const Status status = tx.commit();
      EXPECT_EQ(status.ok(), !conflict) << status.to_string();
      EXPECT_EQ(get("k"), conflict ? "other" : "1");
      EXPECT_EQ(get("large")[0], 'l');
    }
  }
}

TEST_F(Transactions, CountersOfManyThreadsLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kAdds = 500;
  ASSERT_TRUE(db_.put("a", "0").ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kAdds; ++i) {
        EXPECT_TRUE(db_.add("n", 1));
        const Status status = db_.transact([](Transaction& tx) {
          const Lookup now = tx.get("a");
          return tx.put("a", std::to_string(std::stoi(std::string(now.value())) + 1));
        });
        EXPECT_TRUE(status.ok()) << status.to_string();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(get("n"), std::to_string(kThreads * kAdds));
  EXPECT_EQ(get("a"), std::to_string(kThreads * kAdds));
}

}  // namespace
}  // namespace lightning
