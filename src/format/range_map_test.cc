#include "format/range_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>

namespace lightning {
namespace {

struct Plain {
  std::string from;
  std::string to;
  uint64_t lsn;
};

std::string key_of(uint64_t number) { return std::string(1, static_cast<char>('a' + number)); }

std::vector<RangeRemoval> views(const std::vector<Plain>& plain) {
  std::vector<RangeRemoval> removals;
  for (const Plain& one : plain) removals.push_back({one.from, one.to, one.lsn});
  return removals;
}

uint64_t newest(const std::vector<Plain>& plain, std::string_view key, uint64_t read_lsn) {
  uint64_t found = 0;
  for (const Plain& one : plain) {
    if (one.from <= key && key < one.to && one.lsn < read_lsn) found = std::max(found, one.lsn);
  }
  return found;
}

std::vector<Plain> random_ranges(std::mt19937_64& random, uint64_t first_lsn) {
  std::vector<Plain> plain(random() % 12);
  for (Plain& one : plain) {
    const uint64_t from = random() % 20;
    one = {key_of(from), key_of(from + 1 + random() % 6), first_lsn};
    first_lsn += 10;
  }
  return plain;
}

void expect_sound(const RangeMap& map) {
  for (size_t i = 0; i < map.size(); ++i) {
    EXPECT_LT(map.from(i), map.to(i));
    EXPECT_FALSE(map.lsns(i).empty());
    EXPECT_TRUE(std::is_sorted(map.lsns(i).rbegin(), map.lsns(i).rend()));
    if (i > 0) {
      EXPECT_LE(map.to(i - 1), map.from(i));
    }
  }
}

// Whoever may read sees what the range removals themselves say.
TEST(RangeMap, AnswersAsTheRangeRemovalsThatItIsMadeOf) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<Plain> plain = random_ranges(random, 10);
    std::vector<uint64_t> readers;
    for (uint64_t lsn = 5; lsn < 140; lsn += 10) {
      if (random() % 4 == 0) readers.push_back(lsn);
    }
    std::shuffle(plain.begin(), plain.end(), random);
    const RangeMap map = RangeMap::of(views(plain), readers);
    expect_sound(map);
    readers.push_back(1000);
    for (uint64_t k = 0; k < 27; ++k) {
      for (const std::string& key : {key_of(k), key_of(k) + "x"}) {
        for (const uint64_t reader : readers) {
          EXPECT_EQ(map.newest(key, reader), newest(plain, key, reader)) << key << " at " << reader;
        }
      }
    }
  }
}

TEST(RangeMap, ACoverHoldsForEveryKeyInIt) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 3000; ++round) {
    const std::vector<Plain> plain = random_ranges(random, 10);
    const RangeMap map = RangeMap::of(views(plain), std::vector<uint64_t>{35, 65});
    for (const uint64_t reader : {35, 65, 1000}) {
      for (uint64_t k = 0; k < 27; ++k) {
        const Cover cover = map.cover(key_of(k), reader);
        ASSERT_TRUE(cover.reaches(key_of(k)));
        for (uint64_t other = 0; other < 27; ++other) {
          if (!cover.reaches(key_of(other))) continue;
          EXPECT_EQ(newest(plain, key_of(other), reader) != 0, cover.covered) << key_of(k) << key_of(other);
        }
      }
    }
  }
}

TEST(RangeMap, OfSeveralSourcesTheNewerOnesCountFirst) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 3000; ++round) {
    const std::vector<Plain> older = random_ranges(random, 10);
    const std::vector<Plain> newer = random_ranges(random, 500);
    const std::vector<uint64_t> readers = {45, 530, 900};
    const RangeMap maps[] = {RangeMap::of(views(newer), readers), RangeMap::of(views(older), readers)};
    const RangeMap* const both[] = {&maps[0], &maps[1]};
    const RangeMap map = RangeMap::merge(both, readers);
    expect_sound(map);
    for (uint64_t k = 0; k < 27; ++k) {
      for (const uint64_t reader : readers) {
        EXPECT_EQ(map.newest(key_of(k), reader),
                  std::max(newest(newer, key_of(k), reader), newest(older, key_of(k), reader)));
      }
    }
  }
}

TEST(RangeMap, WhatIsSettledInANewerSourceHidesAllOfAnOlderOne) {
  RangeMap newer;
  newer.append("b", "d", std::vector<uint64_t>{kSettledRangeLsn});
  RangeMap older;
  older.append("a", "c", std::vector<uint64_t>{90, 40});
  const RangeMap* const both[] = {&newer, &older};
  const RangeMap map = RangeMap::merge(both, std::vector<uint64_t>{50});
  ASSERT_EQ(map.size(), 2u);
  EXPECT_EQ(map.lsns(0).size(), 2u);
  EXPECT_EQ(map.lsns(1).size(), 1u);
  EXPECT_EQ(map.lsns(1)[0], kSettledRangeLsn);
}

// A million range removals in a row over neighbours are one fragment once they are settled.
TEST(RangeMap, NeighboursWithTheSameLsnsAreOne) {
  RangeMap map;
  std::deque<std::string> keys;
  for (int i = 0; i <= 1000; ++i) keys.push_back("key" + std::to_string(10'000 + i));
  for (size_t i = 0; i < 1000; ++i) map.append(keys[i], keys[i + 1], std::vector<uint64_t>{kSettledRangeLsn});
  EXPECT_EQ(map.size(), 1u);
}

}  // namespace
}  // namespace lightning
