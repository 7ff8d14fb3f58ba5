// SortedArray: log entries in the order of their keys, one entry a key, immutable.
//
// It is a static B+tree without pointers. Level 0 holds the entries in blocks of 64, level l + 1 the first
// entry of every block of level l; only the last block of a level may hold fewer, so a child's place is
// computed and an entry is known by its position in the order. A block has its keys' common prefix and their
// eight bytes after it (heads): two keyspaces or URLs in one array cost a deeper prefix, not a look at the
// keys.
//
// Invariants
//  A1  Keys ascend strictly; an entry is the newest of its key within the part of the log that the array
//      covers.
//  A2  heads[i] = key_head(key(names[i]) after prefix_size bytes); equal heads say nothing, keys decide.
// Thread safety: immutable. Ownership: `data` (the segment's memory) must outlive the array.
// Costs: 13 bytes an entry; a search one block a level. Heads after one prefix for the whole array were
// tried: with two keyspaces nearly every comparison became a cache miss (seeks three times as long).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "format/log_entry.h"

namespace lightning {

inline std::string_view log_key(const char* data, uint32_t name) {
  return decode_log_entry(data + name * kLogAlignment).key;
}

/// <0, 0, >0 in bytewise order.
inline int compare_keys(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  size_t at = 0;
  for (; at + 8 <= common; at += 8) {
    const uint64_t x = load<uint64_t>(a.data() + at);
    const uint64_t y = load<uint64_t>(b.data() + at);
    if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
  }
  for (; at < common; ++at) {
    if (a[at] != b[at]) return static_cast<unsigned char>(a[at]) < static_cast<unsigned char>(b[at]) ? -1 : 1;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

/// Bytes at the front that both have.
inline size_t shared_prefix(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  size_t at = 0;
  for (; at + 8 <= common; at += 8) {
    const uint64_t differ = load<uint64_t>(a.data() + at) ^ load<uint64_t>(b.data() + at);
    if (differ != 0) return at + __builtin_ctzll(differ) / 8;
  }
  while (at < common && a[at] == b[at]) ++at;
  return at;
}

inline constexpr uint32_t kBlockEntries = 64;
inline constexpr uint32_t kBlockPrefixBytes = 60;

/// The eight bytes after the first `depth` of a key, of which `prefix_size` bytes and the `head` after them
/// are known.
inline uint64_t head_from(const char* prefix, uint32_t prefix_size, uint64_t head, uint32_t depth) {
  const uint32_t known = prefix_size - depth;
  if (known == 0) return head;
  if (known >= 8) return key_head(prefix + depth, 8);
  return key_head(prefix + depth, known) | head >> (8 * known);
}

struct alignas(64) KeyBlock {
  uint16_t count;
  uint16_t prefix_size;
  char prefix[kBlockPrefixBytes];
  uint64_t heads[kBlockEntries];
  uint32_t names[kBlockEntries];

  /// The eight bytes of a key after its first `depth` <= prefix_size.
  uint64_t head_at(uint32_t slot, uint32_t depth) const {
    return head_from(prefix, prefix_size, heads[slot], depth);
  }
  /// How many of the block's keys are below `key`.
  uint32_t lower_bound(std::string_view key, const char* data) const;
};
static_assert(sizeof(KeyBlock) == 64 + kBlockEntries * 12);

class SortedArray {
 public:
  uint32_t size() const { return size_; }
  uint32_t name(uint32_t position) const {
    return blocks_[position / kBlockEntries].names[position % kBlockEntries];
  }
  std::string_view key(uint32_t position) const { return log_key(data_, name(position)); }
  /// The position of the first key >= `key`, size() if there is none.
  uint32_t lower_bound(std::string_view key) const;
  uint64_t memory_bytes() const { return sizeof(*this) + blocks_.capacity() * sizeof(KeyBlock); }

  /// lower_bound() in steps of one level, each prefetching for the next: a caller that searches several
  /// arrays has all their cache misses under way at once.
  class Search {
   public:
    Search() = default;
    explicit Search(const SortedArray& array);
    /// False when position() is known.
    bool step(std::string_view key);
    uint32_t position() const { return at_; }

   private:
    const SortedArray* array_ = nullptr;
    uint32_t level_ = 0;  // levels left to search
    uint32_t at_ = 0;     // block in the next one, at last the position
  };

  /// The entries of both; where both have a key, `newer` wins. Throws std::bad_alloc.
  static std::shared_ptr<const SortedArray> merge(const SortedArray& older, const SortedArray& newer);
  /// Of any entries of the segment at `data`; of those with the same key the last in the log stays. Throws
  /// std::bad_alloc.
  static std::shared_ptr<const SortedArray> sort(const char* data, std::vector<uint32_t> names);

 private:
  friend class SortedArrayBuilder;
  static constexpr uint32_t kLevelsMax = 6;  // 64^6 entries are more than 32-bit names can tell apart

  const KeyBlock& block(uint32_t level, uint32_t block) const { return blocks_[level_begin_[level] + block]; }
  std::span<const KeyBlock> leaves() const {
    return std::span(blocks_).first((size_ + kBlockEntries - 1) / kBlockEntries);
  }

  const char* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t levels_ = 0;
  std::array<uint32_t, kLevelsMax> level_begin_{};  // in blocks_, level 0 first
  std::vector<KeyBlock> blocks_;
};

}  // namespace lightning
