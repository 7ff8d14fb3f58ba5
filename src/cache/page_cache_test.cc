#include "cache/page_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace lightning {
namespace {

constexpr uint64_t kFrame = 4096;  // a large one
constexpr uint64_t kFrameShare = kFrame + 256;
constexpr FrameSize kSmall = FrameSize::small;
constexpr FrameSize kLarge = FrameSize::large;

std::shared_ptr<PageCache> cache_of(uint64_t frames) {
  return std::make_shared<PageCache>(frames * kFrameShare, kFrame);
}

// Reads a page that is not there; false when there is no frame.
bool bring(PageCache& cache, PageCache::Table& table, uint32_t page, FrameSize size = kLarge) {
  const uint32_t frame = cache.take(size);
  if (frame == PageCache::kNoFrame) return false;
  std::memset(cache.frame_data(frame), static_cast<int>(page), cache.frame_bytes(size));
  return table.insert(page, frame).data() != nullptr;
}

bool is(const char* data, uint32_t page, FrameSize size) {
  const uint64_t bytes = size == kLarge ? kFrame : kFrame / kSmallInLarge;
  return data[0] == static_cast<char>(page) && std::memcmp(data, data + 1, bytes - 1) == 0;
}

bool holds(const PageCache::Table& table, uint32_t page, FrameSize size = kLarge) {
  EpochGuard epoch;
  const char* data = table.find(page);
  return data != nullptr && is(data, page, size);
}

TEST(PageCache, FindsWhatWasBrought) {
  const std::shared_ptr<PageCache> cache = cache_of(8);
  EXPECT_EQ(cache->capacity_bytes(), 8 * kFrame);
  EXPECT_EQ(cache->memory_bytes(), 0u);
  const std::unique_ptr<PageCache::Table> table = *cache->table(100, 0);
  EXPECT_FALSE(holds(*table, 7));
  ASSERT_TRUE(bring(*cache, *table, 7));
  EXPECT_TRUE(holds(*table, 7));
  EXPECT_FALSE(holds(*table, 8));
  const PageCache::Counts counts = cache->counts();
  EXPECT_EQ(counts.hits, 1u);
  EXPECT_EQ(counts.misses, 1u);
  EXPECT_EQ(counts.pages, 1u);
  EXPECT_LE(counts.bytes, kFrame + 8 * 256);
}

TEST(PageCache, RemembersWhatItEvicted) {
  const std::shared_ptr<PageCache> cache = cache_of(8);
  const std::unique_ptr<PageCache::Table> table = *cache->table(100, 0);
  for (uint32_t page = 0; page < 20; ++page) {
    ASSERT_TRUE(bring(*cache, *table, page));
    EXPECT_TRUE(holds(*table, 0)) << page;  // it is used all the time
  }
  PageCache::Counts counts = cache->counts();
  EXPECT_EQ(counts.evictions, 12u);
  EXPECT_EQ(counts.pages, 8u);
  EXPECT_EQ(counts.ghost_hits, 0u);
  EXPECT_FALSE(holds(*table, 12));
  ASSERT_TRUE(bring(*cache, *table, 12));
  counts = cache->counts();
  EXPECT_EQ(counts.ghost_hits, 1u);
  EXPECT_GE(counts.frequent_bytes, 2 * kFrame);
  EXPECT_GE(counts.target_bytes, kFrame);
}

TEST(PageCache, WhoComesSecondTakesTheFirstOnesFrame) {
  const std::shared_ptr<PageCache> cache = cache_of(2);
  const std::unique_ptr<PageCache::Table> table = *cache->table(4, 0);
  const uint32_t first = cache->take(kLarge);
  const uint32_t second = cache->take(kLarge);
  std::memset(cache->frame_data(first), 1, kFrame);
  const PageCache::Pin mine = table->insert(1, first);
  const PageCache::Pin other = table->insert(1, second);
  EXPECT_EQ(mine.data(), other.data());
  EXPECT_EQ(cache->counts().pages, 1u);
  EXPECT_NE(cache->take(kLarge), PageCache::kNoFrame);  // the second one is free again
}

TEST(PageCache, KeepsPinnedPages) {
  const std::shared_ptr<PageCache> cache = cache_of(2);
  const std::unique_ptr<PageCache::Table> table = *cache->table(10, 0);
  ASSERT_TRUE(bring(*cache, *table, 0));
  ASSERT_TRUE(bring(*cache, *table, 1));
  PageCache::Pin zero = table->pin(0, false);
  const PageCache::Pin one = table->pin(1, false);
  ASSERT_NE(zero.data(), nullptr);
  EXPECT_FALSE(bring(*cache, *table, 2));  // nothing may go, and nobody waits
  zero = {};
  EXPECT_TRUE(bring(*cache, *table, 2));
  EXPECT_EQ(one.data()[0], 1);
}

// The bytes under an epoch stay although their page goes.
TEST(PageCache, AFrameIsNotUsedAgainUnderAnEpoch) {
  const std::shared_ptr<PageCache> cache = cache_of(1);
  const std::unique_ptr<PageCache::Table> table = *cache->table(10, 0);
  ASSERT_TRUE(bring(*cache, *table, 3));
  const char* data = nullptr;
  uint32_t frame = 0;
  std::atomic<int> stage{0};
  ASSERT_TRUE(posix_env()
                  .executor()
                  .schedule(Lane::quick, 0,
                            [&] {
                              EpochGuard epoch;
                              data = table->find(3);
                              stage.store(1);
                              while (stage.load() == 1) yield_thread();
                              epoch.leave();
                              stage.store(3);
                            })
                  .ok());
  while (stage.load() != 1) yield_thread();
  frame = cache->take(kLarge);
  EXPECT_EQ(frame, PageCache::kNoFrame);
  EXPECT_EQ(data[0], 3);
  EXPECT_FALSE(holds(*table, 3));
  stage.store(2);
  while (stage.load() != 3) yield_thread();
  EXPECT_NE(cache->take(kLarge), PageCache::kNoFrame);
}

// A pin outlives the eviction of its page, its table and every other hold on the cache.
TEST(PageCache, APinKeepsTheCache) {
  std::shared_ptr<PageCache> cache = cache_of(2);
  std::unique_ptr<PageCache::Table> table = *cache->table(10, 0);
  ASSERT_TRUE(bring(*cache, *table, 5));
  PageCache::Pin pin = table->pin(5, false);
  table = nullptr;
  EXPECT_EQ(cache->counts().pages, 0u);
  EXPECT_NE(cache->take(kLarge), PageCache::kNoFrame);
  EXPECT_EQ(cache->take(kLarge), PageCache::kNoFrame);
  EXPECT_EQ(pin.data()[0], 5);
  pin = {};
  EXPECT_NE(cache->take(kLarge), PageCache::kNoFrame);
  pin = {};
  cache = nullptr;
}

TEST(PageCache, ADroppedTableLeavesNothing) {
  const std::shared_ptr<PageCache> cache = cache_of(4);
  const std::unique_ptr<PageCache::Table> stays = *cache->table(10, 0);
  std::unique_ptr<PageCache::Table> goes = *cache->table(10, 0);
  for (uint32_t page = 0; page < 10; ++page) ASSERT_TRUE(bring(*cache, *goes, page));
  goes = nullptr;
  EXPECT_EQ(cache->counts().pages, 0u);
  for (uint32_t page = 0; page < 4; ++page) ASSERT_TRUE(bring(*cache, *stays, page));
  EXPECT_EQ(cache->counts().evictions, 6u);
  EXPECT_EQ(cache->counts().ghost_hits, 0u);
}

TEST(PageCache, ACacheWithoutFramesHasNone) {
  const std::shared_ptr<PageCache> cache = cache_of(0);
  const std::unique_ptr<PageCache::Table> table = *cache->table(10, 0);
  EXPECT_EQ(cache->take(kLarge), PageCache::kNoFrame);
  EXPECT_FALSE(holds(*table, 1));
  EXPECT_EQ(table->pin(1, true).data(), nullptr);
  EXPECT_EQ(cache->memory_bytes(), 0u);
}

}  // namespace
}  // namespace lightning
