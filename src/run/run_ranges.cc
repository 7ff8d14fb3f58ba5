#include "run/run_ranges.h"

#include <vector>

#include "base/coding.h"
#include "format/internal_key.h"

namespace lightning {

void put_range(std::string_view from, std::string_view to, std::span<const uint64_t> lsns,
               std::string* to_section) {
  char bytes[kVarint64BytesMax];
  const auto put_number = [&](uint64_t number) { to_section->append(bytes, put_varint(bytes, number)); };
  put_number(from.size());
  put_number(to.size());
  put_number(lsns.size());
  to_section->append(from);
  to_section->append(to);
  for (const uint64_t lsn : lsns) put_number(lsn);
}

bool ranges_are_sound(const Footer& footer, uint64_t sections_end) {
  if ((footer.features & kFeatureRangeRemovals) == 0) {
    return footer.ranges_offset == 0 && footer.ranges_bytes == 0 && footer.ranges_checksum == 0 &&
           footer.range_removals == 0;
  }
  return footer.ranges_offset % kUnitBytes == 0 && footer.ranges_offset <= sections_end &&
         footer.ranges_offset >= footer.fences_offset &&
         footer.ranges_offset - footer.fences_offset >= footer.fences_bytes &&
         footer.ranges_bytes <= sections_end - footer.ranges_offset && footer.range_removals != 0;
}

namespace {

class RangeReader {
 public:
  RangeReader(const char* at, const char* end) : at_(at), end_(end) {}

  bool done() const { return at_ == end_; }
  bool next(std::string_view* from, std::string_view* to, std::vector<uint64_t>* lsns) {
    uint32_t from_size = 0;
    uint32_t to_size = 0;
    uint64_t count = 0;
    if (!number(&from_size) || !number(&to_size) || !number(&count)) return false;
    if (from_size == 0 || from_size > kInternalKeyBytesMax || to_size > kInternalKeyBytesMax) return false;
    // An LSN takes a byte at least.
    if (static_cast<uint64_t>(end_ - at_) < uint64_t{from_size} + to_size) return false;
    if (count == 0 || count > static_cast<uint64_t>(end_ - at_) - from_size - to_size) return false;
    *from = {at_, from_size};
    *to = {at_ + from_size, to_size};
    at_ += from_size + to_size;
    lsns->resize(count);
    for (uint64_t& lsn : *lsns) {
      if (!number(&lsn)) return false;
    }
    return *from < *to;
  }

 private:
  template <typename T>
  bool number(T* value) {
    at_ = at_ == nullptr ? nullptr : get_varint(at_, end_, value);
    return at_ != nullptr;
  }

  const char* at_;
  const char* const end_;
};

bool lsns_are_sound(std::span<const uint64_t> lsns, const Footer& footer) {
  uint64_t newer = UINT64_MAX;
  for (const uint64_t lsn : lsns) {
    const bool known = lsn == kSettledRangeLsn || (lsn >= footer.lsn_min && lsn < footer.lsn_max);
    if (!known || lsn >= newer) return false;
    newer = lsn;
  }
  return true;
}

}  // namespace

bool RunRanges::load(std::unique_ptr<char[]> section, const Footer& footer) {
  section_ = std::move(section);
  size_ = footer.ranges_bytes;
  RangeReader reader(section_.get(), section_.get() + size_);
  std::vector<uint64_t> lsns;
  while (!reader.done()) {
    std::string_view from;
    std::string_view to;
    if (!reader.next(&from, &to, &lsns) || !lsns_are_sound(lsns, footer)) return false;
    if (!map_.empty() && from < map_.to(map_.size() - 1)) return false;
    map_.append(from, to, lsns);
  }
  return map_.size() == footer.range_removals;
}

}  // namespace lightning
