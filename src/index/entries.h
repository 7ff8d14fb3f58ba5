// What an index makes of a row: its entries, which live in a keyspace of their own.
//
// Format of an entry: the key is, of kind hash, eight bytes of the hash of the index's key, high byte first;
// the index's key (lightning/key.h), a part for each field; and, unless it is unique, the row's key. The
// value is, of a unique index, the size (varint) and bytes of the row's key; then a part for each covered
// field. Parts are never the beginning of other parts, so that what is behind them has an order of its own.
// Invariant: the entries of a row depend on its key, its value and the definition alone.
// Thread safety: functions; LiveIndex is immutable.
#pragma once

#include <lightning/extractor.h>
#include <lightning/index.h>
#include <lightning/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_arena.h"
#include "index/definition.h"

namespace lightning {

/// An index as writers and readers use it.
struct LiveIndex {
  uint32_t keyspace = 0;
  uint32_t entries = 0;  // the keyspace of its entries
  StoredIndex stored;
  Status unusable;  // not ok: no entries can be made, since a function is missing or the definition damaged
  std::string missing_extractor;
  std::vector<const ExtractFn*> key_functions;  // by field; null where none is called
  std::vector<const ExtractFn*> covered_functions;

  const IndexDefinition& definition() const { return stored.definition; }
  bool unique() const { return stored.definition.unique; }
  bool hashed() const { return stored.definition.kind == IndexKind::hash; }
  bool kept() const { return stored.state != IndexState::failed; }
  bool ready() const { return stored.state == IndexState::ready; }
};

struct MadeEntry {
  std::string key;
  std::string value;
};

/// The entries of a row, by ascending key. `invalid_argument`: the row cannot be in the index, with the
/// reason. `written`: it is about to be, and is refused where its entries would take too much.
Status make_entries(const LiveIndex& index, std::string_view primary_key, std::string_view row,
                    std::vector<MadeEntry>* made, bool written = false);

/// Writes the part that a value makes where `type` is kept; false: it makes none.
bool put_field_value(KeyWriter& key, KeyType type, const FieldValues::Value& value);

struct EntryParts {
  std::string_view index_key;
  std::string_view primary_key;
  std::string_view covered;
};
/// False: it is no entry of the index.
bool take_entry(const LiveIndex& index, std::string_view key, std::string_view value, EntryParts* parts);
/// An internal key that lives as long as `arena`. Throws std::bad_alloc.
std::string_view keep_internal_key(ByteArena& arena, uint32_t keyspace, std::string_view key);
/// Of the value of a unique index's entry; empty where it is malformed.
std::string_view primary_key_of(std::string_view value);

/// Where entries whose index key begins with `key` begin.
std::string entry_prefix(const LiveIndex& index, std::string_view key);
/// May entries of the index be asked for `key`, and is it whole? Not whole: it may end in a part that is
/// begun. `invalid_argument` where it has parts of other types, or too many.
Status check_index_key(const LiveIndex& index, std::string_view key, bool* whole);

/// `already_exists`: the entry of a unique index is that of the row `owner`.
Status taken_key(const LiveIndex& index, std::string_view key, std::string_view value,
                 std::string_view owner);

/// For messages: "Oslo", 18.
std::string readable_index_key(std::string_view key);
/// For messages: as text, what is not printable as \xHH.
std::string readable_bytes(std::string_view bytes);

}  // namespace lightning
