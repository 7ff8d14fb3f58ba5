// Footprint: keys and ranges of keys in which a commit must not be overtaken: what its transaction read.
//
// Keys are internal ones. A key that was read counts whether it was there or not.
// Invariants
//  P1  ranges(), as of the last seal(), ascend and neither overlap nor touch.
// Thread safety: one thread at a time; the questions after seal() any threads.
// Ownership: holds copies. Costs: 16 bytes a key beside its bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_arena.h"
#include "format/log_entry.h"

namespace lightning {

class Footprint {
 public:
  ~Footprint();
  struct Key {
    uint64_t hash = 0;
    std::string_view bytes;
  };
  /// [from, to)
  struct Range {
    std::string from;
    std::string to;
  };

  /// Throws std::bad_alloc, and is then what it was.
  void add_key(std::string_view key, uint64_t hash);
  /// Its number, for widen().
  size_t add_range(std::string_view from, std::string_view to);
  /// Where an entry of the log writes; all of another footprint, which is sealed.
  void add(const LogEntry& entry);
  void add(const Footprint& other);
  /// Makes a range reach from `from` to `to` at least; an empty bound is none.
  void widen(size_t range, std::string_view from, std::string_view to);
  /// Makes ranges() of what was added. Throws std::bad_alloc.
  void seal();

  bool empty() const { return keys_.empty() && ranges_.empty(); }
  std::span<const Key> keys() const { return keys_; }
  std::span<const Range> ranges() const { return sealed_; }
  uint64_t memory_bytes() const { return bytes_; }

  // After seal(), without allocating.
  /// Would this entry of the log change what is in the footprint?
  bool is_touched_by(const LogEntry& entry) const;
  /// The first range that ends behind `key`, if it begins before `to`; null if there is none.
  const Range* range_in(std::string_view key, std::string_view to) const;

 private:
  static constexpr size_t kKeysSearched = 8;  // without a table

  bool has_key(std::string_view key, uint64_t hash) const;
  void grow_table(size_t keys);
  void enter(size_t at);

  ByteArena arena_;
  std::vector<Key> keys_;
  std::vector<uint32_t> table_;  // of positions in keys_, plus 1; its size is a power of two, or it is empty
  std::vector<Range> ranges_;
  std::vector<Range> sealed_;
  uint64_t bytes_ = 0;
};

}  // namespace lightning
