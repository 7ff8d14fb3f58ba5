#include "run/leaf_page.h"

#include <algorithm>

namespace lightning {

LeafPage::Sizes LeafPage::long_sizes(const char* at) const {
  Sizes sizes{};
  sizes.end = get_varint(at, data_ + size_, &sizes.of_key);
  if (sizes.end != nullptr) sizes.end = get_varint(sizes.end, data_ + size_, &sizes.of_value);
  return sizes;
}

uint32_t LeafPage::heads_below(uint64_t head_limit) const {
  uint32_t base = 0;
  uint32_t size = count_;
  while (size > 1) {
    const uint32_t half = size / 2;
    base += head(base + half - 1) < head_limit ? half : 0;  // compiles to a conditional move
    size -= half;
  }
  return base + (head(base) < head_limit ? 1 : 0);
}

int64_t LeafPage::lower_bound(std::string_view key, bool* exact) const {
  *exact = false;
  const int order = key.substr(0, prefix_size_).compare(prefix());
  if (order != 0) return order < 0 ? 0 : count_;
  const std::string_view suffix = key.substr(prefix_size_);
  const uint64_t head_wanted = leaf_head(suffix);
  uint32_t low = heads_below(head_wanted);
  if (low == count_ || head(low) != head_wanted) return low;
  // Equal heads: the rest decides.
  uint32_t high = low + 1;
  if (high < count_ && head(high) == head_wanted) high = heads_below(head_wanted + 1);
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    LeafEntry found;
    if (!entry(middle, &found)) return -1;
    const int against = found.suffix.compare(suffix);
    if (against == 0) {
      *exact = true;
      return middle;
    }
    if (against < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

VersionReader::VersionReader(std::string_view body) : end_(body.data() + body.size()) {
  header_ = get_varint(body.data(), end_, &left_);
  if (header_ == nullptr || left_ == 0 || left_ > body.size()) return;
  // The bytes begin behind the last header.
  const char* at = header_;
  for (uint32_t i = 0; i < left_; ++i) {
    uint64_t lsn;
    uint32_t size;
    at = get_varint(at, end_, &lsn);
    if (at == nullptr || at == end_) return;
    at = get_varint(at + 1, end_, &size);
    if (at == nullptr) return;
  }
  headers_end_ = bytes_ = at;
  ok_ = true;
}

bool VersionReader::next(LeafVersion* version) {
  const char* at = get_varint(header_, headers_end_, &version->lsn);
  if (at == nullptr || at == headers_end_) return false;
  version->flags = static_cast<uint8_t>(*at);
  at = get_varint(at + 1, headers_end_, &version->value_size);
  if (at == nullptr) return false;
  const uint64_t size = version->outside() ? sizeof(ValueRef) : version->value_size;
  if (size > static_cast<uint64_t>(end_ - bytes_)) return false;
  if (!known_entry_kind(version->flags & kEntryKindMask, version->value_size) ||
      version->flags > (kEntryKindMask | kEntryOutside)) {
    return false;
  }
  version->bytes = {bytes_, size};
  header_ = at;
  bytes_ += size;
  --left_;
  return true;
}

Visible visible_among_versions(std::string_view body, uint64_t read_lsn, LeafVersion* version) {
  VersionReader versions(body);
  if (!versions.ok()) return Visible::damage;
  while (versions.left() > 0) {
    if (!versions.next(version)) return Visible::damage;
    if (version->lsn == kSettledLsn || version->lsn < read_lsn) return Visible::version;
  }
  return Visible::none;
}

}  // namespace lightning
