// Range removals of a whole database: what they hide from every way of reading, across flushes, merges, moves
// and openings; what they cost where nothing is; and that files wholly under them go without being read.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <string>
#include <vector>

#include "api/open_in.h"
#include "testing/counts.h"
#include "testing/model.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;

std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(8 - digits.size(), '0') + digits;
}

class RangeRemoval : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override {
    expect_model();
    expect_verified();
    EXPECT_TRUE(db_.close().ok());
  }

  void open() {
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 64 * KiB;
    Result<Database> opened = open_in(env_, "db", options, OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void reopen() {
    ASSERT_TRUE(db_.close().ok());
    open();
  }
  void put(uint64_t number, size_t size = 100) {
    const std::string value(size, static_cast<char>('a' + ++writes_ % 26));
    ASSERT_TRUE(db_.put(key_of(number), value).ok());
    model_.put("", key_of(number), value);
  }
  void remove_range(uint64_t from, uint64_t to) {
    ASSERT_TRUE(db_.remove_range(key_of(from), key_of(to)).ok());
    model_.remove_range("", key_of(from), key_of(to));
  }
  void flush() { ASSERT_TRUE(db_.flush().ok()); }
  /// Background work to its end; `settled`: what begins when nobody writes, too.
  void work(bool settled = false) {
    ASSERT_TRUE(env_.run_until_idle().ok());
    for (int i = 0; settled && i < 5; ++i) {
      env_.sleep(kNanosPerSecond);
      ASSERT_TRUE(env_.run_until_idle().ok());
    }
  }
  void expect_model() { EXPECT_EQ(difference(model_, db_), ""); }
  void expect_verified() {
    Result<VerifyReport> report = db_.verify();
    ASSERT_TRUE(report.ok()) << report.status().to_string();
    EXPECT_TRUE(report->ok()) << report->findings[0].what << " in " << report->findings[0].file;
  }
  Stats stats() {
    Result<Stats> stats = db_.stats();
    EXPECT_TRUE(stats.ok());
    return stats ? *stats : Stats();
  }
  uint64_t range_removals() {
    uint64_t sum = 0;
    for (const Stats::Level& level : stats().levels) sum += level.range_removals;
    return sum;
  }

  SimEnv env_{{.seed = 11}};
  Database db_;
  Model model_;
  uint64_t writes_ = 0;
};

TEST_F(RangeRemoval, HidesWhatIsInMemoryInRunsAndBelow) {
  for (uint64_t i = 0; i < 300; ++i) put(i);
  flush();
  for (uint64_t i = 100; i < 400; ++i) put(i);
  remove_range(50, 350);
  expect_model();
  put(200);
  put(50);
  expect_model();
  flush();
  expect_model();
  put(60);
  reopen();
  expect_model();
  ASSERT_TRUE(db_.compact().ok());
  expect_model();
  EXPECT_EQ(range_removals(), 0u);
}

TEST_F(RangeRemoval, TheOrderInsideABatchCounts) {
  put(1);
  put(2);
  WriteBatch batch;
  batch.put(key_of(1), "before");
  batch.put(key_of(3), "before");
  batch.remove_range(key_of(0), key_of(9));
  batch.put(key_of(3), "behind");
  ASSERT_TRUE(db_.write(batch).ok());
  model_.remove_range("", key_of(0), key_of(9));
  model_.put("", key_of(3), "behind");
  expect_model();
  reopen();
  expect_model();
  flush();
  expect_model();
}

TEST_F(RangeRemoval, SnapshotsAndCursorsSeeWhatWasThere) {
  for (uint64_t i = 0; i < 200; ++i) put(i);
  flush();
  Result<Snapshot> before = db_.snapshot();
  ASSERT_TRUE(before.ok());
  Cursor cursor = db_.cursor();
  cursor.seek(key_of(100));
  remove_range(20, 180);
  Result<Snapshot> between = db_.snapshot();
  ASSERT_TRUE(between.ok());
  for (uint64_t i = 40; i < 60; ++i) put(i);
  remove_range(50, 55);
  const auto count = [&](const Snapshot& snapshot, bool reverse) {
    uint64_t entries = 0;
    Scan scan = db_.scan({.snapshot = &snapshot});
    if (reverse) scan = std::move(scan).reverse();
    for (const Entry& entry : scan) entries += entry.key().size() == 8 ? 1 : 0;
    EXPECT_TRUE(scan.status().ok());
    return entries;
  };
  for (int round = 0; round < 4; ++round) {
    EXPECT_EQ(count(*before, false), 200u);
    EXPECT_EQ(count(*before, true), 200u);
    EXPECT_EQ(count(*between, false), 40u);
    EXPECT_EQ(count(*between, true), 40u);
    EXPECT_TRUE(db_.get(key_of(52), {.snapshot = &*before}));
    EXPECT_TRUE(db_.get(key_of(52), {.snapshot = &*between}).absent());
    EXPECT_TRUE(db_.get(key_of(52)).absent());
    cursor.next();
    EXPECT_TRUE(cursor.valid());
    EXPECT_EQ(cursor.key(), key_of(101 + static_cast<uint64_t>(round)));
    expect_model();
    if (round == 0) flush();
    if (round == 1) work(true);
    if (round == 2) {
      ASSERT_TRUE(db_.compact().ok());
    }
  }
}

// A put whose sources stand below a range removal of a source between them and it. What is covered goes on
// before the keyspace: there was one that was dropped, and its keys are in runs still.
TEST_F(RangeRemoval, ACursorTurnsAtTheEndOfItsKeyspace) {
  for (const char* name : {"", "first", "second", "third"}) {
    Result<Keyspace> keyspace = *name == '\0' ? Result<Keyspace>(db_) : db_.keyspace(name);
    ASSERT_TRUE(keyspace.ok());
    if (*name != '\0') model_.create_keyspace(name);
    for (uint64_t i = 10; i < 30; ++i) {
      ASSERT_TRUE(keyspace->put(key_of(i), name).ok());
      model_.put(name, key_of(i), name);
    }
  }
  flush();
  Result<Keyspace> second = db_.keyspace("second");
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(db_.drop_keyspace("first").ok());
  model_.drop_keyspace("first");
  ASSERT_TRUE(second->remove_range("", key_of(15)).ok());
  ASSERT_TRUE(second->remove_range(key_of(25), "~").ok());
  flush();  // in a run neighbours are one
  ASSERT_TRUE(second->put(key_of(5), "new").ok());
  ASSERT_TRUE(second->put(key_of(35), "new").ok());
  model_.remove_range("second", "", key_of(15));
  model_.remove_range("second", key_of(25), "~");
  model_.put("second", key_of(5), "new");
  model_.put("second", key_of(35), "new");
  Cursor cursor = second->cursor();
  cursor.seek(key_of(15));
  cursor.prev();
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.key(), key_of(5));
  cursor.next();
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.key(), key_of(15));
  cursor.seek(key_of(24));
  cursor.next();
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.key(), key_of(35));
  cursor.prev();
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.key(), key_of(24));
}

TEST_F(RangeRemoval, HoldsAcrossTheLevels) {
  Random random(5);
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 100; ++i) put(random.below(2000), 300);
    const uint64_t from = random.below(2000);
    if (round % 3 == 0) remove_range(from, from + random.below(600));
    if (round % 7 == 0) work(round % 2 == 0);
    if (round % 9 == 0) expect_model();
  }
  work(true);
  expect_model();
}

TEST_F(RangeRemoval, CostsNothingWhereNothingIs) {
  for (uint64_t i = 0; i < 100; ++i) put(5000 + i);
  flush();
  ASSERT_TRUE(db_.compact().ok());
  const Stats before = stats();
  for (uint64_t i = 0; i < 3000; ++i) remove_range(i, i + 1 + i % 9);
  expect_model();
  EXPECT_LT(stats().order_index_bytes, before.order_index_bytes + 3000 * 200);
  flush();
  EXPECT_EQ(range_removals(), 0u);
  EXPECT_EQ(stats().run_files, before.run_files);
}

// Many over the same and neighbouring keys become one.
TEST_F(RangeRemoval, ManyNeighboursAreOne) {
  for (uint64_t i = 0; i < 500; ++i) put(i);
  flush();
  for (uint64_t i = 0; i < 400; ++i) remove_range(i, i + 1);
  for (uint64_t i = 0; i < 400; ++i) remove_range(i, 400);
  expect_model();
  // The flush has its file; a merge of it would come to be looked at.
  env_.faults().add({.call = SimCall::create,
                     .name_part = ".run",
                     .after = 1,
                     .times = kForever,
                     .code = StatusCode::no_space});
  flush();
  EXPECT_EQ(range_removals(), 1u);
  env_.faults().clear();
  expect_model();
}

TEST_F(RangeRemoval, FilesUnderItGoWithoutBeingRead) {
  for (uint64_t i = 0; i < 4000; ++i) put(i, 500);
  flush();
  ASSERT_TRUE(db_.compact().ok());
  work(true);
  const Stats before = stats();
  ASSERT_GT(before.run_files, 3u);
  Result<Snapshot> reader = db_.snapshot();
  ASSERT_TRUE(reader.ok());
  remove_range(0, 3990);
  flush();
  work();
  EXPECT_EQ(stats().drops, 0u);  // somebody reads them
  EXPECT_TRUE(db_.get(key_of(7), {.snapshot = &*reader}));
  reader->release();
  put(4001);
  flush();
  work();
  const Stats after = stats();
  EXPECT_GE(after.drops, before.run_files - 2);
  EXPECT_LT(after.merge_bytes_read, before.disk_bytes / 10);  // of the file at its end
  EXPECT_LT(after.disk_bytes, before.disk_bytes / 2);
  expect_model();
}

TEST_F(RangeRemoval, ADroppedKeyspaceGivesItsSpaceBack) {
  Result<Keyspace> keyspace = db_.keyspace("big");
  ASSERT_TRUE(keyspace.ok());
  for (uint64_t i = 0; i < 4000; ++i) ASSERT_TRUE(keyspace->put(key_of(i), std::string(500, 'x')).ok());
  flush();
  work(true);
  const uint64_t before = stats().disk_bytes;
  ASSERT_TRUE(db_.drop_keyspace("big").ok());
  EXPECT_TRUE(keyspace->remove_range("a", "b").is(StatusCode::not_found));
  EXPECT_TRUE(keyspace->get(key_of(1)).status().is(StatusCode::not_found));
  flush();
  work();
  EXPECT_LT(stats().disk_bytes, before / 4);
  Result<Keyspace> again = db_.keyspace("big");
  ASSERT_TRUE(again.ok());
  EXPECT_NE(again->id(), keyspace->id());
  EXPECT_TRUE(again->get(key_of(1)).absent());
  model_.create_keyspace("big");
}

/// A random life: overlapping ranges, snapshots, flushes, merges, openings, both directions.
class RangeLife {
 public:
  explicit RangeLife(uint64_t seed)
      : random_(seed),
        env_({.seed = seed, .supports_allocate = random_.chance(0.5)}),
        keys_(50 + random_.below(500)) {
    open();
  }
  ~RangeLife() {
    held_.clear();
    EXPECT_TRUE(db_.close().ok());
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      write(step);
      if (step % 10 == 0) read_snapshots();
      if (step % 200 == 0) {
        ASSERT_EQ(difference(model_, db_), "");
      }
    }
    ASSERT_EQ(difference(model_, db_), "");
    Result<VerifyReport> report = db_.verify();
    ASSERT_TRUE(report.ok() && report->ok());
  }

 private:
  struct Held {
    Snapshot snapshot;
    Model::Moment at;
  };

  void open() {
    for (Held& one : held_) model_.release(one.at);
    held_.clear();
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 64 * KiB;
    Result<Database> opened = open_in(env_, "db", options, OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }

  void write(int step) {
    const std::string key = key_of(random_.below(keys_));
    const uint64_t kind = random_.below(100);
    if (kind < 55) {
      const std::string value(random_.below(400), static_cast<char>('a' + step % 26));
      ASSERT_TRUE(db_.put(key, value).ok());
      model_.put("", key, value);
    } else if (kind < 75) {
      const uint64_t from = random_.below(keys_);
      const std::string behind = key_of(from + random_.below(random_.chance(0.2) ? keys_ : 8));
      ASSERT_TRUE(db_.remove_range(key_of(from), behind).ok());
      model_.remove_range("", key_of(from), behind);
    } else if (kind < 80) {
      take_snapshot();
    } else if (kind < 84) {
      ASSERT_TRUE(db_.flush().ok());
    } else if (kind < 85) {
      ASSERT_TRUE(random_.chance(0.3) ? db_.compact().ok() : env_.run_until_idle().ok());
    } else if (kind == 85 && random_.chance(0.3)) {
      ASSERT_TRUE(db_.close().ok());
      open();
    }
  }

  void take_snapshot() {
    if (held_.size() > 4) {
      model_.release(held_.front().at);
      held_.erase(held_.begin());
    }
    Result<Snapshot> taken = db_.snapshot();
    ASSERT_TRUE(taken.ok());
    model_.hold(model_.now());
    held_.push_back({*std::move(taken), model_.now()});
  }

  void read_snapshots() {
    const std::string key = key_of(random_.below(keys_));
    for (const Held& one : held_) {
      const ReadOptions at{.snapshot = &one.snapshot};
      const Lookup found = db_.get(key, at);
      const auto expected = model_.get("", key, one.at);
      ASSERT_EQ(found ? std::string(found.value()) : "-", expected ? std::string(*expected) : "-");
      Cursor cursor = db_.cursor(at);
      cursor.seek(key);
      for (int move = 0; move < 12 && cursor.valid(); ++move) {
        const bool forward = random_.chance(0.5);
        const std::string from(cursor.key());
        forward ? cursor.next() : cursor.prev();
        const auto next =
            forward ? model_.first_from("", from, false, one.at) : model_.last_to("", from, false, one.at);
        ASSERT_EQ(cursor.valid() ? std::string(cursor.key()) : "-", next ? std::string(next->key) : "-");
        if (next) {
          ASSERT_EQ(cursor.value(), next->value);
        }
      }
    }
  }

  Random random_;
  SimEnv env_;
  const uint64_t keys_;
  Model model_;
  Database db_;
  std::vector<Held> held_;
};

TEST(RangeRemovals, AgreeWithTheModelInRandomLives) {
  const uint64_t first = uint_from_environment("LIGHTNING_RANGE_SEED", 1);
  const uint64_t lives = uint_from_environment("LIGHTNING_RANGE_LIVES", 12);
  for (uint64_t seed = first; seed < first + lives && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE("LIGHTNING_RANGE_SEED=" + std::to_string(seed));
    RangeLife(seed).run(1500);
    count("range_lives", 1);
  }
}

}  // namespace
}  // namespace lightning
