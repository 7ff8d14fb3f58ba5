// What a key holds at one position of the log.
#pragma once

#include <cstdint>
#include <string_view>

namespace lightning {

/// Stored in log entries and in runs; values are format constants.
enum class EntryKind : uint8_t {
  put = 1,
  remove = 2,
  put_expiring = 3,  // its value begins with its expiry (format/expiry.h)
};

inline constexpr uint64_t kExpiryBytes = 8;

/// May a version of this kind have a value of this size?
inline bool known_entry_kind(uint8_t kind, uint64_t value_size) {
  return kind == 1 || kind == 2 || (kind == 3 && value_size >= kExpiryBytes);
}

/// A version whose LSN is below every reader that can exist needs no LSN any more: it is settled.
inline constexpr uint64_t kSettledLsn = 0;
/// Reads everything, committed or not yet visible to others: for flush and merge.
inline constexpr uint64_t kReadAllLsn = UINT64_MAX;

/// Where a value stands that is in a value file (value/value_file.h).
struct ValuePlace {
  uint64_t file = 0;  // its number; 0: in no value file
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t checksum = 0;
};

/// Visible to a read at S when lsn < S.
struct Version {
  uint64_t lsn = kSettledLsn;
  EntryKind kind = EntryKind::put;
  std::string_view value;  // empty, or not of interest, when `place` is set
  ValuePlace place = {};

  uint64_t value_size() const { return place.file != 0 ? place.size : value.size(); }
};

}  // namespace lightning
