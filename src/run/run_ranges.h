// The section of range removals of a run file (layout in run/run_format.h).
//
// Thread safety: functions on bytes; RunRanges is immutable once loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "format/range_map.h"
#include "run/run_format.h"

namespace lightning {

/// Appends one fragment to a section. Throws std::bad_alloc.
void put_range(std::string_view from, std::string_view to, std::span<const uint64_t> lsns,
               std::string* to_section);

/// Where the range removals of a file that `footer` describes lie; false where that contradicts itself or the
/// rest of the file.
bool ranges_are_sound(const Footer& footer, uint64_t sections_end);

class RunRanges {
 public:
  /// Takes a section whose checksum was verified; false when it is malformed all the same. Throws
  /// std::bad_alloc.
  bool load(std::unique_ptr<char[]> section, const Footer& footer);

  /// Refers to the section.
  const RangeMap& map() const { return map_; }
  uint64_t memory_bytes() const { return size_ + map_.memory_bytes(); }

 private:
  std::unique_ptr<char[]> section_;
  uint64_t size_ = 0;
  RangeMap map_;
};

}  // namespace lightning
