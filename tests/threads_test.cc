// Writers, readers, scanners, flushes, snapshots, keyspaces that come and go, and closing, all at once on the
// real Env. Readers check what must hold whatever the order: counters never go back, batches are seen whole,
// snapshots stand still.
//
// LIGHTNING_THREADS_OPERATIONS=n   writes of each writer
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <charconv>
#include <string>
#include <thread>
#include <vector>

#include <lightning/database.h>

#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr uint32_t kWriters = 8;
constexpr uint32_t kReaders = 8;
constexpr uint32_t kScanners = 2;
constexpr uint32_t kKeysOfWriter = 16;

uint64_t operations() { return uint_from_environment("LIGHTNING_THREADS_OPERATIONS", 10'000); }

Options small_buffers() {
  Options options;
  options.write_buffer_size = 128 * KiB;
  options.memory_limit = 16 * MiB;
  options.durability = Durability::process;
  return options;
}

std::string counter_key(uint32_t writer, uint64_t key) {
  return "counter/" + std::to_string(writer) + "/" + std::to_string(key);
}

/// The two keys that each batch of a writer sets to the same value.
std::array<std::string, 2> pair_of(uint32_t writer) {
  const std::string prefix = "pair/" + std::to_string(writer) + "/";
  return {prefix + "left", prefix + "right"};
}

/// A counter with a tail that shows whether the value is whole; now and then longer than what is copied.
std::string value_of(uint64_t count) {
  std::string value = std::to_string(count) + ":";
  value.resize(value.size() + (count % 10 == 0 ? 2000 : count % 64), static_cast<char>('a' + count % 26));
  return value;
}

/// The counter of a value; fails when it is not whole.
uint64_t count_of(std::string_view value) {
  uint64_t count = 0;
  std::from_chars(value.data(), value.data() + value.size(), count);
  EXPECT_EQ(value, value_of(count));
  return count;
}

/// What all threads of the test share.
struct Stage {
  Database database;
  std::atomic<uint32_t> writers_left{kWriters};
  std::atomic<uint64_t> reads{0};
  bool over() const { return writers_left.load() == 0 || testing::Test::HasFailure(); }
};

void expect_ok(const Status& status, const char* what) {
  EXPECT_TRUE(status.ok()) << what << ": " << status.to_string();
}

void write_counters(Stage& stage, uint32_t writer) {
  Random random(writer);
  const auto [left, right] = pair_of(writer);
  for (uint64_t i = 1; i <= operations() && !stage.over(); ++i) {
    const WriteOptions options{.durability = random.chance(0.01) ? Durability::power : Durability::process};
    if (random.chance(0.3)) {
      WriteBatch batch;
      batch.put(left, value_of(i));
      batch.put(counter_key(writer, i % kKeysOfWriter), value_of(i));
      batch.put(right, value_of(i));
      expect_ok(stage.database.write(batch, options), "write");
    } else {
      expect_ok(stage.database.put(counter_key(writer, i % kKeysOfWriter), value_of(i), options), "put");
    }
  }
  stage.writers_left.fetch_sub(1);
}

/// Both of the pair or none, with one value.
uint64_t check_pair(const Value& left, const Value& right) {
  EXPECT_EQ(left.present(), right.present());
  EXPECT_EQ(left.view(), right.view());
  return left.present() ? count_of(left.view()) : 0;
}

void check_snapshot(Stage& stage, uint32_t writer) {
  const Result<Snapshot> snapshot = stage.database.snapshot();
  if (!snapshot) return expect_ok(snapshot.status(), "snapshot");
  const ReadOptions at{.snapshot = &*snapshot};
  const auto [left, right] = pair_of(writer);
  Lookup first = stage.database.get(left, at);
  expect_ok(first.status(), "get at a snapshot");
  const Value kept = first.take();
  for (int i = 0; i < 3; ++i) {
    const Lookup again = stage.database.get(i % 2 == 0 ? right : left, at);
    expect_ok(again.status(), "get at a snapshot");
    EXPECT_EQ(again.value(), kept.view());
    std::this_thread::yield();
  }
}

void read_counters(Stage& stage, uint32_t reader) {
  Random random(100 + reader);
  std::array<std::array<uint64_t, kKeysOfWriter>, kWriters> seen = {};
  std::array<uint64_t, kWriters> seen_pair = {};
  Value reused;
  while (!stage.over()) {
    const auto writer = static_cast<uint32_t>(random.below(kWriters));
    const uint64_t key = random.below(kKeysOfWriter);
    if (const Lookup found = stage.database.get(counter_key(writer, key), reused)) {
      const uint64_t count = count_of(found.value());
      EXPECT_GE(count, seen[writer][key]);
      seen[writer][key] = count;
    } else {
      expect_ok(found.status(), "get");
      EXPECT_EQ(seen[writer][key], 0u);
    }
    if (random.chance(0.3)) {
      const std::array<std::string, 2> pair = pair_of(writer);
      const std::array<std::string_view, 2> keys = {pair[0], pair[1]};
      std::array<Value, 2> values;
      expect_ok(stage.database.get_many(keys, values), "get_many");
      const uint64_t count = check_pair(values[0], values[1]);
      EXPECT_GE(count, seen_pair[writer]);
      seen_pair[writer] = count;
    }
    if (random.chance(0.1)) check_snapshot(stage, writer);
    stage.reads.fetch_add(1, std::memory_order_relaxed);
  }
}

/// One walk: keys in order, pairs equal. Entries that were seen.
uint64_t check_scan(Scan scan, bool reverse) {
  std::string last_key;
  std::string last_value;
  uint64_t entries = 0;
  for (const Entry& entry : scan) {
    if (entries++ > 0) {
      EXPECT_TRUE(reverse ? entry.key() < last_key : entry.key() > last_key);
    }
    const bool second_of_pair = entry.key().ends_with(reverse ? "/left" : "/right");
    if (second_of_pair) {
      EXPECT_EQ(entry.value(), last_value);
    }
    count_of(entry.value());
    last_key = entry.key();
    last_value = entry.value();
  }
  expect_ok(scan.status(), "scan");
  return entries;
}

void scan_counters(Stage& stage, uint32_t scanner) {
  Random random(200 + scanner);
  while (!stage.over()) {
    const bool reverse = random.chance(0.5);
    const bool pairs_alone = random.chance(0.3);
    Scan scan = pairs_alone ? stage.database.scan_prefix("pair/") : stage.database.scan();
    check_scan(reverse ? std::move(scan).reverse() : std::move(scan), reverse);
  }
}

// Keyspaces come and go beside everything else, and flushes and merges happen.
void maintain(Stage& stage) {
  Random random(300);
  uint64_t made = 0;
  while (!stage.over()) {
    const std::string name = "keyspace" + std::to_string(made++ % 3);
    Result<Keyspace> keyspace = stage.database.keyspace(name);
    if (!keyspace) return expect_ok(keyspace.status(), "keyspace");
    for (int i = 0; i < 20; ++i) expect_ok(keyspace->put(std::to_string(i), name), "put into a keyspace");
    expect_ok(random.chance(0.2) ? stage.database.compact() : stage.database.flush(), "flush");
    uint64_t entries = 0;
    expect_ok(for_each(keyspace->scan(),
                       [&](std::string_view, std::string_view value) {
                         ++entries;
                         EXPECT_EQ(value, name);
                       }),
              "scan of a keyspace");
    EXPECT_EQ(entries, 20u);
    expect_ok(stage.database.drop_keyspace(name), "drop_keyspace");
    EXPECT_TRUE(keyspace->get("1").status().is(StatusCode::not_found));
    expect_ok(stage.database.stats().status(), "stats");
    expect_ok(stage.database.metrics_text().status(), "metrics_text");
  }
}

TEST(Threads, SeeWhatMustHold) {
  ScratchDirectory scratch;
  Result<Database> opened = Database::open(scratch.path("db"), small_buffers());
  ASSERT_TRUE(opened) << opened.status().to_string();
  Stage stage;
  stage.database = *std::move(opened);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kWriters; ++i) threads.emplace_back(write_counters, std::ref(stage), i);
  for (uint32_t i = 0; i < kReaders; ++i) threads.emplace_back(read_counters, std::ref(stage), i);
  for (uint32_t i = 0; i < kScanners; ++i) threads.emplace_back(scan_counters, std::ref(stage), i);
  threads.emplace_back(maintain, std::ref(stage));
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(stage.reads.load(), 0u);
  EXPECT_GE(check_scan(stage.database.scan(), false), kWriters * kKeysOfWriter);
  expect_ok(stage.database.background_error(), "background_error");
  EXPECT_GT(stage.database.stats()->merges, 0u);
  expect_ok(stage.database.close(), "close");
}

// Handles are used by many threads while the database is closed: what was acknowledged is there afterwards,
// and every call that comes too late says so.
TEST(Threads, MayUseHandlesWhileTheDatabaseIsClosed) {
  constexpr int kRounds = 10;
  constexpr uint32_t kUsers = 4;
  ScratchDirectory scratch;
  std::array<uint64_t, kUsers> written = {};
  for (int round = 0; round < kRounds; ++round) {
    Result<Database> opened = Database::open(scratch.path("db"), small_buffers());
    ASSERT_TRUE(opened) << opened.status().to_string();
    for (uint32_t user = 0; user < kUsers; ++user) {
      const Lookup found = opened->get("last/" + std::to_string(user));
      ASSERT_TRUE(found || written[user] == 0);
      if (found) {
        EXPECT_EQ(count_of(found.value()), written[user]);
      }
    }
    const Keyspace handle = *opened;
    std::atomic<uint32_t> running{0};
    const auto use = [&](uint32_t user) {
      Keyspace mine = handle;
      Random random(static_cast<uint64_t>(round) * kUsers + user);
      running.fetch_add(1);
      for (;;) {
        const Status status = mine.put("last/" + std::to_string(user), value_of(written[user] + 1));
        if (!status.ok()) {
          EXPECT_TRUE(status.is(StatusCode::closed)) << status.to_string();
          break;
        }
        ++written[user];
        const Lookup found = mine.get("last/" + std::to_string(random.below(kUsers)));
        EXPECT_TRUE(found.status().ok() || found.status().is(StatusCode::closed))
            << found.status().to_string();
        const Status scanned =
            for_each(mine.scan(), [](std::string_view, std::string_view value) { count_of(value); });
        EXPECT_TRUE(scanned.ok() || scanned.is(StatusCode::closed)) << scanned.to_string();
      }
    };
    std::vector<std::thread> users;
    for (uint32_t user = 0; user < kUsers; ++user) users.emplace_back(use, user);
    while (running.load() < kUsers) std::this_thread::yield();
    for (int i = 0; i < round * 100; ++i) std::this_thread::yield();
    expect_ok(opened->close(), "close");
    for (std::thread& user : users) user.join();
  }
}

}  // namespace
}  // namespace lightning
