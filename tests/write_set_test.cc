#include "txn/write_set.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>

#include "view/merge_cursor.h"

namespace lightning {
namespace {

// Keyspace 0: the byte in front.
std::string key(int number) { return std::string(1, '\0') + static_cast<char>('a' + number); }

using Expected = std::map<std::string, std::optional<std::string>>;  // nothing: removed

void compare(WriteSet& set, const Expected& expected, uint64_t seed) {
  for (int i = 0; i < 12; ++i) {
    std::string_view value;
    const WriteSet::Own own = set.find(key(i), &value);
    const auto found = expected.find(key(i));
    if (found == expected.end()) {
      ASSERT_EQ(own, WriteSet::Own::none) << seed;
    } else if (!found->second) {
      ASSERT_EQ(own, WriteSet::Own::removed) << seed;
    } else {
      ASSERT_EQ(own, WriteSet::Own::put) << seed;
      ASSERT_EQ(value, *found->second) << seed;
    }
  }
  // What its operations lead to, one after the other.
  Expected replayed;
  for (const Operation& operation : set.operations()) {
    const LogEntry& entry = operation.entry;
    if (entry.kind == EntryKind::remove_range) {
      for (int i = 0; i < 12; ++i) {
        if (key(i) >= entry.key && key(i) < entry.value) replayed[key(i)] = std::nullopt;
      }
    } else {
      auto& to = replayed[std::string(entry.key)];
      entry.kind == EntryKind::put ? void(to = std::string(entry.value)) : to.reset();
    }
  }
  ASSERT_EQ(replayed, expected) << seed;
  // Walked both ways, over nothing else.
  for (const bool backward : {false, true}) {
    ViewCursors view;
    set.lay_over(&view);
    std::map<std::string, std::string> walked;
    if (!view.sources.empty()) {
      MergeCursor cursor(std::move(view), std::string_view("\0", 1), kReadAllLsn - 1);
      backward ? cursor.seek_last() : cursor.seek_first();
      std::string last;
      while (cursor.valid()) {
        if (!last.empty()) {
          ASSERT_EQ(backward, cursor.key() < last);
        }
        last = cursor.key();
        walked[last] = cursor.value();
        backward ? cursor.prev() : cursor.next();
      }
    }
    std::map<std::string, std::string> present;
    for (const auto& [k, v] : expected) {
      if (v) present[k] = *v;
    }
    ASSERT_EQ(walked, present) << seed;
  }
}

TEST(WriteSet, IsWhatAMapWouldBeWithSavepoints) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    WriteSet set;
    Expected expected;
    Expected under;  // what is there where writes are forgotten: range removals
    struct Point {
      uint64_t id = 0;
      Expected expected;
      Expected under;
    };
    std::vector<Point> points;
    for (int step = 0; step < 60; ++step) {
      const int i = static_cast<int>(random() % 12);
      const int j = static_cast<int>(random() % 12);
      switch (random() % 9) {
        case 0:
        case 1:
        case 2: {
          const std::string value = std::to_string(random() % 1000);
          set.put(key(i), value, 0);
          expected[key(i)] = value;
          break;
        }
        case 3:
          set.remove(key(i));
          expected[key(i)] = std::nullopt;
          break;
        case 4:
          if (i >= j) break;
          set.remove_range(key(i), key(j));
          for (int k = i; k < j; ++k) expected[key(k)] = under[key(k)] = std::nullopt;
          break;
        case 5:
          points.push_back({.id = set.set_savepoint(), .expected = expected, .under = under});
          break;
        case 7:
          set.forget(key(i));
          under.contains(key(i)) ? void(expected[key(i)] = std::nullopt) : void(expected.erase(key(i)));
          break;
        case 6: {
          if (points.empty()) break;
          const size_t at = random() % points.size();
          points.resize(at + 1);
          ASSERT_TRUE(set.rollback_to(points[at].id));
          expected = points[at].expected;
          under = points[at].under;
          break;
        }
        default: {
          if (points.empty()) break;
          const size_t at = random() % points.size();
          const uint64_t id = points[at].id;
          ASSERT_TRUE(set.release(id));
          ASSERT_FALSE(set.release(id));
          ASSERT_FALSE(set.rollback_to(id));
          points.resize(at);
        }
      }
      ASSERT_NO_FATAL_FAILURE(compare(set, expected, seed));
    }
  }
}

}  // namespace
}  // namespace lightning
