// Secondary indexes: what they find, what they refuse, that they follow every kind of write, and that they
// are built while writes go on.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "testing/clock_env.h"
#include "testing/random.h"
#include "tests/entries_source.h"

namespace lightning {
namespace {

constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                 Isolation::serializable};

// Values are "city,age" here.
IndexDefinition by_city() { return {.name = "by_city", .key = {IndexField::value_column(0)}}; }
IndexDefinition by_age() {
  return {.name = "by_age",
          .key = {IndexField::value_column(1, KeyType::integer)},
          .covered = {IndexField::value_column(0)}};
}

class Indexes : public testing::Test {
 protected:
  Indexes() { open(); }
  void open(Options options = {}) {
    db_ = Database();
    options.durability = Durability::process;
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void make(const IndexDefinition& definition) {
    ASSERT_EQ(db_.create_index(definition).to_string(), "ok");
    ASSERT_EQ(db_.wait_for_index(definition.name).to_string(), "ok");
  }
  void put(std::string_view key, std::string_view value) { ASSERT_EQ(db_.put(key, value).to_string(), "ok"); }
  // "k1=v1 k2=v2", in the order of the scan.
  static std::string text(IndexScan scan) {
    std::string text;
    while (scan.advance()) {
      if (!text.empty()) text += " ";
      text.append(scan.primary_key()).append("=").append(scan.value());
    }
    EXPECT_EQ(scan.status().to_string(), "ok");
    return text;
  }
  // Names alone.
  static std::string names(IndexScan scan) {
    std::string text;
    while (scan.advance()) text.append(text.empty() ? "" : " ").append(scan.primary_key());
    EXPECT_EQ(scan.status().to_string(), "ok");
    return text;
  }
  void expect_sound(uint64_t entries) {
    Result<VerifyReport> report = db_.verify();
    ASSERT_TRUE(report.ok()) << report.status().to_string();
    for (const Finding& finding : report->findings) ADD_FAILURE() << finding.what;
    EXPECT_EQ(report->index_entries, entries);
  }

  ScratchDirectory scratch_;
  ClockEnv clock_{posix_env()};  // of those who open with it
  Database db_;
};

TEST_F(Indexes, FindWhatWasThereAndWhatComes) {
  put("ann", "Oslo,31");
  put("bob", "Rome,7");
  make(by_city());
  make(by_age());
  put("cid", "Oslo,100");
  put("dan", "Oslo,-4");
  EXPECT_EQ(text(db_.index("by_city").find(ordered_key("Oslo"))), "ann=Oslo,31 cid=Oslo,100 dan=Oslo,-4");
  EXPECT_EQ(names(db_.index("by_age").all()), "dan bob ann cid");
  EXPECT_EQ(names(db_.index("by_age").all().reverse()), "cid ann bob dan");
  EXPECT_EQ(names(db_.index("by_age").range(ordered_key(0), ordered_key(100))), "bob ann");
  EXPECT_EQ(names(db_.index("by_age").range(ordered_key(0), "").limit(2)), "bob ann");
  EXPECT_EQ(names(db_.index("by_city").prefix("R")), "bob");
  EXPECT_EQ(*db_.index("by_age").count(ordered_key(0), ordered_key(50)), 2u);
  std::string primary;
  const Lookup found = db_.index("by_age").get(ordered_key(7), {}, &primary);
  ASSERT_TRUE(found);
  EXPECT_EQ(primary + std::string(found.value()), "bobRome,7");
  EXPECT_TRUE(db_.index("by_age").get(ordered_key(8)).absent());
  // Changes and removals take the old entries away.
  put("bob", "Oslo,8");
  ASSERT_TRUE(db_.remove("ann").ok());
  EXPECT_EQ(names(db_.index("by_city").find(ordered_key("Oslo"))), "bob cid dan");
  EXPECT_EQ(names(db_.index("by_city").find(ordered_key("Rome"))), "");
  EXPECT_EQ(names(db_.index("by_age").find(ordered_key(7))), "");
  expect_sound(6);
  open();
  EXPECT_EQ(names(db_.index("by_age").all()), "dan bob cid");
  put("eve", "Bonn,50");
  EXPECT_EQ(names(db_.index("by_age").all()), "dan bob eve cid");
  expect_sound(8);
}

TEST_F(Indexes, CoveredFieldsAreReadWithoutTheData) {
  make(by_age());
  put("ann", "Oslo,31");
  IndexScan scan = db_.index("by_age").all();
  ASSERT_TRUE(scan.advance());
  KeyReader reader(scan.covered());
  KeyPart part;
  ASSERT_TRUE(reader.next(&part));
  EXPECT_EQ(part.text, "Oslo");
  KeyReader key(scan.key());
  ASSERT_TRUE(key.next(&part));
  EXPECT_EQ(part.integer, 31);
  // The covered field alone changes.
  put("ann", "Rome,31");
  IndexScan again = db_.index("by_age").all();
  ASSERT_TRUE(again.advance());
  KeyReader covered(again.covered());
  ASSERT_TRUE(covered.next(&part));
  EXPECT_EQ(part.text, "Rome");
  EXPECT_FALSE(again.advance());
  expect_sound(1);
}

TEST_F(Indexes, FollowBatchesRangesIngestionsAndSingleKeyCalls) {
  make(by_city());
  WriteBatch batch;
  batch.put("a", "Oslo,1");
  batch.put("b", "Rome,2");
  batch.put("a", "Rome,3");
  batch.put("c", "Oslo,4");
  batch.remove("c");
  ASSERT_EQ(db_.write(batch).to_string(), "ok");
  EXPECT_EQ(text(db_.index("by_city").all()), "a=Rome,3 b=Rome,2");
  // A range removal takes what was there, and a row that is put again the same stays in the index.
  WriteBatch again;
  again.remove_range("a", "c");
  again.put("b", "Rome,2");
  ASSERT_EQ(db_.write(again).to_string(), "ok");
  EXPECT_EQ(text(db_.index("by_city").all()), "b=Rome,2");
  EntriesSource source({{"d", "Oslo,5"}, {"e", "Bonn,6"}});
  const Result<IngestReport> report = db_.ingest(source);
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_EQ(report->entries, 2u);
  EXPECT_EQ(names(db_.index("by_city").all()), "e d b");
  EntriesSource wrong({{"f", "Oslo,5"}, {"e", "Bonn,6"}});
  EXPECT_TRUE(db_.ingest(wrong).status().is(StatusCode::invalid_argument));
  ASSERT_TRUE(db_.compare_and_set("d", "Oslo,5", "Rome,9").ok());
  EXPECT_TRUE(db_.compare_and_set("d", "Oslo,5", "Rome,9").is(StatusCode::conflict));
  ASSERT_TRUE(db_.put_if_absent("g", "Rome,1").ok());
  ASSERT_TRUE(db_.update("b", [](auto) { return std::optional<std::string>("Kyiv,1"); }).ok());
  ASSERT_TRUE(db_.update("e", [](auto) { return std::optional<std::string>(); }).ok());
  ASSERT_TRUE(db_.add("n", 5).ok());
  EXPECT_EQ(text(db_.index("by_city").all()), "n=5 b=Kyiv,1 d=Rome,9 g=Rome,1");
  ASSERT_TRUE(db_.remove_range("b", "e").ok());
  EXPECT_EQ(text(db_.index("by_city").all()), "n=5 g=Rome,1");
  expect_sound(2);
}

TEST_F(Indexes, RefuseAKeyTwice) {
  make({.name = "by_age", .key = {IndexField::value_column(1, KeyType::integer)}, .unique = true});
  put("a", "Oslo,1");
  const Status refused = db_.put("b", "Rome,1");
  EXPECT_TRUE(refused.is(StatusCode::already_exists)) << refused.to_string();
  EXPECT_NE(refused.message().find("the key 1 "), std::string_view::npos) << refused.message();
  EXPECT_NE(refused.message().find("\"a\""), std::string_view::npos) << refused.message();
  EXPECT_TRUE(db_.get("b").absent());
  put("a", "Rome,1");  // its own
  put("b", "Rome,2");
  // Swapped in one commit.
  WriteBatch batch;
  batch.put("a", "x,2");
  batch.put("b", "x,1");
  ASSERT_EQ(db_.write(batch).to_string(), "ok");
  WriteBatch twice;
  twice.put("c", "x,7");
  twice.put("d", "y,7");
  EXPECT_TRUE(db_.write(twice).is(StatusCode::already_exists));
  EXPECT_TRUE(db_.put_if_absent("c", "x,1").is(StatusCode::already_exists));
  EXPECT_EQ(text(db_.index("by_age").all()), "b=x,1 a=x,2");
  std::string primary;
  ASSERT_TRUE(db_.index("by_age").get(ordered_key(2), {}, &primary));
  EXPECT_EQ(primary, "a");
  for (const Isolation level : kLevels) {
    Transaction tx = db_.begin({.isolation = level});
    EXPECT_TRUE(tx.put("c", "x,1").is(StatusCode::already_exists));
    ASSERT_EQ(tx.remove("b").to_string(), "ok");
    ASSERT_EQ(tx.put("c", "x,1").to_string(), "ok");
    EXPECT_EQ(text(tx.index("by_age").all()), "c=x,1 a=x,2");
    // Two transactions that cannot see one another.
    Transaction other = db_.begin({.isolation = level});
    ASSERT_EQ(other.put("z", "x,50").to_string(), "ok");
    ASSERT_EQ(tx.put("y", "x,50").to_string(), "ok");
    ASSERT_EQ(other.commit().to_string(), "ok");
    const Status late = tx.commit();
    EXPECT_TRUE(late.is(StatusCode::already_exists)) << late.to_string();
    ASSERT_TRUE(db_.remove("z").ok());
  }
  EXPECT_EQ(text(db_.index("by_age").all()), "b=x,1 a=x,2");
  expect_sound(2);
}

// In a transaction one of the two has to let go first.
TEST_F(Indexes, LetRowsExchangeTheirKeysInATransaction) {
  make({.name = "by_age", .key = {IndexField::value_column(1, KeyType::integer)}, .unique = true});
  for (const Isolation level : kLevels) {
    put("a", "Oslo,1");
    put("b", "Rome,2");
    Transaction tx = db_.begin({.isolation = level});
    EXPECT_TRUE(tx.put("a", "Oslo,2").is(StatusCode::already_exists));
    ASSERT_EQ(tx.remove("a").to_string(), "ok");
    ASSERT_EQ(tx.put("b", "Rome,1").to_string(), "ok");
    ASSERT_EQ(tx.put("a", "Oslo,2").to_string(), "ok");
    EXPECT_EQ(text(tx.index("by_age").all()), "b=Rome,1 a=Oslo,2");
    ASSERT_EQ(tx.commit().to_string(), "ok");
    EXPECT_EQ(text(db_.index("by_age").all()), "b=Rome,1 a=Oslo,2");
    expect_sound(2);
    ASSERT_TRUE(db_.remove_range("a", "c").ok());
  }
}

TEST_F(Indexes, AreNotBuiltWhereTheDataIsNotUnique) {
  put("a", "Oslo,1");
  put("b", "Rome,1");
  ASSERT_TRUE(db_.create_index({.name = "u", .key = {IndexField::value_column(1)}, .unique = true}).ok());
  const Status failed = db_.wait_for_index("u");
  EXPECT_TRUE(failed.is(StatusCode::already_exists)) << failed.to_string();
  EXPECT_NE(failed.message().find("\"a\" and \"b\""), std::string_view::npos) << failed.message();
  Result<std::vector<IndexInfo>> infos = db_.indexes();
  ASSERT_TRUE(infos && infos->size() == 1);
  EXPECT_EQ((*infos)[0].state, IndexState::failed);
  EXPECT_FALSE((*infos)[0].failure.empty());
  put("c", "Bonn,1");  // kept no more
  EXPECT_TRUE(db_.index("u").get(ordered_key("1")).status().is(StatusCode::already_exists));
  open();
  EXPECT_TRUE(db_.wait_for_index("u").is(StatusCode::already_exists));
  ASSERT_TRUE(db_.drop_index("u").ok());
  EXPECT_TRUE(db_.index("u").get(ordered_key("1")).status().is(StatusCode::not_found));
  EXPECT_TRUE(db_.drop_index("u").is(StatusCode::not_found));
}

TEST_F(Indexes, RefuseOrSkipWhatHasNoField) {
  make({.name = "skips", .key = {IndexField::value_column(1, KeyType::integer)}});
  put("a", "only a city");
  put("b", "Oslo,old");
  put("c", "Oslo,3");
  EXPECT_EQ(names(db_.index("skips").all()), "c");
  ASSERT_TRUE(db_.create_index({.name = "refuses",
                                .key = {IndexField::value_column(1, KeyType::integer)},
                                .missing = MissingField::refuse})
                  .ok());
  EXPECT_TRUE(db_.wait_for_index("refuses").is(StatusCode::invalid_argument));
  ASSERT_TRUE(db_.drop_index("refuses").ok());
  ASSERT_TRUE(db_.remove("a").ok());
  ASSERT_TRUE(db_.remove("b").ok());
  make({.name = "refuses",
        .key = {IndexField::value_column(1, KeyType::integer)},
        .missing = MissingField::refuse});
  EXPECT_TRUE(db_.put("a", "only a city").is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.get("a").absent());
  // A row whose key in the index would be too long.
  EXPECT_TRUE(db_.create_index({.name = "long", .key = {IndexField::whole_value()}}).ok());
  ASSERT_TRUE(db_.wait_for_index("long").ok());
  EXPECT_TRUE(db_.put("a", "x,1" + std::string(70'000, ' ')).is(StatusCode::invalid_argument));
  expect_sound(3);
}

TEST_F(Indexes, AreMadeOfSeveralFieldsOfEveryKind) {
  make({.name = "both", .key = {IndexField::value_column(0), IndexField::value_column(1, KeyType::integer)}});
  make({.name = "of_key", .key = {IndexField::key_column(1)}});
  make({.name = "head", .key = {IndexField::value_bytes(0, 2)}});
  make({.name = "tags", .key = {IndexField::value_column(IndexField::kEveryColumn)}});
  make({.name = "weight", .key = {IndexField::value_column(1, KeyType::floating)}});
  put("u:x", "Oslo,9");
  put("u:y", "Oslo,10");
  put("v:x", "Bonn,-2");
  EXPECT_EQ(names(db_.index("both").find(ordered_key("Oslo"))), "u:x u:y");
  EXPECT_EQ(names(db_.index("both").find(ordered_key("Oslo", 10))), "u:y");
  EXPECT_EQ(names(db_.index("both").range(ordered_key("Bonn", 0), ordered_key("Oslo", 10))), "u:x");
  EXPECT_EQ(names(db_.index("of_key").find(ordered_key("x"))), "u:x v:x");
  EXPECT_EQ(names(db_.index("head").find(KeyWriter().bytes("Os").view())), "u:x u:y");
  EXPECT_EQ(names(db_.index("tags").find(ordered_key("Oslo"))), "u:x u:y");
  EXPECT_EQ(names(db_.index("tags").find(ordered_key("10"))), "u:y");
  EXPECT_EQ(
      names(db_.index("weight").range(KeyWriter().floating(-5).view(), KeyWriter().floating(9.5).view())),
      "v:x u:x");
  // Keys of other types are told, not missed.
  EXPECT_TRUE(db_.index("weight").find(ordered_key(9)).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.index("both").find(ordered_key("Oslo", "10")).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.index("both").get(ordered_key("Oslo")).status().is(StatusCode::invalid_argument));
  expect_sound(3 + 3 + 3 + 6 + 3);
}

// What a row holds once would be in each of its entries.
TEST_F(Indexes, RefuseARowOfWhichTheyWouldRepeatTooMuch) {
  make({.name = "words",
        .key = {IndexField::value_column(IndexField::kEveryColumn)},
        .covered = {IndexField::whole_value()}});
  std::string words;
  for (int i = 0; i < 4000; ++i) words += std::to_string(i) + ",";
  const Status large = db_.put("large", words + std::string(20'000, 'x'));
  EXPECT_TRUE(large.is(StatusCode::invalid_argument)) << large.to_string();
  EXPECT_NE(large.to_string().find("64 MiB"), std::string::npos) << large.to_string();
  std::string same;
  for (int i = 0; i < 20'000; ++i) same += i % 2 == 0 ? "a," : "b,";
  put("same", same);
  for (int i = 4000; i < 20'000; ++i) words += std::to_string(i) + ",";
  const Status many = db_.put("many", words);
  EXPECT_TRUE(many.is(StatusCode::invalid_argument)) << many.to_string();
  EXPECT_NE(many.to_string().find("4,096"), std::string::npos) << many.to_string();
  EXPECT_EQ(names(db_.index("words").find(ordered_key("b"))), "same");
  expect_sound(3);
}

TEST_F(Indexes, OfTimesTakeRfc3339) {
  make({.name = "at", .key = {IndexField::whole_value(KeyType::timestamp)}});
  put("a", "2024-05-01T12:30:00Z");
  put("b", "2024-05-01");
  put("c", "1969-12-31T23:59:59.5Z");
  put("d", "2024-13-01");
  put("f", "2023-02-29");
  put("g", "2024-02-29T00:00:00Z");
  put("e", "17");
  EXPECT_EQ(names(db_.index("at").all()), "c e g b a");
  EXPECT_EQ(names(db_.index("at").find(KeyWriter().timestamp(1709164800000000).view())), "g");
  EXPECT_EQ(names(db_.index("at").find(KeyWriter().timestamp(1714566600000000).view())), "a");
  EXPECT_EQ(names(db_.index("at").find(KeyWriter().timestamp(-500000).view())), "c");
}

TEST_F(Indexes, OfKindHashFindWholeKeys) {
  make({.name = "h", .key = {IndexField::value_column(0)}, .kind = IndexKind::hash});
  make({.name = "hu", .key = {IndexField::value_column(1)}, .unique = true, .kind = IndexKind::hash});
  for (int i = 0; i < 50; ++i) put("k" + std::to_string(i), std::to_string(i % 5) + "," + std::to_string(i));
  EXPECT_EQ(names(db_.index("h").find(ordered_key("3"))), "k13 k18 k23 k28 k3 k33 k38 k43 k48 k8");
  std::string primary;
  ASSERT_TRUE(db_.index("hu").get(ordered_key("17"), {}, &primary));
  EXPECT_EQ(primary, "k17");
  EXPECT_TRUE(db_.index("h").range(ordered_key("1"), "").status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.index("h").prefix("1").status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.put("other", "1,17").is(StatusCode::already_exists));
  EXPECT_EQ(*db_.index("h").count("", ""), 50u);
  expect_sound(100);
}

TEST_F(Indexes, AreReadAsOfSnapshotsAndByTransactions) {
  make(by_city());
  put("a", "Oslo,1");
  put("b", "Rome,1");
  Result<Snapshot> before = db_.snapshot();
  put("a", "Rome,2");
  ASSERT_TRUE(db_.remove("b").ok());
  EXPECT_EQ(text(db_.index("by_city").all({.snapshot = &*before})), "a=Oslo,1 b=Rome,1");
  EXPECT_EQ(text(db_.index("by_city").all()), "a=Rome,2");
  for (const Isolation level : kLevels) {
    Transaction tx = db_.begin({.isolation = level});
    ASSERT_TRUE(tx.put("c", "Oslo,3").ok());
    ASSERT_TRUE(tx.put("a", "Oslo,3").ok());
    EXPECT_EQ(text(tx.index("by_city").find(ordered_key("Oslo"))), "a=Oslo,3 c=Oslo,3");
    EXPECT_EQ(text(tx.index("by_city").find(ordered_key("Rome"))), "");
    const Savepoint point = tx.set_savepoint();
    ASSERT_TRUE(tx.remove_range("a", "b").ok());
    EXPECT_EQ(text(tx.index("by_city").all()), "c=Oslo,3");
    ASSERT_TRUE(tx.rollback_to(point).ok());
    EXPECT_EQ(text(tx.index("by_city").all().reverse()), "c=Oslo,3 a=Oslo,3");
    EXPECT_EQ(text(db_.index("by_city").all()), "a=Rome,2");
    tx.abort();
    EXPECT_TRUE(tx.index("by_city").all().status().is(StatusCode::closed));
  }
}

// Somebody enters what a serializable transaction found nothing under.
TEST_F(Indexes, KeepPhantomsFromSerializableTransactions) {
  make(by_city());
  for (const Isolation level : {Isolation::snapshot, Isolation::serializable}) {
    ASSERT_TRUE(db_.remove_range("a", "z").ok());
    Transaction tx = db_.begin({.isolation = level});
    EXPECT_EQ(names(tx.index("by_city").find(ordered_key("Oslo"))), "");
    ASSERT_TRUE(tx.put("a", "Rome,1").ok());
    put("b", "Oslo,1");
    EXPECT_EQ(tx.commit().is(StatusCode::conflict), level == Isolation::serializable);
  }
}

// That a key was taken is something that a transaction was told.
TEST_F(Indexes, CountARefusedKeyAsRead) {
  make({.name = "by_city", .key = {IndexField::value_column(0)}, .unique = true});
  for (const Isolation level : kLevels) {
    put("a", "Oslo,1");
    Transaction tx = db_.begin({.isolation = level});
    EXPECT_TRUE(tx.put("b", "Oslo,2").is(StatusCode::already_exists));
    ASSERT_EQ(tx.put("c", "Rome,2").to_string(), "ok");
    ASSERT_TRUE(db_.remove("a").ok());
    const bool counts = level == Isolation::repeatable_read || level == Isolation::serializable;
    EXPECT_EQ(tx.commit().is(StatusCode::conflict), counts);
    ASSERT_TRUE(db_.remove_range("a", "z").ok());
  }
}

TEST_F(Indexes, OfReadCommittedTransactionsFollowWhoCameBetween) {
  make(by_city());
  put("a", "Oslo,1");
  Transaction tx = db_.begin({.isolation = Isolation::read_committed});
  ASSERT_TRUE(tx.put("a", "Rome,1").ok());
  ASSERT_TRUE(tx.remove_range("b", "d").ok());
  put("a", "Bonn,1");
  put("c", "Kyiv,1");
  ASSERT_EQ(tx.commit().to_string(), "ok");
  EXPECT_EQ(text(db_.index("by_city").all()), "a=Rome,1");
  expect_sound(1);
}

// What others commit of rows that the transaction wrote stands behind its own.
TEST_F(Indexes, OfReadCommittedTransactionsShowTheirOwnRows) {
  make(by_city());
  Transaction tx = db_.begin({.isolation = Isolation::read_committed});
  ASSERT_TRUE(tx.put("a", "Oslo,1").ok());
  ASSERT_TRUE(tx.remove("b").ok());
  ASSERT_TRUE(tx.remove_range("c", "d").ok());
  for (const char* const key : {"a", "b", "c", "d"}) put(key, "Rome,1");
  EXPECT_EQ(text(tx.index("by_city").all()), "a=Oslo,1 d=Rome,1");
  EXPECT_EQ(text(tx.index("by_city").find(ordered_key("Rome"))), "d=Rome,1");
  EXPECT_EQ(*tx.index("by_city").count("", ""), 2u);
}

TEST_F(Indexes, ThatComeOrGoAreNoticedByTransactionsUnderWay) {
  put("a", "Oslo,1");
  for (const Isolation level : kLevels) {
    Transaction before = db_.begin({.isolation = level});
    ASSERT_TRUE(before.put("b", "Rome,1").ok());
    make(by_city());
    EXPECT_TRUE(before.index("by_city").all().status().is(StatusCode::not_found));
    ASSERT_EQ(before.commit().to_string(), "ok");
    EXPECT_EQ(names(db_.index("by_city").all()), "a b");
    Transaction with = db_.begin({.isolation = level});
    ASSERT_TRUE(with.put("c", "Oslo,1").ok());
    ASSERT_TRUE(db_.drop_index("by_city").ok());
    ASSERT_EQ(with.commit().to_string(), "ok");
    EXPECT_TRUE(db_.get("c"));
    ASSERT_TRUE(db_.remove_range("b", "z").ok());
  }
  expect_sound(0);
}

TEST_F(Indexes, GoWithTheirKeyspace) {
  Result<Keyspace> people = db_.keyspace("people");
  ASSERT_TRUE(people);
  ASSERT_TRUE(people->create_index(by_city()).ok());
  ASSERT_TRUE(people->wait_for_index("by_city").ok());
  ASSERT_TRUE(people->put("a", "Oslo,1").ok());
  EXPECT_EQ(names(people->index("by_city").all()), "a");
  EXPECT_TRUE(people->create_index(by_city()).is(StatusCode::already_exists));
  EXPECT_EQ(db_.keyspaces()->size(), 1u);
  ASSERT_TRUE(db_.drop_keyspace("people").ok());
  EXPECT_TRUE(people->index("by_city").all().status().is(StatusCode::not_found));
  EXPECT_TRUE(people->put("a", "b").is(StatusCode::not_found));
  people = db_.keyspace("people");
  EXPECT_TRUE(people->indexes()->empty());
  ASSERT_TRUE(people->put("a", "b").ok());
  open();
  EXPECT_TRUE(db_.keyspace("people")->indexes()->empty());
}

TEST_F(Indexes, ByFunctionsNeedThemForWritesAlone) {
  Options options;
  options.extractors.push_back({"length", [](std::string_view, std::string_view value, std::string_view,
                                             FieldValues& out) { out.add(value.size()); }});
  open(options);
  make({.name = "by_length", .key = {IndexField::by_function("length", "", KeyType::integer)}});
  put("a", "four");
  put("b", "a");
  EXPECT_EQ(names(db_.index("by_length").all()), "b a");
  open();
  const Status refused = db_.put("c", "new");
  EXPECT_TRUE(refused.is(StatusCode::not_supported)) << refused.to_string();
  EXPECT_NE(refused.message().find("\"length\""), std::string_view::npos);
  EXPECT_EQ(names(db_.index("by_length").find(ordered_key(4))), "a");
  EXPECT_TRUE(db_.get("a"));
  ASSERT_TRUE(db_.keyspace("other")->put("c", "new").ok());
  EXPECT_EQ(db_.verify()->unread_indexes.size(), 1u);
  EXPECT_EQ((*db_.indexes())[0].missing_extractor, "length");
  ASSERT_TRUE(db_.drop_index("by_length").ok());
  put("c", "new");
}

TEST_F(Indexes, FollowWhatIsPrepared) {
  make(by_city());
  make({.name = "age", .key = {IndexField::value_column(1, KeyType::integer)}, .unique = true});
  put("a", "Oslo,1");
  put("b", "Oslo,2");
  put("c", "Rome,3");
  for (const Isolation isolation : kLevels) {
    SCOPED_TRACE(static_cast<int>(isolation));
    for (const bool reopened : {false, true}) {
      Transaction tx = db_.begin({.isolation = isolation});
      ASSERT_TRUE(tx.remove("b").ok());
      ASSERT_TRUE(tx.put("a", "Rome,2").ok());
      ASSERT_TRUE(tx.put("d", "Bern,4", 1'000'000).ok());
      ASSERT_TRUE(tx.remove_range("c", "d").ok());
      ASSERT_EQ(tx.prepare("g").to_string(), "ok");
      if (reopened) open();
      EXPECT_EQ(names(db_.index("by_city").all()), "a b c");
      // Its rows, and the keys that they take, are its own.
      const auto blocked = [&](std::string_view key, std::string_view value) {
        return db_.put(key, value, {.timeout_ms = 1}).code();
      };
      EXPECT_EQ(blocked("b", "Bern,9"), StatusCode::busy);
      EXPECT_EQ(blocked("x", "Bern,4"), StatusCode::busy);
      EXPECT_EQ(blocked("c2", "Bern,9"), StatusCode::busy);
      EXPECT_EQ(blocked("x", "Bern,9"), StatusCode::ok);
      EXPECT_EQ(db_.remove("x").code(), StatusCode::ok);
      if (reopened) {
        ASSERT_EQ(db_.abort_prepared("g").to_string(), "ok");
        EXPECT_EQ(names(db_.index("age").all()), "a b c");
        continue;
      }
      ASSERT_EQ(db_.commit_prepared("g").to_string(), "ok");
      EXPECT_EQ(text(db_.index("by_city").all()), "d=Bern,4 a=Rome,2");
      EXPECT_EQ(names(db_.index("age").all()), "a d");
      expect_sound(4);
      ASSERT_TRUE(db_.remove("d").ok());
      put("a", "Oslo,1");
      put("b", "Oslo,2");
      put("c", "Rome,3");
    }
  }
}

TEST_F(Indexes, RefuseToPrepareAKeyThatIsTaken) {
  make({.name = "age", .key = {IndexField::value_column(1, KeyType::integer)}, .unique = true});
  for (const Isolation isolation : kLevels) {
    SCOPED_TRACE(static_cast<int>(isolation));
    put("a", "Oslo,1");
    Transaction tx = db_.begin({.isolation = isolation});
    ASSERT_TRUE(tx.put("b", "Oslo,7").ok());
    put("a", "Oslo,7");
    Status status = tx.prepare("g");
    EXPECT_EQ(status.code(), StatusCode::already_exists) << status.to_string();
    EXPECT_EQ(tx.status().code(), StatusCode::closed);
    put("b", "Oslo,8");
    ASSERT_TRUE(db_.remove("b").ok());
  }
  // The name in use is another thing.
  Transaction tx = db_.begin();
  ASSERT_TRUE(tx.put("b", "Oslo,9").ok());
  ASSERT_TRUE(tx.prepare("g").ok());
  Transaction second = db_.begin();
  ASSERT_TRUE(second.put("c", "Oslo,10").ok());
  EXPECT_EQ(second.prepare("g").code(), StatusCode::already_exists);
  EXPECT_EQ(second.status().code(), StatusCode::ok);
  second.abort();
  ASSERT_TRUE(db_.commit_prepared("g").ok());
  expect_sound(2);
}

TEST_F(Indexes, SayHowLargeTheyAre) {
  make(by_age());
  for (int i = 0; i < 100; ++i) put("k" + std::to_string(i), "x," + std::to_string(i % 10));
  const Result<IndexStats> stats = db_.index_stats("by_age");
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->entries, 100u);
  EXPECT_EQ(stats->distinct, 10u);
  EXPECT_TRUE(stats->exact);
  EXPECT_GT(stats->bytes, 300u);
}

// Rows that expire are found no more, and a unique key is free again.
TEST_F(Indexes, ExpireWithTheirRows) {
  make({.name = "u", .key = {IndexField::value_column(0)}, .unique = true});
  ASSERT_TRUE(db_.put("a", "Oslo,1", {.ttl_ms = 1}).ok());
  ASSERT_TRUE(db_.put("b", "Rome,1", {.ttl_ms = 1'000'000}).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(names(db_.index("u").all()), "b");
  EXPECT_TRUE(db_.index("u").get(ordered_key("Oslo")).absent());
  put("c", "Oslo,2");
  EXPECT_EQ(names(db_.index("u").all()), "c b");
  put("b", "Rome,2");  // for ever now
  Result<std::vector<IndexInfo>> infos = db_.indexes();
  expect_sound(2);
}

TEST_F(Indexes, GiveRowsThatExpireWhileTheyAreScanned) {
  db_ = Database();
  Result<Database> opened = open_in(clock_, scratch_.path("db"), {}, OpenKind::open);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  make(by_city());
  ASSERT_TRUE(db_.put("a", "Oslo,1", {.ttl_ms = 1'000}).ok());
  Transaction tx = db_.begin({.isolation = Isolation::read_committed});
  IndexScan outside = db_.index("by_city").all();
  IndexScan inside = tx.index("by_city").all();
  ASSERT_TRUE(outside.advance() && inside.advance());
  clock_.pass_ms(1'000);
  EXPECT_TRUE(db_.get("a").absent());
  EXPECT_EQ(outside.value(), "Oslo,1");
  EXPECT_EQ(inside.value(), "Oslo,1");
}

// Writers of every kind beside builds, drops and reads.
TEST_F(Indexes, AreBuiltWhileWritesGoOn) {
  constexpr int kRounds = 6;
  constexpr int kKeys = 200;
  for (int i = 0; i < kKeys; ++i) put("k" + std::to_string(i), "start," + std::to_string(i));
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int thread = 0; thread < 2; ++thread) {
    writers.emplace_back([&, thread] {
      Random random(static_cast<uint64_t>(thread) + 1);
      while (!stop.load()) {
        const std::string key = "k" + std::to_string(random.below(kKeys));
        const std::string value = std::to_string(random.below(20)) + "," + std::to_string(random.below(1000));
        Status status;
        switch (random.below(5)) {
          case 0:
            status = db_.put(key, value);
            break;
          case 1:
            status = db_.remove(key);
            break;
          case 2: {
            WriteBatch batch;
            batch.put(key, value);
            batch.remove("k" + std::to_string(random.below(kKeys)));
            status = db_.write(batch);
            break;
          }
          case 3:
            status = db_.remove_range(key, key + "5");
            break;
          default: {
            Transaction tx = db_.begin({.isolation = kLevels[random.below(4)]});
            status = tx.put(key, value);
            if (status.ok()) status = tx.remove("k" + std::to_string(random.below(kKeys)));
            if (status.ok()) status = tx.commit();
            if (status.is(StatusCode::conflict)) status = {};
          }
        }
        ASSERT_EQ(status.to_string(), "ok");
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_EQ(db_.create_index(by_city()).to_string(), "ok");
    EXPECT_EQ(db_.create_index(by_age()).to_string(), "ok");
    EXPECT_EQ(db_.wait_for_index("by_city").to_string(), "ok");
    EXPECT_EQ(db_.wait_for_index("by_age").to_string(), "ok");
    const Result<VerifyReport> report = db_.verify();
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    for (const Finding& finding : report->findings) ADD_FAILURE() << finding.what;
    EXPECT_GT(report->index_entries, 0u);
    EXPECT_EQ(db_.drop_index("by_city").to_string(), "ok");
    EXPECT_EQ(db_.drop_index("by_age").to_string(), "ok");
  }
  stop.store(true);
  for (std::thread& writer : writers) writer.join();
}

// Threads that all want the same keys: each is had by one row.
TEST_F(Indexes, AreUniqueBetweenThreads) {
  make({.name = "u", .key = {IndexField::value_column(0, KeyType::integer)}, .unique = true});
  constexpr int kThreads = 3;
  constexpr int kTries = 300;
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kTries; ++i) {
        const std::string key = std::to_string(thread) + ":" + std::to_string(i);
        Status status;
        if (i % 3 == 0) {
          status = db_.transact([&](Transaction& tx) { return tx.put(key, std::to_string(i)); },
                                {.isolation = kLevels[i % 4]});
        } else {
          status = db_.put(key, std::to_string(i));
        }
        if (status.ok()) {
          won.fetch_add(1);
        } else {
          EXPECT_TRUE(status.is(StatusCode::already_exists)) << status.to_string();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won.load(), kTries);
  expect_sound(kTries);
}

}  // namespace
}  // namespace lightning
