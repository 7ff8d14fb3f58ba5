#include "run/page_table.h"

namespace lightning {

bool table_is_sound(const Footer& footer, uint64_t sections_end) {
  if (!has_page_table(footer)) {
    return (footer.features & kFeatureDenseLeaves) == 0 && footer.table_offset == 0 &&
           footer.table_bytes == 0 && footer.table_checksum == 0 && footer.pages_end == 0 &&
           footer.codec == 0 && footer.leaves_end >= footer.leaf_bytes;
  }
  const uint64_t places = footer.table_bytes / sizeof(uint64_t);
  return footer.leaf_bytes == kLargeLeafBytes && footer.table_offset % kUnitBytes == 0 &&
         footer.table_offset <= sections_end && footer.table_offset >= footer.fences_offset &&
         footer.table_offset - footer.fences_offset >= footer.fences_bytes &&
         footer.table_bytes <= sections_end - footer.table_offset &&
         footer.table_bytes % sizeof(uint64_t) == 0 && places != 0 &&
         places <= kLeafStartMax / kLargeLeafBytes && footer.pages_end % kLargeLeafBytes == 0 &&
         footer.pages_end >= places * kLargeLeafBytes &&
         footer.pages_end <= kLeafStartMax + kJumboBytesMax + kLargeLeafBytes;
}

void PageTableBuilder::add(uint64_t page_number, uint64_t offset, uint64_t bytes) {
  items_.resize(page_number / PageTable::kStep);
  items_.push_back(make_table_item(offset, bytes));
}

std::string PageTableBuilder::encode() const {
  return {reinterpret_cast<const char*>(items_.data()), items_.size() * sizeof(uint64_t)};
}

bool PageTable::load(std::string_view section, uint64_t leaves_end) {
  items_.resize(section.size() / sizeof(uint64_t));
  section.copy(reinterpret_cast<char*>(items_.data()), items_.size() * sizeof(uint64_t));
  uint64_t end = 0;
  for (const uint64_t item : items_) {
    if (item == 0) continue;
    const uint64_t offset = table_offset(item);
    const uint64_t bytes = table_bytes(item);
    if (offset < end || bytes < sizeof(PageHeader) || offset > leaves_end || bytes > leaves_end - offset)
      return false;
    end = offset + bytes;
    ++pages_;
    stored_bytes_ += bytes;
  }
  return pages_ != 0;
}

}  // namespace lightning
