// The definition of an index as bytes, which the catalogue keeps (engine/catalogue.h).
//
// Format: u8 state (IndexState, or 3: failed, since it is not unique), varint size and bytes of the reason of
// a failure (empty unless it failed), u8 1 (of this layout), u8 flags (1 unique, 2 hash, 4 refuse), varint
// fields of the key, these, varint covered fields, these. A field: u8 source, u8 type, varint offset, size
// and column, u8 delimiter, varint size and bytes of the function's name, of its argument.
// What is read is hostile: `corruption` for whatever no encode_definition() wrote.
// Thread safety: functions.
#pragma once

#include <lightning/index.h>
#include <lightning/status.h>

#include <string>
#include <string_view>

namespace lightning {

struct StoredIndex {
  IndexDefinition definition;  // without its name
  IndexState state = IndexState::building;
  std::string failure;
  bool duplicate = false;  // that is the failure

  /// Why it failed.
  Status failure_status() const;
};

/// What a user gave: `invalid_argument` that states the limit.
Status check_definition(const IndexDefinition& definition);
std::string encode_definition(const StoredIndex& index);
Result<StoredIndex> decode_definition(std::string_view bytes);
/// The same index, to be built from the start; `corruption` where it is none.
Result<std::string> definition_to_build(std::string_view bytes);

}  // namespace lightning
