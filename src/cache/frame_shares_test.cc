#include "cache/frame_shares.h"

#include <gtest/gtest.h>

namespace lightning {
namespace {

constexpr FrameSize kSmall = FrameSize::small;
constexpr FrameSize kLarge = FrameSize::large;
constexpr uint32_t kGroups = 1280;
constexpr uint32_t kLeast = kGroups / 32;
constexpr uint32_t kSlack = kGroups / 128;

FrameShares shares_of(uint32_t small, uint32_t large) {
  FrameShares shares(small + large);
  for (uint32_t i = 0; i < small; ++i) shares.start(kSmall);
  for (uint32_t i = 0; i < large; ++i) shares.start(kLarge);
  return shares;
}

// Takes what it wants; how many that were.
uint32_t take(FrameShares* shares, FrameSize size) {
  const uint32_t wanted = shares->wants(size);
  for (uint32_t i = 0; i < wanted; ++i) shares->move(size);
  return wanted;
}

TEST(FrameShares, WhoComesTakes) {
  FrameShares shares = shares_of(300, kGroups - 300);
  EXPECT_EQ(shares.has(kSmall), 300u);
  EXPECT_EQ(shares.target(kSmall), 300);
  EXPECT_EQ(shares.wants(kSmall), 0u);
  EXPECT_EQ(shares.wants(kLarge), 0u);
}

TEST(FrameShares, EachSizeHasALeast) {
  for (const FrameSize all : {kSmall, kLarge}) {
    const FrameSize none = other_size(all);
    FrameShares shares = all == kSmall ? shares_of(kGroups, 0) : shares_of(0, kGroups);
    EXPECT_EQ(shares.wants(all), 0u);
    EXPECT_EQ(take(&shares, none), kLeast);
    for (int i = 0; i < 100'000; ++i) shares.came_back(all, 1000, 1000);
    EXPECT_EQ(shares.wants(all), 0u);
    EXPECT_EQ(shares.has(none), kLeast);
    for (int i = 0; i < 100'000; ++i) shares.came_back(none, 1000, 1000);
    EXPECT_EQ(take(&shares, none), kGroups - 2 * kLeast);
    EXPECT_EQ(shares.has(all), kLeast);
  }
  EXPECT_EQ(shares_of(2, 0).wants(kLarge), 1u);
  EXPECT_EQ(shares_of(1, 0).wants(kLarge), 0u);
  EXPECT_EQ(shares_of(0, 1).wants(kSmall), 0u);
}

TEST(FrameShares, WhatComesBackMovesThemBeyondASlack) {
  FrameShares shares = shares_of(kGroups / 2, kGroups / 2);
  uint32_t hits = 0;
  for (; shares.wants(kLarge) == 0; ++hits) shares.came_back(kLarge, 1 << 20, 1 << 20);
  EXPECT_EQ(hits, (kSlack + 1) * kSmallInLarge);
  EXPECT_EQ(take(&shares, kLarge), kSlack + 1);
  EXPECT_EQ(shares.wants(kLarge), 0u);
  EXPECT_EQ(shares.wants(kSmall), 0u);
  hits = 0;
  for (; shares.wants(kSmall) == 0; ++hits) shares.came_back(kSmall, 1 << 20, 1 << 20);
  EXPECT_GT(hits, (kSlack + 1) * kSmallInLarge);  // its reads cost less
}

// Of ghosts of so many bytes so many come back: what a byte more saves is alike, but for what a read costs.
TEST(FrameShares, AByteOfEachIsWorthTheSame) {
  FrameShares shares = shares_of(kGroups / 2, kGroups / 2);
  const uint64_t small_ghosts = 1 << 20;
  const uint64_t large_ghosts = 4 << 20;
  for (int round = 0; round < 10'000; ++round) {
    for (int i = 0; i < 4; ++i) shares.came_back(kSmall, small_ghosts, large_ghosts);
    for (int i = 0; i < 12; ++i) shares.came_back(kLarge, large_ghosts, small_ghosts);
  }
  EXPECT_NEAR(shares.target(kSmall), kGroups / 2, 4);
  for (int round = 0; round < 10'000; ++round) {
    for (int i = 0; i < 4; ++i) shares.came_back(kSmall, small_ghosts, large_ghosts);
    for (int i = 0; i < 11; ++i) shares.came_back(kLarge, large_ghosts, small_ghosts);
  }
  EXPECT_GT(shares.target(kSmall), kGroups - kLeast - 4);
}

}  // namespace
}  // namespace lightning
