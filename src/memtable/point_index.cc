#include "memtable/point_index.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/park.h"

namespace lightning {

namespace {

// Keys for which a primary bucket is made; ten fit.
constexpr uint64_t kKeysPerBucket = 7;
constexpr int kSpinsBeforeParking = 100;

void set_tag(Bucket& bucket, int slot, uint64_t tag) {
  if (slot < 8) {
    std::atomic<uint64_t>& word = bucket.tags[slot / 4];
    word.store(word.load(std::memory_order_relaxed) | tag << (16 * (slot % 4)), std::memory_order_release);
  } else {
    std::atomic<uint32_t>& word = bucket.tags_tail;
    word.store(word.load(std::memory_order_relaxed) | static_cast<uint32_t>(tag) << (16 * (slot - 8)),
               std::memory_order_release);
  }
}

}  // namespace

Result<std::unique_ptr<PointIndex>> PointIndex::create(uint64_t keys) {
  std::unique_ptr<PointIndex> index(new (std::nothrow) PointIndex);
  if (index == nullptr) return Status(StatusCode::out_of_memory, "point index");
  index->bucket_count_ = std::clamp<uint64_t>(keys / kKeysPerBucket, 64, UINT32_MAX);
  Result<PageMemory> memory = PageMemory::map(index->bucket_count_ * sizeof(Bucket));
  if (!memory) return memory.status();
  index->memory_ = *std::move(memory);
  // Zero-filled pages are empty buckets.
  index->buckets_ = reinterpret_cast<Bucket*>(index->memory_.data());
  return index;
}

PointIndex::~PointIndex() {
  for (std::atomic<Bucket*>& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
}

void PointIndex::lock_word(std::atomic<uint32_t>& control) {
  for (int spins = 0;; ++spins) {
    uint32_t seen = control.load(std::memory_order_relaxed);
    if ((seen & kBucketLocked) == 0) {
      // Whoever slept cannot know of other sleepers, so it keeps the mark that wakes them.
      const uint32_t locked = seen | kBucketLocked | (spins > kSpinsBeforeParking ? kBucketAwaited : 0);
      if (control.compare_exchange_weak(seen, locked, std::memory_order_acquire, std::memory_order_relaxed))
        return;
      continue;
    }
    if (spins < kSpinsBeforeParking) {
      spin_pause();
      continue;
    }
    if ((seen & kBucketAwaited) == 0 &&
        !control.compare_exchange_weak(seen, seen | kBucketAwaited, std::memory_order_relaxed)) {
      continue;
    }
    park(control, seen | kBucketAwaited);
  }
}

Status PointIndex::lock(uint64_t bucket_number, uint32_t inserts) {
  Bucket* last = &buckets_[bucket_number];
  lock_word(last->control);
  while (const uint32_t overflow = last->control.load(std::memory_order_relaxed) >> kOverflowShift) {
    last = &overflow_bucket(overflow);
  }
  for (uint32_t room = kBucketSlots - taken_slots(*last); room < inserts; room += kBucketSlots) {
    if (Status status = add_overflow(*last); !status.ok()) {
      unlock(bucket_number);
      return status;
    }
    last = &overflow_bucket(last->control.load(std::memory_order_relaxed) >> kOverflowShift);
  }
  return {};
}

void PointIndex::unlock(uint64_t bucket_number) { unlock_word(buckets_[bucket_number].control); }

void PointIndex::unlock_word(std::atomic<uint32_t>& control) {
  const uint32_t before = control.fetch_and(~(kBucketLocked | kBucketAwaited), std::memory_order_release);
  LIGHTNING_INVARIANT("M3", before & kBucketLocked);
  if ((before & kBucketAwaited) != 0) [[unlikely]]
    unpark_all(control);
}

void PointIndex::install(uint64_t hash, uint32_t entry) {
  const uint64_t tag = tag_of(hash);
  Bucket* at = &bucket(hash);
  LIGHTNING_INVARIANT("M3", at->control.load(std::memory_order_relaxed) & kBucketLocked);
  for (;;) {
    int slot = find_tag(*at, tag);
    if (slot >= 0) {
      at->entries[slot].store(entry, std::memory_order_release);
      return;
    }
    const uint32_t overflow = at->control.load(std::memory_order_relaxed) >> kOverflowShift;
    slot = taken_slots(*at);
    if (slot < kBucketSlots) {
      at->entries[slot].store(entry, std::memory_order_release);
      set_tag(*at, slot, tag);
      return;
    }
    LIGHTNING_INVARIANT("M4", overflow != 0);
    at = &overflow_bucket(overflow);
  }
}

int PointIndex::taken_slots(const Bucket& bucket) {
  int taken = 0;
  for (; taken < kBucketSlots; ++taken) {
    const uint64_t word = taken < 8 ? bucket.tags[taken / 4].load(std::memory_order_relaxed)
                                    : bucket.tags_tail.load(std::memory_order_relaxed);
    if ((word >> (16 * (taken % 4)) & 0xffff) == 0) break;
  }
  return taken;
}

Status PointIndex::add_overflow(Bucket& last) {
  MutexLock lock(overflow_mutex_);
  const uint32_t number = overflow_used_.load(std::memory_order_relaxed);
  const uint32_t chunk = chunk_of(number);
  if (chunk >= kChunksMax) return Status(StatusCode::out_of_memory, "point index is full");
  if (chunks_[chunk].load(std::memory_order_relaxed) == nullptr) {
    const uint64_t count = uint64_t{kFirstChunkBuckets} << chunk;
    Bucket* buckets = new (std::nothrow) Bucket[count]();
    if (buckets == nullptr) return Status(StatusCode::out_of_memory, "point index overflow");
    chunks_[chunk].store(buckets, std::memory_order_release);
    overflow_bytes_.fetch_add(count * sizeof(Bucket), std::memory_order_relaxed);
  }
  overflow_used_.store(number + 1, std::memory_order_relaxed);
  // The lock bits of a primary bucket may change meanwhile: another writer may note that it waits.
  last.control.fetch_or(number << kOverflowShift, std::memory_order_release);
  return {};
}

uint64_t PointIndex::memory_bytes() const {
  return memory_.size() + overflow_bytes_.load(std::memory_order_relaxed) + sizeof(PointIndex);
}

}  // namespace lightning
