// Indexes where others write between: what transactions count as read and show, and that writes come to an
// end and are refused for good reasons alone.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <sys/mman.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "format/batch_codec.h"
#include "format/internal_key.h"
#include "index/index_writes.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                 Isolation::serializable};

bool validates_reads(Isolation level) {
  return level == Isolation::repeatable_read || level == Isolation::serializable;
}

// Values are "city,number"; the unique index "city" is kept by a function, between whose calls the test may
// have another thread write.
class IndexRaces : public testing::Test {
 protected:
  IndexRaces() {
    Options options;
    options.durability = Durability::process;
    options.extractors.push_back(
        {"city", [this](std::string_view, std::string_view value, std::string_view, FieldValues& out) {
           out.add(value.substr(0, value.find(',')));
           if (between_ && std::this_thread::get_id() == writer_) std::thread(between_).join();
         }});
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    EXPECT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
    EXPECT_TRUE(
        db_.create_index(
               {.name = "city", .key = {IndexField::by_function("city", "", KeyType::text)}, .unique = true})
            .ok());
    EXPECT_EQ(db_.wait_for_index("city").to_string(), "ok");
  }
  void put(std::string_view key, std::string_view value) { ASSERT_EQ(db_.put(key, value).to_string(), "ok"); }
  void put_both(std::string_view a, std::string_view b) {
    WriteBatch batch;
    batch.put("a", a);
    batch.put("b", b);
    ASSERT_EQ(db_.write(batch).to_string(), "ok");
  }
  void clear() { ASSERT_EQ(db_.remove_range("a", "z").to_string(), "ok"); }
  static std::string text(IndexScan scan) {
    std::string text;
    while (scan.advance()) {
      if (!text.empty()) text += " ";
      text.append(scan.primary_key()).append("=").append(scan.value());
    }
    EXPECT_EQ(scan.status().to_string(), "ok");
    return text;
  }
  std::string all() { return text(db_.index("city").all()); }
  void expect_sound() {
    Result<VerifyReport> report = db_.verify();
    ASSERT_TRUE(report.ok()) << report.status().to_string();
    for (const Finding& finding : report->findings) ADD_FAILURE() << finding.what;
  }

  ScratchDirectory scratch_;
  const std::thread::id writer_ = std::this_thread::get_id();
  std::function<void()> between_;  // in another thread, whenever the test's thread makes an entry
  Database db_;
};

// Each is told that the other's key is free, and takes nothing of what it asked for.
TEST_F(IndexRaces, CountAKeyThatWasFreeAsRead) {
  for (const Isolation level : kLevels) {
    SCOPED_TRACE(isolation_name(level));
    Transaction one = db_.begin({.isolation = level});
    Transaction two = db_.begin({.isolation = level});
    const auto ask = [](Transaction& tx, const std::string& city) {
      const Savepoint point = tx.set_savepoint();
      ASSERT_EQ(tx.put("asked", city + ",1").to_string(), "ok");
      ASSERT_TRUE(tx.rollback_to(point).ok());
    };
    ask(one, "Oslo");
    ask(two, "Rome");
    ASSERT_EQ(one.put("a", "Rome,1").to_string(), "ok");
    ASSERT_EQ(two.put("b", "Oslo,1").to_string(), "ok");
    EXPECT_EQ(one.commit().to_string(), "ok");
    EXPECT_EQ(two.commit().is(StatusCode::conflict), validates_reads(level));
    clear();
  }
}

// That it is free since the transaction's own row has left it: this row's having had it is what was read.
TEST_F(IndexRaces, CountAKeyThatARowOfTheTransactionLeftAsRead) {
  for (const Isolation level : kLevels) {
    SCOPED_TRACE(isolation_name(level));
    put("a", "Oslo,1");
    Transaction tx = db_.begin({.isolation = level});
    const Savepoint point = tx.set_savepoint();
    ASSERT_EQ(tx.remove("a").to_string(), "ok");
    ASSERT_EQ(tx.put("b", "Oslo,1").to_string(), "ok");
    ASSERT_TRUE(tx.rollback_to(point).ok());
    ASSERT_EQ(tx.put("c", "Rome,1").to_string(), "ok");
    ASSERT_TRUE(db_.remove("a").ok());
    put("d", "Oslo,1");
    EXPECT_EQ(tx.commit().is(StatusCode::conflict), validates_reads(level));
    clear();
  }
}

/// A keyspace's core, of which its own members alone know.
struct Core : Keyspace {
  static const std::shared_ptr<Engine>& of(const Keyspace& keyspace) { return keyspace.*(&Core::engine_); }
};

// Its sizes have 32 bits where batches are walked: what has more is refused before that.
TEST_F(IndexRaces, RefuseABatchThatIsTooLongUnread) {
  constexpr size_t kValueBytes = (size_t{4} << 30) + 16;
  constexpr uint32_t kNoIndexes = kDefaultKeyspaceId + 70;
  constexpr size_t kPage = 4096;
  constexpr size_t kBytes = kValueBytes + 2 * kPage;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  char* const begin = static_cast<char*>(memory);
  ASSERT_EQ(mprotect(begin + kBytes / kPage * kPage - kPage, kPage, PROT_NONE), 0);
  char* to = begin;
  *to++ = static_cast<char>(EntryKind::put);
  to = put_varint(to, uint64_t{2});
  to = put_varint(to, uint64_t{kValueBytes});
  to = put_keyspace_prefix(to, kNoIndexes);
  *to++ = 'k';
  const size_t length = static_cast<size_t>(to - begin) + kValueBytes;
  // Read as an operation, what follows leads far behind the end.
  to += kValueBytes - (size_t{4} << 30);
  *to++ = static_cast<char>(EntryKind::put);
  to = put_varint(to, uint64_t{kPage});
  to = put_varint(to, uint64_t{UINT32_MAX});
  to = put_keyspace_prefix(to, kNoIndexes);
  const Status refused = IndexWriter(*Core::of(db_)).write({begin, length}, 1, {});
  EXPECT_TRUE(refused.is(StatusCode::invalid_argument)) << refused.to_string();
  munmap(memory, kBytes);
}

// Another thread writes the row whenever its entries were made.
TEST_F(IndexRaces, WritesComeToAnEndThoughOthersAreAlwaysFirst) {
  constexpr int kEnough = 100;
  const auto one = [&] { return db_.put("a", "Rome,1"); };
  const auto batch = [&] {
    WriteBatch both;
    both.remove_range("a", "c");
    both.put("b", "Bern,1");
    return db_.write(both);
  };
  const auto transaction = [&] {
    Transaction tx = db_.begin({.isolation = Isolation::read_committed});
    Status status = tx.put("a", "Rome,2");
    return status.ok() ? tx.commit() : status;
  };
  const auto one_key = [&] {
    return db_.update("a", [](auto) { return std::optional<std::string>("Rome,3"); });
  };
  const std::vector<std::function<Status()>> writes = {one, batch, transaction, one_key};
  for (size_t i = 0; i < writes.size(); ++i) {
    SCOPED_TRACE(i);
    put("a", "Oslo,0");
    int first = 0;
    between_ = [&] {
      if (first == kEnough) return;
      const Status status = db_.put("a", "Oslo," + std::to_string(first), {.timeout_ms = 5});
      first += status.ok() ? 1 : 0;
    };
    EXPECT_EQ(writes[i]().to_string(), "ok");
    between_ = nullptr;
    EXPECT_GT(first, 0);
    EXPECT_LT(first, 10);
  }
  EXPECT_EQ(all(), "b=Bern,1 a=Rome,3");
  expect_sound();
}

// Its key comes and goes whenever its entries were made: that is locked, too, unless the time ends before.
TEST_F(IndexRaces, WritesComeToAnEndThoughTheirKeysComeAndGo) {
  constexpr int kEnough = 50;
  for (const bool in_time : {true, false}) {
    int times = 0;
    between_ = [&] {
      if (++times >= kEnough) return;
      Status status = db_.put("other", "Rome,1", {.timeout_ms = 5});
      if (status.ok()) status = db_.remove("other");
      EXPECT_TRUE(status.ok() || status.is(StatusCode::busy)) << status.to_string();
      std::this_thread::sleep_for(std::chrono::milliseconds(in_time ? 0 : 10));
    };
    const Status status = db_.put("a", "Rome,1", {.timeout_ms = in_time ? uint64_t{60'000} : 5});
    between_ = nullptr;
    EXPECT_EQ(status.code(), in_time ? StatusCode::ok : StatusCode::busy) << status.to_string();
    EXPECT_LT(times, 10);
    clear();
  }
  expect_sound();
}

// What a transaction's own rows have left may be others' since.
TEST_F(IndexRaces, OfReadCommittedTransactionsShowWhoTookAKeyThatTheyLeft) {
  put("a", "Oslo,1");
  put("r", "Nice,1");
  Transaction tx = db_.begin({.isolation = Isolation::read_committed});
  ASSERT_TRUE(tx.put("a", "Rome,1").ok());
  ASSERT_TRUE(tx.put("b", "Kyiv,1").ok());
  ASSERT_TRUE(tx.put("b", "Lyon,1").ok());
  ASSERT_TRUE(tx.remove_range("r", "s").ok());
  EXPECT_EQ(text(tx.index("city").all()), "b=Lyon,1 a=Rome,1");
  put("a", "Bonn,1");
  put("r", "Turin,1");
  put("c", "Oslo,2");
  put("d", "Kyiv,2");
  put("e", "Nice,2");
  EXPECT_EQ(text(tx.index("city").all()), "d=Kyiv,2 b=Lyon,1 e=Nice,2 c=Oslo,2 a=Rome,1");
  EXPECT_EQ(text(tx.index("city").all().reverse()), "a=Rome,1 c=Oslo,2 e=Nice,2 b=Lyon,1 d=Kyiv,2");
  std::string primary;
  EXPECT_TRUE(tx.index("city").get(ordered_key("Oslo"), {}, &primary));
  EXPECT_EQ(primary, "c");
  EXPECT_TRUE(tx.index("city").get(ordered_key("Bonn")).absent());
  EXPECT_TRUE(tx.put("f", "Oslo,3").is(StatusCode::already_exists));
  // Free, since the row that others gave it is the transaction's.
  ASSERT_EQ(tx.put("f", "Bonn,3").to_string(), "ok");
  EXPECT_EQ(text(tx.index("city").find(ordered_key("Bonn"))), "f=Bonn,3");
  // What was left comes back with a savepoint.
  const Savepoint point = tx.set_savepoint();
  ASSERT_EQ(tx.remove("f").to_string(), "ok");
  EXPECT_EQ(text(tx.index("city").find(ordered_key("Bonn"))), "");
  ASSERT_TRUE(tx.rollback_to(point).ok());
  EXPECT_EQ(text(tx.index("city").find(ordered_key("Bonn"))), "f=Bonn,3");
  ASSERT_EQ(tx.commit().to_string(), "ok");
  EXPECT_EQ(all(), "f=Bonn,3 d=Kyiv,2 b=Lyon,1 e=Nice,2 c=Oslo,2 a=Rome,1");
  expect_sound();
}

// The rows are exchanged, and back again, between the reads of a batch that exchanges them.
TEST_F(IndexRaces, LetABatchExchangeKeysWhateverItReadsBetween) {
  put_both("Oslo,1", "Rome,1");
  int entries = 0;
  between_ = [&] {
    ++entries;
    if (entries == 1) put_both("Rome,1", "Oslo,1");
    if (entries == 3) put_both("Oslo,1", "Rome,1");
  };
  put_both("Rome,2", "Oslo,2");
  between_ = nullptr;
  EXPECT_GE(entries, 3);
  EXPECT_EQ(all(), "b=Oslo,2 a=Rome,2");
  expect_sound();
}

// Another row has a key for as long as the transaction does not write that row.
TEST_F(IndexRaces, ExplainNoConflictByARowThatTheTransactionWrites) {
  for (const bool ranges : {false, true}) {
    for (const Isolation level : kLevels) {
      SCOPED_TRACE(isolation_name(level));
      put_both("Bern,1", "Kyiv,1");
      Transaction tx = db_.begin({.isolation = level});
      ASSERT_EQ((ranges ? tx.remove_range("b", "c") : Status()).to_string(), "ok");
      ASSERT_EQ(tx.put("a", "Oslo,1").to_string(), "ok");
      ASSERT_EQ((ranges ? Status() : tx.put("b", "Bern,1")).to_string(), "ok");
      put_both("Kyiv,2", "Oslo,2");
      const Status status = tx.commit();
      if (level == Isolation::read_committed) {
        EXPECT_EQ(status.to_string(), "ok");
        EXPECT_EQ(all(), ranges ? "a=Oslo,1" : "b=Bern,1 a=Oslo,1");
      } else {
        EXPECT_TRUE(status.is(StatusCode::conflict)) << status.to_string();
      }
      clear();
    }
  }
  expect_sound();
}

}  // namespace
}  // namespace lightning
