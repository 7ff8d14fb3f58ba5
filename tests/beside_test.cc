// Calls beside one another in the simulation: what close() meets, what a long compaction holds up, what a
// drop that does not survive may take along, which moment a get_many() sees.
//
// LIGHTNING_INTERLEAVE_SEEDS=n, LIGHTNING_INTERLEAVE_SEED=s   as in interleave_test
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/verify.h"
#include "api/open_in.h"
#include "base/park.h"
#include "testing/crash_images.h"
#include "testing/random.h"
#include "testing/sim_env.h"
#include "tests/each_seed.h"

namespace lightning {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
// Without the numbered steps of the `sim` preset there is less to be met.
#if defined(LIGHTNING_SIM)
constexpr uint64_t kRareSeeds = 2000;
constexpr uint64_t kSeeds = 600;
#else
constexpr uint64_t kRareSeeds = 50;
constexpr uint64_t kSeeds = 20;
#endif

Options small() {
  return {.durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
}

Database open(SimEnv& env, OpenKind kind) {
  Result<Database> opened = open_in(env, "db", small(), kind);
  EXPECT_TRUE(opened) << opened.status().to_string();
  return opened ? *std::move(opened) : Database();
}

/// Keyspace handles at work while the database is closed.
class BesideClose {
 public:
  explicit BesideClose(uint64_t seed)
      : random_(seed), env_({.seed = seed, .switch_probability = 0.01, .supports_allocate = seed % 2 == 0}) {}

  void run() {
    Database db = open(env_, OpenKind::create);
    Result<Keyspace> rows = db.keyspace("rows");
    ASSERT_TRUE(rows);
    for (const char writer : {'a', 'b'}) env_.spawn("writer", [&, writer] { write(*rows, writer); });
    for (int i = 0; i < 3; ++i) {
      env_.spawn("compactor", [&] {
        Status status;
        while (status.ok()) status = rows->compact_range("", std::nullopt);
        EXPECT_TRUE(status.is(StatusCode::closed)) << status.to_string();
      });
    }
    env_.spawn("indexer", [&] { make_indexes(*rows); });
    env_.spawn("closer", [&] {
      env_.sleep(random_.below(3'000'000));
      const Status status = db.close();
      EXPECT_TRUE(status.ok()) << status.to_string();
      closed_ = true;
    });
    env_.watch([&](const SimStep& step) {
      if (closed_ && step.is_call && step.what != "schedule" && late_.empty())
        late_ = std::string(step.what).append(" ").append(step.name);
    });
    const Status outcome = env_.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    EXPECT_EQ(late_, "") << "behind the end of close()";
    env_.watch({});
    check();
  }

 private:
  void write(Keyspace& rows, char writer) {
    Random random(random_.next());
    for (uint64_t i = 0;; ++i) {
      const std::string key = writer + std::to_string(i);
      const size_t size = random.chance(0.1) ? 70'000 : random.below(4'000);
      const Durability durability = random.chance(0.2) ? Durability::power : Durability::process;
      const Status status = rows.put(key, std::string(size, 'v'), {.durability = durability});
      if (status.ok()) acknowledged_[key] = size;
      if (status.ok()) continue;
      EXPECT_TRUE(status.is(StatusCode::closed) || status.is(StatusCode::unknown_outcome))
          << status.to_string();
      return;
    }
  }

  void make_indexes(Keyspace& rows) {
    const IndexDefinition definition{.name = "by_start", .key = {IndexField::value_bytes(0, 1)}};
    Status status;
    while (status.ok()) {
      status = rows.create_index(definition);
      if (status.ok()) status = rows.wait_for_index(definition.name);
      if (status.ok()) status = rows.drop_index(definition.name);
    }
    EXPECT_TRUE(status.is(StatusCode::closed)) << status.to_string();
  }

  void check() {
    Database db = open(env_, OpenKind::open);
    Result<Keyspace> rows = db.keyspace("rows", false);
    ASSERT_TRUE(rows) << rows.status().to_string();
    for (const auto& [key, size] : acknowledged_) {
      const Lookup found = rows->get(key);
      ASSERT_TRUE(found) << key << " is lost: " << found.status().to_string();
      ASSERT_EQ(found.value().size(), size);
    }
    ASSERT_TRUE(db.close().ok());
    const Result<VerifyReport> report = verify_in(env_, "db", {});
    ASSERT_TRUE(report) << report.status().to_string();
    EXPECT_TRUE(report->ok()) << report->findings[0].what;
  }

  Random random_;
  SimEnv env_;
  bool closed_ = false;
  std::string late_;
  std::map<std::string, size_t> acknowledged_;
};

TEST(BesideClose, NothingIsLostAndNothingComesLate) {
  for_each_seed(kSeeds, [](uint64_t seed) { BesideClose(seed).run(); });
}

/// compact() stands still in the middle of its first merge for a minute.
class BesideACompaction : public testing::Test {
 protected:
  BesideACompaction() : db_(open(env_, OpenKind::create)) {
    for (int run = 0; run < 4; ++run) {
      EXPECT_TRUE(db_.put("k" + std::to_string(run), std::string(5'000, 'v')).ok());
      EXPECT_TRUE(db_.flush().ok());
    }
    EXPECT_TRUE(env_.run_until_idle().ok());
    env_.faults().add({.call = SimCall::write,
                       .name_part = ".run",
                       .times = 1,
                       .code = StatusCode::ok,
                       .delay_ns = 60 * kSecondNs});
    env_.spawn("compactor", [&] { EXPECT_TRUE(db_.compact().ok()); });
  }
  /// `body` begins while it stands.
  void run_beside(std::function<void()> body) {
    env_.spawn("another", [&, body = std::move(body)] {
      env_.sleep(kSecondNs);
      ASSERT_EQ(env_.faults().injected(), 1u);
      body();
    });
    const Status outcome = env_.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
  }

  SimEnv env_;
  Database db_;
};

// Its merges wait for it, flushes and the log's timer do not.
TEST_F(BesideACompaction, FlushesGoOnAndTheLogBecomesDurable) {
  run_beside([&] {
    for (int i = 0; i < 8; ++i) {
      ASSERT_TRUE(db_.put("w" + std::to_string(i), std::string(5'000, 'w')).ok());
      ASSERT_TRUE(db_.flush().ok());
      env_.sleep(kSecondNs);
    }
    ASSERT_TRUE(db_.put("last", "").ok());
    env_.sleep(5 * kSecondNs);
    const Result<Stats> stats = db_.stats();
    ASSERT_TRUE(stats);
    EXPECT_EQ(stats->durable_lsn, stats->published_lsn);
  });
}

// What was being written when it began is freed as soon as it is flushed.
TEST_F(BesideACompaction, MemoryGoesWithItsFlush) {
  env_.faults().clear();
  env_.faults().add({.call = SimCall::create,
                     .name_part = ".run",
                     .after = 1,  // of the flush before
                     .code = StatusCode::ok,
                     .delay_ns = 60 * kSecondNs});
  ASSERT_TRUE(db_.put("w", "").ok());
  env_.spawn("writer", [&] {
    for (int i = 0; i < 5'000; ++i) {
      ASSERT_TRUE(db_.put("w", std::to_string(i)).ok());
      env_.sleep(10);
    }
  });
  run_beside([&] {
    ASSERT_TRUE(db_.flush().ok());
    env_.sleep(kSecondNs);
    const Result<Stats> stats = db_.stats();
    ASSERT_TRUE(stats);
    EXPECT_EQ(stats->merges, 0u);
    EXPECT_EQ(stats->held_bytes, 0u);
  });
}

// One in the background begins behind it, and flushes nothing before.
TEST_F(BesideACompaction, AnotherOneWaits) {
  run_beside([&] {
    const uint64_t flushes = db_.stats()->flushes;
    ASSERT_TRUE(db_.compact_range("", std::nullopt, {.wait = false}).ok());
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(db_.put("w", std::to_string(i)).ok());
      env_.sleep(kSecondNs / 10);
    }
    EXPECT_EQ(db_.stats()->flushes, flushes);
    env_.sleep(120 * kSecondNs);
    EXPECT_GT(db_.stats()->flushes, flushes);
    EXPECT_EQ(db_.stats()->sorted_runs, 1u);
  });
}

// The threads are of the process: merges that stand still hold up merges alone.
TEST(BesideMerges, OfOtherDatabasesFlushesGoOnAndTheLogBecomesDurable) {
  constexpr int kMerging = 2;  // as many as a lane has threads
  std::atomic<uint32_t> released{0};
  int held = 0;
  int flushed = 0;
  SimEnv env;
  const auto open_one = [&](const std::string& name, std::function<void(const Event&)> on_event) {
    Options options = small();
    options.on_event = std::move(on_event);
    Result<Database> opened = open_in(env, name, options, OpenKind::create);
    EXPECT_TRUE(opened) << opened.status().to_string();
    return opened ? *std::move(opened) : Database();
  };
  std::vector<Database> merging;
  for (int i = 0; i < kMerging; ++i) {
    merging.push_back(open_one("merging" + std::to_string(i), [&](const Event& event) {
      if (event.kind != EventKind::merge || released != 0) return;
      ++held;
      while (released == 0) park(released, 0);
    }));
    for (int run = 0; held <= i && run < 100; ++run) {
      for (const char* key : {"a", "z"}) ASSERT_TRUE(merging[i].put(key, std::string(5'000, 'v')).ok());
      ASSERT_TRUE(merging[i].flush().ok());
      ASSERT_TRUE(env.run_until_idle().ok());
    }
    ASSERT_EQ(held, i + 1);
  }
  Database other = open_one("other", [&](const Event& event) { flushed += event.kind == EventKind::flush; });
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(other.put(std::to_string(i), std::string(5'000, 'v')).ok());
  env.sleep(5 * kSecondNs);
  EXPECT_GT(flushed, 0);
  const Result<Stats> stats = other.stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->durable_lsn, stats->published_lsn);
  released = 1;
  unpark_all(released);
}

// A write that waits for an entry of a unique index goes first, whoever is waked first.
TEST(BesideADrop, NobodyIsTheVictimOfADeadlock) {
  for_each_seed(kRareSeeds, [](uint64_t seed) {
    SimEnv env({.seed = seed, .switch_probability = 0.2});
    Database db = open(env, OpenKind::create);
    Result<Keyspace> rows = db.keyspace("rows");
    ASSERT_TRUE(rows);
    ASSERT_TRUE(
        rows->create_index({.name = "unique", .key = {IndexField::value_bytes(0, 1)}, .unique = true}).ok());
    ASSERT_TRUE(rows->wait_for_index("unique").ok());
    Transaction tx = db.begin();
    ASSERT_TRUE(tx.in(*rows).put("a", "u").ok());
    ASSERT_TRUE(tx.prepare("g").ok());
    env.spawn("writer", [&] {
      const Status status = rows->put("b", "u");
      EXPECT_TRUE(status.ok() || status.is(StatusCode::not_found)) << status.to_string();
    });
    env.spawn("dropper", [&] {
      const Status status = db.drop_keyspace("rows");
      EXPECT_TRUE(status.ok()) << status.to_string();
    });
    env.spawn("aborter", [&] {
      env.sleep(kSecondNs);
      const Status status = db.abort_prepared("g");
      EXPECT_TRUE(status.ok()) << status.to_string();
    });
    const Status outcome = env.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
  });
}

// The keyspace is whole or gone, whatever a flush has left out of its run when the drop could not be made
// durable.
TEST(BesideADrop, WhatDoesNotSurviveTakesNothingAlong) {
  for_each_seed(kSeeds, [](uint64_t seed) {
    SimEnv env({.seed = seed, .switch_probability = 0.015});
    std::optional<SimDisk> moment;
    {
      Database db = open(env, OpenKind::create);
      Result<Keyspace> rows = db.keyspace("rows");
      ASSERT_TRUE(rows);
      for (char key = 'a'; key < 'e'; ++key)
        ASSERT_TRUE(rows->put(std::string(1, key), "there", {.durability = Durability::power}).ok());
      env.spawn("flusher", [&] { (void)db.flush().ok(); });
      env.spawn("dropper", [&] {
        env.faults().add({.call = SimCall::sync,
                          .name_part = "2.log",
                          .after = 1,  // which makes the segment
                          .times = kForever,
                          .effect = FaultEffect::pages_clean});
        (void)db.drop_keyspace("rows").ok();
      });
      ASSERT_TRUE(env.run().ok());
      moment = env.kill();
    }
    for_each_crash_image(*moment, {.limit = 6, .seed = seed}, [&](CrashImage image) {
      SimEnv after({.seed = seed}, std::move(image.disk));
      Database db = open(after, OpenKind::open);
      const Result<Keyspace> rows = db.keyspace("rows", false);
      if (!rows) {
        EXPECT_TRUE(rows.status().is(StatusCode::not_found)) << rows.status().to_string();
        return;
      }
      for (char key = 'a'; key < 'e'; ++key)
        EXPECT_TRUE(rows->get(std::string(1, key))) << key << " is lost: " << image.what;
    });
  });
}

// Both keys change in one batch that has a range removal, the first one that the View knows of.
TEST(BesideARangeRemoval, GetManySeesOneMoment) {
  for_each_seed(kRareSeeds, [](uint64_t seed) {
    SimEnv env({.seed = seed, .switch_probability = 0.3});
    Database db = open(env, OpenKind::create);
    ASSERT_TRUE(db.put("z", std::string(30'000, 'z')).ok());
    ASSERT_TRUE(db.flush().ok());  // what the background does with its run makes Views
    WriteBatch first;
    first.put("k1", "0");
    first.put("k2", "0");
    ASSERT_TRUE(db.write(first).ok());
    env.spawn("reader", [&] {
      const std::array<std::string_view, 2> keys = {"k1", "k2"};
      std::array<Value, 2> values;
      for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(db.get_many(keys, values).ok());
        const bool one = values[0].view() == "0" && values[1].view() == "0";
        const bool other = values[0].view() == "1" && !values[1].present();
        ASSERT_TRUE(one || other) << values[0].view() << " and " << values[1].present();
      }
    });
    env.spawn("writer", [&] {
      WriteBatch batch;
      batch.remove_range("k", "l");
      batch.put("k1", "1");
      ASSERT_TRUE(db.write(batch).ok());
    });
    const Status outcome = env.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
  });
}

// The log's timer goes on beside a flush that fails.
TEST(BesideAFullDisk, TheErrorStaysUntilAFlushSucceeds) {
  SimEnv env({.seed = 1});
  uint64_t errors = 0;
  Options options = small();
  options.on_event = [&](const Event& event) { errors += event.kind == EventKind::error ? 1 : 0; };
  Result<Database> opened = open_in(env, "db", options, OpenKind::create);
  ASSERT_TRUE(opened) << opened.status().to_string();
  Database& db = *opened;
  env.faults().add(
      {.call = SimCall::create, .name_part = ".run", .times = kForever, .code = StatusCode::no_space});
  ASSERT_TRUE(db.put("a", std::string(100'000, 'v')).ok());
  ASSERT_TRUE(db.put("b", std::string(100'000, 'v')).ok());
  env.sleep(kSecondNs);
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(db.background_error().is(StatusCode::no_space)) << i;
    ASSERT_EQ(errors, 1u);
    ASSERT_TRUE(db.put("c", std::to_string(i)).ok());
    env.sleep(kSecondNs / 10);
  }
  env.faults().clear();
  env.sleep(kSecondNs);
  EXPECT_TRUE(db.background_error().ok());
}

// A compaction that is to give space back, and lacks space for the flush that it begins with.
TEST(BesideAFullDisk, WhatRangeRemovalsCoverGoes) {
  SimEnv env({.seed = 1});
  Database db = open(env, OpenKind::create);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(db.put("k" + std::to_string(i), std::string(2'000, 'v')).ok());
  ASSERT_TRUE(db.flush().ok());
  Result<Snapshot> snapshot = db.snapshot();
  ASSERT_TRUE(snapshot);
  ASSERT_TRUE(db.remove_range("k", "l").ok());
  ASSERT_TRUE(db.flush().ok());
  env.faults().add(
      {.call = SimCall::create, .name_part = ".run", .times = kForever, .code = StatusCode::no_space});
  ASSERT_TRUE(db.put("x", "y").ok());
  *snapshot = {};
  ASSERT_TRUE(db.compact_range("", std::nullopt, {.wait = false}).ok());
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(db.put("x", "y").ok());  // while nobody writes there are merges of another kind
    env.sleep(kSecondNs / 10);
  }
  EXPECT_GT(db.stats()->drops, 0u);
}

// The segment becomes a value file, of which all but its value is given back, before verify() comes to it.
// Writers leave to the page cache and to merges what these will ask for.
TEST(BesideReads, MemoryStaysWithinItsLimit) {
  SimEnv env;
  Options options = Options::low_memory();
  options.durability = Durability::process;
  options.page_source = PageSource::pooled;
  Result<Database> db = open_in(env, "db", options, OpenKind::create);
  ASSERT_TRUE(db) << db.status().to_string();
  uint64_t most = 0;
  env.faults().add({.call = SimCall::write,
                    .name_part = ".run",
                    .times = kForever,
                    .code = StatusCode::ok,
                    .delay_ns = kSecondNs / 100});  // writers get ahead
  env.spawn("caller", [&] {
    Random random(1);
    for (uint64_t i = 0; i < 60'000; ++i) {
      ASSERT_TRUE(db->put("k" + std::to_string(random.below(60'000)), std::string(200, 'v')).ok());
      if (i % 20 != 0) continue;
      (void)db->get("k" + std::to_string(random.below(60'000)));
      most = std::max(most, db->stats()->memory_bytes);
    }
  });
  const Status outcome = env.run();
  ASSERT_TRUE(outcome.ok()) << outcome.to_string();
  EXPECT_GT(db->stats()->cache_bytes, 1 * MiB);
  EXPECT_LE(most, options.memory_limit);
}

TEST(BesideVerify, ASegmentMayBecomeAValueFile) {
  constexpr uint64_t kLargeBytes = 20'000;
  SimEnv env({.seed = 1});
  Result<Database> db = open_in(env, "db", small(), OpenKind::create, kLargeBytes);
  ASSERT_TRUE(db) << db.status().to_string();
  ASSERT_TRUE(db->put("a", "in a run").ok());
  ASSERT_TRUE(db->flush().ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(db->put("s" + std::to_string(i), std::string(2'000, 's')).ok());
  ASSERT_TRUE(db->put("large", std::string(kLargeBytes, 'l'), {.durability = Durability::power}).ok());
  bool flushed = false;
  const Result<VerifyReport> report = db->verify({.on_progress = [&](const AdminProgress&) {
    if (std::exchange(flushed, true)) return;
    EXPECT_TRUE(db->flush().ok());
    env.sleep(kSecondNs);
  }});
  ASSERT_TRUE(flushed);
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->ok()) << report->findings[0].what;
  EXPECT_EQ(db->stats()->value_files, 1u);
}

}  // namespace
}  // namespace lightning
