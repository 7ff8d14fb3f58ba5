#include "cache/arc_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "cache/cache_test_ratios.h"
#include "cache/reference_policies.h"
#include "testing/random.h"

namespace lightning {
namespace {

class Pages : public ArcClock::Owner {
 public:
  bool pinned(uint32_t frame) const override { return pins.contains(frame); }
  void forgotten(uint32_t ghost) override { gone.push_back(ghost); }

  std::set<uint32_t> pins;
  std::vector<uint32_t> gone;
};

TEST(ArcClock, IsBestOrNearlySo) {
  size_t near = 0;
  const std::vector<HitRatios> all = hit_ratios(100'000);
  for (const HitRatios& one : all) {
    EXPECT_FALSE(one.below_lru()) << one.trace << ", " << one.percent << " %: " << one.ratios[0]
                                  << " against " << one.ratios[1];
    near += one.near_best() ? 1 : 0;
  }
  EXPECT_GE(near * 100, all.size() * 80);
}

TEST(ArcClock, EvictsWhatWasNotTouched) {
  Pages pages;
  LoneArcClock policy(4, pages);
  for (uint32_t frame = 0; frame < 4; ++frame) policy.insert(frame, ArcClock::kNone);
  policy.touch(0);
  policy.touch(2);
  uint32_t frame;
  uint32_t ghost;
  ASSERT_TRUE(policy.evict(&frame, &ghost));
  EXPECT_EQ(frame, 1u);
  EXPECT_EQ(policy.frequent(), 1u);  // the hand passed by frame 0
  ASSERT_TRUE(policy.evict(&frame, &ghost));
  EXPECT_EQ(frame, 3u);
  EXPECT_EQ(policy.frequent(), 2u);
  EXPECT_EQ(policy.ghosts(), 2u);
}

TEST(ArcClock, AGhostMovesTheTarget) {
  Pages pages;
  LoneArcClock policy(4, pages);
  for (uint32_t frame = 0; frame < 4; ++frame) policy.insert(frame, ArcClock::kNone);
  policy.touch(0);  // so that the recent ones' ghost has room in the directory
  uint32_t frame;
  uint32_t ghost;
  ASSERT_TRUE(policy.evict(&frame, &ghost));
  EXPECT_EQ(policy.target(), 0u);
  policy.insert(frame, ghost);
  EXPECT_EQ(policy.target(), 1u);
  EXPECT_EQ(policy.frequent(), 2u);
  EXPECT_EQ(policy.ghosts(), 0u);
  while (policy.frequent() != 0) {  // the other way
    const uint32_t before = policy.frequent();
    ASSERT_TRUE(policy.evict(&frame, &ghost));
    if (policy.frequent() == before) continue;
    policy.insert(frame, ghost);
    EXPECT_EQ(policy.target(), 0u);
    return;
  }
}

TEST(ArcClock, LeavesPinnedPages) {
  Pages pages;
  LoneArcClock policy(3, pages);
  for (uint32_t frame = 0; frame < 3; ++frame) policy.insert(frame, ArcClock::kNone);
  pages.pins = {0, 1};
  uint32_t frame;
  uint32_t ghost;
  ASSERT_TRUE(policy.evict(&frame, &ghost));
  EXPECT_EQ(frame, 2u);
  EXPECT_FALSE(policy.evict(&frame, &ghost));
  pages.pins.clear();
  EXPECT_TRUE(policy.evict(&frame, &ghost));
}

// Pages of one clock do not stand before those of the other.
TEST(ArcClock, LeavesAClockWhosePagesAreAllPinned) {
  for (const bool recent : {true, false}) {
    Pages pages;
    LoneArcClock policy(4, pages);
    for (uint32_t frame = 0; frame < 4; ++frame) policy.insert(frame, ArcClock::kNone);
    uint32_t frame;
    uint32_t ghost;
    for (uint32_t one = 0; one < 3; ++one) policy.touch(one);
    ASSERT_TRUE(policy.evict(&frame, &ghost));  // the last one; the others are frequent from now on
    ASSERT_EQ(policy.frequent(), 3u);
    for (int round = 0; !recent && round < 2; ++round) {  // ghosts move the target beyond one page
      policy.insert(frame, ghost);
      ASSERT_TRUE(policy.evict(&frame, &ghost));
      policy.insert(frame, ArcClock::kNone);
      ASSERT_TRUE(policy.evict(&frame, &ghost));
    }
    policy.insert(frame, ArcClock::kNone);
    for (uint32_t one = 0; one < 4; ++one) {
      if ((one == frame) == recent) pages.pins.insert(one);
    }
    for (size_t left = 4 - pages.pins.size(); left > 0; --left) {
      ASSERT_TRUE(policy.evict(&frame, &ghost)) << recent;
      EXPECT_FALSE(pages.pins.contains(frame));
    }
    EXPECT_FALSE(policy.evict(&frame, &ghost));
  }
}

// A scan longer than the cache leaves what was used twice.
TEST(ArcClock, SurvivesAScan) {
  ArcClockModel model(100);
  for (int round = 0; round < 3; ++round) {
    for (uint32_t page = 0; page < 50; ++page) model.access(page);
  }
  for (uint32_t page = 1000; page < 2000; ++page) model.access(page);
  uint32_t hits = 0;
  for (uint32_t page = 0; page < 50; ++page) hits += model.access(page) ? 1 : 0;
  EXPECT_EQ(hits, 50u);
}

// Numbers add up, whatever comes; ghosts that end are told once.
TEST(ArcClock, KeepsItsDirectory) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Pages pages;
    const auto frames = static_cast<uint32_t>(1 + random.below(20));
    LoneArcClock policy(frames, pages);
    std::vector<uint32_t> free;
    std::vector<uint32_t> used;
    std::vector<uint32_t> ghosts;
    for (uint32_t frame = 0; frame < frames; ++frame) free.push_back(frame);
    const auto take = [&](std::vector<uint32_t>* from) {
      std::swap((*from)[random.below(from->size())], from->back());
      const uint32_t one = from->back();
      from->pop_back();
      return one;
    };
    for (int step = 0; step < 2000; ++step) {
      pages.gone.clear();
      const uint64_t what = random.below(10);
      uint32_t frame;
      uint32_t ghost;
      if (what < 4 && !free.empty()) {
        used.push_back(take(&free));
        const bool known = !ghosts.empty() && random.chance(0.5);
        policy.insert(used.back(), known ? take(&ghosts) : ArcClock::kNone);
      } else if (what < 8 && policy.evict(&frame, &ghost)) {
        std::erase(used, frame);
        free.push_back(frame);
        ghosts.push_back(ghost);
      } else if (what == 8 && !used.empty()) {
        policy.remove(used.back());
        free.push_back(used.back());
        used.pop_back();
      } else if (!used.empty()) {
        policy.touch(used[random.below(used.size())]);
      }
      for (const uint32_t gone : pages.gone) {
        // The one of an eviction may take the place of another.
        const auto at = std::find(ghosts.begin(), ghosts.end(), gone);
        ASSERT_NE(at, ghosts.end());
        ghosts.erase(at);
      }
      ASSERT_EQ(policy.resident(), used.size());
      ASSERT_EQ(policy.ghosts(), ghosts.size());
      ASSERT_LE(ghosts.size(), frames);
      ASSERT_LE(policy.target(), frames);
    }
  }
}

}  // namespace
}  // namespace lightning
