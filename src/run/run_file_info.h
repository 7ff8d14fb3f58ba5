// RunFileInfo: what the manifest records of one run file.
#pragma once

#include <cstdint>
#include <string>

namespace lightning {

/// When the keys of a run file expire, by their newest versions. Times in microseconds since 1970; 0: never.
struct RunExpiry {
  uint64_t expiring = 0;    // keys that expire some time
  uint64_t first_us = 0;    // when the first of them does
  uint64_t quarter_us = 0;  // when a quarter of all keys has, rounded up
  uint64_t half_us = 0;     // when half of all keys has, rounded up

  bool operator==(const RunExpiry&) const = default;
};

struct RunFileInfo {
  uint64_t id = 0;           // never reused; the file is run_file_name(id)
  uint64_t size = 0;         // of the file, in bytes
  uint64_t footer_hash = 0;  // checksum of the footer, which names the checksums of all sections
  uint64_t entries = 0;      // keys
  uint64_t removals = 0;     // keys whose newest version is a removal
  uint64_t raw_bytes = 0;    // keys and values
  uint64_t value_bytes = 0;  // of these, values that stand in value files
  uint64_t old_bytes = 0;    // of raw_bytes, what is there for readers of older versions alone
  uint64_t lsn_min = 0;      // the log range [lsn_min, lsn_max) that the versions came from
  uint64_t lsn_max = 0;
  RunExpiry expiry;
  /// Nothing in a file of a tier was written before this time, in microseconds since 1970; of one of the last
  /// level it is when it was written. 0: not known.
  uint64_t since_us = 0;
  uint64_t range_removals = 0;    // fragments of them
  bool plain = false;             // every entry is one settled version; false also where that is not known
  bool largest_excluded = false;  // `largest` is where the last range removal ends, behind the last key
  std::string smallest;           // internal keys, those of range removals included
  std::string largest;
};

/// "0000000007.run"
std::string run_file_name(uint64_t id);

}  // namespace lightning
