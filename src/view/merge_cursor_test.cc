#include "view/merge_cursor.h"

#include <gtest/gtest.h>

#include "format/internal_key.h"
#include "memtable/memtable_test_util.h"

namespace lightning {
namespace {

using Sources = std::vector<std::unique_ptr<SourceCursor>>;

/// A sequence of memtables, each with a part of the log, oldest first, and what they hold.
class History {
 public:
  /// With `clumps` one memtable gets most keys of a stretch of the key space, so that walks gallop.
  static std::unique_ptr<History> make(size_t tables, const KeyMaker& make_key, bool clumps,
                                       std::mt19937_64& random) {
    auto history = std::make_unique<History>();
    for (size_t i = 0; i < tables; ++i) {
      auto log = LogBuffer::create(8 << 20, (i + 1) << 24);
      if (log == nullptr) return nullptr;
      const size_t count = random() % 10 == 0 ? 0 : random() % 600;
      for (size_t n = 0; n < count; ++n) {
        const std::string key = make_key(random);
        if (clumps && hash_key(key.substr(0, key.size() - 1)) % tables != i && n % 16 != 0) continue;
        const EntryKind kind = random() % 4 == 0 ? EntryKind::remove : EntryKind::put;
        const std::string value = kind == EntryKind::put ? std::to_string(random() % 1'000'000) : "";
        if (!log->fits(key, value)) break;
        history->model_.add(log->append(kind, key, value), kind, key, value);
        if (random() % 100 == 0) history->points_.push_back(log->published_lsn());
      }
      if (!log->catch_up(log->published()).ok()) return nullptr;
      history->points_.push_back(log->published_lsn());
      history->logs_.push_back(std::move(log));
    }
    return history;
  }

  const VersionModel& model() const { return model_; }
  uint64_t some_point(std::mt19937_64& random) const { return points_[random() % points_.size()]; }
  Sources cursors(uint64_t read_lsn) const {
    Sources sources;
    for (auto log = logs_.rbegin(); log != logs_.rend(); ++log)
      sources.push_back((*log)->table().cursor(read_lsn));
    return sources;
  }

 private:
  std::vector<std::unique_ptr<LogBuffer>> logs_;
  std::vector<uint64_t> points_ = {0};
  VersionModel model_;
};

class Merges : public testing::TestWithParam<KeyMaker::Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Merges, testing::ValuesIn(KeyMaker::kShapes));

std::string random_prefix(const KeyMaker& make_key, std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return "";
    case 1:
      return std::string(1, static_cast<char>(random()));  // mostly nobody's
    default:
      return make_key(random).substr(0, random() % 2 == 0 ? 1 : 5);
  }
}

TEST_P(Merges, ShowWhatAModelShows) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 1'009);
    const KeyMaker make_key(GetParam(), 1 + random() % (seed % 2 == 0 ? 40 : 3'000));
    const auto history = History::make(random() % 9, make_key, seed % 3 == 0, random);
    ASSERT_NE(history, nullptr);
    for (int i = 0; i < 5; ++i) {
      const uint64_t read_lsn = i == 0 ? kReadAllLsn : history->some_point(random);
      const std::string prefix = random_prefix(make_key, random);
      const bool removals = random() % 2 == 0;
      MergeCursor cursor(history->cursors(read_lsn), prefix, removals);
      EXPECT_FALSE(cursor.valid());
      walk_at_random(cursor, history->model().at(read_lsn, prefix, removals), make_key, 400, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Merges, GiveFlushAllVersions) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 7);
    const KeyMaker make_key(GetParam(), 1 + random() % 200);
    const auto history = History::make(1 + random() % 6, make_key, false, random);
    ASSERT_NE(history, nullptr);
    VersionMerger merger(history->cursors(kReadAllLsn));
    merger.seek_first();
    for (const auto& [key, expected] : history->model().keys()) {
      ASSERT_TRUE(merger.valid());
      ASSERT_EQ(merger.key(), key);
      ASSERT_EQ(merger.versions().size(), expected.size());
      auto version = merger.versions().begin();
      for (const auto& [lsn, content] : expected) {
        ASSERT_EQ(version->lsn, lsn);
        ASSERT_EQ(version->kind, content.first);
        ASSERT_EQ(version->value, content.second);
        ++version;
      }
      merger.next();
    }
    EXPECT_FALSE(merger.valid());
    EXPECT_TRUE(merger.status().ok());

    const std::string from = make_key(random);
    merger.seek(from);
    const auto bound = history->model().keys().lower_bound(from);
    ASSERT_EQ(merger.valid(), bound != history->model().keys().end());
    if (merger.valid()) {
      EXPECT_EQ(merger.key(), bound->first);
      EXPECT_EQ(merger.versions().size(), bound->second.size());
    }
  }
}

/// A source whose move number `moves` and all later ones fail.
// By when an entry expires; keeps what it was asked.
class AskedJudge final : public ExpiryJudge {
 public:
  bool has_expired(uint64_t expiry_us) override {
    asked_.push_back(expiry_us);
    return expiry_us <= 10;
  }
  std::vector<uint64_t> take_asked() { return std::exchange(asked_, {}); }

 private:
  std::vector<uint64_t> asked_;
};

TEST(MergeCursor, JudgesOnlyWhatNoRangeRemovalCovers) {
  const auto expiring = [](uint64_t expiry) {
    std::string stored(kExpiryBytes, '\0');
    store<uint64_t>(stored.data(), expiry);
    return stored + "v";
  };
  auto older = LogBuffer::create(1 << 20, 1 << 24);
  auto newer = LogBuffer::create(1 << 20, 2 << 24);
  ASSERT_TRUE(older != nullptr && newer != nullptr);
  const std::string soon = expiring(5), later = expiring(20);
  for (const char* key : {"a", "b", "c"}) older->append(EntryKind::put, key, "v");
  older->append(EntryKind::put_expiring, "d", soon);
  older->append(EntryKind::put_expiring, "e", later);
  older->append(EntryKind::put_expiring, "f", soon);
  older->append(EntryKind::put, "g", "v");
  newer->append(EntryKind::put_expiring, "b", soon);
  newer->append(EntryKind::put_expiring, "c", later);
  RangeMap removed;
  removed.append("b", "f", std::vector<uint64_t>{70});
  ViewCursors view;
  for (const auto* log : {&newer, &older}) {
    ASSERT_TRUE((*log)->catch_up((*log)->published()).ok());
    view.sources.push_back((*log)->table().cursor(kReadAllLsn));
  }
  view.covers.push_back({.memory = nullptr, .run = &removed, .first_hidden = 1});
  AskedJudge judge;
  MergeCursor cursor(std::move(view), {}, kReadAllLsn, &judge);
  std::string keys;
  for (cursor.seek_first(); cursor.valid(); cursor.next()) keys += cursor.key();
  EXPECT_EQ(keys, "acg");
  EXPECT_EQ(judge.take_asked(), (std::vector<uint64_t>{5, 20, 5}));  // b, c and f
  keys.clear();
  for (cursor.seek_last(); cursor.valid(); cursor.prev()) keys += cursor.key();
  EXPECT_EQ(keys, "gca");
  EXPECT_EQ(judge.take_asked(), (std::vector<uint64_t>{5, 20, 5}));
}

class FailingCursor final : public SourceCursor {
 public:
  FailingCursor(std::unique_ptr<SourceCursor> source, int moves)
      : source_(std::move(source)), moves_(moves) {}

  void seek_first() override {
    show([&] { source_->seek_first(); });
  }
  void seek_last() override {
    show([&] { source_->seek_last(); });
  }
  void seek(std::string_view key) override {
    show([&] { source_->seek(key); });
  }
  void seek_for_prev(std::string_view key) override {
    show([&] { source_->seek_for_prev(key); });
  }
  void next() override {
    show([&] { source_->next(); });
  }
  void prev() override {
    show([&] { source_->prev(); });
  }
  Pin pin() const override { return source_->pin(); }
  void collect_versions(std::vector<Version>* versions) override {
    if (moves_-- <= 0) {
      status_ = Status(StatusCode::corruption, "versions");
      valid_ = false;
    } else {
      source_->collect_versions(versions);
    }
  }

 private:
  template <typename Move>
  void show(Move move) {
    valid_ = false;
    if (moves_-- <= 0) {
      status_ = Status(StatusCode::corruption, "page");
      return;
    }
    move();
    valid_ = source_->valid();
    if (!valid_) return;
    key_ = source_->key();
    value_ = source_->value();
    kind_ = source_->kind();
  }

  const std::unique_ptr<SourceCursor> source_;
  int moves_;
};

TEST_P(Merges, EndWithTheErrorOfAnySource) {
  int failed = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed * 13);
    const KeyMaker make_key(GetParam(), 1 + random() % 500);
    const auto history = History::make(1 + random() % 5, make_key, false, random);
    ASSERT_NE(history, nullptr);
    Sources sources = history->cursors(kReadAllLsn);
    auto& victim = sources[random() % sources.size()];
    victim = std::make_unique<FailingCursor>(std::move(victim), random() % 30);
    MergeCursor cursor(std::move(sources), "", false);

    const std::vector<Shown> expected = history->model().at(kReadAllLsn, "", false);
    const auto size = static_cast<ptrdiff_t>(expected.size());
    const bool forward = seed % 2 == 0;
    ptrdiff_t at = forward ? 0 : size - 1;
    for (forward ? cursor.seek_first() : cursor.seek_last(); cursor.valid();
         forward ? cursor.next() : cursor.prev()) {
      ASSERT_TRUE(at >= 0 && at < size);
      ASSERT_EQ(cursor.key(), expected[at].key);
      ASSERT_EQ(cursor.value(), expected[at].value);
      if (seed % 5 == 0) {  // turning meets the error too
        forward ? cursor.next() : cursor.prev();
        if (!cursor.valid()) break;
        forward ? cursor.prev() : cursor.next();
        if (!cursor.valid()) break;
        ASSERT_EQ(cursor.key(), expected[at].key);
      }
      at += forward ? 1 : -1;
    }
    if (cursor.status().ok()) continue;
    EXPECT_TRUE(cursor.status().is(StatusCode::corruption));
    ++failed;
  }
  EXPECT_GT(failed, 10);
}

TEST(VersionMerger, EndsWhenVersionsCannotBeRead) {
  std::mt19937_64 random(5);
  const KeyMaker make_key(KeyMaker::Shape::decimal, 50);
  const auto history = History::make(3, make_key, false, random);
  ASSERT_NE(history, nullptr);
  for (int moves = 0; moves < 20; ++moves) {
    Sources sources = history->cursors(kReadAllLsn);
    sources[1] = std::make_unique<FailingCursor>(std::move(sources[1]), moves);
    VersionMerger merger(std::move(sources));
    auto expected = history->model().keys().begin();
    for (merger.seek_first(); merger.valid(); merger.next(), ++expected) {
      ASSERT_EQ(merger.key(), expected->first);
      ASSERT_EQ(merger.versions().size(), expected->second.size());
    }
    EXPECT_TRUE(merger.status().is(StatusCode::corruption));
  }
}

TEST(MergeCursor, UserKeysStandBehindThePrefix) {
  const auto log = LogBuffer::create(1 << 16, 0);
  ASSERT_NE(log, nullptr);
  // The keyspaces before and behind have keys next to the prefix: one of them is the prefix' successor
  // itself.
  for (const char* key : {"\1\xff", "\2", "\2a", "\2\xff\xff", "\3", "\3a"}) {
    ASSERT_NE(log->append(EntryKind::put, key, key), 0u);
  }
  ASSERT_TRUE(log->catch_up(log->published()).ok());
  Sources sources;
  sources.push_back(log->table().cursor(kReadAllLsn));
  MergeCursor cursor(std::move(sources), "\2");
  std::vector<std::string> seen;
  for (cursor.seek_first(); cursor.valid(); cursor.next()) seen.emplace_back(cursor.user_key());
  EXPECT_EQ(seen, (std::vector<std::string>{"", "a", "\xff\xff"}));
  cursor.seek_last();
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.user_key(), "\xff\xff");
  cursor.seek_for_prev("\3a");
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.user_key(), "\xff\xff");
  cursor.seek("\1");
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.user_key(), "");
  cursor.seek("\3");
  EXPECT_FALSE(cursor.valid());
  cursor.seek_for_prev("\1\xff\xff");
  EXPECT_FALSE(cursor.valid());
  EXPECT_TRUE(cursor.status().ok());
}

}  // namespace
}  // namespace lightning
