// PageTable: where the pages of a compressed run file stand (layout in run/run_format.h).
//
// Thread safety: the builder externally synchronised; a table immutable after load().
// Costs: eight bytes a leaf.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "run/run_format.h"

namespace lightning {

/// Where the page table of a file that `footer` describes lies; false where that contradicts itself or the
/// rest of the file.
bool table_is_sound(const Footer& footer, uint64_t sections_end);
inline bool has_page_table(const Footer& footer) { return (footer.features & kFeaturePageTable) != 0; }

class PageTableBuilder {
 public:
  /// Pages ascend.
  void add(uint64_t page_number, uint64_t offset, uint64_t bytes);
  uint64_t file_bytes() const { return items_.size() * sizeof(uint64_t); }
  std::string encode() const;

 private:
  std::vector<uint64_t> items_;
};

class PageTable {
 public:
  /// Takes a section whose checksum was verified; false when it is malformed all the same.
  bool load(std::string_view section, uint64_t leaves_end);

  /// Page numbers divided by this are places of the table.
  static constexpr uint64_t kStep = kLargeLeafBytes / kUnitBytes;
  uint32_t size() const { return static_cast<uint32_t>(items_.size()); }
  /// Is there a page with this number?
  bool has(uint64_t page_number) const {
    const uint64_t place = page_number / kStep;
    return page_number % kStep == 0 && place < items_.size() && items_[place] != 0;
  }
  /// Of a page that there is.
  uint64_t offset(uint64_t page_number) const { return table_offset(items_[page_number / kStep]); }
  uint64_t bytes(uint64_t page_number) const { return table_bytes(items_[page_number / kStep]); }
  uint64_t pages() const { return pages_; }
  /// Of all pages.
  uint64_t stored_bytes() const { return stored_bytes_; }
  uint64_t memory_bytes() const { return items_.capacity() * sizeof(uint64_t); }

 private:
  std::vector<uint64_t> items_;
  uint64_t pages_ = 0;
  uint64_t stored_bytes_ = 0;
};

}  // namespace lightning
