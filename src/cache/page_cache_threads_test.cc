#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "base/coding.h"
#include "cache/page_cache.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr uint64_t kFrame = 1024;  // a large one
constexpr uint32_t kPages = 64;
constexpr uint32_t kLargePages = 16;

FrameSize size_of(uint32_t page) { return page < kLargePages ? FrameSize::large : FrameSize::small; }
uint64_t bytes_of(uint32_t page) {
  return size_of(page) == FrameSize::large ? kFrame : kFrame / kSmallInLarge;
}

// A page's bytes say which page they are, all of them.
void fill(char* data, uint32_t table, uint32_t page) {
  for (uint64_t at = 0; at < bytes_of(page); at += 4) store<uint32_t>(data + at, table << 16 | page);
}
bool is(const char* data, uint32_t table, uint32_t page) {
  for (uint64_t at = 0; at < bytes_of(page); at += 4) {
    if (load<uint32_t>(data + at) != (table << 16 | page)) return false;
  }
  return true;
}

// Readers under epochs, readers with pins and evictions, all over more pages than there are frames, of both
// sizes, now more of the one and now of the other, beside files that come and go.
TEST(PageCacheThreads, NobodySeesAnotherPage) {
  const auto cache = std::make_shared<PageCache>(10 * (kFrame + 256), kFrame);
  std::unique_ptr<PageCache::Table> shared = *cache->table(kLargePages, kPages - kLargePages);
  std::vector<std::thread> threads;
  for (uint32_t thread = 1; thread <= 4; ++thread) {
    threads.emplace_back([&, thread] {
      Random random(thread);
      std::unique_ptr<PageCache::Table> own = *cache->table(kLargePages, kPages - kLargePages);
      std::vector<std::pair<uint32_t, PageCache::Pin>> pins;
      for (int step = 0; step < 20'000; ++step) {
        const bool mine = random.chance(0.25);
        PageCache::Table& table = mine ? *own : *shared;
        const uint32_t number = mine ? thread : 0;
        const bool large = random.chance(step / 2000 % 2 == 0 ? 0.2 : 0.9);
        const auto page = static_cast<uint32_t>(large ? random.below(kLargePages)
                                                      : kLargePages + random.below(kPages - kLargePages));
        bool found = false;
        if (random.chance(0.5)) {
          EpochGuard epoch;
          const char* data = table.find(page);
          found = data != nullptr;
          ASSERT_TRUE(!found || is(data, number, page));
        } else {
          PageCache::Pin pin = table.pin(page, true);
          found = pin.data() != nullptr;
          ASSERT_TRUE(!found || is(pin.data(), number, page));
          if (found && !mine) pins.emplace_back(page, std::move(pin));
        }
        if (!found) {
          const uint32_t frame = cache->take(size_of(page));
          if (frame != PageCache::kNoFrame && random.chance(0.1)) {
            cache->give_back(frame);
          } else if (frame != PageCache::kNoFrame) {
            fill(cache->frame_data(frame), number, page);
            const PageCache::Pin pin = table.insert(page, frame);
            ASSERT_TRUE(is(pin.data(), number, page));
          }
        }
        for (const auto& [held, pin] : pins) ASSERT_TRUE(is(pin.data(), 0, held));
        if (pins.size() > 3) pins.erase(pins.begin());
        if (step % 500 == 0) own = *cache->table(kLargePages, kPages - kLargePages);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  epoch_drain();
  const PageCache::Counts counts = cache->counts();
  EXPECT_GT(counts.hits, 0u);
  EXPECT_GT(counts.evictions, 0u);
  EXPECT_GT(counts.ghost_hits, 0u);
  EXPECT_LE(counts.page_bytes, cache->capacity_bytes());
  shared = nullptr;
  // Every frame is there.
  uint32_t large = 0;
  while (cache->take(FrameSize::large) != PageCache::kNoFrame) ++large;
  EXPECT_EQ(large, 10u);
}

}  // namespace
}  // namespace lightning
