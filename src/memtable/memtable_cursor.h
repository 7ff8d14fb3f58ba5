// MemTableCursor: an ordered walk over what a memtable's order index held when it was made, as of a read LSN.
//
// It merges the at most eight arrays of the set by their present keys, kept in a small sorted list: the array
// that holds most entries mostly stays in front, so a step takes about two comparisons, and none over one
// array. A version is found by walking the chain from the key's newest entry; keys without one below the read
// LSN are passed over.
//
// Invariants, while valid()
//  W1  Going forward each array stands at its first key >= the present one, going backward at its last key
//      <= it.
//  W2  order_[0 .. live_) lists the arrays that stand on an entry, by key in the direction of travel, newer
//      first among equals.
// The caller has caught up with `read_lsn` (or above) before: entries that are not ordered yet are not shown.
// Thread safety: one thread at a time. Ownership: holds the arrays; the memtable must outlive it.
// Costs: a seek searches the arrays level by level side by side; a step prefetches the entry eight ahead.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "format/range_map.h"
#include "format/source_cursor.h"
#include "memtable/memtable.h"
#include "memtable/order_index.h"

namespace lightning {

class MemTableCursor final : public SourceCursor {
 public:
  MemTableCursor(const MemTable& memtable, std::shared_ptr<const ArraySet> set, uint64_t read_lsn);

  void seek_first() override;
  void seek_last() override;
  void seek(std::string_view key) override;
  void seek_for_prev(std::string_view key) override;
  void next() override;
  void prev() override;
  void collect_versions(std::vector<Version>* versions) override;
  Pin pin() const override { return {memtable_.memory(), memtable_.capacity()}; }

 private:
  static constexpr int kForward = 1;
  static constexpr int kBackward = -1;

  /// One array and where the cursor stands in it.
  struct Source {
    const SortedArray* array = nullptr;
    uint32_t at = 0;  // position + 1: 0 is before the first entry, size() + 1 behind the last
    uint32_t name = 0;
    LogEntry entry{};
  };

  Source& front() { return sources_[order_[0]]; }
  /// Puts every array at its first key >= `key`.
  void search(std::string_view key);
  /// Orders the arrays from where they stand and goes to the first key with a visible version.
  void start(int direction);
  /// From one direction to the other, at the present key.
  void turn(int direction);
  void move(int direction);
  /// Past the present key, in all arrays that have it.
  void pass_front();
  void skip_invisible();
  bool show_front();

  bool load(Source& source);
  bool precedes(uint8_t a, uint8_t b) const;
  void sink_front();

  bool range_removed(uint32_t name);

  const MemTable& memtable_;
  const uint64_t read_lsn_;
  const bool has_ranges_;  // range removals that the walk is to see
  Cover cover_;            // of a key before
  const std::shared_ptr<const ArraySet> set_;
  int direction_ = kForward;
  uint32_t live_ = 0;
  std::array<uint8_t, kOrderArraysMax> order_{};
  std::array<Source, kOrderArraysMax> sources_;
};

}  // namespace lightning
