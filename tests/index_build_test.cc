// Indexes that are built and dropped beside writes: at chosen moments, which a function of an index makes,
// and at any.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                 Isolation::serializable};
constexpr int kMoreThanASlice = 600;

IndexDefinition by_words(std::string name, bool unique) {
  return {.name = std::move(name),
          .key = {IndexField::by_function("words", "", KeyType::text)},
          .unique = unique,
          .covered = {IndexField::whole_value()}};
}
// Calls watch_() with its name and the value.
IndexDefinition watched(const std::string& name, bool unique) {
  return {.name = name, .key = {IndexField::by_function("watched", name, KeyType::text)}, .unique = unique};
}

class IndexBuilds : public testing::Test {
 protected:
  IndexBuilds() { open(); }
  void open() {
    db_ = Database();
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 64 << 10;  // so that a slice has few rows
    options.extractors.push_back({"watched", [this](std::string_view, std::string_view value,
                                                    std::string_view name, FieldValues& out) {
                                    if (watch_) watch_(std::string(name) + " " + std::string(value));
                                    out.add(value);
                                  }});
    options.extractors.push_back(
        {"words", [](std::string_view, std::string_view value, std::string_view, FieldValues& out) {
           for (size_t at = 0; at < value.size();) {
             const size_t end = std::min(value.size(), value.find(' ', at));
             if (end > at) out.add(value.substr(at, end - at));
             at = end + 1;
           }
         }});
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void make(const IndexDefinition& definition) {
    ASSERT_EQ(db_.create_index(definition).to_string(), "ok");
    ASSERT_EQ(db_.wait_for_index(definition.name).to_string(), "ok");
  }
  void put(std::string_view key, std::string_view value) { ASSERT_EQ(db_.put(key, value).to_string(), "ok"); }
  void put_many(const std::string& prefix) {
    WriteBatch batch;
    for (int i = 0; i < kMoreThanASlice; ++i)
      batch.put(prefix + std::to_string(i), prefix + " " + std::to_string(i));
    ASSERT_EQ(db_.write(batch).to_string(), "ok");
  }
  void put_expired(std::string_view key, std::string_view value) {
    ASSERT_EQ(db_.put(key, value, {.ttl_ms = 1}).to_string(), "ok");
    while (db_.get(key)) std::this_thread::yield();
  }
  // The row that has a key of a unique index.
  std::string owner(std::string_view index, std::string_view key) {
    std::string primary;
    const Lookup found = db_.index(index).get(ordered_key(key), {}, &primary);
    EXPECT_TRUE(found.status().ok()) << found.status().to_string();
    return found ? primary : "none";
  }
  void expect_sound() {
    Result<VerifyReport> report = db_.verify();
    ASSERT_TRUE(report.ok()) << report.status().to_string();
    for (const Finding& finding : report->findings) ADD_FAILURE() << finding.what;
  }

  ScratchDirectory scratch_;
  std::function<void(const std::string&)> watch_;
  Database db_;
};

// Of two rows with one key one has expired; when that is written its key stays the other's.
TEST_F(IndexBuilds, GiveTheKeysOfExpiredRowsToOthers) {
  for (const bool expired_first : {true, false}) {
    const std::string expired(expired_first ? "a" : "b");
    const std::string other(expired_first ? "b" : "a");
    put_expired(expired, "x");
    put(other, "x");
    make(by_words("u", true));
    EXPECT_EQ(owner("u", "x"), other);
    put(expired, "y");
    EXPECT_EQ(owner("u", "x"), other);
    expect_sound();
    ASSERT_TRUE(db_.drop_index("u").ok());
    ASSERT_TRUE(db_.remove_range("a", "z").ok());
  }
}

// A merge may give an expired row up before its entry, whose key then stands for a row that was written anew.
TEST_F(IndexBuilds, OfUniqueIndexesLeaveARowThatCameAfterAnExpiredOne) {
  make(watched("u", true));
  for (const bool in_transaction : {false, true}) {
    // So much that nothing else is merged because of what has expired.
    for (const char* const prefix : {"c", "d", "e", "f"}) put_many(prefix);
    ASSERT_EQ(db_.compact().to_string(), "ok");
    for (int i = 0; i < 20; ++i) put("g" + std::to_string(i), "g" + std::to_string(i));
    ASSERT_EQ(db_.put("a", "x", {.ttl_ms = 300}).to_string(), "ok");
    ASSERT_EQ(db_.flush().to_string(), "ok");
    while (db_.get("a")) std::this_thread::yield();
    ASSERT_EQ(db_.compact_range("a", "b").to_string(), "ok");
    put("a", "y");
    expect_sound();
    if (in_transaction) {
      Transaction tx = db_.begin();
      ASSERT_EQ(tx.put("b", "x").to_string(), "ok");
      ASSERT_EQ(tx.commit().to_string(), "ok");
    } else {
      put("b", "x");
    }
    EXPECT_TRUE(db_.get("a"));
    EXPECT_EQ(owner("u", "x"), "b");
    EXPECT_EQ(owner("u", "y"), "a");
    expect_sound();
    ASSERT_TRUE(db_.remove_range("a", "z").ok());
  }
}

TEST_F(IndexBuilds, OfUniqueIndexesTakeAllKeysOfAnExpiredRow) {
  make(by_words("u", true));
  put_expired("a", "p q r");
  put("b", "p q p");
  EXPECT_EQ(owner("u", "p"), "b");
  EXPECT_EQ(owner("u", "r"), "none");
  put("a", "r r s");
  expect_sound();
  put("b", "q");
  EXPECT_EQ(owner("u", "p"), "none");
  expect_sound();
}

// A transaction does not see that the build has given the key of its row to another one.
TEST_F(IndexBuilds, KeepAnEntryThatATransactionWouldTakeForItsOwn) {
  for (const Isolation level : kLevels) {
    std::atomic<bool> reached{false};
    std::atomic<bool> open{false};
    watch_ = [&](const std::string& seen) {
      if (seen != "u gate") return;
      reached = true;
      while (!open) std::this_thread::yield();
    };
    put("a", "x");
    put_many("b");
    put("m", "gate");
    for (const char* const prefix : {"n", "o"}) put_many(prefix);
    put("z", "x");
    Transaction tx = db_.begin({.isolation = level});
    ASSERT_TRUE(tx.put("z", "y").ok());
    ASSERT_EQ(db_.create_index(watched("u", true)).to_string(), "ok");
    while (!reached) std::this_thread::yield();
    const Status status = tx.commit();
    if (!status.ok()) {
      EXPECT_TRUE(status.is(StatusCode::conflict)) << status.to_string();
      put("z", "y");
    }
    open = true;
    EXPECT_EQ(db_.wait_for_index("u").to_string(), "ok");
    EXPECT_EQ(owner("u", "x"), "a");
    expect_sound();
    watch_ = nullptr;
    ASSERT_TRUE(db_.drop_index("u").ok());
    ASSERT_TRUE(db_.remove_range("a", "zz").ok());
  }
}

// Between the look at who has a key and the commit the other row goes, and the build enters the row.
TEST_F(IndexBuilds, NoticeThatAnEntryBecameTheRowsOwn) {
  make(watched("w", false));
  put("a", "x");
  put_many("b");
  put("m", "gate");
  for (const char* const prefix : {"n", "o"}) put_many(prefix);
  put("z", "x");
  std::atomic<bool> reached{false};
  std::atomic<bool> open{false};
  watch_ = [&](const std::string& seen) {
    if (seen == "u gate") {
      reached = true;
      while (!open) std::this_thread::yield();
    } else if (seen == "w y" && !open) {
      EXPECT_EQ(db_.remove("a").to_string(), "ok");
      open = true;
      EXPECT_EQ(db_.wait_for_index("u").to_string(), "ok");
    }
  };
  ASSERT_EQ(db_.create_index(watched("u", true)).to_string(), "ok");
  while (!reached) std::this_thread::yield();
  put("z", "y");
  EXPECT_EQ(owner("u", "x"), "none");
  EXPECT_EQ(owner("u", "y"), "z");
  expect_sound();
  watch_ = nullptr;
}

// An index goes while a write asks it.
TEST_F(IndexBuilds, ThatAreDroppedStopNoWrites) {
  make(watched("a", false));
  for (const bool in_transaction : {false, true}) {
    make(by_words("b", true));
    bool dropped = false;
    watch_ = [&](const std::string& seen) {
      if (seen != "a x" || dropped) return;
      dropped = true;
      EXPECT_EQ(db_.drop_index("b").to_string(), "ok");
    };
    if (in_transaction) {
      Transaction tx = db_.begin();
      EXPECT_EQ(tx.put("k", "x").to_string(), "ok");
      EXPECT_EQ(tx.commit().to_string(), "ok");
    } else {
      put("k", "x");
    }
    EXPECT_TRUE(dropped);
    ASSERT_TRUE(db_.remove("k").ok());
    expect_sound();
  }
  watch_ = nullptr;
}

// Each look at a row changes the next one: only a slice of few rows is not overtaken.
TEST_F(IndexBuilds, AreNotStoppedByRowsThatAlwaysChange) {
  put_many("k");
  put("y", "hot");
  put("z", "0");
  int writes = 0;
  watch_ = [&](const std::string& seen) {
    if (seen == "w hot") put("z", std::to_string(++writes));
  };
  make(watched("w", false));
  EXPECT_GT(writes, 1);
  expect_sound();
  watch_ = nullptr;
}

// Between the reading of many rows and the ingestion of their entries one goes, one comes, one changes.
TEST_F(IndexBuilds, OfManyRowsNoticeWhatChangesMeanwhile) {
  for (const bool unique : {false, true}) {
    for (const char* const prefix : {"a", "b", "c"}) put_many(prefix);
    put("c", "gate");
    bool changed = false;
    watch_ = [&](const std::string& seen) {
      if (seen != "w gate" || std::exchange(changed, true)) return;
      EXPECT_EQ(db_.remove("b9").to_string(), "ok");
      put("b9x", "come");
      put("b8", "changed");
    };
    make(watched("w", unique));
    EXPECT_TRUE(changed);
    EXPECT_EQ(*db_.index("w").count("", ""), 3u * kMoreThanASlice + 1);
    expect_sound();
    watch_ = nullptr;
    ASSERT_TRUE(db_.drop_index("w").ok());
    ASSERT_TRUE(db_.remove_range("a", "z").ok());
  }
}

// A row that the build has passed by takes the key of one whose entry is about to be ingested.
TEST_F(IndexBuilds, OfManyRowsDoNotGiveAKeyToTwo) {
  for (const char* const prefix : {"a", "b", "c"}) put_many(prefix);
  put("b", "gate");
  bool taken = false;
  watch_ = [&](const std::string& seen) {
    if (seen == "u gate" && !std::exchange(taken, true)) put("a0", "b 9");
  };
  ASSERT_EQ(db_.create_index(watched("u", true)).to_string(), "ok");
  const Status built = db_.wait_for_index("u");
  EXPECT_TRUE(taken);
  EXPECT_TRUE(built.is(StatusCode::already_exists)) << built.to_string();
  watch_ = nullptr;
}

// What is prepared knows nothing of an index that comes: that waits for its end.
TEST_F(IndexBuilds, ComeBehindWhatIsPrepared) {
  for (const bool reopened : {false, true}) {
    Transaction tx = db_.begin();
    ASSERT_TRUE(tx.put("a", "x").ok());
    ASSERT_EQ(tx.prepare("g").to_string(), "ok");
    if (reopened) open();
    std::thread creator([&] { EXPECT_EQ(db_.create_index(by_words("w", false)).to_string(), "ok"); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(db_.commit_prepared("g").to_string(), "ok");
    creator.join();
    EXPECT_EQ(db_.wait_for_index("w").to_string(), "ok");
    EXPECT_EQ(*db_.index("w").count("", ""), 1u);
    expect_sound();
    ASSERT_TRUE(db_.drop_index("w").ok());
    ASSERT_TRUE(db_.remove("a").ok());
  }
}

TEST_F(IndexBuilds, EndWithTheirDatabaseOrIndex) {
  for (const char* const prefix : {"a", "b", "c", "d"}) put_many(prefix);
  for (int round = 0; round < 4; ++round) {
    ASSERT_EQ(db_.create_index(by_words("w", false)).to_string(), "ok");
    std::thread waiter([keyspace = static_cast<Keyspace>(db_)]() mutable {
      const Status status = keyspace.wait_for_index("w");
      EXPECT_TRUE(status.ok() || status.is(StatusCode::closed) || status.is(StatusCode::not_found))
          << status.to_string();
    });
    if (round % 2 == 0) {
      EXPECT_EQ(db_.close().to_string(), "ok");
      waiter.join();
      open();
      EXPECT_EQ(db_.wait_for_index("w").to_string(), "ok");
      expect_sound();
      EXPECT_EQ(db_.drop_index("w").to_string(), "ok");
    } else {
      EXPECT_EQ(db_.drop_index("w").to_string(), "ok");
      waiter.join();
    }
  }
}

// Words of up to two; most are nobody else's.
std::string random_value(Random& random) {
  std::string value;
  for (uint64_t words = random.below(3); words > 0; --words) value += std::to_string(random.below(400)) + " ";
  return value;
}

Status random_transaction(Database& db, Random& random, const std::string& key, const std::string& other) {
  Transaction tx = db.begin({.isolation = kLevels[random.below(4)]});
  Status status = tx.put(key, random_value(random), random.chance(0.3) ? 5 : 0);
  if (random.chance(0.3)) (void)tx.remove_range(other, other + "3");
  const Savepoint point = tx.set_savepoint();
  (void)tx.put(other, random_value(random));
  if (random.chance(0.3)) (void)tx.rollback_to(point);
  if (random.chance(0.3)) (void)tx.remove(key);
  status = tx.commit();
  return status.is(StatusCode::conflict) ? Status() : status;
}

Status random_write(Database& db, Random& random) {
  const std::string key = "k" + std::to_string(random.below(2000));
  const std::string other = "k" + std::to_string(random.below(2000));
  const WriteOptions options{.ttl_ms = random.chance(0.3) ? 1 + random.below(20) : 0};
  switch (random.below(9)) {
    case 0:
      return db.put(key, random_value(random), options);
    case 1:
      return db.remove(key);
    case 2: {
      WriteBatch batch;
      batch.put(key, random_value(random));
      batch.put(other, random_value(random));
      return db.write(batch);
    }
    case 3:
      return db.remove_range(key, key + "5");
    case 4: {
      const Status status = db.put_if_absent(key, random_value(random), options);
      return status.is(StatusCode::already_exists) ? Status() : status;
    }
    case 5:
      return db.update(key, [&](auto) { return std::optional<std::string>(random_value(random)); });
    default:
      return random_transaction(db, random, key, other);
  }
}

// The words of all rows that a transaction sees, with their rows.
std::multimap<std::string, std::string> words_of_rows(Transaction& tx) {
  std::multimap<std::string, std::string> words;
  Scan scan = tx.scan();
  while (scan.advance()) {
    std::set<std::string> mine;
    std::istringstream value{std::string(scan.entry().value())};
    for (std::string word; value >> word;) mine.insert(word);
    for (const std::string& word : mine) words.emplace(word, scan.entry().key());
  }
  EXPECT_EQ(scan.status().to_string(), "ok");
  return words;
}

std::multimap<std::string, std::string> words_by_index(Transaction& tx, std::string_view index) {
  std::vector<std::pair<std::string, std::string>> found;
  IndexScan scan = tx.index(index).all();
  while (scan.advance()) {
    KeyReader reader(scan.key());
    KeyPart part;
    EXPECT_TRUE(reader.next(&part));
    found.emplace_back(part.text, scan.primary_key());
  }
  EXPECT_EQ(scan.status().to_string(), "ok");
  std::sort(found.begin(), found.end());
  return {found.begin(), found.end()};
}

Status random_own_write(Transaction& tx, Random& random, std::vector<Savepoint>* points) {
  const std::string key = "k" + std::to_string(random.below(30));
  const std::string other = "k" + std::to_string(random.below(30));
  switch (random.below(7)) {
    case 0:
      return tx.remove(key);
    case 1:
      return tx.remove_range(std::min(key, other), std::max(key, other));
    case 2:
      points->push_back(tx.set_savepoint());
      return {};
    case 3:
      return points->empty() ? Status() : tx.rollback_to(points->back());
    default:
      return tx.put(key, random_value(random));
  }
}

// Whatever a transaction wrote, by whatever index, with others writing beside it.
TEST_F(IndexBuilds, AgreeWithTheRowsThatATransactionSees) {
  Random random(3);
  IndexDefinition by_hash = by_words("hash", false);
  by_hash.kind = IndexKind::hash;
  for (const IndexDefinition& definition : {by_words("unique", true), by_words("any", false), by_hash})
    make(definition);
  int commits = 0;
  for (int round = 0; round < 200; ++round) {
    Transaction tx = db_.begin({.isolation = kLevels[1 + random.below(3)]});
    std::vector<Savepoint> points;
    for (uint64_t left = 1 + random.below(12); left > 0; --left) {
      const Status status = random.chance(0.2) ? db_.put("k" + std::to_string(left), random_value(random))
                                               : random_own_write(tx, random, &points);
      ASSERT_TRUE(status.ok() || status.is(StatusCode::already_exists)) << status.to_string();
      for (const char* const name : {"unique", "any", "hash"})
        ASSERT_EQ(words_by_index(tx, name), words_of_rows(tx)) << name << " in round " << round;
    }
    const Status status = tx.commit();
    ASSERT_TRUE(status.ok() || status.is(StatusCode::conflict) || status.is(StatusCode::already_exists))
        << status.to_string();
    commits += status.ok() ? 1 : 0;
  }
  EXPECT_GT(commits, 50);
  expect_sound();
}

TEST_F(IndexBuilds, OfUniqueIndexesFollowWritesOfEveryKind) {
  constexpr int kRounds = 6;
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (uint64_t thread = 0; thread < 2; ++thread) {
    writers.emplace_back([&, thread] {
      Random random(thread + 100);
      while (!stop) {
        const Status status = random_write(db_, random);
        ASSERT_TRUE(status.ok() || status.is(StatusCode::already_exists)) << status.to_string();
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_EQ(db_.remove_range("k", "l").to_string(), "ok");  // else two rows have a word already
    EXPECT_EQ(db_.create_index(by_words("unique", true)).to_string(), "ok");
    EXPECT_EQ(db_.create_index(by_words("any", false)).to_string(), "ok");
    const Status built = db_.wait_for_index("unique");
    EXPECT_TRUE(built.ok() || built.is(StatusCode::already_exists)) << built.to_string();
    EXPECT_EQ(db_.wait_for_index("any").to_string(), "ok");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    expect_sound();
    EXPECT_EQ(db_.drop_index("unique").to_string(), "ok");
    EXPECT_EQ(db_.drop_index("any").to_string(), "ok");
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace lightning
