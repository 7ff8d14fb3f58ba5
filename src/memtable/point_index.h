// PointIndex: a memtable's hash index from key to the newest entry of its chain. Writers lock one bucket,
// readers none.
//
// A bucket is one cache line: ten 16-bit tags, ten 32-bit entry names (format/log_entry.h: offset8), one
// control word. A tag stands for the keys of a bucket that share sixteen hash bits; its slot holds the newest
// entry of their common chain. Tags and bucket number come from different bits of the hash. A full bucket
// continues in an overflow bucket, for ever.
//
// Invariants
//  M1  A slot's tag is written once, after its entry name; tags are never zero where a slot is taken. Slots
//      are never moved or freed, so that a reader needs no validation.
//  M2  A slot's entry name only moves to an entry whose chain word names the former one (I3: order per key =
//      order of LSN).
//  M3  The lock bit of a primary bucket guards its overflow buckets too; it is held from reservation to
//      insertion.
//  M4  What can fail (overflow memory) happens in lock(), never afterwards.
// Thread safety: readers any threads; writers any threads, each between lock() and unlock() of its buckets.
// Costs: a lookup one cache miss, mostly; 64 bytes per ten keys and tag.
// Source: buckets of tags in one cache line as in M. Herlihy et al.'s and CLHT's layouts; chains of versions
// by tag are ours.
#pragma once

#include <lightning/status.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "base/mutex.h"
#include "io/env.h"

namespace lightning {

inline constexpr int kBucketSlots = 10;
// The control word: lock, somebody sleeps for it, number of the overflow bucket.
inline constexpr uint32_t kBucketLocked = 1;
inline constexpr uint32_t kBucketAwaited = 2;
inline constexpr int kOverflowShift = 2;

struct alignas(64) Bucket {
  std::atomic<uint64_t> tags[2];    // eight 16-bit tags, slot i in bits 16 * (i % 4) of word i / 4
  std::atomic<uint32_t> tags_tail;  // slots 8 and 9
  std::atomic<uint32_t> control;    // lock bits (primary only) and the overflow bucket's number, 0 = none
  std::atomic<uint32_t> entries[kBucketSlots];
};
static_assert(sizeof(Bucket) == 64);

class PointIndex {
 public:
  /// For about `keys` keys; more only cost time.
  static Result<std::unique_ptr<PointIndex>> create(uint64_t keys);
  ~PointIndex();

  void prefetch(uint64_t hash) const { __builtin_prefetch(&bucket(hash)); }

  /// The newest entry of the chain that may hold the key, kNoEntry if there is none.
  uint32_t find(uint64_t hash) const {
    const uint64_t tag = tag_of(hash);
    const Bucket* at = &bucket(hash);
    for (;;) {
      const int slot = find_tag(*at, tag);
      if (slot >= 0) return at->entries[slot].load(std::memory_order_acquire);
      const uint32_t overflow = at->control.load(std::memory_order_acquire) >> kOverflowShift;
      if (overflow == 0) [[likely]]
        return 0;
      at = &overflow_bucket(overflow);
    }
  }

  // Writing. A batch locks its distinct buckets in ascending bucket_number() order.
  uint64_t bucket_number(uint64_t hash) const { return bucket_of(hash); }
  /// Locks and makes room for `inserts` new slots; out_of_memory leaves it unlocked.
  Status lock(uint64_t bucket_number, uint32_t inserts);
  void unlock(uint64_t bucket_number);
  /// Under the lock: the head of the chain for the hash.
  uint32_t head(uint64_t hash) const { return find(hash); }
  /// Under the lock: makes `entry` the head; its chain word already names the former head.
  void install(uint64_t hash, uint32_t entry);

  /// The lock bits of a word that is laid out as a bucket's control word, for other locks of the same kind.
  static void lock_word(std::atomic<uint32_t>& control);
  static void unlock_word(std::atomic<uint32_t>& control);

  /// Own memory in bytes.
  uint64_t memory_bytes() const;

  static uint64_t tag_of(uint64_t hash) {
    const uint64_t tag = hash & 0xffff;
    return tag == 0 ? 1 : tag;
  }

 private:
  // Overflow buckets stand in chunks of 64, 128, 256, ...: chunk k begins with number 64 * (2^k - 1).
  static constexpr uint32_t kFirstChunkBuckets = 64;
  static constexpr uint32_t kChunksMax = 24;

  PointIndex() = default;
  uint64_t bucket_of(uint64_t hash) const {
    // The upper 32 bits choose the bucket, the lowest 16 are the tag.
    return ((hash >> 32) * bucket_count_) >> 32;
  }
  Bucket& bucket(uint64_t hash) const { return buckets_[bucket_of(hash)]; }
  static uint32_t chunk_of(uint32_t number) { return std::bit_width(number / kFirstChunkBuckets + 1) - 1; }
  Bucket& overflow_bucket(uint32_t number) const {
    const uint32_t chunk = chunk_of(number);
    const uint32_t first = kFirstChunkBuckets * ((1u << chunk) - 1);
    return chunks_[chunk].load(std::memory_order_acquire)[number - first];
  }
  /// The slot of `tag` in one bucket, -1 if it has none.
  static int find_tag(const Bucket& bucket, uint64_t tag);
  /// How many slots of one bucket are taken; they are taken from slot 0 on.
  static int taken_slots(const Bucket& bucket);
  Status add_overflow(Bucket& last);

  PageMemory memory_;
  Bucket* buckets_ = nullptr;
  uint64_t bucket_count_ = 0;

  Mutex overflow_mutex_;
  std::atomic<uint32_t> overflow_used_{1};  // number 0 means none
  std::array<std::atomic<Bucket*>, kChunksMax> chunks_{};
  std::atomic<uint64_t> overflow_bytes_{0};
};

inline int PointIndex::find_tag(const Bucket& bucket, uint64_t tag) {
  constexpr uint64_t kOnes = 0x0001000100010001ull;
  constexpr uint64_t kHighs = 0x8000800080008000ull;
  const uint64_t pattern = tag * kOnes;
  for (int word = 0; word < 2; ++word) {
    const uint64_t difference = bucket.tags[word].load(std::memory_order_acquire) ^ pattern;
    // The lowest set flag is exact; higher ones may be borrowed from it.
    const uint64_t zero = (difference - kOnes) & ~difference & kHighs;
    if (zero != 0) return word * 4 + (__builtin_ctzll(zero) >> 4);
  }
  const uint32_t tail = bucket.tags_tail.load(std::memory_order_acquire);
  if ((tail & 0xffff) == tag) return 8;
  if ((tail >> 16) == tag) return 9;
  return -1;
}

}  // namespace lightning
