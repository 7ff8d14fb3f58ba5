// Builds of indexes in the simulation, beside writers, flushes and compactions, at any interleaving: index
// and data agree, also after a crash anywhere.
//
// LIGHTNING_INTERLEAVE_SEEDS=n, LIGHTNING_INTERLEAVE_SEED=s   as in interleave_test
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <string>
#include <utility>
#include <vector>

#include "admin/verify.h"
#include "api/open_in.h"
#include "testing/counts.h"
#include "testing/crash_images.h"
#include "testing/random.h"
#include "testing/sim_env.h"
#include "tests/each_seed.h"

namespace lightning {
namespace {

constexpr uint64_t kRows = 1200;  // so that slices are ingested
constexpr uint64_t kWritesOfThread = 60;
constexpr size_t kCodeBytes = 8;

Options small() {
  return {.durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
}

std::string digits(uint64_t number) {
  const std::string text = std::to_string(number);
  return std::string(kCodeBytes - text.size(), '0') + text;
}

IndexDefinition by_code(bool unique) {
  return {
      .name = unique ? "unique" : "any", .key = {IndexField::value_bytes(0, kCodeBytes)}, .unique = unique};
}

void load(Database& db) {
  WriteBatch batch;
  for (uint64_t row = 0; row < kRows; ++row) batch.put("row" + digits(row), digits(row * 7) + "loaded");
  ASSERT_TRUE(db.write(batch).ok());
}

void build(Database& db, bool unique) {
  const IndexDefinition definition = by_code(unique);
  ASSERT_TRUE(db.create_index(definition).ok());
  const Status built = db.wait_for_index(definition.name);
  const bool taken = unique && built.is(StatusCode::already_exists);
  ASSERT_TRUE(built.ok() || taken) << built.to_string();
}

void expect_agreement(Database& db) {
  const Result<VerifyReport> report = db.verify();
  ASSERT_TRUE(report) << report.status().to_string();
  for (const Finding& finding : report->findings) ADD_FAILURE() << finding.what;
}

void expect_agreement_after(SimDisk disk, uint64_t seed) {
  SimEnv after({.seed = seed}, std::move(disk));
  {
    Result<Database> again = open_in(after, "db", small(), OpenKind::open);
    ASSERT_TRUE(again) << again.status().to_string();
    const Result<std::vector<IndexInfo>> indexes = again->indexes();
    ASSERT_TRUE(indexes);
    for (const IndexInfo& index : *indexes) {
      const Status built = again->wait_for_index(index.definition.name);
      ASSERT_TRUE(built.ok() || built.is(StatusCode::already_exists)) << built.to_string();
    }
    expect_agreement(*again);
    ASSERT_TRUE(again->close().ok());
  }
  const Result<VerifyReport> report = verify_in(after, "db", {});
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->ok()) << report->findings[0].what;
  EXPECT_EQ(report->unknown_files, std::vector<std::string>());
}

/// Rows whose first bytes are nobody else's, but for those that a writer tries to give twice.
class Beside {
 public:
  explicit Beside(uint64_t seed)
      : seed_(seed), env_({.seed = seed, .switch_probability = 0.05, .supports_allocate = seed % 3 != 0}) {}

  void run() {
    Result<Database> opened = open_in(env_, "db", small(), OpenKind::create);
    ASSERT_TRUE(opened);
    Database& db = *opened;
    load(db);
    env_.spawn("writer", [&] { write(db, 1); });
    env_.spawn("another writer", [&] { write(db, 2); });
    env_.spawn("builder", [&] { build(db, false); });
    env_.spawn("another builder", [&] { build(db, true); });
    env_.spawn("compactor", [&] {
      for (int i = 0; i < 3; ++i) EXPECT_TRUE((i % 2 == 0 ? db.flush() : db.compact()).ok());
    });
    const Status outcome = env_.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    expect_agreement(db);
    if (seed_ % 2 == 0) {
      ASSERT_TRUE(db.close().ok());
    }
    expect_agreement_after(env_.kill(), seed_);
  }

 private:
  void write(Database& db, uint64_t writer) {
    Random random(seed_ * 10 + writer);
    for (uint64_t i = 0; i < kWritesOfThread; ++i) {
      const uint64_t row = random.below(kRows + 20);
      const std::string key = "row" + digits(row);
      Status status;
      switch (random.below(5)) {
        case 0:
          status = db.remove(key);
          break;
        case 1:
          status = db.remove_range(key, "row" + digits(row + 3));
          break;
        case 2:  // a code that another row may have
          status = db.put(key, digits(random.below(kRows) * 7) + "taken");
          if (status.is(StatusCode::already_exists)) status = {};
          break;
        default:
          status = db.put(key, digits(1'000'000 * writer + i) + "written");
      }
      ASSERT_TRUE(status.ok()) << status.to_string();
      if (random.below(4) == 0) env_.sleep(random.below(100'000));
    }
  }

  const uint64_t seed_;
  SimEnv env_;
};

TEST(IndexBeside, AgreesWithTheData) {
  for_each_seed(30, [](uint64_t seed) { Beside(seed).run(); });
}

// What fails once is tried again, whoever waits for it or not.
TEST(IndexBuild, GoesOnBehindAFailureThatPasses) {
  for (const StatusCode code : {StatusCode::io_error, StatusCode::no_space}) {
    SimEnv env;
    Result<Database> db = open_in(env, "db", small(), OpenKind::create);
    ASSERT_TRUE(db);
    load(*db);
    ASSERT_TRUE(db->flush().ok());
    env.faults().add({.call = SimCall::create, .name_part = ".run", .times = 3, .code = code});
    ASSERT_TRUE(db->create_index(by_code(false)).ok());
    constexpr uint64_t kLongNs = 10'000'000'000;
    env.sleep(kLongNs);
    EXPECT_EQ((*db->indexes())[0].state, IndexState::ready);
    expect_agreement(*db);
  }
}

// The rows are durable; of the build any part may be.
TEST(IndexBuild, SurvivesACrashAnywhere) {
  constexpr uint64_t kMoments = 40;
  for (const bool unique : {false, true}) {
    std::vector<SimDisk> moments;
    SimEnv env({.seed = 1});
    {
      Result<Database> db = open_in(env, "db", small(), OpenKind::create);
      ASSERT_TRUE(db);
      load(*db);
      ASSERT_TRUE(db->sync().ok());
      env.watch([&](const SimStep&) {
        if (env.disk_changed()) moments.push_back(env.disk().kill_image());
      });
      build(*db, unique);
      env.watch({});
    }
    ASSERT_GT(moments.size(), kMoments);
    for (size_t i = 0; i < moments.size() && !testing::Test::HasFailure(); i += moments.size() / kMoments) {
      for_each_crash_image(moments[i], {.limit = 4, .seed = i}, [&](CrashImage image) {
        SCOPED_TRACE("moment " + std::to_string(i) + ": " + image.what);
        expect_agreement_after(std::move(image.disk), i);
        count("states", 1);
      });
    }
  }
}

// No index comes between a promise and its commit.
TEST(IndexBuild, WaitsForPromisesAndThenSaysThatItIsBusy) {
  SimEnv env;
  Result<Database> db = open_in(env, "db", small(), OpenKind::create);
  ASSERT_TRUE(db) << db.status().to_string();
  const IndexDefinition definition{.name = "by_city", .key = {IndexField::value_column(0)}};
  Transaction tx = db->begin();
  ASSERT_TRUE(tx.put("b", "Oslo,9").ok());
  ASSERT_TRUE(tx.prepare("g").ok());
  const Status waited = db->create_index(definition);
  EXPECT_EQ(waited.code(), StatusCode::busy) << waited.to_string();
  ASSERT_TRUE(db->commit_prepared("g").ok());
  ASSERT_TRUE(db->create_index(definition).ok());
  ASSERT_TRUE(db->wait_for_index("by_city").ok());
  EXPECT_EQ(*db->index("by_city").count("", ""), 1u);
}

}  // namespace
}  // namespace lightning
