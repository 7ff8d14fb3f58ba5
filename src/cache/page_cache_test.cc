#include "cache/page_cache.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "io/process_word.h"
#include "testing/random.h"

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

/// Another thread, inside an epoch in which it has done `look`, until leave().
class InsideEpoch {
 public:
  explicit InsideEpoch(std::function<void()> look) {
    const Status status = posix_env().executor().schedule(Lane::quick, 0, [this, look = std::move(look)] {
      EpochGuard epoch;
      look();
      stage_.store(1);
      while (stage_.load() == 1) yield_thread();
      epoch.leave();
      stage_.store(3);
    });
    if (!status.ok()) std::abort();
    while (stage_.load() != 1) yield_thread();
  }
  void leave() {
    stage_.store(2);
    while (stage_.load() != 3) yield_thread();
  }

 private:
  std::atomic<int> stage_{0};
};

// The bytes under an epoch stay although their page goes.
TEST(PageCache, AFrameIsNotUsedAgainUnderAnEpoch) {
  const std::shared_ptr<PageCache> cache = cache_of(1);
  const std::unique_ptr<PageCache::Table> table = *cache->table(10, 0);
  ASSERT_TRUE(bring(*cache, *table, 3));
  const char* data = nullptr;
  InsideEpoch other([&] { data = table->find(3); });
  EXPECT_EQ(cache->take(kLarge), PageCache::kNoFrame);
  EXPECT_EQ(data[0], 3);
  EXPECT_FALSE(holds(*table, 3));
  other.leave();
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

// Two sizes -------------------------------------------------------------------------------------------------

// Brings the page if it is not there; was it?
bool meet(PageCache& cache, PageCache::Table& table, uint32_t page, FrameSize size) {
  if (holds(table, page, size)) return true;
  bring(cache, table, page, size);
  return false;
}

// All frames of the size that are to be had; they are given back.
uint32_t count_free(PageCache& cache, FrameSize size) {
  std::vector<uint32_t> taken;
  for (uint32_t frame = cache.take(size); frame != PageCache::kNoFrame; frame = cache.take(size))
    taken.push_back(frame);
  for (const uint32_t frame : taken) cache.give_back(frame);
  return static_cast<uint32_t>(taken.size());
}

TEST(PageCache, FourSmallFramesAreALargeOne) {
  const std::shared_ptr<PageCache> cache = cache_of(2);
  const std::unique_ptr<PageCache::Table> table = *cache->table(2, 8);
  ASSERT_TRUE(bring(*cache, *table, 0, kLarge));
  const uint64_t memory = cache->memory_bytes();
  for (uint32_t page = 2; page < 6; ++page) {
    ASSERT_TRUE(bring(*cache, *table, page, kSmall));
    EXPECT_EQ(cache->memory_bytes(), memory + kFrame);
  }
  EXPECT_TRUE(holds(*table, 0, kLarge));
  for (uint32_t page = 2; page < 6; ++page) EXPECT_TRUE(holds(*table, page, kSmall));
  EXPECT_EQ(cache->counts().pages, 5u);
  EXPECT_EQ(cache->counts().page_bytes, 2 * kFrame);
  EXPECT_EQ(cache->counts().small_bytes, kFrame);
  EXPECT_EQ(cache->counts().evictions, 0u);
}

// A size that comes late gets its least, in either order, and pages that are met once get it no more.
TEST(PageCache, WhoComesLateGetsALittle) {
  for (const FrameSize first : {kSmall, kLarge}) {
    const FrameSize second = other_size(first);
    const std::shared_ptr<PageCache> cache = cache_of(64);
    const std::unique_ptr<PageCache::Table> early =
        first == kSmall ? *cache->table(0, 1000) : *cache->table(1000, 0);
    const std::unique_ptr<PageCache::Table> late =
        first == kSmall ? *cache->table(1000, 0) : *cache->table(0, 1000);
    const uint32_t frames = first == kSmall ? 64 * kSmallInLarge : 64;
    for (uint32_t page = 0; page < frames; ++page) ASSERT_TRUE(bring(*cache, *early, page, first));
    EXPECT_EQ(cache->counts().evictions, 0u);
    for (uint32_t page = 0; page < 500; ++page) ASSERT_TRUE(bring(*cache, *late, page, second));
    EXPECT_EQ(early->resident(0, 1000), frames / 64 * 62);
    EXPECT_EQ(cache->counts().page_bytes, cache->capacity_bytes());
    for (uint32_t page = 0; page < 1000; ++page) {
      EXPECT_TRUE(early->has(page) <= holds(*early, page, first));
      EXPECT_TRUE(late->has(page) <= holds(*late, page, second));
    }
  }
}

// Small pages that all are used all the time keep their frames beside large ones that rarely come again, and
// get them back where those came first.
TEST(PageCache, AHotIndexStaysBesideLeaves) {
  for (const bool index_first : {true, false}) {
    const std::shared_ptr<PageCache> cache = cache_of(128);
    constexpr uint32_t kLeaves = 2000;
    constexpr uint32_t kIndex = 200;  // fifty groups
    const std::unique_ptr<PageCache::Table> table = *cache->table(kLeaves, kIndex);
    for (uint32_t page = 0; page < kIndex && index_first; ++page)
      meet(*cache, *table, kLeaves + page, kSmall);
    for (uint32_t page = 0; page < 200; ++page) meet(*cache, *table, page, kLarge);
    Random random(1);
    uint32_t found = 0;
    constexpr int kSteps = 20'000;
    for (int step = 0; step < 2 * kSteps; ++step) {
      const auto page = static_cast<uint32_t>(kLeaves + random.below(kIndex));
      found += meet(*cache, *table, page, kSmall) && step >= kSteps ? 1 : 0;
      meet(*cache, *table, static_cast<uint32_t>(random.below(kLeaves)), kLarge);
    }
    EXPECT_GT(found, kSteps * 0.97) << index_first;
    EXPECT_GT(table->resident(0, kLeaves), 128u - 50 - 16);  // and not more than they need
  }
}

// The size whose pages come again gets the memory, and the other one when that changes.
TEST(PageCache, TheMemoryFollowsTheReaders) {
  const std::shared_ptr<PageCache> cache = cache_of(64);
  constexpr uint32_t kPages = 80;
  const std::unique_ptr<PageCache::Table> table = *cache->table(kPages, kPages * kSmallInLarge);
  Random random(1);
  for (const FrameSize size : {kSmall, kLarge, kSmall}) {
    uint32_t found = 0;
    constexpr int kSteps = 10'000;
    for (int step = 0; step < 2 * kSteps; ++step) {
      const auto page = static_cast<uint32_t>(size == kLarge ? random.below(kPages)
                                                             : kPages + random.below(kPages * kSmallInLarge));
      found += meet(*cache, *table, page, size) && step >= kSteps ? 1 : 0;
    }
    EXPECT_GT(found, kSteps * 0.7);
    EXPECT_EQ(cache->counts().small_bytes > cache->capacity_bytes() / 2, size == kSmall);
  }
}

// Of groups that may go, that whose pages nobody used since they came.
TEST(PageCache, TheColdestGroupGoes) {
  const std::shared_ptr<PageCache> cache = cache_of(64);
  const std::unique_ptr<PageCache::Table> table = *cache->table(10, 256);
  const auto is_cold = [](uint32_t i) { return i / kSmallInLarge == 10 || i / kSmallInLarge == 20; };
  for (uint32_t i = 0; i < 256; ++i) ASSERT_TRUE(bring(*cache, *table, 10 + i, kSmall));
  for (uint32_t i = 0; i < 256; ++i) EXPECT_TRUE(is_cold(i) || holds(*table, 10 + i, kSmall));
  for (uint32_t page = 0; page < 2; ++page) ASSERT_TRUE(bring(*cache, *table, page, kLarge));
  for (uint32_t i = 0; i < 256; ++i) EXPECT_NE(is_cold(i), table->has(10 + i)) << i;
}

// Groups change hands only as fast as pages come back, whatever else is read.
TEST(PageCache, ReadsOfBothSizesDoNotMoveGroupsAround) {
  const std::shared_ptr<PageCache> cache = cache_of(256);
  const std::unique_ptr<PageCache::Table> table = *cache->table(100'000, 400'000);
  for (uint32_t page = 0; page < 128; ++page) bring(*cache, *table, page, kLarge);
  for (uint32_t page = 0; page < 512; ++page) bring(*cache, *table, 100'000 + page, kSmall);
  const uint64_t small = cache->counts().small_bytes;
  for (uint32_t page = 0; page < 50'000; ++page) {
    ASSERT_TRUE(bring(*cache, *table, 1000 + page, kLarge));
    ASSERT_TRUE(bring(*cache, *table, 110'000 + page, kSmall));
    ASSERT_EQ(cache->counts().small_bytes, small);
  }
}

// What a size does not use any more serves the other one, all of it, until it wants its share again.
TEST(PageCache, FreeFramesAreLent) {
  const std::shared_ptr<PageCache> cache = cache_of(40);
  const std::unique_ptr<PageCache::Table> small = *cache->table(0, 400);
  for (int round = 0; round < 3; ++round) {
    std::unique_ptr<PageCache::Table> large = *cache->table(100, 0);
    for (uint32_t page = 0; page < 100; ++page) ASSERT_TRUE(bring(*cache, *large, page, kLarge));
    EXPECT_GE(large->resident(0, 100), round == 0 ? 40u : 1u);
    large = nullptr;
    for (uint32_t page = 0; page < 160; ++page) meet(*cache, *small, page, kSmall);
    EXPECT_EQ(small->resident(0, 400), 160u);
  }
  std::unique_ptr<PageCache::Table> more = *cache->table(0, 400);
  for (uint32_t page = 0; page < 400; ++page) meet(*cache, *more, page, kSmall);
  EXPECT_EQ(count_free(*cache, kLarge), 39u);
  more = nullptr;
}

TEST(PageCache, APinnedPageKeepsItsGroup) {
  const std::shared_ptr<PageCache> cache = cache_of(4);
  const std::unique_ptr<PageCache::Table> table = *cache->table(100, 16);
  for (uint32_t page = 100; page < 116; ++page) ASSERT_TRUE(bring(*cache, *table, page, kSmall));
  std::vector<PageCache::Pin> pins;
  for (uint32_t page = 100; page < 116; page += 4) pins.push_back(table->pin(page, false));
  EXPECT_FALSE(bring(*cache, *table, 1, kLarge));  // each group has one of them
  for (size_t i = 0; i < pins.size(); ++i) EXPECT_TRUE(is(pins[i].data(), 100 + 4 * i, kSmall));
  pins[2] = {};
  EXPECT_TRUE(bring(*cache, *table, 1, kLarge));
  EXPECT_TRUE(holds(*table, 1, kLarge));
  pins[2] = table->pin(1, false);
  for (size_t i = 0; i < pins.size(); ++i)
    EXPECT_TRUE(is(pins[i].data(), i == 2 ? 1 : 100 + 4 * i, i == 2 ? kLarge : kSmall));
}

// Whoever pins all that one size has does not shut its other pages out.
TEST(PageCache, ASizeThatIsPinnedGetsMore) {
  for (const FrameSize pinned : {kSmall, kLarge}) {
    const std::shared_ptr<PageCache> cache = cache_of(64);
    const std::unique_ptr<PageCache::Table> table = *cache->table(100, 400);
    const uint32_t first = pinned == kSmall ? 100 : 0;
    const uint32_t few = pinned == kSmall ? 8 : 2;
    std::vector<PageCache::Pin> pins;
    for (uint32_t page = first; page < first + few; ++page) {
      ASSERT_TRUE(bring(*cache, *table, page, pinned));
      pins.push_back(table->pin(page, false));
    }
    const uint32_t others = pinned == kSmall ? 0 : 100;
    for (uint32_t page = others; page < others + (pinned == kSmall ? 90 : 380); ++page)
      ASSERT_TRUE(bring(*cache, *table, page, other_size(pinned)));
    for (uint32_t page = first + few; page < first + 2 * few; ++page) {
      EXPECT_TRUE(bring(*cache, *table, page, pinned)) << page;
      pins.push_back(table->pin(page, false));
    }
  }
}

// While somebody stands in an epoch no frame can be had by evicting more.
TEST(PageCache, AnEpochThatLastsDoesNotEmptyIt) {
  const std::shared_ptr<PageCache> cache = cache_of(400);
  const std::unique_ptr<PageCache::Table> table = *cache->table(2000, 0);
  uint32_t page = 0;
  for (; page < 400; ++page) ASSERT_TRUE(bring(*cache, *table, page));
  std::atomic<int> stage{0};
  std::thread reader([&] {
    EpochGuard epoch;
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  });
  while (stage != 1) std::this_thread::yield();
  for (; page < 800; ++page) (void)bring(*cache, *table, page);
  EXPECT_GT(cache->counts().pages, 300u);
  stage = 2;
  reader.join();
  for (; page < 1000; ++page) EXPECT_TRUE(bring(*cache, *table, page)) << page;
}

// In a child nobody can wait for the threads of its parent.
TEST(PageCache, AForkedChildNeedsNoLock) {
  ASSERT_FALSE(in_forked_child());  // from now on it is told
  const std::shared_ptr<PageCache> cache = cache_of(8);
  std::unique_ptr<PageCache::Table> table = *cache->table(1000, 0);
  std::atomic<bool> ends{false};
  std::thread busy([&] {
    for (uint32_t page = 0; !ends; page = (page + 1) % 900) (void)bring(*cache, *table, page);
  });
  for (int i = 0; i < 100; ++i) {
    PageCache::Pin pin;
    while (pin.data() == nullptr) {
      (void)bring(*cache, *table, 999);
      pin = table->pin(999, false);
    }
    const pid_t child = fork();
    if (child == 0) {
      alarm(5);
      pin = PageCache::Pin();
      table.reset();
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << i;
  }
  ends = true;
  busy.join();
}

// Bytes under an epoch stay although all of their group goes.
TEST(PageCache, AGroupDoesNotChangeHandsUnderAnEpoch) {
  for (const FrameSize before : {kSmall, kLarge}) {
    const FrameSize after = other_size(before);
    const std::shared_ptr<PageCache> cache = cache_of(2);
    const std::unique_ptr<PageCache::Table> table = *cache->table(100, 100);
    const uint32_t first = before == kSmall ? 100 : 0;
    const uint32_t pages = before == kSmall ? 8 : 2;
    for (uint32_t page = first; page < first + pages; ++page)
      ASSERT_TRUE(bring(*cache, *table, page, before));
    std::vector<const char*> seen;
    InsideEpoch other([&] {
      for (uint32_t i = 0; i < pages; ++i) seen.push_back(table->find(first + i));
    });
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cache->take(after), PageCache::kNoFrame);
    EXPECT_EQ(table->resident(0, 200), pages / 2);
    for (uint32_t i = 0; i < pages; ++i) EXPECT_TRUE(is(seen[i], first + i, before));
    other.leave();
    EXPECT_TRUE(bring(*cache, *table, before == kSmall ? 7 : 107, after));
  }
}

// With one group alone whoever comes first has it, until it goes.
TEST(PageCache, OfOneGroupOneSizeHasAll) {
  const std::shared_ptr<PageCache> cache = cache_of(1);
  std::unique_ptr<PageCache::Table> small = *cache->table(0, 10);
  const std::unique_ptr<PageCache::Table> large = *cache->table(10, 0);
  for (uint32_t page = 0; page < 10; ++page) {
    EXPECT_TRUE(bring(*cache, *small, page, kSmall));
    EXPECT_FALSE(bring(*cache, *large, page, kLarge));
  }
  small = nullptr;
  for (uint32_t page = 0; page < 10; ++page) EXPECT_TRUE(bring(*cache, *large, page, kLarge));
}

// Whatever happens, every page is what it should be, and in the end nothing is lost.
TEST(PageCache, LosesNoFrame) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    const uint64_t groups = 1 + random.below(20);
    const std::shared_ptr<PageCache> cache = cache_of(groups);
    std::unique_ptr<PageCache::Table> tables[3];
    struct Held {
      PageCache::Pin pin;
      uint32_t page;
      FrameSize size;
    };
    std::vector<Held> held;
    std::vector<uint32_t> taken;
    for (int step = 0; step < 3000; ++step) {
      std::unique_ptr<PageCache::Table>& table = tables[random.below(3)];
      if (table == nullptr || random.chance(0.002)) table = *cache->table(30, 120);
      const bool is_large = random.chance(step / 500 % 2 == 0 ? 0.9 : 0.1);
      const FrameSize size = is_large ? kLarge : kSmall;
      const auto page = static_cast<uint32_t>(is_large ? random.below(30) : 30 + random.below(120));
      if (table->has(page)) {
        ASSERT_TRUE(holds(*table, page, size));
      } else {
        bring(*cache, *table, page, size);
      }
      if (random.chance(0.1)) held.push_back({table->pin(page, true), page, size});
      if (held.size() > 3) held.erase(held.begin());
      for (const Held& one : held)
        ASSERT_TRUE(one.pin.data() == nullptr || is(one.pin.data(), one.page, one.size));
      if (random.chance(0.05)) taken.push_back(cache->take(size));
      if (taken.size() > 2) {
        if (taken[0] != PageCache::kNoFrame) cache->give_back(taken[0]);
        taken.erase(taken.begin());
      }
      ASSERT_LE(cache->counts().page_bytes, groups * kFrame);
    }
    for (const uint32_t frame : taken) {
      if (frame != PageCache::kNoFrame) cache->give_back(frame);
    }
    for (std::unique_ptr<PageCache::Table>& table : tables) table = nullptr;
    held.clear();
    (void)cache->take(kLarge);  // reclaims
    epoch_drain();
    EXPECT_EQ(cache->counts().pages, 0u);
    EXPECT_EQ(count_free(*cache, kLarge) + 1, groups);
    EXPECT_EQ(count_free(*cache, kSmall), (groups - 1) * kSmallInLarge);
  }
}

}  // namespace
}  // namespace lightning
