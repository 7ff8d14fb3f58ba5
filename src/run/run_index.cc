#include "run/run_index.h"

#include <algorithm>
#include <cstring>

#include "run/leaf_builder.h"

namespace lightning {

namespace {
constexpr uint32_t kPrefetchDistance = 16;
constexpr int kGrowthsMax = 8;
constexpr int kMovesMax = 512;
}  // namespace

bool RunIndexBuilder::place_all() {
  uint64_t count = buckets_wanted();
  const auto keys = static_cast<uint32_t>(keys_.size());
  for (int growth = 0; growth < kGrowthsMax; ++growth, count += count / 16 + 1) {
    buckets_.assign(count, Bucket{});
    uint32_t placed = 0;
    while (placed < keys) {
      if (placed + kPrefetchDistance < keys)
        __builtin_prefetch(&buckets_[first(placed + kPrefetchDistance)], 1);
      if (!place(placed)) break;
      ++placed;
    }
    if (placed == keys) return true;
  }
  buckets_.clear();
  return false;
}

bool RunIndexBuilder::put(uint32_t key, uint64_t number) {
  Bucket& bucket = buckets_[number];
  if (bucket.used == kRunBucketSlots) return false;
  bucket.keys[bucket.used++] = key;
  if (const uint64_t home = first(key); home != number) {
    buckets_[home].overflow |= fingerprint_class(fingerprint(keys_[key].hash));
  }
  return true;
}

// Moves one key of a full bucket to its other bucket, if that has room.
bool RunIndexBuilder::make_room(uint64_t number) {
  Bucket& bucket = buckets_[number];
  for (uint32_t& key : bucket.keys) {
    const uint64_t home = first(key);
    const uint64_t other = home == number ? second(key) : home;
    if (other != number && put(key, other)) {
      key = bucket.keys[--bucket.used];
      return true;
    }
  }
  return false;
}

bool RunIndexBuilder::place(uint32_t key) {
  uint32_t turn = key;
  for (int move = 0; move < kMovesMax; ++move) {
    const uint64_t home = first(key);
    const uint64_t other = second(key);
    if (put(key, home) || put(key, other)) return true;
    if (make_room(home)) return put(key, home);
    if (make_room(other)) return put(key, other);
    // Both buckets and all that theirs lead to are full: change places with some key and go on with that one.
    turn = turn * 1664525u + 1013904223u;
    const uint64_t number = (turn >> 31) != 0 ? home : other;
    Bucket& bucket = buckets_[number];
    uint32_t& victim = bucket.keys[(turn >> 16) % kRunBucketSlots];
    std::swap(key, victim);
    if (number != home) buckets_[home].overflow |= fingerprint_class(fingerprint(keys_[victim].hash));
  }
  return false;
}

void RunIndexBuilder::encode(const Bucket& bucket, char* to) const {
  for (uint32_t slot = 0; slot < bucket.used; ++slot) {
    const Key& key = keys_[bucket.keys[slot]];
    store<uint16_t>(to + slot * 2, fingerprint(key.hash));
    const uint32_t bit = slot * kLocatorBits;
    char* word = to + offsetof(RunBucket, locators) + bit / 8;
    store<uint32_t>(word, load<uint32_t>(word) | key.locator << bit % 8);
  }
  to[offsetof(RunBucket, overflow)] = static_cast<char>(bucket.overflow);
}

Status RunIndexBuilder::write(RunOutput& output, uint64_t file_id) const {
  for (uint64_t done = 0; done < buckets_.size(); done += kBucketsPerPage) {
    const uint64_t page_number = output.end() / kUnitBytes;
    Result<char*> page = output.page(kUnitBytes);
    if (!page) return page.status();
    const uint64_t count = std::min(kBucketsPerPage, buckets_.size() - done);
    const PageHeader header = {.checksum = 0,
                               .kind = PageKind::index,
                               .codec = 0,
                               .count = static_cast<uint16_t>(count),
                               .prefix_size = 0,
                               .units = 1,
                               .stored = 0,
                               .number = 0,
                               .dense = 0};
    store(*page, header);
    for (uint64_t i = 0; i < count; ++i) {
      if (done + i + 1 < buckets_.size()) {
        const Bucket& ahead = buckets_[done + i + 1];
        for (uint32_t slot = 0; slot < ahead.used; ++slot) __builtin_prefetch(&keys_[ahead.keys[slot]]);
      }
      encode(buckets_[done + i], *page + kIndexHeaderBytes + i * sizeof(RunBucket));
    }
    seal_page(*page, kUnitBytes, file_id, page_number);
  }
  return Status();
}

}  // namespace lightning
