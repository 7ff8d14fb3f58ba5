// Queries: what they find is what a look at every row finds, whichever way the planner takes.
#include <gtest/gtest.h>
#include <lightning/database.h>
#include <lightning/query.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

using Op = Condition::Op;

// Rows are "city,age,tag;tag;...".
struct Person {
  std::string city;
  int64_t age = 0;
  bool has_age = false;
  std::vector<std::string> tags;
};

class Queries : public testing::Test {
 protected:
  Queries() {
    Options options;
    options.durability = Durability::process;
    options.extractors.push_back(
        {"tags", [](std::string_view, std::string_view value, std::string_view, FieldValues& out) {
           const size_t comma = value.rfind(',');
           if (comma == std::string_view::npos) return;
           for (std::string_view rest = value.substr(comma + 1); !rest.empty();) {
             out.add(rest.substr(0, rest.find(';')));
             rest.remove_prefix(
                 std::min(rest.size(), rest.find(';') == rest.npos ? rest.size() : rest.find(';') + 1));
           }
         }});
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    EXPECT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void make(const IndexDefinition& definition) {
    ASSERT_EQ(db_.create_index(definition).to_string(), "ok");
    ASSERT_EQ(db_.wait_for_index(definition.name).to_string(), "ok");
  }
  void make_all() {
    make({.name = "city", .key = {IndexField::value_column(0)}});
    make({.name = "age", .key = {IndexField::value_column(1, KeyType::integer)}});
    make({.name = "tag", .key = {IndexField::by_function("tags", "", KeyType::text)}});
    make({.name = "hcity", .key = {IndexField::value_column(0)}, .kind = IndexKind::hash});
    make({.name = "both",
          .key = {IndexField::value_column(0), IndexField::value_column(1, KeyType::integer)}});
  }
  std::string run(std::string_view text) {
    Result<Query> query = parse_query(text);
    EXPECT_TRUE(query.ok()) << query.status().to_string();
    if (!query) return query.status().to_string();
    return run(*query);
  }
  std::string run(const Query& query) {
    std::string found;
    for (const std::string& key : keys_of(query)) found.append(found.empty() ? "" : " ").append(key);
    return found;
  }
  static std::string value_of(const Person& person) {
    std::string value = person.city + "," + (person.has_age ? std::to_string(person.age) : "old") + ",";
    for (const std::string& tag : person.tags) value += tag + ";";
    return value;
  }
  void put(const std::string& key, const Person& person) {
    ASSERT_EQ(db_.put(key, value_of(person)).to_string(), "ok");
    people_[key] = person;
  }

  // Of a field, the values that count for a condition.
  static bool meets(const Person& person, const Condition& condition) {
    const auto text = [&](const std::string& value) {
      const auto wanted = [&](size_t i) { return std::get<std::string>(condition.values[i]); };
      switch (condition.op) {
        case Op::equal:
          return value == wanted(0);
        case Op::less:
          return value < wanted(0);
        case Op::less_equal:
          return value <= wanted(0);
        case Op::greater:
          return value > wanted(0);
        case Op::greater_equal:
          return value >= wanted(0);
        case Op::between:
          return value >= wanted(0) && value <= wanted(1);
        case Op::prefix:
          return value.starts_with(wanted(0));
        case Op::in:
          return std::any_of(condition.values.begin(), condition.values.end(),
                             [&](const auto& one) { return std::get<std::string>(one) == value; });
      }
      return false;
    };
    if (condition.field == "city" || condition.field == "hcity") return text(person.city);
    if (condition.field == "both") return person.has_age && text(person.city);
    if (condition.field == "tag") return std::any_of(person.tags.begin(), person.tags.end(), text);
    if (!person.has_age) return false;
    const auto number = [&](size_t i) { return std::get<int64_t>(condition.values[i]); };
    switch (condition.op) {
      case Op::equal:
        return person.age == number(0);
      case Op::less:
        return person.age < number(0);
      case Op::less_equal:
        return person.age <= number(0);
      case Op::greater:
        return person.age > number(0);
      case Op::greater_equal:
        return person.age >= number(0);
      case Op::between:
        return person.age >= number(0) && person.age <= number(1);
      case Op::in:
        return std::any_of(condition.values.begin(), condition.values.end(),
                           [&](const auto& one) { return std::get<int64_t>(one) == person.age; });
      default:
        return false;
    }
  }

  // What a person has in an index that gives an order, by the condition on it, if there is one.
  static std::vector<std::string> order_keys(const Person& person, const Query& query) {
    const std::string& order = query.order;
    if (order == "city" || order == "hcity") return {ordered_key(person.city)};
    if (order == "age" && person.has_age) return {ordered_key(person.age)};
    if (order == "both" && person.has_age) return {ordered_key(person.city, person.age)};
    std::vector<std::string> keys;
    if (order != "tag") return keys;
    const auto condition = std::find_if(query.conditions.begin(), query.conditions.end(),
                                        [](const Condition& one) { return one.field == "tag"; });
    for (const std::string& tag : person.tags) {
      const Person alone{.city = {}, .age = 0, .has_age = false, .tags = {tag}};
      if (condition == query.conditions.end() || meets(alone, *condition)) keys.push_back(ordered_key(tag));
    }
    return keys;
  }
  // In the order wanted, else by key.
  std::vector<std::string> look_at_every_row(const Query& query) const {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [key, person] : people_) {
      const auto meets_all = [&](const std::vector<Condition>& conditions) {
        return std::all_of(conditions.begin(), conditions.end(),
                           [&](const Condition& condition) { return meets(person, condition); });
      };
      const auto& any = query.alternatives;
      if (!meets_all(query.conditions)) continue;
      if (!any.empty() && std::none_of(any.begin(), any.end(), meets_all)) continue;
      const std::vector<std::string> keys = order_keys(person, query);
      if (!query.order.empty() && keys.empty()) continue;
      const auto [least, most] = std::minmax_element(keys.begin(), keys.end());
      found.emplace_back(query.order.empty() ? "" : query.descending ? *most : *least, key);
    }
    std::sort(found.begin(), found.end());
    if (query.descending && !query.order.empty()) std::reverse(found.begin(), found.end());
    std::vector<std::string> keys;
    for (const auto& [order, key] : found) keys.push_back(key);
    return keys;
  }
  std::vector<std::string> keys_of(const Query& query) { return keys_of(run_query(db_, query)); }
  std::vector<std::string> keys_of(QueryScan scan) {
    std::vector<std::string> keys;
    while (scan.advance()) keys.emplace_back(scan.primary_key());
    EXPECT_EQ(scan.status().to_string(), "ok");
    explained_ = scan.explain();
    return keys;
  }

  ScratchDirectory scratch_;
  Database db_;
  std::map<std::string, Person> people_;
  std::string explained_;
};

TEST_F(Queries, OfText) {
  make_all();
  put("ann", {"Oslo", 31, true, {"climbs", "reads"}});
  put("bob", {"Rome", 7, true, {"reads"}});
  put("cid", {"Oslo", 58, true, {}});
  put("dan", {"Bonn", 0, false, {}});
  EXPECT_EQ(run("age >= 18 and city = \"Oslo\""), "ann cid");
  EXPECT_EQ(run("age between 7 and 31"), "ann bob");
  EXPECT_EQ(run("age in (58, 7, 99)"), "bob cid");
  EXPECT_EQ(run("city prefix 'O' order by age desc limit 1"), "cid");
  EXPECT_EQ(run("tag = 'reads' and age < 10"), "bob");
  EXPECT_EQ(run("tag > 'a'"), "ann bob");  // each row once
  EXPECT_EQ(run("order by age"), "bob ann cid");
  EXPECT_EQ(run("limit 2"), "ann bob");
  EXPECT_EQ(run(""), "ann bob cid dan");
  EXPECT_EQ(run("hcity = 'Oslo'"), "ann cid");
  EXPECT_EQ(run("age between 9 and 8"), "");
  EXPECT_EQ(run("city = 'Rome' or city = 'Bonn'"), "bob dan");
  EXPECT_EQ(run("age < 40 and (city = 'Oslo' or tag = 'reads')"), "ann bob");
  EXPECT_EQ(run("(city = 'Oslo' or city = 'Rome') and (age = 7 or age = 58) order by age desc"), "cid bob");
  EXPECT_EQ(run("city = 'Oslo' and age > 40 or city = 'Rome' and age between 5 and 9"), "bob cid");
  EXPECT_EQ(run("(((age = 7)))"), "bob");
}

TEST_F(Queries, WithOrAreTakenApart) {
  const auto shape = [](std::string_view text) {
    const Result<Query> query = parse_query(text);
    EXPECT_TRUE(query.ok()) << text << ": " << query.status().to_string();
    std::string sizes = std::to_string(query->conditions.size());
    for (const auto& one : query->alternatives) sizes += " " + std::to_string(one.size());
    return sizes;
  };
  EXPECT_EQ(shape("a = 1 and b = 2"), "2");
  EXPECT_EQ(shape("a = 1 or b = 2"), "0 1 1");
  EXPECT_EQ(shape("a = 1 or b = 2 and c = 3"), "0 1 2");
  EXPECT_EQ(shape("a = 1 and (b = 2 or c = 3)"), "1 1 1");
  EXPECT_EQ(shape("(a = 1 or b = 2) and (c = 3 or d = 4)"), "0 2 2 2 2");
  EXPECT_EQ(shape("a = 1 or a = 1 and b = 2"), "1");
  std::string many = "a = 0";
  for (int i = 1; i < 64; ++i) many += " or a = " + std::to_string(i);
  EXPECT_EQ(parse_query(many)->alternatives.size(), 64u);
  EXPECT_TRUE(parse_query(many + " or a = 64").status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(parse_query("(" + many + ") and (b = 1 or b = 2)").status().is(StatusCode::invalid_argument));
  const std::string deep(1'000'000, '(');
  EXPECT_TRUE(parse_query(deep + "a = 1").status().is(StatusCode::invalid_argument));
}

TEST_F(Queries, ThatMakeNoSenseSaySo) {
  make_all();
  for (const std::string_view text : {"age",
                                      "age =",
                                      "age = x",
                                      "= 5",
                                      "age = 5 and",
                                      "age = 5 city = 'a'",
                                      "age in ()",
                                      "age in (1",
                                      "city = 'a",
                                      "order age",
                                      "limit",
                                      "limit -1",
                                      "age between 1 or 2",
                                      "age = 5x",
                                      "city = 'a\\",
                                      "a = 1 or",
                                      "or a = 1",
                                      "(a = 1",
                                      "a = 1)",
                                      "()",
                                      "a = 1 and (b = 2 or)",
                                      "(a = 1) b = 2"}) {
    EXPECT_TRUE(parse_query(text).status().is(StatusCode::invalid_argument)) << text;
  }
  for (const std::string_view text : {"age = 'old'", "age prefix 5", "city = 5"}) {
    Result<Query> query = parse_query(text);
    ASSERT_TRUE(query) << text;
    EXPECT_TRUE(run_query(db_, *query).status().is(StatusCode::invalid_argument)) << text;
  }
  EXPECT_TRUE(run_query(db_, *parse_query("colour = 1")).status().is(StatusCode::not_found));
  EXPECT_EQ(std::get<std::string>(parse_query("a = 'it\\'s \\\\'")->conditions[0].values[0]), "it's \\");
}

TEST_F(Queries, AreFoundTheCheapestWay) {
  make_all();
  for (int i = 0; i < 1000; ++i)
    put("k" + std::to_string(i), {"c" + std::to_string(i % 10), i, true, {"t" + std::to_string(i % 7)}});
  run("age = 17");
  EXPECT_EQ(explained_.rfind("index age by age = 17", 0), 0u) << explained_;
  run("age >= 0");
  EXPECT_EQ(explained_.rfind("scan of all rows", 0), 0u) << explained_;
  EXPECT_NE(explained_.find("instead of: index age"), std::string::npos) << explained_;
  run("city = 'c3' and tag = 't2'");
  EXPECT_EQ(explained_.rfind("rows of both", 0), 0u) << explained_;
  run("order by age limit 3");
  EXPECT_EQ(explained_.rfind("index age in its order", 0), 0u) << explained_;
  run("age < 5 and city = 'c3'");
  EXPECT_EQ(explained_.rfind("index age", 0), 0u) << explained_;
  EXPECT_NE(explained_.find("then city = \"c3\" is looked for"), std::string::npos) << explained_;
  run("age = 17 or age = 18 and tag = 't2'");
  EXPECT_EQ(explained_.rfind("index age by age = 17, then index age by age = 18", 0), 0u) << explained_;
  run("age < 5 and (city = 'c3' or tag = 't2')");
  EXPECT_EQ(explained_.rfind("index age by age < 5", 0), 0u) << explained_;
  EXPECT_NE(explained_.find("one of 2 alternatives is looked for"), std::string::npos) << explained_;
  run("age >= 0 or city = 'c3'");
  EXPECT_EQ(explained_.rfind("scan of all rows", 0), 0u) << explained_;
}

template <typename Text>
Condition random_condition(Random& random, Text&& text) {
  Condition condition;
  condition.field = std::array{"city", "age", "tag", "hcity", "both"}[random.below(5)];
  const bool number = condition.field == "age";
  condition.op = static_cast<Op>(random.below(8));
  if (number && condition.op == Op::prefix) condition.op = Op::equal;
  uint64_t values = condition.op == Op::between ? 2 : condition.op == Op::in ? 1 + random.below(4) : 1;
  for (; values > 0; --values) {
    if (number) {
      condition.values.emplace_back(static_cast<int64_t>(random.below(60)) - 10);
    } else {
      condition.values.emplace_back(text());
    }
  }
  return condition;
}

// Up to three conditions, up to three alternatives, and an order.
template <typename Text>
Query random_query(Random& random, Text&& text) {
  Query query;
  for (uint64_t left = random.below(4); left > 0; --left)
    query.conditions.push_back(random_condition(random, text));
  if (random.chance(0.5)) {
    if (random.chance(0.5)) query.conditions.clear();
    query.alternatives.resize(1 + random.below(3));
    for (std::vector<Condition>& one : query.alternatives) {
      for (uint64_t left = 1 + random.below(3); left > 0; --left)
        one.push_back(random_condition(random, text));
    }
  }
  if (random.chance(0.6)) query.order = std::array{"city", "age", "tag", "hcity", "both"}[random.below(5)];
  query.descending = random.chance(0.5);
  return query;
}

TEST_F(Queries, FindWhatALookAtEveryRowFinds) {
  make_all();
  Random random(7);
  const auto city = [&] {
    return std::string(1 + random.below(2), static_cast<char>('a' + random.below(5)));
  };
  for (int i = 0; i < 400; ++i) {
    Person person{city(), static_cast<int64_t>(random.below(60)) - 10, random.chance(0.9), {}};
    for (uint64_t left = random.below(4); left > 0; --left) person.tags.push_back(city());
    put("k" + std::to_string(i), person);
  }
  uint64_t rows = 0;
  std::set<std::string> ways;
  for (int round = 0; round < 2000; ++round) {
    Query query = random_query(random, city);
    const std::vector<std::string> expected = look_at_every_row(query);
    rows += expected.size();
    std::vector<std::string> found = keys_of(query);
    if (query.order.empty()) std::sort(found.begin(), found.end());
    ASSERT_EQ(found, expected) << "round " << round << "\n" << explained_;
    const std::string first = explained_.substr(0, explained_.find('\n'));
    const bool alternatives = first.find(", then index") != std::string::npos;
    ways.insert(alternatives ? "alternatives" : first.substr(0, first.find(' ', first.find(' ') + 1)));
    query.limit = random.below(expected.size() + 2);
    const std::vector<std::string> limited = keys_of(query);
    ASSERT_EQ(limited.size(), std::min<uint64_t>(query.limit, expected.size())) << explained_;
    for (size_t i = 0; i < limited.size(); ++i) {
      if (query.order.empty()) {
        ASSERT_TRUE(std::binary_search(expected.begin(), expected.end(), limited[i])) << explained_;
      } else {
        ASSERT_EQ(limited[i], expected[i]) << "round " << round << "\n" << explained_;
      }
    }
  }
  EXPECT_GT(rows, 10'000u);
  EXPECT_GE(ways.size(), 6u);
  EXPECT_TRUE(ways.contains("alternatives"));
}

// Behind the last row there is none, however often one asks.
TEST_F(Queries, EndForGood) {
  make_all();
  for (int i = 0; i < 300; ++i)
    put("k" + std::to_string(i), {"c" + std::to_string(i % 10), i, true, {"t" + std::to_string(i % 7)}});
  Transaction tx = db_.begin();
  for (const std::string text :
       {"age >= 0", "age = 17", "city = 'c3' and tag = 't2'", "age = 17 or age = 18 and tag = 't2'",
        "age >= 0 or city = 'c3'", "city = 'c3' order by age", "order by age", "order by age limit 3",
        "city = 'none' and tag = 't2'", "age >= 0 limit 3"}) {
    const Result<Query> query = parse_query(text);
    ASSERT_TRUE(query.ok()) << text;
    for (const bool in_transaction : {false, true}) {
      QueryScan scan = in_transaction ? run_query(tx, *query) : run_query(db_, *query);
      uint64_t rows = 0;
      while (scan.advance()) ++rows;
      EXPECT_EQ(rows == 0, text.find("none") != std::string::npos) << text;
      EXPECT_FALSE(scan.advance()) << text;
      EXPECT_FALSE(scan.advance()) << text;
      EXPECT_EQ(scan.status().to_string(), "ok");
    }
  }
}

TEST_F(Queries, ReadAsOfOneMoment) {
  make_all();
  for (int i = 0; i < 50; ++i) put("k" + std::to_string(i), {"Rome", i, true, {}});
  put("ann", {"Oslo", 31, true, {}});
  put("bob", {"Oslo", 7, true, {}});
  ASSERT_TRUE(db_.sync().ok());
  Result<Snapshot> before = db_.snapshot();
  const Result<Query> query = parse_query("city = 'Oslo'");
  const ReadOptions moments[] = {
      {.snapshot = &*before}, {.level = ReadLevel::latest}, {.level = ReadLevel::durable}};
  std::vector<QueryScan> scans;
  for (const ReadOptions& moment : moments) {
    scans.push_back(run_query(db_, *query, moment));
    ASSERT_TRUE(scans.back().advance());
    EXPECT_EQ(scans.back().primary_key(), "ann");
    EXPECT_EQ(scans.back().explain().rfind("index city", 0), 0u) << scans.back().explain();
  }
  put("bob", {"Rome", 7, true, {}});
  ASSERT_TRUE(db_.sync().ok());
  for (QueryScan& scan : scans) {
    ASSERT_TRUE(scan.advance());
    EXPECT_EQ(scan.value(), "Oslo,7,");
    EXPECT_FALSE(scan.advance());
    EXPECT_EQ(scan.status().to_string(), "ok");
  }
}

// They keep what the caller's snapshot stands for, whatever becomes of the caller's.
TEST_F(Queries, OutliveTheSnapshotThatTheyWereGiven) {
  make_all();
  for (int i = 0; i < 50; ++i) put("k" + std::to_string(i), {"Rome", i, true, {}});
  put("ann", {"Oslo", 31, true, {}});
  put("bob", {"Oslo", 7, true, {}});
  for (const char* const text :
       {"city = 'Oslo'", "city = 'Oslo' order by age desc", "age >= 0 or city = 'a'"}) {
    SCOPED_TRACE(text);
    std::vector<std::string> expected = keys_of(*parse_query(text));
    auto before = std::make_unique<Snapshot>(*db_.snapshot());
    QueryScan destroyed = run_query(db_, *parse_query(text), {.snapshot = before.get()});
    before = nullptr;
    Snapshot kept = *db_.snapshot();
    QueryScan released = run_query(db_, *parse_query(text), {.snapshot = &kept});
    kept.release();
    ASSERT_EQ(db_.put("bob", "Rome,-7,").to_string(), "ok");
    EXPECT_EQ(keys_of(std::move(destroyed)), expected);
    EXPECT_EQ(keys_of(std::move(released)), expected);
    ASSERT_EQ(db_.put("bob", "Oslo,7,").to_string(), "ok");
  }
}

// With what the transaction wrote, whichever way is taken; nobody else's writes.
TEST_F(Queries, InTransactionsFindWhatALookAtEveryRowFinds) {
  make_all();
  Random random(13);
  const auto city = [&] {
    return std::string(1 + random.below(2), static_cast<char>('a' + random.below(4)));
  };
  const auto person = [&] {
    Person made{city(), static_cast<int64_t>(random.below(60)) - 10, random.chance(0.9), {}};
    for (uint64_t left = random.below(4); left > 0; --left) made.tags.push_back(city());
    return made;
  };
  for (int i = 0; i < 150; ++i) put("k" + std::to_string(i), person());
  for (const Isolation isolation : {Isolation::read_committed, Isolation::repeatable_read,
                                    Isolation::snapshot, Isolation::serializable}) {
    const std::map<std::string, Person> before = people_;
    Transaction transaction = db_.begin({.isolation = isolation});
    for (int round = 0; round < 150; ++round) {
      const std::string key = "k" + std::to_string(random.below(160));
      if (random.chance(0.3)) {
        ASSERT_EQ(transaction.remove(key).to_string(), "ok");
        people_.erase(key);
      } else {
        const Person made = person();
        ASSERT_EQ(transaction.put(key, value_of(made)).to_string(), "ok");
        people_[key] = made;
      }
      if (isolation != Isolation::read_committed && round == 70) {
        ASSERT_EQ(db_.put("other", "a,5,a;").to_string(), "ok");
      }
      const Query query = random_query(random, city);
      std::vector<std::string> found = keys_of(run_query(transaction, query));
      if (query.order.empty()) std::sort(found.begin(), found.end());
      ASSERT_EQ(found, look_at_every_row(query)) << "round " << round << "\n" << explained_;
    }
    transaction.abort();
    people_ = before;
    ASSERT_TRUE(db_.remove("other").ok());
  }
}

// Rows that move from one alternative to another while the query goes.
TEST_F(Queries, AtReadCommittedGiveARowThatMeetsThemThroughoutOnce) {
  make_all();
  for (int i = 0; i < 300; ++i) put("k" + std::to_string(i), {"c" + std::to_string(i), i, true, {}});
  for (const bool forth : {true, false}) {
    put("first", {"Oslo", 499, true, {}});
    put("mover", forth ? Person{"Rome", 500, true, {}} : Person{"Oslo", 499, true, {}});
    Transaction transaction = db_.begin({.isolation = Isolation::read_committed});
    Result<QueryScan> scan = run_query(transaction, *parse_query("city = 'Oslo' or age = 500"));
    ASSERT_TRUE(scan) << scan.status().to_string();
    size_t movers = 0;
    for (bool first = true; scan->advance(); first = false) {
      movers += scan->primary_key() == "mover" ? 1 : 0;
      const bool moves = forth ? first : movers == 1;
      if (moves) put("mover", forth ? Person{"Oslo", 500, true, {}} : Person{"Rome", 500, true, {}});
    }
    EXPECT_TRUE(scan->status().ok());
    EXPECT_EQ(movers, 1u) << forth;
  }
}

// Rows whose turn comes when they no longer meet the query, or are gone, by others or by the transaction.
TEST_F(Queries, InTransactionsGiveNoRowThatMeetsThemNoMore) {
  make_all();
  for (const Isolation isolation : {Isolation::read_committed, Isolation::snapshot}) {
    for (int i = 0; i < 300; ++i) put("k" + std::to_string(i), {"Rome", i, true, {}});
    for (const char* const key : {"a", "b", "c", "d", "e", "f"}) put(key, {"Oslo", *key, true, {"x"}});
    for (const char* const text : {"city = 'Oslo' order by age", "city = 'Oslo' and age > 0 order by age",
                                   "(city = 'Oslo' and age > 0 or city = 'Bern') order by age"}) {
      SCOPED_TRACE(text);
      const bool others = isolation == Isolation::read_committed;
      Transaction tx = db_.begin({.isolation = isolation});
      QueryScan scan = run_query(tx, *parse_query(text));
      ASSERT_TRUE(scan.advance()) << scan.status().to_string();
      EXPECT_EQ(scan.primary_key(), "a");
      EXPECT_NE(scan.explain().find("sort"), std::string::npos) << scan.explain();
      const auto write = [&](const char* key, const char* value) {
        return others ? db_.put(key, value) : tx.put(key, value);
      };
      ASSERT_EQ(write("b", "Rome,98,x;").to_string(), "ok");
      ASSERT_EQ(write("c", "Oslo,99,y;").to_string(), "ok");
      ASSERT_EQ(write("d", "Oslo,old,x;").to_string(), "ok");
      ASSERT_EQ((others ? db_.remove("e") : tx.remove("e")).to_string(), "ok");
      std::string found;
      while (scan.advance()) found.append(scan.primary_key()).append("=").append(scan.value()).append(" ");
      EXPECT_EQ(found, "c=Oslo,99,y; f=Oslo,102,x; ");
      EXPECT_EQ(scan.status().to_string(), "ok");
      tx.abort();
      for (const char* const key : {"b", "c", "d", "e"}) put(key, {"Oslo", *key, true, {"x"}});
    }
  }
}

TEST_F(Queries, InSerializableTransactionsHaveReadWhatTheyDidNotFind) {
  make_all();
  for (int i = 0; i < 300; ++i) put("k" + std::to_string(i), {"c" + std::to_string(i), i, true, {}});
  const auto commits_beside = [&](const std::string& other) {
    Transaction transaction = db_.begin({.isolation = Isolation::serializable});
    EXPECT_EQ(keys_of(run_query(transaction, *parse_query("age = 500 or city = 'Oslo'"))).size(), 0u);
    EXPECT_EQ(explained_.rfind("index age", 0), 0u) << explained_;
    EXPECT_TRUE(transaction.put("mine", "none,old,").ok());
    EXPECT_TRUE(db_.put("beside", other).ok());
    return transaction.commit();
  };
  EXPECT_EQ(commits_beside("Rome,499,").to_string(), "ok");
  EXPECT_TRUE(commits_beside("Rome,500,").is(StatusCode::conflict));
  ASSERT_TRUE(db_.remove("beside").ok());
  EXPECT_TRUE(commits_beside("Oslo,3,").is(StatusCode::conflict));
  EXPECT_TRUE(run_query(TransactionKeyspace(), {}).status().is(StatusCode::closed));
}

// Whichever way there is.
TEST_F(Queries, AtAMomentBeforeTheirIndexesFindNothing) {
  put("ann", {"Oslo", 31, true, {}});
  Result<Snapshot> before = db_.snapshot();
  make_all();
  for (const std::string_view text : {"city = 'Oslo'", "city >= 'A'", "order by age"}) {
    QueryScan scan = run_query(db_, *parse_query(text), {.snapshot = &*before});
    EXPECT_FALSE(scan.advance());
    EXPECT_TRUE(scan.status().is(StatusCode::not_found)) << text << ": " << scan.status().to_string();
  }
}

TEST_F(Queries, OfAnyTextAreReadOrRefused) {
  make_all();
  constexpr std::string_view kPieces[] = {"city",
                                          "age",
                                          "tag",
                                          " ",
                                          "and",
                                          "or",
                                          "order",
                                          "by",
                                          "desc",
                                          "limit",
                                          "in",
                                          "(",
                                          ")",
                                          ",",
                                          "=",
                                          "<",
                                          ">",
                                          "'a'",
                                          "\"b",
                                          "\\",
                                          "-5",
                                          "7",
                                          "1e9",
                                          "1e999",
                                          "nan",
                                          "0.5",
                                          "'",
                                          "\xff",
                                          "prefix",
                                          "between",
                                          "18446744073709551615",
                                          "99999999999999999999999",
                                          "\n",
                                          "\0"};
  Random random(11);
  uint64_t read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = random.chance(0.5) ? "age >= 7 " : "";
    for (uint64_t left = random.below(9); left > 0; --left) {
      text += kPieces[random.below(std::size(kPieces))];
      if (random.chance(0.7)) text += " ";
    }
    const Result<Query> query = parse_query(text);
    if (!query) {
      ASSERT_TRUE(query.status().is(StatusCode::invalid_argument)) << text;
      continue;
    }
    ++read;
    QueryScan scan = run_query(db_, *query);
    EXPECT_FALSE(scan.advance());
    ASSERT_TRUE(scan.status().ok() || scan.status().is(StatusCode::invalid_argument) ||
                scan.status().is(StatusCode::not_found))
        << text << ": " << scan.status().to_string();
  }
  EXPECT_GT(read, 500u);
}

}  // namespace
}  // namespace lightning
