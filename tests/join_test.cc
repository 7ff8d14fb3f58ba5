// Joins of two indexes: what they find is what a look at every pair of rows finds, in any keyspaces, kinds of
// index, moments and transactions.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

struct Pair {
  std::string key;
  std::string left;
  std::string right;
  auto operator<=>(const Pair&) const = default;
};
void PrintTo(const Pair& pair, std::ostream* out) {
  *out << pair.key << ": " << pair.left << "-" << pair.right;
}

using Rows = std::map<std::string, std::string>;

// Rows are "text,number".
class Joins : public testing::Test {
 protected:
  Joins() {
    Result<Database> opened = Database::open(scratch_.path() + "/db", {.durability = Durability::process});
    EXPECT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
    people_ = *db_.keyspace("people");
    cities_ = *db_.keyspace("cities");
  }
  static void make(Keyspace& keyspace, const IndexDefinition& definition) {
    ASSERT_EQ(keyspace.create_index(definition).to_string(), "ok");
    ASSERT_EQ(keyspace.wait_for_index(definition.name).to_string(), "ok");
  }
  static IndexDefinition by_text(bool unique = false, IndexKind kind = IndexKind::ordered) {
    return {.name = "text", .key = {IndexField::value_column(0)}, .unique = unique, .kind = kind};
  }
  static std::string text_of(const std::string& value) { return value.substr(0, value.find(',')); }
  void fill(Keyspace& keyspace, Rows* rows, uint64_t count, uint64_t texts, Random& random) {
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key = "r" + std::to_string(random.below(1000));
      const std::string value = std::string(1, static_cast<char>('a' + random.below(texts))) + "," + key;
      ASSERT_EQ(keyspace.put(key, value).to_string(), "ok");
      (*rows)[key] = value;
    }
  }
  static std::vector<Pair> expected(const Rows& left, const Rows& right) {
    std::vector<Pair> pairs;
    for (const auto& [a, of_a] : left) {
      for (const auto& [b, of_b] : right) {
        if (text_of(of_a) == text_of(of_b)) pairs.push_back({ordered_key(text_of(of_a)), a, b});
      }
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
  }
  static std::vector<Pair> found(JoinScan scan, const Rows& left, const Rows& right) {
    std::vector<Pair> pairs;
    while (scan.advance()) {
      pairs.push_back({std::string(scan.key()), std::string(scan.left_primary_key()),
                       std::string(scan.right_primary_key())});
      EXPECT_EQ(scan.left_value(), left.at(pairs.back().left));
      EXPECT_EQ(scan.right_value(), right.at(pairs.back().right));
    }
    EXPECT_EQ(scan.status().to_string(), "ok");
    EXPECT_FALSE(scan.advance());
    return pairs;
  }

  ScratchDirectory scratch_;
  Database db_;
  Keyspace people_;
  Keyspace cities_;
};

TEST_F(Joins, FindEveryPairInOrder) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    Random random(seed);
    Keyspace left = *db_.keyspace("left" + std::to_string(seed));
    Keyspace right = *db_.keyspace("right" + std::to_string(seed));
    make(left, by_text());
    make(right, by_text());
    Rows lefts, rights;
    // Many of few texts; few of many, so that one side is often far behind.
    fill(left, &lefts, 60, seed % 2 == 0 ? 5 : 26, random);
    fill(right, &rights, seed % 3 == 0 ? 3 : 200, seed % 2 == 0 ? 26 : 4, random);
    EXPECT_EQ(found(left.index("text").join(right.index("text")), lefts, rights), expected(lefts, rights));
    EXPECT_EQ(found(right.index("text").join(left.index("text")), rights, lefts), expected(rights, lefts));
    EXPECT_EQ(found(left.index("text").join(left.index("text")), lefts, lefts), expected(lefts, lefts));
  }
}

TEST_F(Joins, ReachKeysFarAhead) {
  make(people_, by_text());
  make(cities_, by_text());
  Rows people, cities;
  for (int i = 0; i < 500; ++i) {
    const std::string key = std::to_string(1000 + i);
    people[key] = key + ",1";
    ASSERT_EQ(people_.put(key, people[key]).to_string(), "ok");
  }
  for (const char* key : {"1000", "1200", "1499", "2000"}) {
    cities[key] = std::string(key) + ",2";
    ASSERT_EQ(cities_.put(key, cities[key]).to_string(), "ok");
  }
  EXPECT_EQ(found(people_.index("text").join(cities_.index("text")), people, cities).size(), 3);
  EXPECT_EQ(found(cities_.index("text").join(people_.index("text")), cities, people),
            expected(cities, people));
}

TEST_F(Joins, OfUniqueAndHashedIndexes) {
  make(people_, by_text(false, IndexKind::hash));
  make(cities_, by_text(true, IndexKind::hash));
  make(cities_, {.name = "ordered", .key = {IndexField::value_column(0)}, .unique = true});
  make(cities_, {.name = "number", .key = {IndexField::value_column(1, KeyType::integer)}});
  make(cities_, {.name = "two", .key = {IndexField::value_column(0), IndexField::value_column(1)}});
  Random random(3);
  Rows people, cities;
  fill(people_, &people, 100, 26, random);
  for (const char* city : {"a", "e", "q", "z"}) {
    cities[city] = std::string(city) + ",7";
    ASSERT_EQ(cities_.put(city, cities[city]).to_string(), "ok");
  }
  std::vector<Pair> pairs = found(people_.index("text").join(cities_.index("text")), people, cities);
  std::sort(pairs.begin(), pairs.end());  // they come in the order of hashes
  EXPECT_EQ(pairs, expected(people, cities));
  EXPECT_EQ(people_.index("text").join(cities_.index("ordered")).status().code(),
            StatusCode::invalid_argument);
  EXPECT_EQ(cities_.index("ordered").join(cities_.index("number")).status().code(),
            StatusCode::invalid_argument);
  EXPECT_EQ(cities_.index("ordered").join(cities_.index("two")).status().code(),
            StatusCode::invalid_argument);
  EXPECT_EQ(cities_.index("ordered").join(cities_.index("none")).status().code(), StatusCode::not_found);
  EXPECT_EQ(Index().join(Index()).status().code(), StatusCode::closed);
  EXPECT_EQ(cities_.index("ordered").join(Index()).status().code(), StatusCode::invalid_argument);
}

TEST_F(Joins, AreOfOneMoment) {
  make(people_, by_text());
  make(cities_, by_text());
  Rows people{{"1", "a,1"}, {"2", "b,1"}}, cities{{"A", "a,"}, {"B", "b,"}};
  for (const auto& [key, value] : people) ASSERT_EQ(people_.put(key, value).to_string(), "ok");
  for (const auto& [key, value] : cities) ASSERT_EQ(cities_.put(key, value).to_string(), "ok");
  const Result<Snapshot> before = db_.snapshot();
  ASSERT_TRUE(before.ok());
  JoinScan running = people_.index("text").join(cities_.index("text"));
  ASSERT_TRUE(running.advance());
  ASSERT_EQ(people_.remove("2").to_string(), "ok");
  ASSERT_EQ(cities_.put("A", "c,").to_string(), "ok");
  EXPECT_EQ(running.right_value(), "a,");
  ASSERT_TRUE(running.advance());
  EXPECT_EQ(running.left_value(), "b,1");
  EXPECT_FALSE(running.advance());
  EXPECT_EQ(found(people_.index("text").join(cities_.index("text"), {.snapshot = &*before}), people, cities),
            expected(people, cities));
  EXPECT_FALSE(people_.index("text").join(cities_.index("text")).advance());
  ASSERT_EQ(db_.sync().to_string(), "ok");
  EXPECT_FALSE(people_.index("text").join(cities_.index("text"), {.level = ReadLevel::durable}).advance());
}

TEST_F(Joins, OutliveTheSnapshotThatTheyWereGiven) {
  make(people_, by_text());
  make(cities_, by_text());
  ASSERT_EQ(people_.put("1", "a,1").to_string(), "ok");
  ASSERT_EQ(cities_.put("A", "a,").to_string(), "ok");
  auto before = std::make_unique<Snapshot>(*db_.snapshot());
  JoinScan join = people_.index("text").join(cities_.index("text"), {.snapshot = before.get()});
  before = nullptr;
  ASSERT_EQ(people_.remove("1").to_string(), "ok");
  ASSERT_TRUE(join.advance()) << join.status().to_string();
  EXPECT_EQ(join.left_value(), "a,1");
  EXPECT_FALSE(join.advance());
  EXPECT_EQ(join.status().to_string(), "ok");
}

TEST_F(Joins, SeeATransactionsOwnWrites) {
  make(people_, by_text());
  make(cities_, by_text());
  ASSERT_EQ(people_.put("1", "a,1").to_string(), "ok");
  Result<Transaction> begun = db_.begin();
  ASSERT_TRUE(begun.ok());
  TransactionKeyspace people = begun->in(people_);
  TransactionKeyspace cities = begun->in(cities_);
  ASSERT_EQ(cities.put("A", "a,").to_string(), "ok");
  ASSERT_EQ(people.put("2", "a,2").to_string(), "ok");
  const Rows rows{{"1", "a,1"}, {"2", "a,2"}}, own{{"A", "a,"}};
  EXPECT_EQ(found(people.index("text").join(cities.index("text")), rows, own), expected(rows, own));
  EXPECT_FALSE(people_.index("text").join(cities_.index("text")).advance());
  EXPECT_EQ(people.index("text").join(cities_.index("text")).status().code(), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace lightning
