// Long readers: they are listed with what they hold, given up for their age when that is wished, and let go
// of what they do not need while they stand still. None ever sees anything but its own moment.

#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/random.h"
#include "testing/sim_env.h"
#include "tests/entries_source.h"

namespace lightning {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

Options small(uint64_t max_age_ms = 0) {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.durability = Durability::process;
  options.max_snapshot_age_ms = max_age_ms;
  return options;
}

std::string key_of(int number) { return "k" + std::to_string(1000 + number); }

class Readers : public testing::Test {
 protected:
  void open(const Options& options) {
    Result<Database> opened = open_in(env_, "db", options, OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void put_all(const std::string& value) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(db_.put(key_of(i), value + std::to_string(i)).ok());
  }
  std::vector<Reader> readers() {
    Result<std::vector<Reader>> readers = db_.readers();
    EXPECT_TRUE(readers.ok());
    return readers ? *readers : std::vector<Reader>();
  }

  SimEnv env_{{.seed = 3}};
  Database db_;
};

TEST_F(Readers, AreListedOldestFirst) {
  open(small());
  EXPECT_TRUE(readers().empty());
  ASSERT_TRUE(db_.put("a", "1").ok());
  Snapshot snapshot = *db_.snapshot();
  env_.sleep(3 * kSecondNs);
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  const uint64_t before = db_.stats()->published_lsn;
  ASSERT_TRUE(db_.put("b", std::string(1000, 'v')).ok());
  const std::vector<Reader> found = readers();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].kind, ReaderKind::snapshot);
  EXPECT_EQ(found[0].lsn, snapshot.lsn());
  EXPECT_GE(found[0].age_ms, 3000u);
  EXPECT_EQ(found[0].held_bytes, 0u);
  EXPECT_EQ(found[0].behind_bytes, db_.stats()->published_lsn - snapshot.lsn());
  EXPECT_EQ(found[1].kind, ReaderKind::cursor);
  EXPECT_LT(found[1].age_ms, 3000u);
  EXPECT_EQ(found[1].behind_bytes, db_.stats()->published_lsn - before);
  EXPECT_EQ(found[1].held_bytes, 0u);
  snapshot.release();
  cursor = Cursor();
  EXPECT_TRUE(readers().empty());
}

TEST_F(Readers, ASnapshotThatIsTooOldSaysSo) {
  open(small(2000));
  put_all("old");
  const Snapshot snapshot = *db_.snapshot();
  put_all("new");
  env_.sleep(kSecondNs);
  const ReadOptions at{.snapshot = &snapshot};
  EXPECT_EQ(db_.get(key_of(7), at).value(), "old7");
  env_.sleep(kSecondNs + kSecondNs / 10);
  EXPECT_EQ(db_.stats()->snapshots, 0u);
  ASSERT_EQ(readers().size(), 1u);
  EXPECT_TRUE(readers()[0].too_old);
  EXPECT_EQ(readers()[0].behind_bytes, 0u);
  ASSERT_TRUE(db_.compact().ok());
  const std::string key = key_of(7);
  const std::string_view view = key;
  Value value;
  EXPECT_TRUE(db_.get(key, at).status().is(StatusCode::snapshot_too_old));
  EXPECT_TRUE(db_.contains(key, at).status().is(StatusCode::snapshot_too_old));
  EXPECT_TRUE(db_.get_many({&view, 1}, {&value, 1}, at).is(StatusCode::snapshot_too_old));
  EXPECT_TRUE(for_each(db_.scan(at), [](auto, auto) {}).is(StatusCode::snapshot_too_old));
  Cursor cursor = db_.cursor(at);
  cursor.seek_first();
  EXPECT_FALSE(cursor.valid());
  EXPECT_TRUE(cursor.status().is(StatusCode::snapshot_too_old));
  EXPECT_EQ(db_.get(key).value(), "new7");
  const Snapshot later = *db_.snapshot();
  EXPECT_EQ(db_.get(key, {.snapshot = &later}).value(), "new7");
}

TEST_F(Readers, ACursorIsAsOldAsItsSnapshotAndSaysSoToo) {
  open(small(2000));
  put_all("v");
  const Snapshot snapshot = *db_.snapshot();
  env_.sleep(3 * kSecondNs / 2);
  Cursor of_snapshot = db_.cursor({.snapshot = &snapshot});
  of_snapshot.seek(key_of(5));
  Cursor own = db_.cursor();
  own.seek(key_of(5));
  env_.sleep(17 * kSecondNs / 10);
  of_snapshot.next();
  EXPECT_FALSE(of_snapshot.valid());
  EXPECT_TRUE(of_snapshot.status().is(StatusCode::snapshot_too_old));
  of_snapshot.seek_first();
  EXPECT_TRUE(of_snapshot.status().is(StatusCode::snapshot_too_old));
  own.next();
  ASSERT_TRUE(own.valid());
  EXPECT_EQ(own.key(), key_of(6));
  env_.sleep(3 * kSecondNs);
  EXPECT_EQ(own.key(), key_of(6)) << "what it stands on stays";
  EXPECT_EQ(own.value(), "v6");
  own.prev();
  EXPECT_TRUE(own.status().is(StatusCode::snapshot_too_old));
  for (const Reader& reader : readers()) {
    EXPECT_TRUE(reader.too_old);
    EXPECT_EQ(reader.held_bytes, 0u);
  }
}

// What a reader that was given up sees is gone, whatever it held before.
TEST_F(Readers, NothingIsKeptForOneThatIsTooOld) {
  open(small(2000));
  put_all("old");
  const Snapshot snapshot = *db_.snapshot();
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(db_.remove(key_of(i)).ok());
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_GT(db_.stats()->run_entries, 0u);
  env_.sleep(3 * kSecondNs);
  ASSERT_TRUE(db_.put("another", "").ok());  // else there is nothing to be flushed
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(db_.stats()->run_entries, 1u);
  EXPECT_EQ(cursor.value(), "old0");
}

// A cursor judges by one moment from a seek on, and nothing that it sees is purged: until it is given up.
TEST_F(Readers, AMomentEndsWithItsReader) {
  open(small(5000));
  ASSERT_TRUE(db_.put("k", "v", {.ttl_ms = 1000}).ok());
  ASSERT_TRUE(db_.put("z", "v").ok());
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  ASSERT_EQ(cursor.key(), "k");
  env_.sleep(2 * kSecondNs);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(db_.stats()->run_entries, 2u);
  cursor.next();
  cursor.prev();
  EXPECT_EQ(cursor.key(), "k");
  env_.sleep(4 * kSecondNs);
  ASSERT_TRUE(db_.put("zz", "v").ok());
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(db_.stats()->run_entries, 2u);
}

TEST_F(Readers, ATransactionThatIsTooOldSaysSo) {
  open(small(2000));
  for (const Isolation level : {Isolation::repeatable_read, Isolation::snapshot, Isolation::serializable}) {
    put_all("v");
    Transaction tx = db_.begin({.isolation = level});
    Transaction reads_only = db_.begin({.isolation = level});
    ASSERT_EQ(tx.get(key_of(1)).value(), "v1");
    ASSERT_EQ(reads_only.get(key_of(1)).value(), "v1");
    ASSERT_TRUE(tx.put("own", "write").ok());
    Cursor cursor = tx.cursor();
    cursor.seek(key_of(5));
    ASSERT_EQ(readers().size(), 3u);
    EXPECT_EQ(readers()[0].kind, ReaderKind::transaction);
    env_.sleep(21 * kSecondNs / 10);
    EXPECT_TRUE(readers()[0].too_old);
    EXPECT_EQ(tx.get("own").value(), "write");
    EXPECT_TRUE(tx.get(key_of(1)).status().is(StatusCode::snapshot_too_old));
    EXPECT_TRUE(for_each(tx.scan(), [](auto, auto) {}).is(StatusCode::snapshot_too_old));
    EXPECT_EQ(cursor.key(), key_of(5));
    cursor.next();
    EXPECT_TRUE(cursor.status().is(StatusCode::snapshot_too_old));
    EXPECT_TRUE(tx.commit().is(StatusCode::snapshot_too_old));
    EXPECT_TRUE(tx.status().is(StatusCode::closed));
    EXPECT_FALSE(db_.get("own"));
    EXPECT_TRUE(reads_only.get(key_of(1)).status().is(StatusCode::snapshot_too_old));
    EXPECT_TRUE(reads_only.commit().ok());
    EXPECT_TRUE(readers().size() == 1 && readers()[0].kind == ReaderKind::cursor);
  }
  Transaction tx = db_.begin({.isolation = Isolation::read_committed});
  ASSERT_TRUE(tx.put("own", "write").ok());
  env_.sleep(3 * kSecondNs);
  EXPECT_EQ(tx.get(key_of(1)).value(), "v1");
  EXPECT_TRUE(tx.commit().ok());
}

// A commit must not take it for unchanged that nothing is left of a change: nobody kept it.
TEST_F(Readers, OneKeyCallsBeginAgainWhenTheirMomentIsTooOld) {
  open(small(2000));
  ASSERT_TRUE(db_.put("k", "0").ok());
  std::vector<std::string> seen;
  const auto change = [&](std::optional<std::string_view> now) -> std::optional<std::string> {
    seen.emplace_back(now.value_or("nothing"));
    if (seen.size() == 1) {  // makes the call register its moment
      EXPECT_TRUE(db_.put("k", "1").ok() && db_.flush().ok());
    } else if (seen.size() == 2) {
      env_.sleep(3 * kSecondNs);
      EXPECT_TRUE(db_.remove("k").ok() && db_.compact().ok());
      EXPECT_EQ(db_.stats()->run_entries, 0u);
    }
    return "done";
  };
  EXPECT_TRUE(db_.update("k", change).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"0", "1", "nothing"}));
  EXPECT_EQ(db_.get("k").value(), "done");
  EXPECT_TRUE(readers().empty());
}

TEST_F(Readers, ACursorOfATransactionThatStandsStillLetsGo) {
  open(small());
  put_all("v");
  ASSERT_TRUE(db_.compact().ok());
  Transaction tx = db_.begin({.isolation = Isolation::serializable});
  ASSERT_TRUE(tx.put(key_of(50) + "a", "own").ok());
  ASSERT_TRUE(tx.remove(key_of(52)).ok());
  Cursor own = tx.cursor();
  Cursor other = tx.cursor();
  own.seek(key_of(50) + "a");
  other.seek(key_of(50));
  const std::string_view key = own.key();
  const std::string_view value = own.value();
  put_all("w");
  ASSERT_TRUE(db_.compact().ok());
  env_.sleep(4 * kSecondNs);
  EXPECT_EQ(readers()[1].held_bytes, 0u) << "its entry is the transaction's";
  EXPECT_GT(readers()[2].held_bytes, 0u);
  ASSERT_TRUE(tx.put(key_of(50) + "b", "more").ok());
  EXPECT_EQ(key, key_of(50) + "a");
  EXPECT_EQ(value, "own");
  own.next();
  EXPECT_EQ(own.value(), "more");
  other.next();
  EXPECT_EQ(other.value(), "own");
  env_.sleep(4 * kSecondNs);
  ASSERT_TRUE(tx.remove(key_of(50) + "b").ok());
  EXPECT_EQ(own.value(), "more");
  own.next();  // from an entry that is gone: once, not twice
  ASSERT_TRUE(own.valid());
  EXPECT_EQ(own.value(), "v51");
  own.next();
  EXPECT_EQ(own.value(), "v53");
  own.prev();
  EXPECT_EQ(own.value(), "v51");
  other.prev();
  EXPECT_EQ(other.value(), "v50");
  EXPECT_TRUE(tx.commit().is(StatusCode::conflict));
  env_.sleep(4 * kSecondNs);
  EXPECT_EQ(own.value(), "v51");
  own.next();
  EXPECT_TRUE(own.status().is(StatusCode::closed));
}

TEST_F(Readers, ACursorThatStandsStillLetsGo) {
  for (const bool mapped : {true, false}) {
    for (const bool in_run : {false, true}) {
      for (const size_t size : {size_t{20}, size_t{5000}}) {
        SCOPED_TRACE(std::to_string(mapped) + std::to_string(in_run) + std::to_string(size));
        Options options = small();
        options.sigbus_guard = mapped;
        options.write_buffer_size = 1 * MiB;
        open(options);
        put_all(std::string(size, 'o'));
        if (in_run) {
          ASSERT_TRUE(db_.compact().ok());
        }
        Cursor cursor = db_.cursor(), unused = db_.cursor(), behind = db_.cursor();
        cursor.seek(key_of(50));
        behind.seek("z");
        const std::string_view key = cursor.key(), value = cursor.value();
        put_all(std::string(size, 'n'));
        ASSERT_TRUE(db_.flush().ok());
        ASSERT_TRUE(db_.compact().ok());
        EXPECT_GT(readers()[0].held_bytes, 0u);
        EXPECT_EQ(readers()[1].held_bytes, 0u);
        EXPECT_GT(readers()[2].held_bytes, 0u);
        const uint64_t files = env_.open_files();
        env_.sleep(4 * kSecondNs);
        // One keeps what its entry stands in.
        const uint64_t whole = in_run ? 100 * size : 1 * MiB - 4 * KiB;
        const uint64_t kept = in_run && !mapped ? 0 : whole;
        EXPECT_GE(readers()[0].held_bytes, kept);
        EXPECT_LE(readers()[0].held_bytes, kept + kept / 2 + (in_run && mapped ? 64 * KiB : 0));
        EXPECT_EQ(readers()[1].held_bytes, 0u);
        EXPECT_EQ(readers()[2].held_bytes, 0u);
        EXPECT_LE(env_.open_files(), files);
        EXPECT_EQ(key, key_of(50));
        EXPECT_EQ(value, std::string(size, 'o') + "50");
        EXPECT_EQ(cursor.value(), value);
        cursor.next();
        ASSERT_TRUE(cursor.valid());
        EXPECT_EQ(cursor.key(), key_of(51));
        EXPECT_EQ(cursor.value(), std::string(size, 'o') + "51");
        env_.sleep(4 * kSecondNs);
        cursor.prev();
        EXPECT_EQ(cursor.value(), std::string(size, 'o') + "50");
        env_.sleep(4 * kSecondNs);
        cursor.seek_last();
        EXPECT_EQ(cursor.key(), key_of(99));
        behind.seek_for_prev("z");
        EXPECT_EQ(behind.value(), std::string(size, 'o') + "99");
        unused.seek_first();
        EXPECT_EQ(unused.value(), std::string(size, 'o') + "0");
        for (Cursor* one : {&cursor, &unused, &behind}) *one = Cursor();
        env_.sleep(4 * kSecondNs);
        EXPECT_EQ(db_.stats()->held_bytes, 0u);
        ASSERT_TRUE(db_.close().ok());
      }
    }
  }
}

TEST_F(Readers, NoneKeepsTheLog) {
  open(small());
  put_all("v");
  const Snapshot snapshot = *db_.snapshot();
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  for (int round = 0; round < 50; ++round) put_all(std::string(2000, 'w'));
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(env_.run_until_idle().ok());
  const Stats stats = *db_.stats();
  EXPECT_GT(stats.log_bytes_written, 8 * MiB);
  EXPECT_LT(stats.log_bytes, 512 * KiB);
  EXPECT_EQ(cursor.value(), "v0");
  EXPECT_EQ(db_.get(key_of(9), {.snapshot = &snapshot}).value(), "v9");
}

// Steps, turns and rests of any length, beside writers: each cursor shows its own moment.
TEST_F(Readers, CursorsThatRestGoOnWhereTheyWere) {
  open(small());
  Random random(11);
  struct Walk {
    Cursor cursor;
    int version;
    int at = -1;
  };
  std::vector<Walk> walks;
  int version = 0;
  put_all("0/");
  for (int round = 0; round < 600; ++round) {
    if (random.chance(0.1)) put_all(std::to_string(++version) + "/");
    if (random.chance(0.05)) {
      ASSERT_TRUE(random.chance(0.5) ? db_.flush().ok() : db_.compact().ok());
    }
    if (random.chance(0.2)) env_.sleep(random.below(3 * kSecondNs));
    if (walks.size() < 5) walks.push_back({db_.cursor(), version});
    Walk& walk = walks[random.below(walks.size())];
    if (walk.at < 0 || random.chance(0.1)) {
      walk.at = static_cast<int>(random.below(100));
      random.chance(0.5) ? walk.cursor.seek(key_of(walk.at)) : walk.cursor.seek_for_prev(key_of(walk.at));
    } else if (random.chance(0.5)) {
      walk.cursor.next();
      walk.at = walk.at + 1 < 100 ? walk.at + 1 : -1;
    } else {
      walk.cursor.prev();
      --walk.at;
    }
    ASSERT_TRUE(walk.cursor.status().ok());
    ASSERT_EQ(walk.cursor.valid(), walk.at >= 0);
    if (walk.at < 0) continue;
    ASSERT_EQ(walk.cursor.key(), key_of(walk.at));
    ASSERT_EQ(walk.cursor.value(), std::to_string(walk.version) + "/" + std::to_string(walk.at));
    if (random.chance(0.05)) walks.erase(walks.begin() + (&walk - walks.data()));
  }
}

// The background looks at cursors in the very moments in which they go on.
TEST(ReadersInterleaved, ATurnIsNobodyElses) {
  constexpr int kKeys = 12;
  constexpr int kVersions = 12;
  const uint64_t first = uint_from_environment("LIGHTNING_INTERLEAVE_SEED", 1);
  const uint64_t seeds = uint_from_environment("LIGHTNING_INTERLEAVE_SEEDS", 40);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE(seed);
    SimEnv env({.seed = seed, .switch_probability = 0.3, .keeps_unsynced = false});
    Result<Database> opened = open_in(env, "db", small(seed % 2 * 5000), OpenKind::open_or_create);
    ASSERT_TRUE(opened);
    Database db = *std::move(opened);
    const auto write = [&](int version) {
      WriteBatch batch;
      for (int i = 0; i < kKeys; ++i) batch.put(key_of(i), std::to_string(version));
      EXPECT_TRUE(db.write(batch).ok());
    };
    write(0);
    int versions = 1;
    const auto walk = [&](uint64_t walker) {
      Random random(seed * 10 + walker);
      while (versions < kVersions) {
        Transaction tx = walker == 2 ? db.begin({.isolation = Isolation::serializable}) : Transaction();
        Cursor cursor = walker == 2 ? tx.cursor() : db.cursor();
        std::string version;
        int at = 0;
        for (cursor.seek_first(); cursor.valid(); cursor.next(), ++at) {
          const std::string_view shown = cursor.value();
          if (at == 0) version = shown;
          env.sleep(random.below(3) * kSecondNs);
          EXPECT_EQ(cursor.key(), key_of(at));
          EXPECT_EQ(shown, version);
          if (walker == 2 && random.chance(0.3)) {
            EXPECT_TRUE(tx.put(key_of(at), "behind it").ok());
          }
        }
        const bool too_old = cursor.status().is(StatusCode::snapshot_too_old);
        EXPECT_TRUE(too_old ? seed % 2 == 1 : cursor.status().ok() && at == kKeys);
      }
    };
    env.spawn("first", [&] { walk(1); });
    env.spawn("second", [&] { walk(2); });
    env.spawn("writer", [&] {
      for (; versions < kVersions; ++versions) {
        env.sleep(kSecondNs);
        write(versions);
        EXPECT_TRUE(versions % 3 == 0 ? db.compact().ok() : db.flush().ok());
        EXPECT_TRUE(db.readers().ok());
      }
    });
    ASSERT_TRUE(env.run().ok());
    EXPECT_EQ(db.stats()->snapshots, 0u);
    ASSERT_TRUE(db.close().ok());
  }
}

// What `stats` says of memory.
TEST_F(Readers, MemoryIsTheSumOfItsParts) {
  open(small());
  const auto parts = [&] {
    const Stats stats = *db_.stats();
    const uint64_t sum = stats.memtable_bytes + stats.point_index_bytes + stats.order_index_bytes +
                         stats.fence_bytes + stats.run_memory_bytes + stats.held_bytes + stats.cursor_bytes +
                         stats.merge_bytes;
    EXPECT_EQ(stats.memory_bytes, sum);
    return stats;
  };
  put_all("v");
  ASSERT_TRUE(db_.compact().ok());
  put_all("w");
  ASSERT_TRUE(for_each(db_.scan(), [](auto, auto) {}).ok());
  env_.sleep(4 * kSecondNs);
  const Stats before = parts();
  for (const uint64_t part : {before.memtable_bytes, before.point_index_bytes, before.order_index_bytes,
                              before.fence_bytes, before.run_memory_bytes}) {
    EXPECT_GT(part, 0u);
  }
  EXPECT_EQ(before.held_bytes + before.cursor_bytes + before.merge_bytes, 0u);
  {
    std::vector<Cursor> cursors;
    for (int i = 0; i < 100; ++i) {
      cursors.push_back(db_.cursor());
      cursors.back().seek_first();
    }
    const Stats with = parts();
    EXPECT_GT(with.cursor_bytes, 100 * KiB);
    EXPECT_LT(with.cursor_bytes, 1 * MiB);
    EXPECT_EQ(with.memory_bytes, before.memory_bytes + with.cursor_bytes);
    ASSERT_TRUE(db_.flush().ok());
    EXPECT_GE(parts().held_bytes, before.memtable_bytes);
    env_.sleep(4 * kSecondNs);
    EXPECT_LT(parts().cursor_bytes, with.cursor_bytes) << "they stand still";
  }
  ASSERT_TRUE(db_.compact().ok());
  put_all("w");
  ASSERT_TRUE(for_each(db_.scan(), [](auto, auto) {}).ok());
  env_.sleep(4 * kSecondNs);
  const Stats after = parts();
  EXPECT_EQ(after.held_bytes + after.cursor_bytes + after.merge_bytes, 0u);
  EXPECT_EQ(after.memory_bytes, before.memory_bytes);
}

// What files are written in counts as long as that lasts.
TEST_F(Readers, WritingAFileIsCounted) {
  open(small());
  EntriesSource source({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  uint64_t most = 0;
  source.on_next([&] { most = std::max(most, db_.stats()->merge_bytes); });
  ASSERT_TRUE(db_.ingest(source));
  EXPECT_GE(most, 1 * MiB);
  EXPECT_EQ(db_.stats()->merge_bytes, 0u);
}

// By real threads: the background takes Views from cursors that step and rest, and gives readers up for their
// age.
TEST(ReadersThreads, NobodySeesAnythingButItsMoment) {
  ScratchDirectory scratch;
  Result<Database> opened = Database::open(scratch.path() + "/db", small(40));
  ASSERT_TRUE(opened) << opened.status().to_string();
  Database db = *std::move(opened);
  constexpr int kKeys = 40;
  const auto write = [&](int version) {
    WriteBatch batch;
    for (int i = 0; i < kKeys; ++i) batch.put(key_of(i), std::to_string(version) + std::string(200, '.'));
    ASSERT_TRUE(db.write(batch).ok());
  };
  write(0);
  std::atomic<bool> ended{false};
  std::atomic<uint64_t> walked{0};
  std::vector<std::thread> walkers;
  for (int walker = 0; walker < 3; ++walker) {
    walkers.emplace_back([&, walker] {
      Random random(static_cast<uint64_t>(walker));
      while (!ended) {
        Transaction tx = walker == 2 ? db.begin({.isolation = Isolation::serializable}) : Transaction();
        Cursor cursor = walker == 2 ? tx.cursor() : db.cursor();
        std::string version;
        int at = 0;
        for (cursor.seek_first(); cursor.valid(); cursor.next(), ++at) {
          if (at == 0) version = cursor.value();
          EXPECT_EQ(cursor.key(), key_of(at));
          EXPECT_EQ(cursor.value(), version);
          if (walker == 2 && random.chance(0.3)) {
            EXPECT_TRUE(tx.put(key_of(at), "behind it").ok());
          }
          if (random.chance(0.1)) std::this_thread::sleep_for(std::chrono::milliseconds(random.below(25)));
        }
        EXPECT_TRUE(cursor.status().ok() ? at == kKeys : cursor.status().is(StatusCode::snapshot_too_old));
        ++walked;
      }
    });
  }
  for (int version = 1; version < 60; ++version) {
    write(version);
    EXPECT_TRUE(db.readers().ok());
    EXPECT_TRUE(version % 5 == 0 ? db.compact().ok() : db.flush().ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ended = true;
  for (std::thread& walker : walkers) walker.join();
  EXPECT_GT(walked, 0u);
}

}  // namespace
}  // namespace lightning
