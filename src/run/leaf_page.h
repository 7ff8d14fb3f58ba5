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

class LeafPage {
 public:
  /// False when the page's header contradicts its size.
  bool parse(const char* data, uint64_t size) {
    count_ = load<uint16_t>(data + offsetof(PageHeader, count));
    prefix_size_ = load<uint32_t>(data + offsetof(PageHeader, prefix_size));
    // Even the smallest entry fills up what the heads lose to their alignment.
    const uint64_t taken = sizeof(PageHeader) + uint64_t{prefix_size_} + count_ * 6ull;
    if (taken + kEntryAlignment > size || count_ == 0) return false;
    data_ = data;
    size_ = static_cast<uint32_t>(size);
    heads_ = static_cast<uint32_t>(align_up(sizeof(PageHeader) + uint64_t{prefix_size_}, kEntryAlignment));
    return true;
  }

  const char* data() const { return data_; }
  uint32_t count() const { return count_; }
  std::string_view prefix() const { return {data_ + sizeof(PageHeader), prefix_size_}; }
  /// Is it the entry of `key`?
  [[gnu::always_inline]] bool matches(const LeafEntry& entry, std::string_view key) const {
    return key.size() == prefix_size_ + entry.suffix.size() &&
           equal_bytes(key.data() + prefix_size_, entry.suffix.data(), entry.suffix.size()) &&
           equal_bytes(key.data(), data_ + sizeof(PageHeader), prefix_size_);
  }

  /// Parses the entry at a byte offset. False when it does not stand inside the page.
  [[gnu::always_inline]] bool entry_at(uint64_t offset, LeafEntry* entry) const {
    if (offset + 3 > size_) [[unlikely]]
      return false;
    const auto* at = reinterpret_cast<const unsigned char*>(data_ + offset);
    const uint8_t flags = at[0];
    Sizes sizes{data_ + offset + 3, at[1], at[2]};
    if ((sizes.of_key | sizes.of_value) >= 0x80) [[unlikely]] {
      sizes = long_sizes(data_ + offset + 1);
      if (sizes.end == nullptr) return false;
    }
    const uint64_t body_size = (flags & kEntryOutside) != 0 ? sizeof(ValueRef) : sizes.of_value;
    if (sizes.of_key + body_size > static_cast<uint64_t>(data_ + size_ - sizes.end)) [[unlikely]]
      return false;
    entry->flags = flags;
    entry->value_size = sizes.of_value;
    entry->suffix = {sizes.end, sizes.of_key};
    entry->body = {sizes.end + sizes.of_key, body_size};
    return flags < kEntryFlagsEnd && known_entry_kind(flags & kEntryKindMask, sizes.of_value);
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
  /// Where the slots say that their entries stand, which a search needs behind the heads.
  void prefetch_slots() const {
    constexpr uint64_t kLineBytes = 64;
    const uint64_t begin = heads_ + count_ * 4ull;
    for (uint64_t at = begin; at < begin + count_ * 2ull; at += kLineBytes) __builtin_prefetch(data_ + at);
  }

 private:
  struct Sizes {
    const char* end;  // behind them; null when they do not parse
    uint32_t of_key;
    uint32_t of_value;
  };

  /// Sizes that take more than a byte each.
  Sizes long_sizes(const char* at) const;
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
