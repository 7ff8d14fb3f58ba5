#include "run/leaf_builder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "run/leaf_page.h"

namespace lightning {

size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    const uint64_t difference = load<uint64_t>(a.data() + at) ^ load<uint64_t>(b.data() + at);
    if (difference != 0) return at + std::countr_zero(difference) / 8;
  }
  while (at < size && a[at] == b[at]) ++at;
  return at;
}

void seal_page(char* page, uint64_t size, uint64_t file_id, uint64_t page_number) {
  store<uint64_t>(page, checksum(page + 8, size - 8, page_seed(file_id, page_number)));
}

uint64_t LeafBuilder::page_size(uint64_t prefix_size, uint64_t count, uint64_t entry_bytes) {
  return align_up(align_up(sizeof(PageHeader) + prefix_size, kEntryAlignment) + count * 6, kEntryAlignment) +
         entry_bytes;
}

uint64_t LeafBuilder::entry_size(uint64_t suffix_size, uint32_t value_size, uint64_t body_size) {
  return align_up(1 + varint_size(suffix_size) + varint_size(value_size) + suffix_size + body_size,
                  kEntryAlignment);
}

uint64_t LeafBuilder::jumbo_size(uint64_t key_size, uint32_t value_size, uint64_t body_size) {
  return page_size(0, 1, entry_size(key_size, value_size, body_size));
}

uint64_t LeafBuilder::entry_bytes_at(uint64_t prefix_size) const {
  if (prefix_size == prefix_size_) return entry_bytes_;
  uint64_t bytes = 0;
  for (const Entry& entry : entries_) {
    bytes += entry_size(entry.key_size - prefix_size, entry.value_size, entry.body_size);
  }
  return bytes;
}

// Keys ascend, so what the first and the last share, all share.
uint64_t LeafBuilder::prefix_with(std::string_view key) const {
  return empty() ? key.size() : common_prefix(first_key().substr(0, prefix_size_), key);
}

uint64_t LeafBuilder::size_with(std::string_view key, uint32_t value_size, uint64_t body_size) const {
  const uint64_t prefix_size = prefix_with(key);
  return page_size(prefix_size, entries_.size() + 1,
                   entry_bytes_at(prefix_size) + entry_size(key.size() - prefix_size, value_size, body_size));
}

void LeafBuilder::add(std::string_view key, uint64_t hash, uint8_t flags, uint32_t value_size,
                      std::string_view body) {
  const uint64_t prefix_size = prefix_with(key);
  entry_bytes_ = entry_bytes_at(prefix_size) + entry_size(key.size() - prefix_size, value_size, body.size());
  prefix_size_ = prefix_size;
  entries_.push_back({hash, static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(key.size()),
                      static_cast<uint32_t>(body.size()), value_size, 0, flags});
  bytes_.append(key).append(body);
}

void LeafBuilder::build(char* page, PageKind kind, uint32_t units, uint64_t file_id, uint64_t page_number) {
  if (kind == PageKind::jumbo) prefix_size_ = 0;  // its entry stands where a locator reaches it
  const PageHeader header = {.checksum = 0,
                             .kind = kind,
                             .codec = 0,
                             .count = static_cast<uint16_t>(entries_.size()),
                             .prefix_size = static_cast<uint32_t>(prefix_size_),
                             .units = units,
                             .stored = 0,
                             .number = 0,
                             .dense = 0};
  store(page, header);
  if (prefix_size_ > 0) std::memcpy(page + sizeof(header), first_key().data(), prefix_size_);
  char* heads = page + align_up(sizeof(header) + prefix_size_, kEntryAlignment);
  char* slots = heads + entries_.size() * 4;
  uint64_t offset = page_size(prefix_size_, entries_.size(), 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    const std::string_view suffix = key(entry).substr(prefix_size_);
    entry.page_offset = static_cast<uint32_t>(offset);
    store<uint32_t>(heads + i * 4, leaf_head(suffix));
    store<uint16_t>(slots + i * 2, static_cast<uint16_t>(offset / kEntryAlignment));
    char* at = page + offset;
    *at++ = static_cast<char>(entry.flags);
    at = put_varint(at, suffix.size());
    at = put_varint(at, entry.value_size);
    std::memcpy(at, suffix.data(), suffix.size() + entry.body_size);
    offset = align_up(at + suffix.size() + entry.body_size - page, kEntryAlignment);
  }
  seal_page(page, units * kUnitBytes, file_id, page_number);
}

void LeafBuilder::clear() {
  entries_.clear();
  bytes_.clear();
  prefix_size_ = 0;
  entry_bytes_ = 0;
}

}  // namespace lightning
