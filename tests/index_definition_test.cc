#include "index/definition.h"

#include <gtest/gtest.h>

#include "index/entries.h"
#include "testing/random.h"

namespace lightning {
namespace {

IndexField random_field(Random& random) {
  IndexField field;
  field.source = static_cast<IndexField::Source>(random.below(5));
  field.type = static_cast<KeyType>(random.below(5));
  field.offset = static_cast<uint32_t>(random.next() >> random.below(64));
  field.size = random.chance(0.5) ? IndexField::kToTheEnd : static_cast<uint32_t>(random.below(1000));
  field.column = static_cast<uint32_t>(random.below(300));
  field.delimiter = static_cast<char>(random.next());
  if (field.source == IndexField::Source::function) {
    field.function = std::string(1 + random.below(255), 'f');
    field.argument = std::string(random.below(200), 'a');
  }
  return field;
}

StoredIndex random_index(Random& random) {
  StoredIndex index;
  index.state = static_cast<IndexState>(random.below(3));
  if (index.state == IndexState::failed) index.failure = std::string(random.below(50), 'x');
  index.definition.name = "name";
  index.definition.unique = random.chance(0.5);
  index.definition.kind = random.chance(0.5) ? IndexKind::hash : IndexKind::ordered;
  index.definition.missing = random.chance(0.5) ? MissingField::refuse : MissingField::skip;
  for (uint64_t left = 1 + random.below(16); left > 0; --left)
    index.definition.key.push_back(random_field(random));
  for (uint64_t left = random.below(17); left > 0; --left)
    index.definition.covered.push_back(random_field(random));
  return index;
}

TEST(IndexDefinition, WhatIsWrittenIsRead) {
  Random random(1);
  for (int round = 0; round < 2000; ++round) {
    const StoredIndex index = random_index(random);
    ASSERT_TRUE(check_definition(index.definition).ok());
    const std::string bytes = encode_definition(index);
    const Result<StoredIndex> read = decode_definition(bytes);
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_EQ(encode_definition(*read), bytes);
    EXPECT_EQ(read->state, index.state);
    EXPECT_EQ(read->failure, index.failure);
    EXPECT_EQ(read->definition.key.size(), index.definition.key.size());
    const Result<std::string> anew = definition_to_build(bytes);
    ASSERT_TRUE(anew.ok());
    EXPECT_EQ(decode_definition(*anew)->state, IndexState::building);
  }
}

TEST(IndexDefinition, HostileBytesAreRefusedOrMeanWhatTheySay) {
  Random random(2);
  uint64_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = encode_definition(random_index(random));
    for (uint64_t left = 1 + random.below(3); left > 0; --left) {
      const size_t at = random.below(std::min<size_t>(bytes.size(), 40));
      if (random.chance(0.2)) {
        bytes.resize(at + 1);
      } else {
        bytes[at] = static_cast<char>(random.next());
      }
    }
    const Result<StoredIndex> read = decode_definition(bytes);
    if (!read) {
      ASSERT_TRUE(read.status().is(StatusCode::corruption));
      ++refused;
    } else {
      ASSERT_EQ(encode_definition(*read), bytes);
    }
  }
  EXPECT_GT(refused, 5000u);
}

TEST(IndexDefinition, WhatNoIndexCanBeIsRefused) {
  const auto refused = [](const IndexDefinition& definition) {
    return check_definition(definition).is(StatusCode::invalid_argument);
  };
  const std::vector<IndexField> value = {IndexField::whole_value()};
  EXPECT_FALSE(refused({.name = "n", .key = value}));
  EXPECT_TRUE(refused({.name = "", .key = value}));
  EXPECT_TRUE(refused({.name = std::string(256, 'n'), .key = value}));
  EXPECT_TRUE(refused({.name = "n", .key = {}}));
  EXPECT_TRUE(refused({.name = "n", .key = std::vector<IndexField>(17)}));
  EXPECT_TRUE(refused({.name = "n", .key = {IndexField::by_function("", "", KeyType::text)}}));
  EXPECT_TRUE(
      refused({.name = "n", .key = {IndexField::by_function("f", std::string(4097, 'a'), KeyType::text)}}));
  IndexField named = IndexField::whole_value();
  named.function = "f";
  EXPECT_TRUE(refused({.name = "n", .key = {named}}));
  EXPECT_TRUE(
      refused({.name = "n", .key = value, .covered = {IndexField::value_column(IndexField::kEveryColumn)}}));
}

// One that is there already, as an older version let it, still says which entries it has.
TEST(IndexEntries, OfARowThatIsThereAreNotTooMany) {
  LiveIndex index;
  index.stored.definition = {.name = "words",
                             .key = {IndexField::value_column(IndexField::kEveryColumn)},
                             .covered = {IndexField::whole_value()}};
  index.key_functions = index.covered_functions = {nullptr};
  std::string row;
  for (int i = 0; i < 4000; ++i) row += std::to_string(i) + ",";
  row.append(20'000, 'x');
  std::vector<MadeEntry> made;
  EXPECT_TRUE(make_entries(index, "row", row, &made, true).is(StatusCode::invalid_argument));
  EXPECT_TRUE(made.empty());
  EXPECT_TRUE(make_entries(index, "row", row, &made).ok());
  EXPECT_EQ(made.size(), 4001u);
  // Each entry of an index that is not unique repeats the row's key, too.
  index.stored.definition.covered.clear();
  row.resize(row.size() - 20'000);
  EXPECT_TRUE(
      make_entries(index, std::string(20'000, 'k'), row, &made, true).is(StatusCode::invalid_argument));
}

}  // namespace
}  // namespace lightning
