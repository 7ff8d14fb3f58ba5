// What a key holds at one position of the log.
#pragma once

#include <cstdint>
#include <string_view>

namespace lightning {

/// Stored in log entries and, but for remove_range, in runs; values are format constants.
enum class EntryKind : uint8_t {
  put = 1,
  remove = 2,
  put_expiring = 3,  // its value begins with its expiry (format/expiry.h)
  remove_range = 4,  // of all keys from the entry's key up to its value
};

inline constexpr uint64_t kExpiryBytes = 8;

/// May a version of a key be of this kind, with a value of this size?
inline bool known_entry_kind(uint8_t kind, uint64_t value_size) {
  return kind == 1 || kind == 2 || (kind == 3 && value_size >= kExpiryBytes);
}

/// A version whose LSN is below every reader that can exist needs no LSN any more: it is settled.
inline constexpr uint64_t kSettledLsn = 0;
/// The same of a range removal, for which 0 means that there is none.
inline constexpr uint64_t kSettledRangeLsn = 1;
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
  /// Stands for a range removal over the key, which its source holds beside its entries.
  bool of_range = false;
  ValuePlace place = {};

  uint64_t value_size() const { return place.file != 0 ? place.size : value.size(); }
};

}  // namespace lightning
