// LeafPage: a view of one leaf or jumbo page (run/run_format.h).
//
// Invariant: nothing outside the page is read, whatever its bytes are; what cannot be parsed is reported.
// Thread safety: immutable.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "format/version.h"
#include "run/run_format.h"

namespace lightning {

/// An entry as it stands in its page.
struct LeafEntry {
  uint8_t flags;
  uint32_t value_size;      // see run_format.h
  std::string_view suffix;  // the key behind the page's prefix
  std::string_view body;    // all behind the key

  EntryKind kind() const { return static_cast<EntryKind>(flags & kEntryKindMask); }
};

/// A version as it stands in its entry.
struct LeafVersion {
  uint64_t lsn;
  uint8_t flags;
  uint32_t value_size;
  std::string_view bytes;  // the value, or its ValueRef

  EntryKind kind() const { return static_cast<EntryKind>(flags & kEntryKindMask); }
  bool outside() const { return (flags & kEntryOutside) != 0; }
  ValueRef ref() const { return load<ValueRef>(bytes.data()); }
};

/// memcmp() == 0 without a call where the strings are short.
inline bool equal_bytes(const char* a, const char* b, size_t size) {
  if (size > 32) return std::memcmp(a, b, size) == 0;
  if (size >= 8) {
    for (size_t at = 0; at + 8 < size; at += 8) {
      if (load<uint64_t>(a + at) != load<uint64_t>(b + at)) return false;
    }
    return load<uint64_t>(a + size - 8) == load<uint64_t>(b + size - 8);
  }
  if (size >= 4) {
    return load<uint32_t>(a) == load<uint32_t>(b) &&
           load<uint32_t>(a + size - 4) == load<uint32_t>(b + size - 4);
  }
  for (size_t at = 0; at < size; ++at) {
    if (a[at] != b[at]) return false;
  }
  return true;
}

class LeafPage {
 public:
  /// False when the page's header contradicts its size.
  bool parse(const char* data, uint64_t size) {
    const auto header = load<PageHeader>(data);
    const uint64_t heads = align_up(sizeof(PageHeader) + uint64_t{header.prefix_size}, kEntryAlignment);
    if (heads + header.count * 6ull > size || header.count == 0) return false;
    data_ = data;
    size_ = static_cast<uint32_t>(size);
    count_ = header.count;
    prefix_size_ = header.prefix_size;
    heads_ = static_cast<uint32_t>(heads);
    return true;
  }

  const char* data() const { return data_; }
  uint32_t count() const { return count_; }
  std::string_view prefix() const { return {data_ + sizeof(PageHeader), prefix_size_}; }
  /// Is it the entry of `key`?
  bool matches(const LeafEntry& entry, std::string_view key) const {
    return key.size() == prefix_size_ + entry.suffix.size() &&
           equal_bytes(key.data() + prefix_size_, entry.suffix.data(), entry.suffix.size()) &&
           equal_bytes(key.data(), data_ + sizeof(PageHeader), prefix_size_);
  }

  /// Parses the entry at a byte offset. False when it does not stand inside the page.
  [[gnu::always_inline]] bool entry_at(uint64_t offset, LeafEntry* entry) const {
    if (offset + 3 > size_) [[unlikely]]
      return false;
    const auto* at = reinterpret_cast<const unsigned char*>(data_ + offset);
    const char* key = data_ + offset + 3;
    uint32_t key_size = at[1];
    entry->flags = at[0];
    entry->value_size = at[2];
    if ((key_size | entry->value_size) >= 0x80) [[unlikely]] {
      key = get_varint(data_ + offset + 1, data_ + size_, &key_size);
      if (key == nullptr) return false;
      key = get_varint(key, data_ + size_, &entry->value_size);
      if (key == nullptr) return false;
    }
    const uint64_t body_size = (entry->flags & kEntryOutside) != 0 ? sizeof(ValueRef) : entry->value_size;
    if (key_size + body_size > static_cast<uint64_t>(data_ + size_ - key)) [[unlikely]]
      return false;
    entry->suffix = {key, key_size};
    entry->body = {key + key_size, body_size};
    return entry->flags < kEntryFlagsEnd && known_entry_kind(entry->flags & kEntryKindMask);
  }

  uint64_t slot_offset(uint32_t slot) const {
    return load<uint16_t>(data_ + heads_ + count_ * 4ull + slot * 2ull) * kEntryAlignment;
  }
  [[gnu::always_inline]] bool entry(uint32_t slot, LeafEntry* entry) const {
    return entry_at(slot_offset(slot), entry);
  }

  /// The first slot whose key is >= `key`, count() if none is; `exact`: it is equal. -1 when an entry is
  /// malformed.
  int64_t lower_bound(std::string_view key, bool* exact) const;

  void prefetch_heads() const { __builtin_prefetch(data_ + heads_); }

 private:
  uint32_t head(uint32_t slot) const { return load<uint32_t>(data_ + heads_ + slot * 4ull); }
  /// The first slot whose head is >= `head`.
  uint32_t heads_below(uint64_t head) const;

  const char* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t count_ = 0;
  uint32_t prefix_size_ = 0;
  uint32_t heads_ = 0;
};

/// Walks the versions of a versioned entry, newest first.
class VersionReader {
 public:
  /// ok() is false when the body is malformed.
  explicit VersionReader(std::string_view body);

  bool ok() const { return ok_; }
  uint32_t left() const { return left_; }
  /// Only while left() > 0; false when the entry is malformed.
  bool next(LeafVersion* version);

 private:
  const char* header_ = nullptr;
  const char* headers_end_ = nullptr;
  const char* bytes_ = nullptr;
  const char* end_ = nullptr;
  uint32_t left_ = 0;
  bool ok_ = false;
};

enum class Visible { none, version, damage };

Visible visible_among_versions(std::string_view body, uint64_t read_lsn, LeafVersion* version);

/// The newest version of an entry below `read_lsn`.
inline Visible visible_version(const LeafEntry& entry, uint64_t read_lsn, LeafVersion* version) {
  if ((entry.flags & kEntryVersioned) != 0) [[unlikely]]
    return visible_among_versions(entry.body, read_lsn, version);
  *version = {kSettledLsn, entry.flags, entry.value_size, entry.body};
  return Visible::version;
}

/// The first four bytes of a key behind the prefix as a number that orders as the bytes do.
inline uint32_t leaf_head(std::string_view suffix) {
  uint32_t head = 0;
  std::memcpy(&head, suffix.data(), std::min<size_t>(suffix.size(), 4));
  return __builtin_bswap32(head);
}

}  // namespace lightning
