// Reads by index over every kind of source: one row by its key, and rows that are read together.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

// Values are "city,number,filling".
class IndexReads : public testing::TestWithParam<Options> {
 protected:
  using Rows = std::map<std::string, std::string>;

  IndexReads() {
    Options options = GetParam();
    options.durability = Durability::process;
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    EXPECT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
    make({.name = "city", .key = {IndexField::value_column(0)}});
    make({.name = "hash", .key = {IndexField::value_column(0)}, .kind = IndexKind::hash});
    make({.name = "number", .key = {IndexField::value_column(1, KeyType::integer)}, .unique = true});
  }
  void make(const IndexDefinition& definition) {
    ASSERT_EQ(db_.create_index(definition).to_string(), "ok");
    ASSERT_EQ(db_.wait_for_index(definition.name).to_string(), "ok");
  }
  static std::string column(const std::string& value, size_t number) {
    size_t begin = 0;
    for (; number > 0; --number) begin = value.find(',', begin) + 1;
    return value.substr(begin, value.find(',', begin) - begin);
  }
  std::string random_city() { return "c" + std::to_string(random_.below(40)); }

  void change() {
    const std::string key = "k" + std::to_string(random_.below(120));
    if (random_.chance(0.3)) {
      ASSERT_TRUE(db_.remove(key).ok());
      rows_.erase(key);
      return;
    }
    const size_t filling = random_.chance(0.05) ? 20'000 : random_.below(60);
    const std::string value =
        random_city() + "," + std::to_string(++numbers_) + "," + std::string(filling, 'x');
    ASSERT_TRUE(db_.put(key, value).ok());
    rows_[key] = value;
  }

  void expect_first(const Rows& rows, const ReadOptions& options) {
    const std::string city = random_city();
    std::string expected;
    for (const auto& [key, value] : rows) {
      if (expected.empty() && column(value, 0) == city) expected = key + "=" + value;
    }
    for (const char* name : {"city", "hash"}) {
      std::string key;
      const Lookup found = db_.index(name).get(ordered_key(city), options, &key);
      ASSERT_TRUE(found.status().ok()) << found.status().to_string();
      ASSERT_EQ(found ? key + "=" + std::string(found.value()) : "", expected) << name;
    }
    const auto number = static_cast<int64_t>(random_.below(numbers_ + 2));
    expected.clear();
    for (const auto& [key, value] : rows) {
      if (column(value, 1) == std::to_string(number)) expected = value;
    }
    const Lookup found = db_.index("number").get(ordered_key(number), options);
    ASSERT_TRUE(found.status().ok()) << found.status().to_string();
    ASSERT_EQ(found ? std::string(found.value()) : "", expected);
  }

  // Values are asked for in stretches; a write into the scan's rows while it goes changes nothing for it.
  void expect_walk(const Rows& rows, const ReadOptions& options) {
    std::vector<std::pair<std::string, std::string>> expected;
    for (const auto& [key, value] : rows) expected.emplace_back(column(value, 0) + "\x01" + key, value);
    std::sort(expected.begin(), expected.end());
    const bool reverse = random_.chance(0.5);
    if (reverse) std::reverse(expected.begin(), expected.end());
    const uint64_t limit = random_.chance(0.5) ? random_.below(rows.size() + 2) : UINT64_MAX;
    if (expected.size() > limit) expected.resize(limit);
    IndexScan scan = db_.index("city").all(options).limit(limit);
    if (reverse) scan = std::move(scan).reverse();
    bool asks = true;
    size_t at = 0;
    for (; scan.advance(); ++at) {
      ASSERT_LT(at, expected.size());
      if (random_.chance(0.1)) asks = !asks;
      const std::string_view key = scan.key();
      const std::string_view primary_key = scan.primary_key();  // views that die with the next step
      if (asks) {
        ASSERT_EQ(scan.value(), expected[at].second);
      }
      ASSERT_EQ(primary_key, expected[at].first.substr(expected[at].first.find('\x01') + 1));
      ASSERT_EQ(key, ordered_key(expected[at].first.substr(0, expected[at].first.find('\x01'))));
      if (random_.chance(0.02)) change();
      ASSERT_TRUE(scan.status().ok());
    }
    ASSERT_EQ(scan.status().to_string(), "ok");
    ASSERT_EQ(at, expected.size());
  }

  ScratchDirectory scratch_;
  Database db_;
  Rows rows_;
  int64_t numbers_ = 0;
  Random random_{17};
};

TEST_P(IndexReads, FindTheFirstRowAndWalkOverAll) {
  Rows then;
  std::optional<Snapshot> snapshot;
  for (int round = 0; round < 3000; ++round) {
    change();
    if (random_.chance(0.01)) {
      ASSERT_TRUE(db_.flush().ok());
    }
    if (random_.chance(0.002)) {
      ASSERT_TRUE(db_.compact().ok());
    }
    if (random_.chance(0.01)) {
      Result<Snapshot> taken = db_.snapshot();
      ASSERT_TRUE(taken.ok());
      snapshot = *std::move(taken);
      then = rows_;
    }
    expect_first(rows_, {});
    if (snapshot) expect_first(then, {.snapshot = &*snapshot});
    if (random_.chance(0.05)) expect_walk(Rows(rows_), {});
    if (snapshot && random_.chance(0.02)) expect_walk(then, {.snapshot = &*snapshot});
    if (HasFatalFailure()) return;
  }
}

TEST_P(IndexReads, PassOverWhatHasExpired) {
  ASSERT_TRUE(db_.put("a", "Oslo,1,", {.ttl_ms = 1}).ok());
  ASSERT_TRUE(db_.put("b", "Oslo,2,").ok());
  ASSERT_TRUE(db_.put("c", "Rome,3,", {.ttl_ms = 1}).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  for (int round = 0; round < 2; ++round) {
    std::string key;
    EXPECT_TRUE(db_.index("city").get(ordered_key("Oslo"), {}, &key));
    EXPECT_EQ(key, "b");
    EXPECT_TRUE(db_.index("city").get(ordered_key("Rome")).absent());
    EXPECT_TRUE(db_.index("number").get(ordered_key(3)).absent());
    ASSERT_TRUE(db_.flush().ok());
  }
}

TEST_P(IndexReads, FindNothingWhereARangeWasRemoved) {
  ASSERT_TRUE(db_.put("a", "Oslo,1,").ok());
  ASSERT_TRUE(db_.put("b", "Oslo,2,").ok());
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(db_.remove_range("a", "b").ok());
  std::string key;
  EXPECT_TRUE(db_.index("city").get(ordered_key("Oslo"), {}, &key));
  EXPECT_EQ(key, "b");
  EXPECT_TRUE(db_.index("city").get(ordered_key("Os")).absent());
  const std::string long_city(500, 'o');
  ASSERT_TRUE(db_.put("c", long_city + ",3,").ok());
  EXPECT_TRUE(db_.index("city").get(ordered_key(long_city), {}, &key));
  EXPECT_EQ(key, "c");
  EXPECT_TRUE(db_.index("city").get("").status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(db_.index("town").get(ordered_key("Oslo")).status().is(StatusCode::not_found));
  ASSERT_TRUE(db_.close().ok());
  EXPECT_TRUE(db_.index("city").get(ordered_key("Oslo")).status().is(StatusCode::closed));
}

// Behind the end too, where what was read is gone, and where there never was any.
TEST_P(IndexReads, GiveNothingWhereNoEntryIsPresent) {
  ASSERT_TRUE(db_.put("", "Rome,9,").ok());
  for (int i = 0; i < 500; ++i)
    ASSERT_TRUE(db_.put("k" + std::to_string(i), "Oslo," + std::to_string(i + 10) + ",").ok());
  ASSERT_TRUE(db_.flush().ok());
  const auto expect_nothing = [](IndexScan& scan) {
    EXPECT_EQ(scan.value(), "");
    EXPECT_EQ(scan.key(), "");
    EXPECT_EQ(scan.primary_key(), "");
    EXPECT_EQ(scan.covered(), "");
  };
  const auto expect_no_pair = [](JoinScan& scan) {
    EXPECT_EQ(scan.left_value(), "");
    EXPECT_EQ(scan.right_value(), "");
    EXPECT_EQ(scan.key(), "");
    EXPECT_EQ(scan.left_primary_key(), "");
    EXPECT_EQ(scan.right_primary_key(), "");
  };
  Transaction tx = db_.begin();
  for (const bool in_transaction : {false, true}) {
    const auto index = [&](std::string_view name) {
      return in_transaction ? tx.index(name) : db_.index(name);
    };
    IndexScan none = index("none").all();
    expect_nothing(none);
    EXPECT_FALSE(none.advance());
    expect_nothing(none);
    for (const uint64_t limit : {UINT64_MAX, uint64_t{1}, uint64_t{0}}) {
      for (const char* name : {"city", "number", "hash"}) {
        IndexScan scan = index(name).all().limit(limit);
        expect_nothing(scan);
        while (scan.advance()) EXPECT_NE(scan.value(), "");
        for (int i = 0; i < 2; ++i) {
          expect_nothing(scan);
          EXPECT_FALSE(scan.advance());
        }
        EXPECT_EQ(scan.status().to_string(), "ok");
      }
    }
    JoinScan no_join = index("number").join(index("none"));
    expect_no_pair(no_join);
    JoinScan join = index("number").join(index("number"));
    expect_no_pair(join);
    while (join.advance()) EXPECT_NE(join.left_value(), "");
    for (int i = 0; i < 2; ++i) {
      expect_no_pair(join);
      EXPECT_FALSE(join.advance());
    }
    EXPECT_EQ(join.status().to_string(), "ok");
  }
}

Options pooled() {
  Options options;
  options.page_source = PageSource::pooled;
  return options;
}

INSTANTIATE_TEST_SUITE_P(Sources, IndexReads, testing::Values(Options(), pooled()));

}  // namespace
}  // namespace lightning
