// The point index of a run (layout in run/run_format.h): from a key's hash to where its entry may stand.
//
// Each key has two buckets to live in; it is in the first unless that was full. The builder fills nine slots
// of ten, moving keys to their other bucket where both are full (R. Pagh and F. Rodler, "Cuckoo Hashing",
// 2001, with buckets; one key in sixteen moves). A bucket says which classes of fingerprints left it, so that
// few absent keys touch a second line.
//
// Thread safety: BucketMatches: immutable bytes; RunIndexBuilder: externally synchronised.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <vector>

#include "base/lanes.h"
#include "io/page_allocator.h"
#include "run/run_format.h"
#include "run/run_output.h"

namespace lightning {

/// The slots of one bucket that may hold a fingerprint.
class BucketMatches {
 public:
  BucketMatches(const char* bucket, uint16_t fingerprint)
      : bucket_(bucket), found_(equal_among_twelve(bucket, fingerprint)) {}

  /// The next locator, 0 when there is none.
  uint32_t next() {
    while (found_ != 0) {
      const auto slot = static_cast<uint32_t>(__builtin_ctz(found_));
      found_ &= found_ - 1;
      if (const uint32_t locator = bucket_locator(bucket_, slot); locator != 0) return locator;
    }
    return 0;
  }

  static uint32_t bucket_locator(const char* bucket, uint32_t slot) {
    const uint32_t bit = slot * kLocatorBits;
    return load<uint32_t>(bucket + offsetof(RunBucket, locators) + bit / 8) >> bit % 8 &
           ((1u << kLocatorBits) - 1);
  }

 private:
  const char* bucket_;
  uint32_t found_;  // bit i: slot i, not looked at yet
};
static_assert(kRunBucketSlots == 12);
// The last locator ends with its bucket, as does the word that it is read from.
static_assert(offsetof(RunBucket, locators) + 11 * kLocatorBits / 8 + 4 == offsetof(RunBucket, overflow));

/// Did keys of the fingerprint's class move on to their second bucket?
inline bool bucket_overflowed(const char* bucket, uint16_t fingerprint) {
  return (static_cast<uint8_t>(bucket[offsetof(RunBucket, overflow)]) & fingerprint_class(fingerprint)) != 0;
}

class RunIndexBuilder {
 public:
  void add(uint64_t hash, uint32_t locator) { keys_.push_back({hash, locator}); }
  uint64_t keys() const { return keys_.size(); }
  /// With the buckets of the end.
  uint64_t memory_bytes() const { return keys_.capacity() * sizeof(Key) + buckets_wanted() * sizeof(Bucket); }
  /// About what the pages will take.
  uint64_t file_bytes() const { return index_pages(buckets_wanted()) * kUnitBytes; }

  /// Finds every key a bucket. False when too many keys have the same hash: then the file goes without an
  /// index.
  bool place_all();
  uint64_t buckets() const { return buckets_.size(); }
  /// Appends the pages.
  Status write(RunOutput& output, uint64_t file_id) const;

 private:
  struct Key {
    uint64_t hash;
    uint32_t locator;
  };
  struct Bucket {
    uint32_t keys[kRunBucketSlots];
    uint8_t used;
    uint8_t overflow;
  };

  uint64_t buckets_wanted() const { return keys_.size() * 10 / (kRunBucketSlots * 9) + 1; }
  uint64_t first(uint32_t key) const { return first_bucket(keys_[key].hash, buckets_.size()); }
  uint64_t second(uint32_t key) const { return second_bucket(keys_[key].hash, buckets_.size()); }
  bool place(uint32_t key);
  bool put(uint32_t key, uint64_t bucket);
  bool make_room(uint64_t bucket);
  void encode(const Bucket& bucket, char* to) const;

  std::vector<Key, PageAllocator<Key>> keys_;
  std::vector<Bucket, PageAllocator<Bucket>> buckets_;
};

}  // namespace lightning
