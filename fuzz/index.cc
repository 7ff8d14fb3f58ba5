// Index: the definition of an index as the catalogue keeps it, and the entries that it makes of any row.
//
// An input is the size of a definition (u16), the definition, the size of a row's key (u16), this, and the
// row's value.
#include "fuzz/target.h"
#include "index/definition.h"
#include "index/entries.h"

namespace lightning::fuzz {
namespace {

const ExtractFn kExtract = [](std::string_view, std::string_view value, std::string_view argument,
                              FieldValues& values) {
  for (const char c : value.substr(0, 8)) {
    if (c % 3 == 0) values.add(static_cast<int64_t>(c) * 1'000'003);
    if (c % 3 == 1) values.add(static_cast<double>(c) / 4);
    if (c % 3 == 2) values.add(std::string(argument) + c);
  }
};

/// An entry says what it was made of.
void check_entry(const LiveIndex& index, const MadeEntry& entry, std::string_view primary_key) {
  EntryParts parts;
  expect(take_entry(index, entry.key, entry.value, &parts), "an entry that was made is none");
  expect(parts.primary_key == primary_key, "the row of an entry");
  bool whole = false;
  expect(check_index_key(index, parts.index_key, &whole).ok() && whole, "the key of an entry");
  expect(entry.key.starts_with(entry_prefix(index, parts.index_key)), "where an entry is looked for");
  if (index.unique()) expect(primary_key_of(entry.value) == primary_key, "the row of a unique entry");
  KeyReader covered(parts.covered);
  KeyPart part;
  for (size_t i = 0; i < index.definition().covered.size(); ++i)
    expect(covered.next(&part), "a covered field of an entry");
  expect(covered.rest().empty(), "what stands behind the covered fields");
}

bool run(std::string_view input) {
  Bytes bytes(input);
  const Result<StoredIndex> stored = decode_definition(bytes.take(bytes.word()));
  const std::string_view primary_key = bytes.take(bytes.word());
  const std::string_view row = bytes.rest();
  // Any bytes as an ordered key and as an entry.
  KeyReader reader(row);
  KeyPart part;
  size_t left = row.size();
  while (reader.next(&part)) {
    expect(reader.rest().size() < left, "a part of no bytes");
    left = reader.rest().size();
  }
  if (!stored) {
    expect(stored.status().is(StatusCode::corruption), "the kind of error of a definition");
    return false;
  }
  const std::string written = encode_definition(*stored);
  const Result<StoredIndex> again = decode_definition(written);
  expect(again.ok() && encode_definition(*again) == written,
         "a definition changes when it is written and read");
  expect(definition_to_build(written).ok(), "a definition that cannot be built anew");
  LiveIndex index;
  index.stored = *stored;
  index.key_functions.assign(stored->definition.key.size(), &kExtract);
  index.covered_functions.assign(stored->definition.covered.size(), &kExtract);
  EntryParts parts;
  (void)take_entry(index, primary_key, row, &parts);
  std::vector<MadeEntry> made;
  const Status status = make_entries(index, primary_key, row, &made);
  expect(status.ok() || status.is(StatusCode::invalid_argument), "the kind of error of a row");
  if (!status.ok()) return true;
  for (size_t i = 0; i < made.size(); ++i) {
    expect(i == 0 || made[i - 1].key < made[i].key, "entries of a row ascend");
    check_entry(index, made[i], primary_key);
  }
  return true;
}

void add_text(std::string* to, std::string_view text) {
  to->push_back(static_cast<char>(text.size()));
  to->push_back(static_cast<char>(text.size() >> 8));
  to->append(text);
}

void seeds(const SeedSink& sink) {
  const auto seed = [&](std::string_view name, IndexDefinition definition, std::string_view row) {
    definition.name = std::string("n");
    std::string input;
    StoredIndex stored;
    stored.definition = definition;
    add_text(&input, encode_definition(stored));
    add_text(&input, "user:17");
    sink(name, input.append(row));
  };
  seed("value", {.name = {}, .key = {IndexField::whole_value()}}, std::string_view("a\0b", 3));
  seed("columns",
       {.name = {},
        .key = {IndexField::value_column(0), IndexField::value_column(1, KeyType::integer)},
        .unique = true,
        .covered = {IndexField::value_column(2, KeyType::floating), IndexField::key_column(1)}},
       "Oslo,18,-2.5");
  seed("each",
       {.name = {}, .key = {IndexField::value_column(IndexField::kEveryColumn)}, .kind = IndexKind::hash},
       "a,b,,a,c");
  seed("times",
       {.name = {},
        .key = {IndexField::whole_value(KeyType::timestamp), IndexField::key_bytes(0, 4)},
        .missing = MissingField::refuse},
       "2024-05-01T12:30:00.25Z");
  seed("function",
       {.name = {},
        .key = {IndexField::by_function("f", "argument", KeyType::integer)},
        .unique = true,
        .kind = IndexKind::hash},
       "any value");
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
