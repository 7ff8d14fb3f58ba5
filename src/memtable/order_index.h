// OrderIndex: a memtable's entries in key order, in a few immutable sorted arrays that follow the log.
//
// It stands beside the path of a put: catch_up() gathers what the log grew by, sorts it and publishes a set
// of arrays by one pointer. New entries go into a tail of at most 64, what that cannot take into tails of at
// most 512 and 4,096, and beyond that into arrays of which each is at least twice as large as the next newer
// one (fan 2).
//
// Invariants
//  O1  The arrays of a set cover consecutive parts of the log, [0, position) together; at most eight, newest
//      first.
//  O2  A key's entry in the newest array that has the key is its newest version below `position`; the older
//      ones, those in older arrays too, hang on its chain.
//  O3  A published set never changes; a failed call publishes nothing.
// Thread safety: internally synchronised. Readers hold a lock for the copy of one pointer.
// Ownership: `data` must outlive the index and every set taken from it; a set keeps its arrays alive.
// Costs: an entry is copied about ten times on its way from tail to tail when each one is asked for at once;
// a backlog is sorted in one go. What was tried: one tail of 4,096 (each catch-up copies it) and one of 64 in
// front of it (every 64th catch-up copies it, still half of all time spent here). An ordered tree fed by
// every put costs several times as much an entry and needs rules for readers beside writers.
// Source: the logarithmic method of J. L. Bentley and J. B. Saxe, "Decomposable searching problems" (1980).
#pragma once

#include <lightning/status.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "memtable/sorted_array.h"

namespace lightning {

inline constexpr uint32_t kOrderArraysMax = 8;

/// What a reader takes once and walks over.
struct ArraySet {
  uint64_t position = 0;
  uint32_t count = 0;
  std::array<std::shared_ptr<const SortedArray>, kOrderArraysMax> arrays;  // newest first
};

class OrderIndex {
 public:
  /// Over entries at `data` (positions as in format/log_entry.h).
  static Result<std::unique_ptr<OrderIndex>> create(const char* data);

  /// All entries at positions below this one are in the arrays.
  uint64_t ordered_position() const { return ordered_position_.load(std::memory_order_acquire); }
  /// Brings the arrays up to `position`: `collect(from, to, names)` appends the names (offset8) of the
  /// entries of the records in [from, to), in log order; it may throw std::bad_alloc. One caller at a time
  /// works, others wait. out_of_memory leaves the index as it was.
  using Collect = std::function<void(uint64_t from, uint64_t to, std::vector<uint32_t>* names)>;
  Status catch_up(uint64_t position, const Collect& collect);
  /// Merges all arrays into one; for a sealed memtable. out_of_memory leaves the index as it was.
  Status settle();

  /// What is ordered now; never null.
  std::shared_ptr<const ArraySet> arrays() const;

  /// Own memory in bytes; sets that only a reader still holds are not counted.
  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  explicit OrderIndex(const char* data) : data_(data) {}
  void publish(std::shared_ptr<const ArraySet> set);

  const char* data_;
  Mutex work_mutex_;         // held by the one who makes the next set
  mutable Mutex set_mutex_;  // guards the pointer alone
  std::shared_ptr<const ArraySet> set_ GUARDED_BY(set_mutex_);
  std::atomic<uint64_t> ordered_position_{
      0};  // set_->position, stored behind it; partner: catch_up() of others
  std::atomic<uint64_t> memory_bytes_{0};
};

}  // namespace lightning
