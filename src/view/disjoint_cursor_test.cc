#include "view/disjoint_cursor.h"

#include <gtest/gtest.h>

#include "memtable/memtable_test_util.h"

namespace lightning {
namespace {

/// A sorted run made of memtables: each has a stretch of the keys, some answer for a part of theirs alone.
struct TestRun {
  std::vector<std::string> keys;  // ascending; ranges refer to them
  std::vector<std::unique_ptr<LogBuffer>> logs;
  std::vector<size_t> log_of;  // by file
  std::vector<KeyRange> ranges;
  VersionModel model;  // of what the files answer for
  uint64_t end_lsn = 0;
  size_t opened = 0;

  std::unique_ptr<SourceCursor> cursor(uint64_t read_lsn) {
    return std::make_unique<DisjointCursor>(ranges, [this, read_lsn](size_t file) {
      ++opened;
      return logs[log_of[file]]->table().cursor(read_lsn);
    });
  }
};

/// Writes versions of keys [from, to) into a log of their own.
void write_log(TestRun* run, size_t from, size_t to, VersionModel* all, std::mt19937_64& random) {
  auto log = LogBuffer::create(12 << 20, 0);
  ASSERT_NE(log, nullptr);
  for (size_t n = 0; n < 2 * (to - from); ++n) {
    const std::string& key = run->keys[n < to - from ? from + n : from + random() % (to - from)];
    const EntryKind kind = random() % 4 == 0 ? EntryKind::remove : EntryKind::put;
    const std::string value = kind == EntryKind::put ? std::to_string(random() % 1'000'000) : "";
    ASSERT_TRUE(log->fits(key, value));
    all->add(log->append(kind, key, value), kind, key, value);
  }
  ASSERT_TRUE(log->catch_up(log->published()).ok());
  run->end_lsn = std::max(run->end_lsn, log->published_lsn());
  run->logs.push_back(std::move(log));
}

/// Adds a file that answers for [first, last] of the keys, or without `last`.
void add_file(TestRun* run, size_t first, size_t last, bool last_excluded, bool clipped,
              const VersionModel& all) {
  run->log_of.push_back(run->logs.size() - 1);
  run->ranges.push_back({run->keys[first], run->keys[last], last_excluded, clipped});
  for (size_t i = first; i < last + (last_excluded ? 0 : 1); ++i) {
    for (const auto& [lsn, version] : all.keys().at(run->keys[i])) {
      run->model.add(lsn, version.first, run->keys[i], version.second);
    }
  }
}

void make_run(const KeyMaker& make_key, TestRun* run, std::mt19937_64& random) {
  std::map<std::string, bool> distinct;
  for (size_t i = 0; i < 300; ++i) distinct[make_key(random)] = true;
  for (const auto& [key, unused] : distinct) run->keys.push_back(key);
  const size_t size = run->keys.size();
  for (size_t from = 0, to; from < size; from = to) {
    to = std::min(size, from + 1 + random() % 60);
    VersionModel all;
    ASSERT_NO_FATAL_FAILURE(write_log(run, from, to, &all, random));
    const size_t middle = from + (to - from) / 2;
    switch (random() % 4) {
      case 0:  // two parts of one file, nothing between them
        if (middle > from) add_file(run, from, middle, true, true, all);
        add_file(run, middle, to - 1, false, true, all);
        break;
      case 1:  // what is left of a file
        add_file(run, from + (middle - from) / 2, middle, random() % 2 == 0 && middle > from + 1, true, all);
        break;
      default:
        add_file(run, from, to - 1, false, false, all);
    }
  }
}

class DisjointWalks : public testing::TestWithParam<KeyMaker::Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, DisjointWalks, testing::ValuesIn(KeyMaker::kShapes));

TEST_P(DisjointWalks, ShowWhatAModelShows) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 11);
    TestRun run;
    const KeyMaker make_key(GetParam(), 1 + random() % 600);
    ASSERT_NO_FATAL_FAILURE(make_run(make_key, &run, random));
    for (int i = 0; i < 5; ++i) {
      const uint64_t read_lsn = i == 0 ? kReadAllLsn : random() % (run.end_lsn + 1);
      const auto cursor = run.cursor(read_lsn);
      EXPECT_FALSE(cursor->valid());
      walk_at_random(*cursor, run.model.at(read_lsn, "", true), make_key, 500, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(DisjointCursor, OpensAFileWhenTheWalkComesToIt) {
  std::mt19937_64 random(4);
  const KeyMaker make_key(KeyMaker::Shape::decimal, 1'000);
  TestRun run;
  ASSERT_NO_FATAL_FAILURE(make_run(make_key, &run, random));
  const auto cursor = run.cursor(kReadAllLsn);
  EXPECT_EQ(run.opened, 0u);
  cursor->seek_first();
  EXPECT_EQ(run.opened, 1u);
  cursor->seek(run.ranges.back().smallest);
  EXPECT_EQ(run.opened, 2u);
  cursor->next();
  EXPECT_LE(run.opened, 2u);
}

TEST(DisjointCursor, OverNoFiles) {
  DisjointCursor cursor({}, [](size_t) -> std::unique_ptr<SourceCursor> { return nullptr; });
  cursor.seek_first();
  EXPECT_FALSE(cursor.valid());
  cursor.seek_last();
  EXPECT_FALSE(cursor.valid());
  cursor.seek("a");
  EXPECT_FALSE(cursor.valid());
  cursor.seek_for_prev("a");
  EXPECT_FALSE(cursor.valid());
  EXPECT_TRUE(cursor.status().ok());
}

class BrokenCursor final : public SourceCursor {
 public:
  BrokenCursor() { status_ = Status(StatusCode::corruption, "page"); }
  void seek_first() override {}
  void seek_last() override {}
  void seek(std::string_view) override {}
  void seek_for_prev(std::string_view) override {}
  void next() override {}
  void prev() override {}
  void collect_versions(std::vector<Version>*) override {}
  Pin pin() const override { return {}; }
};

TEST(DisjointCursor, AFileThatFailsEndsTheWalk) {
  const auto log = LogBuffer::create(1 << 16, 0);
  ASSERT_NE(log, nullptr);
  ASSERT_NE(log->append(EntryKind::put, "a", "1"), 0u);
  ASSERT_TRUE(log->catch_up(log->published()).ok());
  const KeyRange ranges[] = {{"a", "b"}, {"c", "d"}, {"e", "f"}};
  for (const bool refused : {false, true}) {
    DisjointCursor cursor(ranges, [&](size_t file) -> std::unique_ptr<SourceCursor> {
      if (file == 0) return log->table().cursor(kReadAllLsn);
      if (refused) return nullptr;
      return std::make_unique<BrokenCursor>();
    });
    const StatusCode expected = refused ? StatusCode::out_of_memory : StatusCode::corruption;
    cursor.seek_first();
    ASSERT_TRUE(cursor.valid());
    EXPECT_EQ(cursor.key(), "a");
    cursor.next();
    EXPECT_FALSE(cursor.valid());
    EXPECT_TRUE(cursor.status().is(expected));
    cursor.seek_last();
    EXPECT_FALSE(cursor.valid());
    EXPECT_TRUE(cursor.status().is(expected));
    cursor.seek("a");
    EXPECT_TRUE(cursor.valid());
    EXPECT_TRUE(cursor.status().ok());
  }
}

/// Shows one key, the versions of which cannot be read.
class VersionlessCursor final : public SourceCursor {
 public:
  void seek_first() override { show(); }
  void seek_last() override { show(); }
  void seek(std::string_view) override { show(); }
  void seek_for_prev(std::string_view) override { show(); }
  void next() override { valid_ = false; }
  void prev() override { valid_ = false; }
  void collect_versions(std::vector<Version>*) override { status_ = Status(StatusCode::corruption, "page"); }
  Pin pin() const override { return {}; }

 private:
  void show() {
    valid_ = true;
    key_ = "a";
  }
};

TEST(DisjointCursor, VersionsThatCannotBeReadShowInItsStatus) {
  const KeyRange ranges[] = {{"a", "a"}};
  DisjointCursor cursor(ranges, [](size_t) { return std::make_unique<VersionlessCursor>(); });
  cursor.seek_first();
  ASSERT_TRUE(cursor.valid());
  std::vector<Version> versions;
  cursor.collect_versions(&versions);
  EXPECT_TRUE(cursor.status().is(StatusCode::corruption));
}

}  // namespace
}  // namespace lightning
