#include "memtable/point_index.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "format/internal_key.h"

namespace lightning {
namespace {

std::unique_ptr<PointIndex> make_index(uint64_t keys) {
  auto index = PointIndex::create(keys);
  EXPECT_TRUE(index.ok()) << index.status().to_string();
  return *std::move(index);
}

void insert(PointIndex& index, uint64_t hash, uint32_t entry) {
  const uint64_t bucket = index.bucket_number(hash);
  ASSERT_TRUE(index.lock(bucket, 1).ok());
  index.install(hash, entry);
  index.unlock(bucket);
}

TEST(PointIndex, FindsTheNewestEntryOfATag) {
  auto index = make_index(100);
  const uint64_t hash = hash_key("a");
  EXPECT_EQ(index->find(hash), 0u);
  insert(*index, hash, 8);
  insert(*index, hash, 16);
  EXPECT_EQ(index->find(hash), 16u);
}

// A tag must tell the keys of one bucket apart: bucket and tag come from different bits of the hash.
TEST(PointIndex, TagsOfABucketAreDistinct) {
  auto index = make_index(100'000);
  std::map<uint64_t, std::set<uint64_t>> tags;
  std::map<uint64_t, uint64_t> keys;
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t hash = hash_key("key" + std::to_string(i));
    tags[index->bucket_number(hash)].insert(PointIndex::tag_of(hash));
    ++keys[index->bucket_number(hash)];
  }
  uint64_t shared = 0;
  for (const auto& [bucket, count] : keys) shared += count - tags[bucket].size();
  EXPECT_LT(shared, 50u);  // about seven keys a bucket and 65,535 tags: ten or so
}

TEST(PointIndex, OverflowsWithoutLosingAnybody) {
  auto index = make_index(1);  // 64 buckets
  constexpr uint32_t kKeys = 100'000;
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> expected;  // by bucket and tag
  for (uint32_t i = 1; i <= kKeys; ++i) {
    const uint64_t hash = hash_key(std::to_string(i));
    insert(*index, hash, i);
    expected[{index->bucket_number(hash), PointIndex::tag_of(hash)}] = i;
  }
  for (uint32_t i = 1; i <= kKeys; ++i) {
    const uint64_t hash = hash_key(std::to_string(i));
    ASSERT_EQ(index->find(hash), (expected[{index->bucket_number(hash), PointIndex::tag_of(hash)}])) << i;
  }
  EXPECT_GT(index->memory_bytes(), kKeys / kBucketSlots * sizeof(Bucket));
}

TEST(PointIndex, MakesRoomForAWholeBatchBeforeItIsNeeded) {
  auto index = make_index(1);
  const uint64_t bucket = index->bucket_number(0);
  ASSERT_TRUE(index->lock(bucket, 1000).ok());
  for (uint32_t i = 1; i <= 1000; ++i)
    index->install(i, i);  // the upper half chooses the bucket: all in this one
  index->unlock(bucket);
  for (uint32_t i = 1; i <= 1000; ++i) ASSERT_EQ(index->find(i), i);
}

TEST(PointIndexThreads, ReadersSeeEachHeadMoveForwardOnly) {
  auto index = make_index(16);
  constexpr int kKeys = 200;
  std::vector<uint64_t> hashes;
  for (int i = 0; i < kKeys; ++i) hashes.push_back(hash_key(std::to_string(i)));
  std::atomic<uint32_t> next{1};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 4; ++writer) {
    threads.emplace_back([&, writer] {
      std::mt19937_64 random(writer);
      for (int i = 0; i < 20'000; ++i) {
        const uint64_t hash = hashes[random() % kKeys];
        const uint64_t bucket = index->bucket_number(hash);
        ASSERT_TRUE(index->lock(bucket, 1).ok());
        // Under the bucket's lock, so that heads move forward.
        index->install(hash, next.fetch_add(1));
        index->unlock(bucket);
      }
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      std::vector<uint32_t> seen(kKeys, 0);
      while (!done.load()) {
        for (int i = 0; i < kKeys; ++i) {
          const uint32_t head = index->find(hashes[i]);
          ASSERT_GE(head, seen[i]);
          seen[i] = head;
        }
      }
    });
  }
  for (int i = 0; i < 4; ++i) threads[i].join();
  done = true;
  threads[4].join();
  threads[5].join();
}

}  // namespace
}  // namespace lightning
