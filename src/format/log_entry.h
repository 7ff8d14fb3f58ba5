// Log entry: one put, removal or range removal inside a commit record, in segment memory and in the
// segment's file alike.
//
// Format, at an 8-byte aligned position p of the segment's data (offset8 = p / 8, the entry's name in every
// index):
//   p - 4   u32     offset8 of the head of the entry's chain before this entry came; kNoEntry = none
//   p       u8      kind (EntryKind); the high bits are flags, 0 so far
//   p + 1   varint  size of the internal key, 32 bits
//           varint  size of the value, 32 bits (0 for a removal)
//           bytes   internal key, value
// A range removal has the first key in place of the key and the first key behind the range in place of the
// value: internal keys, or the end of a keyspace. Its chain word names the range removal before it in the
// segment. A chain joins the entries of one bucket and tag of the point index, newest first, so mostly the
// versions of one key; readers compare keys on the way. The entry's LSN is the segment's base LSN + p.
// Thread safety: an entry is immutable once an index names it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/coding.h"
#include "format/version.h"

namespace lightning {

inline constexpr uint32_t kNoEntry = 0;  // position 0 is inside the first record's header
inline constexpr uint64_t kLogAlignment = 8;
inline constexpr uint64_t kEntryChainBytes = 4;

struct LogEntry {
  EntryKind kind;
  std::string_view key;
  std::string_view value;
};

/// Bytes from p to the end of the entry, unaligned.
inline uint64_t log_entry_size(uint64_t key_size, uint64_t value_size) {
  return 1 + varint_size(key_size) + varint_size(value_size) + key_size + value_size;
}

/// Writes the entry at `p` (the chain word apart); returns the byte behind it.
char* put_log_entry(char* p, EntryKind kind, std::string_view key, std::string_view value);

/// The same of a put with an expiry, which is stored in front of the value (format/expiry.h).
char* put_expiring_log_entry(char* p, std::string_view key, uint64_t expiry, std::string_view value);

/// Parses the entry at `p` with everything checked against `end`; false when it is malformed.
bool parse_log_entry(const char* p, const char* end, LogEntry* entry);

inline uint32_t log_entry_chain(const char* p) { return load<uint32_t>(p - kEntryChainBytes); }

/// Parses an entry that was checked when it was written or recovered.
inline LogEntry decode_log_entry(const char* p) {
  LogEntry entry;
  entry.kind = static_cast<EntryKind>(static_cast<uint8_t>(*p));
  const auto* at = reinterpret_cast<const unsigned char*>(p + 1);
  uint32_t sizes[2];
  for (uint32_t& size : sizes) {
    size = *at++;
    if (size >= 0x80) [[unlikely]] {
      size &= 0x7f;
      for (int shift = 7; shift < 35; shift += 7) {
        const uint32_t byte = *at++;
        size |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
    }
  }
  const char* bytes = reinterpret_cast<const char*>(at);
  entry.key = {bytes, sizes[0]};
  entry.value = {bytes + sizes[0], sizes[1]};
  return entry;
}

}  // namespace lightning
