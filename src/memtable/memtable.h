// MemTable: the index side of one log segment: its bytes are the segment's memory, its entries are found by
// key through the point index and in order through the order index; its range removals stand beside them.
//
// Invariants: an entry named by an index is complete and immutable; the order index holds every entry below
// ordered_lsn(). A sealed memtable takes no more entries.
// Thread safety: reads any threads; writing as PointIndex says; catch_up() any threads (internally
// synchronised).
// Ownership: keeps the segment's memory alive through `memory`.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string_view>

#include "format/log_entry.h"
#include "format/source_cursor.h"
#include "memtable/order_index.h"
#include "memtable/point_index.h"
#include "memtable/range_removals.h"

namespace lightning {

class MemTable {
 public:
  /// `data` holds the segment's records, position 0 = `base_lsn`; `memory` owns it.
  static Result<std::shared_ptr<MemTable>> create(const char* data, uint64_t base_lsn, uint64_t capacity,
                                                  std::shared_ptr<const void> memory);

  uint64_t base_lsn() const { return base_lsn_; }
  const char* data() const { return data_; }
  PointIndex& point_index() { return *point_index_; }
  const PointIndex& point_index() const { return *point_index_; }
  OrderIndex& order_index() { return *order_index_; }
  RangeRemovals& range_removals() { return *range_removals_; }
  const RangeRemovals& range_removals() const { return *range_removals_; }
  const std::shared_ptr<const void>& memory() const { return memory_; }
  uint64_t capacity() const { return capacity_; }
  uint64_t lsn_of(uint32_t entry) const { return base_lsn_ + entry * kLogAlignment; }
  LogEntry entry(uint32_t entry) const { return decode_log_entry(data_ + entry * kLogAlignment); }
  uint32_t chain(uint32_t entry) const { return log_entry_chain(data_ + entry * kLogAlignment); }

  /// The newest version of `key` below `read_lsn` among `entry` and the rest of its chain; kNoEntry if there
  /// is none.
  uint32_t visible(uint32_t entry, std::string_view key, uint64_t read_lsn) const {
    for (; entry != kNoEntry; entry = chain(entry)) {
      if (lsn_of(entry) < read_lsn && this->entry(entry).key == key) return entry;
    }
    return kNoEntry;
  }

  /// An ordered walk over what order_index() holds now, as of `read_lsn`; what a range removal of the
  /// memtable hides is shown as removed, but for a walk over all versions (kReadAllLsn). The memtable must
  /// outlive it.
  std::unique_ptr<SourceCursor> cursor(uint64_t read_lsn) const;

  uint64_t point_index_bytes() const { return point_index_->memory_bytes(); }
  /// With range removals.
  uint64_t order_index_bytes() const {
    return order_index_->memory_bytes() + range_removals_->memory_bytes();
  }
  uint64_t index_bytes() const { return point_index_bytes() + order_index_bytes(); }

 private:
  MemTable() = default;

  const char* data_ = nullptr;
  uint64_t base_lsn_ = 0;
  uint64_t capacity_ = 0;
  std::shared_ptr<const void> memory_;
  std::unique_ptr<PointIndex> point_index_;
  std::unique_ptr<OrderIndex> order_index_;
  std::unique_ptr<RangeRemovals> range_removals_;
};

}  // namespace lightning
