#include <lightning/database.h>
#include <lightning/json.h>
#include <lightning/query.h>

#include <gtest/gtest.h>

#include "io/scratch_directory.h"

namespace lightning {
namespace {

std::string found(std::string_view document, std::string_view pointer) {
  FieldValues values;
  json_extractor().fn("", document, pointer, values);
  std::string text;
  for (const FieldValues::Value& value : values.values()) {
    if (!text.empty()) text += " ";
    if (const auto* s = std::get_if<std::string>(&value)) text += "\"" + *s + "\"";
    if (const auto* i = std::get_if<int64_t>(&value)) text += std::to_string(*i);
    if (const auto* u = std::get_if<uint64_t>(&value)) text += std::to_string(*u) + "u";
    if (const auto* d = std::get_if<double>(&value)) text += std::to_string(*d);
  }
  return text;
}

TEST(Json, FieldsAreFoundByPointer) {
  constexpr std::string_view kDocument =
      R"({"name":"Ann","age":31,"big":18446744073709551615,"half":0.5,"ok":true,"no":null,)"
      R"("home":{"city":"Oslo","a/b":1},"tags":["x","y",3,{"z":1},["w"]]})";
  EXPECT_EQ(found(kDocument, "/name"), "\"Ann\"");
  EXPECT_EQ(found(kDocument, "/age"), "31");
  EXPECT_EQ(found(kDocument, "/big"), "18446744073709551615u");
  EXPECT_EQ(found(kDocument, "/half"), "0.500000");
  EXPECT_EQ(found(kDocument, "/ok"), "1");
  EXPECT_EQ(found(kDocument, "/no"), "");
  EXPECT_EQ(found(kDocument, "/home/city"), "\"Oslo\"");
  EXPECT_EQ(found(kDocument, "/home/a~1b"), "1");
  EXPECT_EQ(found(kDocument, "/home"), "");
  EXPECT_EQ(found(kDocument, "/tags"), "\"x\" \"y\" 3");
  EXPECT_EQ(found(kDocument, "/tags/1"), "\"y\"");
  EXPECT_EQ(found(kDocument, "/tags/9"), "");
  EXPECT_EQ(found(kDocument, "/nobody"), "");
  EXPECT_EQ(found("17", ""), "17");
}

TEST(Json, WhatIsNoDocumentHasNoFields) {
  for (const std::string_view text : {"", "{", "{\"a\":1", "{\"a\":1,\"b\":99999999999999999999}",
                                      "{\"a\":1}x", "nothing", "\xff", "{\"a\":01}"})
    EXPECT_EQ(found(text, "/a"), "") << text;
  std::string cut = "{\"a\":1}";
  EXPECT_EQ(found(std::string_view(cut).substr(0, 6), "/a"), "");
}

Database open_with_json(const ScratchDirectory& scratch) {
  Options options;
  options.durability = Durability::process;
  options.extractors.push_back(json_extractor());
  Result<Database> opened = Database::open(scratch.path() + "/db", options);
  EXPECT_TRUE(opened) << opened.status().to_string();
  return *std::move(opened);
}

TEST(Json, IndexesOfDocuments) {
  const ScratchDirectory scratch;
  Database db = open_with_json(scratch);
  ASSERT_TRUE(db.put("1", R"({"age":31,"tags":["a","b"],"home":{"city":"Oslo"}})").ok());
  ASSERT_TRUE(db.put("2", R"({"age":7.0,"tags":[],"home":{"city":"Rome"}})").ok());
  ASSERT_TRUE(db.put("3", "no document").ok());
  const IndexField age = IndexField::json_pointer("/age", KeyType::integer);
  const IndexField tags = IndexField::json_pointer("/tags", KeyType::text);
  ASSERT_TRUE(db.create_index({.name = "age", .key = {age}}).ok());
  ASSERT_TRUE(db.create_index({.name = "tag", .key = {tags}}).ok());
  ASSERT_TRUE(db.wait_for_index("age").ok());
  ASSERT_TRUE(db.wait_for_index("tag").ok());
  IndexScan grown = db.index("age").range(ordered_key(8), "");
  ASSERT_TRUE(grown.advance());
  EXPECT_EQ(grown.primary_key(), "1");
  EXPECT_FALSE(grown.advance());
  EXPECT_EQ(*db.index("age").count("", ""), 2u);
  EXPECT_EQ(*db.index("tag").count("", ""), 2u);
  ASSERT_TRUE(db.put("1", R"({"tags":["b","c","b"]})").ok());
  EXPECT_EQ(*db.index("age").count("", ""), 1u);
  EXPECT_EQ(*db.index("tag").count("", ""), 2u);
  const Result<VerifyReport> report = db.verify();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->index_entries, 3u);
}

// A pointer names an index that can be read, though it has more fields.
TEST(Json, QueriesTakeAnIndexThatCanBeRead) {
  const ScratchDirectory scratch;
  Database db = open_with_json(scratch);
  ASSERT_TRUE(db.put("1", R"({"age":31,"name":"Ann"})").ok());
  ASSERT_TRUE(db.put("2", R"({"age":31,"name":"Bob"})").ok());
  const IndexField age = IndexField::json_pointer("/age", KeyType::integer);
  const IndexField name = IndexField::json_pointer("/name", KeyType::text);
  ASSERT_TRUE(db.create_index({.name = "both", .key = {age, name}}).ok());
  ASSERT_TRUE(db.wait_for_index("both").ok());
  ASSERT_TRUE(db.create_index({.name = "alone", .key = {age}, .unique = true}).ok());
  ASSERT_TRUE(db.wait_for_index("alone").is(StatusCode::already_exists));
  ASSERT_TRUE(db.create_index({.name = "hash", .key = {age}, .kind = IndexKind::hash}).ok());
  ASSERT_TRUE(db.wait_for_index("hash").ok());
  const auto run = [&](std::string_view text) {
    QueryScan scan = run_query(db, *parse_query(text));
    std::string keys;
    while (scan.advance()) keys += scan.primary_key();
    EXPECT_EQ(scan.status().to_string(), "ok");
    return keys + " " + scan.explain();
  };
  const std::string found = run("/age >= 31 order by /age limit 1");
  EXPECT_EQ(found.rfind("1 ", 0), 0u) << found;
  EXPECT_NE(found.find("index both by /age"), std::string::npos) << found;
  EXPECT_EQ(run("both = 31").rfind("12 ", 0), 0u);
  // A name is what it says.
  EXPECT_TRUE(run_query(db, *parse_query("alone = 31")).status().is(StatusCode::already_exists));
}

}  // namespace
}  // namespace lightning
