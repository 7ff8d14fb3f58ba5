#include "memtable/memtable_cursor.h"

#include <gtest/gtest.h>

#include "memtable/memtable_test_util.h"

namespace lightning {
namespace {

class Walks : public testing::TestWithParam<KeyMaker::Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Walks, testing::ValuesIn(KeyMaker::kShapes));

/// Appends random entries in steps, the order index following; LSNs between entries go to `points`.
void write_history(LogBuffer* log, const KeyMaker& make_key, bool collide, VersionModel* model,
                   std::vector<uint64_t>* points, std::mt19937_64& random) {
  const int steps = 1 + static_cast<int>(random() % 30);
  for (int step = 0; step < steps; ++step) {
    const size_t count = random() % (random() % 6 == 0 ? 1'500 : 40);
    for (size_t i = 0; i < count; ++i) {
      const std::string key = make_key(random);
      const EntryKind kind = random() % 5 == 0 ? EntryKind::remove : EntryKind::put;
      const std::string value = kind == EntryKind::put ? std::to_string(random() % 1'000'000) : "";
      if (!log->fits(key, value)) return;
      const uint64_t hash = collide ? hash_key(key) % 5 : hash_key(key);
      const uint64_t lsn = log->append(kind, key, value, hash);
      ASSERT_NE(lsn, 0u);
      model->add(lsn, kind, key, value);
      if (random() % 50 == 0) points->push_back(log->published_lsn());
    }
    if (random() % 3 != 0) {
      ASSERT_TRUE(log->catch_up(log->published()).ok());
    }
  }
}

TEST_P(Walks, ShowWhatAModelShows) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 97);
    const auto log = LogBuffer::create(24 << 20, 8 * (random() % 1'000'000));
    ASSERT_NE(log, nullptr);
    const KeyMaker make_key(GetParam(), 1 + random() % (seed % 2 == 0 ? 60 : 4'000));
    VersionModel model;
    std::vector<uint64_t> points = {log->published_lsn()};
    ASSERT_NO_FATAL_FAILURE(write_history(log.get(), make_key, seed % 3 == 0, &model, &points, random));
    points.push_back(log->published_lsn());
    ASSERT_TRUE(log->catch_up(log->published()).ok());
    if (seed % 4 == 0) {
      ASSERT_TRUE(log->table().order_index().settle().ok());
    }
    for (int i = 0; i < 6; ++i) {
      const uint64_t read_lsn = i == 0   ? kReadAllLsn
                                : i == 1 ? points.back()
                                         : points[random() % points.size()];
      const auto cursor = log->table().cursor(read_lsn);
      ASSERT_NE(cursor, nullptr);
      EXPECT_FALSE(cursor->valid());
      walk_at_random(*cursor, model.at(read_lsn, "", true), make_key, 600, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Walks, CollectAllVersionsNewestFirst) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 31);
    const auto log = LogBuffer::create(24 << 20, 4'096);
    ASSERT_NE(log, nullptr);
    const KeyMaker make_key(GetParam(), 1 + random() % 200);
    VersionModel model;
    std::vector<uint64_t> points;
    ASSERT_NO_FATAL_FAILURE(write_history(log.get(), make_key, seed % 2 == 0, &model, &points, random));
    ASSERT_TRUE(log->catch_up(log->published()).ok());
    const auto cursor = log->table().cursor(kReadAllLsn);
    cursor->seek_first();
    std::vector<Version> versions;
    for (const auto& [key, expected] : model.keys()) {
      ASSERT_TRUE(cursor->valid());
      ASSERT_EQ(cursor->key(), key);
      versions.clear();
      cursor->collect_versions(&versions);
      ASSERT_EQ(versions.size(), expected.size());
      auto version = versions.begin();
      for (const auto& [lsn, content] : expected) {
        ASSERT_EQ(version->lsn, lsn);
        ASSERT_EQ(version->kind, content.first);
        ASSERT_EQ(version->value, content.second);
        ++version;
      }
      cursor->next();
    }
    EXPECT_FALSE(cursor->valid());
  }
}

TEST(MemTableCursor, OverNothing) {
  const auto log = LogBuffer::create(1 << 12, 0);
  ASSERT_NE(log, nullptr);
  const auto cursor = log->table().cursor(kReadAllLsn);
  for (int i = 0; i < 2; ++i) {
    cursor->seek_first();
    EXPECT_FALSE(cursor->valid());
    cursor->seek_last();
    EXPECT_FALSE(cursor->valid());
    cursor->seek("a");
    EXPECT_FALSE(cursor->valid());
    cursor->seek_for_prev("a");
    EXPECT_FALSE(cursor->valid());
    EXPECT_TRUE(cursor->status().ok());
    // An entry that the cursor was made before stays unknown to it.
    ASSERT_NE(log->append(EntryKind::put, "a", "1"), 0u);
    ASSERT_TRUE(log->catch_up(log->published()).ok());
  }
}

}  // namespace
}  // namespace lightning
