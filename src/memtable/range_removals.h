// RangeRemovals: the range removals of a memtable.
//
// A writer does no more than name its entry as the newest: its chain word names the one before it, so that
// all of the segment hang together in the order of the log. Behind the writers, whoever committed one gathers
// what is published into blocks: the disjoint fragments of consecutive range removals, each with the newest
// LSN, merged with blocks of like size. A read looks at the few newest entries and into at most a block for
// each power of two, however many there are.
//
// Invariants
//  X1  The chain is in the order of the log: an entry is installed under the lock that was held when its
//      place in the log was reserved.
//  X2  The blocks of a set cover the chain from its oldest entry to `upto`, newest first.
//  X3  What a read at S gets depends on entries below S alone: where S lies inside of a block the chain is
//      asked instead.
// Thread safety: readers any threads, without a lock; writers between lock() and unlock(); gather() any
// threads, not inside an epoch.
// Ownership: `data`, the segment's memory, must outlive it and whatever it answers.
// Costs: without range removals a reader that asks at all loads one word; with them about a microsecond for a
// million. A read inside of a block, of a snapshot that is older than the block and younger than its oldest
// entry, walks the block's part of the chain.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "format/log_entry.h"
#include "format/range_map.h"

namespace lightning {

class RangeRemovals {
 public:
  RangeRemovals(const char* data, uint64_t base_lsn) : data_(data), base_lsn_(base_lsn) {}
  ~RangeRemovals();
  RangeRemovals(const RangeRemovals&) = delete;
  RangeRemovals& operator=(const RangeRemovals&) = delete;

  bool empty() const { return head() == kNoEntry; }

  // Writing. The lock is taken after those of buckets.
  void lock();
  void unlock();
  /// Under the lock: the newest entry, for the chain word of the next; kNoEntry if there is none.
  uint32_t head() const { return head_.load(std::memory_order_acquire); }
  /// Under the lock.
  void install(uint32_t entry) {
    installed_.fetch_add(1, std::memory_order_relaxed);
    head_.store(entry, std::memory_order_release);
  }

  // Reading.
  /// The LSN of the newest one over `key` that a read at `read_lsn` sees, 0 if there is none.
  uint64_t newest(std::string_view key, uint64_t read_lsn) const;
  /// Is there one over `key`, and over which keys around it is that so?
  Cover cover(std::string_view key, uint64_t read_lsn) const;
  /// Appends all below `end_lsn`, newest first.
  void list(uint64_t end_lsn, std::vector<RangeRemoval>* removals) const;

  /// Takes those below `published` into blocks when they have become many. Without memory nothing changes.
  void gather(uint64_t published);

  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Block {
    RangeMap map;  // LSNs: the newest of each fragment
    uint32_t oldest = 0;
    uint32_t newest = 0;
    uint64_t count = 0;  // of range removals
  };
  struct Set {
    uint32_t upto = kNoEntry;  // the newest entry that is in a block
    uint64_t count = 0;
    std::vector<std::shared_ptr<const Block>> blocks;  // newest first
  };

  uint64_t lsn_of(uint32_t entry) const { return base_lsn_ + entry * kLogAlignment; }
  RangeRemoval removal(uint32_t entry) const {
    const LogEntry decoded = decode_log_entry(data_ + entry * kLogAlignment);
    return {.from = decoded.key, .to = decoded.value, .lsn = lsn_of(entry)};
  }
  uint32_t before(uint32_t entry) const { return log_entry_chain(data_ + entry * kLogAlignment); }
  /// Calls `fn(removal)` for those below `read_lsn` from `entry` on that are newer than `end`, until it
  /// answers true.
  template <typename Fn>
  bool walk(uint32_t entry, uint32_t end, uint64_t read_lsn, Fn&& fn) const;
  /// The same over all, by blocks where that can be: `ask_block(map)`.
  template <typename Fn, typename AskBlock>
  void ask(uint64_t read_lsn, Fn&& ask_one, AskBlock&& ask_block) const;
  void add(std::vector<uint32_t> names);

  const char* const data_;
  const uint64_t base_lsn_;
  std::atomic<uint32_t> control_{0};       // lock bits as in a bucket of the point index
  std::atomic<uint32_t> head_{kNoEntry};   // partner: readers; published by the mark of its record
  std::atomic<uint64_t> installed_{0};     // in the chain
  std::atomic<const Set*> set_{nullptr};   // replaced as a whole; partner: EpochGuard
  std::atomic<uint64_t> gathered_{0};      // in blocks
  std::atomic<uint64_t> memory_bytes_{0};  // of the blocks
  Mutex gather_mutex_;                     // one gather at a time
};

}  // namespace lightning
