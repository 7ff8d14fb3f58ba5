// What refused memory may do: a whole life of a database in which the k-th allocation of the engine is
// refused, for every k: each call answers success or out_of_memory (or unknown_outcome where the write is
// visible), nothing ends the process, what is visible is what the API says, and the database goes on,
// closes and opens. The leak checker of the asan preset looks at the end.
//
// LIGHTNING_ALLOCATION_STRIDE=n  every n-th k
// LIGHTNING_ALLOCATION_SEED=s    another life, short and of steps by chance, and the k at which the strides
//                                begin
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "api/open_in.h"
#include "io/posix_status.h"
#include "testing/allocation_truce.h"
#include "testing/counts.h"
#include "testing/crash_images.h"
#include "testing/sim_env.h"
#include "tests/allocation_script.h"
#include "tests/crash_workload.h"
#include "tests/entries_source.h"
#include "txn/write_set.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultStride = 29;
#else
constexpr uint64_t kDefaultStride = 211;  // slow builds: sanitizers
#endif

constexpr uint64_t kUsualSeed = 7;

std::vector<CrashStep> life(uint64_t seed) {
  using enum CrashStep;
  if (seed != kUsualSeed) return short_life(seed);
  return {put_power,    keyspace, batch,   put_process, read,   burst,     flush,
          batch,        read,     compact, ingest,      remove, put_power, keyspace,
          put_oversize, read,     reopen,  put_power,   read,   flush,     compact_range,
          idle,         copy,     read,    put_power,   copy};
}

// Once there is memory again.
std::vector<CrashStep> after() {
  using enum CrashStep;
  return {put_power, batch, keyspace, read, burst, read, flush, read};
}

std::string live(const SimOptions& sim, uint64_t seed, const AllocationScript& script, uint64_t* refused) {
  const AllocationTruce truce;
  SimEnv env(sim);
  CrashWorkload workload(env, seed, false);
  workload.set_page_source(sim.supports_allocate ? PageSource::automatic : PageSource::pooled);
  workload.permit({StatusCode::out_of_memory, StatusCode::unknown_outcome, StatusCode::busy});
  g_allocation_script = script;
  std::string said = workload.run(life(seed));
  *refused = g_allocation_script.refused;
  g_allocation_script = {};
  if (!said.empty()) return said;
  workload.permit({});
  said = workload.go_on(after());
  if (said.empty()) said = workload.recover();
  if (!said.empty()) return "with memory again: " + said;
  if (said.empty() && env.open_files() != 0) said = "files are left open";
  return said;
}

class Allocations : public testing::TestWithParam<uint64_t> {};

TEST_P(Allocations, RefusedLoseNothing) {
  const uint64_t stride = uint_from_environment("LIGHTNING_ALLOCATION_STRIDE", kDefaultStride);
  const uint64_t seed = uint_from_environment("LIGHTNING_ALLOCATION_SEED", kUsualSeed);
  for (const bool mapped : {true, false}) {
    const SimOptions sim{.seed = seed, .supports_allocate = mapped};
    uint64_t refused = 1;
    for (uint64_t k = seed % stride; refused != 0; k += stride) {
      ASSERT_EQ(live(sim, seed, {.after = k, .times = GetParam()}, &refused), "")
          << "k = " << k << (mapped ? "" : ", written") << ", seed " << seed;
      count("allocations", refused != 0 ? 1 : 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Times, Allocations, testing::Values(1, 3, 30, kForever), [](const auto& times) {
  return times.param == kForever ? "for_ever" : std::to_string(times.param);
});

std::vector<std::string> log_and_run_files(SimEnv& env) {
  std::vector<std::string> names;
  const Result<std::vector<FileInfo>> files = (*env.files().open_directory("db", false))->list();
  for (const FileInfo& file : *files) {
    if (file.name.ends_with(".log") || file.name.ends_with(".run")) names.push_back(file.name);
  }
  std::ranges::sort(names);
  return names;
}

// What a refused call wrote is gone with it: the next open finds nothing to remove.
void expect_no_files_left(const std::function<void(Database&)>& prepare,
                          const std::function<Status(Database&)>& call) {
  const AllocationTruce truce;
  const Options options{
      .durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
  uint64_t refused = 1;
  uint64_t failed = 0;
  for (uint64_t k = 0; refused != 0; ++k) {
    SimEnv env({.switch_probability = 0, .keeps_unsynced = false});
    Result<Database> db = open_in(env, "db", options, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    prepare(*db);
    g_allocation_script = {.after = k, .times = 1};
    Status status;
    {
      const AllocationRisk risk;
      status = call(*db);
    }
    refused = g_allocation_script.refused;
    g_allocation_script = {};
    ASSERT_TRUE(status.ok() || status.is(StatusCode::out_of_memory)) << k << " " << status.to_string();
    failed += status.ok() ? 0 : 1;
    ASSERT_TRUE(db->close().ok()) << k;
    const std::vector<std::string> left = log_and_run_files(env);
    db = open_in(env, "db", options, OpenKind::open);
    ASSERT_TRUE(db) << k << " " << db.status().to_string();
    ASSERT_EQ(log_and_run_files(env), left) << k;
  }
  EXPECT_GT(failed, 10u);
}

void put_some(Database& db) {
  for (const char* key : {"a", "z"}) ASSERT_TRUE(db.put(key, std::string(1'000, 'v')).ok());
}

void flush_some(Database& db) {
  put_some(db);
  ASSERT_TRUE(db.flush().ok());
}

TEST(AllocationsOfAFlush, RefusedLeaveNoFiles) {
  expect_no_files_left(put_some, [](Database& db) { return db.flush(); });
}

TEST(AllocationsOfASegment, RefusedLeaveNoFiles) {
  expect_no_files_left(flush_some, [](Database& db) { return db.put("k", "v"); });
}

TEST(AllocationsOfAMerge, RefusedLeaveNoFiles) {
  const auto prepare = [](Database& db) {
    flush_some(db);
    flush_some(db);
  };
  expect_no_files_left(prepare, [](Database& db) { return db.compact(); });
}

TEST(AllocationsOfAnIngestion, RefusedLeaveNoFiles) {
  std::optional<EntriesSource> source;
  const auto prepare = [&](Database& db) {
    put_some(db);
    source.emplace(EntriesSource::Entries{{"b", "1"}, {"c", "2"}});
  };
  expect_no_files_left(prepare, [&](Database& db) { return db.ingest(*source).status(); });
}

// Removals that hide a write buffer have their memtable flushed; refused, that must not be the last flush.
TEST(AllocationsOfAnEarlyFlush, RefusedAreMadeUpFor) {
  const AllocationTruce truce;
  const auto key = [](uint64_t i) { return std::to_string(10'000 + i); };
  uint64_t refused = 1;
  for (uint64_t k = 0; refused != 0 && k < 400; ++k) {
    SimEnv env({.seed = k, .keeps_unsynced = false});
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 256 * KiB;
    options.memory_limit = 4 * MiB;
    Result<Database> db = open_in(env, "db", options, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    for (uint64_t i = 0; i < 2'000; ++i) ASSERT_TRUE(db->put(key(i), std::string(400, 'v')).ok());
    ASSERT_TRUE(db->compact().ok());
    g_allocation_script = {.after = k, .times = 1};
    for (uint64_t i = 0; i < 2'000; ++i) (void)db->remove(key(i));
    (void)env.run_until_idle();
    refused = g_allocation_script.refused;
    g_allocation_script = {};
    // More than memory_limit.
    for (uint64_t i = 0; i < 6'000; ++i) ASSERT_TRUE(db->put(key(i), std::string(1000, 'w')).ok()) << k;
    ASSERT_TRUE(db->close().ok()) << k;
  }
  EXPECT_EQ(refused, 0u);
}

// What is prepared stays so, with its locks, until it is resolved.
TEST(AllocationsOfAResolution, RefusedLeaveItPrepared) {
  const AllocationTruce truce;
  for (const bool commits : {true, false}) {
    SimEnv env;
    Result<Database> db = open_in(env, "db", {.durability = Durability::process}, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    ASSERT_TRUE(db->create_index({.name = "whole", .key = {IndexField::whole_value()}}).ok());
    ASSERT_TRUE(db->wait_for_index("whole").ok());
    uint64_t refused = 1;
    uint64_t k = 0;
    for (; refused != 0 && k < 500; ++k) {
      Transaction tx = db->begin();
      ASSERT_TRUE(tx.put("k", std::to_string(k)).ok());
      ASSERT_EQ(tx.prepare("g").to_string(), "ok") << k;
      g_allocation_script = {.after = k, .times = 1};
      Status status;
      {
        const AllocationRisk risk;
        status = commits ? db->commit_prepared("g") : db->abort_prepared("g");
      }
      refused = g_allocation_script.refused;
      g_allocation_script = {};
      if (status.ok() || status.is(StatusCode::unknown_outcome)) continue;
      ASSERT_TRUE(status.is(StatusCode::out_of_memory)) << k << " " << status.to_string();
      const Result<Stats> stats = db->stats();
      ASSERT_TRUE(stats.ok());
      ASSERT_EQ(stats->prepared_transactions.size(), 1u) << k;
      ASSERT_EQ(db->commit_prepared("g").to_string(), "ok") << k;
    }
    EXPECT_EQ(refused, 0u);
    EXPECT_GT(k, commits ? 10u : 0u);
  }
}

// No exception leaves a call, whatever it would say.
TEST(AllocationsOfAnExpiredTransaction, RefusedAreNoException) {
  const AllocationTruce truce;
  constexpr uint64_t kSecondNs = 1'000'000'000;
  SimEnv env;
  Options options;
  options.durability = Durability::process;
  options.max_transaction_idle_ms = 1000;
  Result<Database> db = open_in(env, "db", options, OpenKind::create);
  ASSERT_TRUE(db) << db.status().to_string();
  Transaction tx = db->begin();
  ASSERT_TRUE(tx.put("k", "v").ok());
  env.sleep(5 * kSecondNs);
  g_allocation_script = {.after = 0, .times = kForever};
  const auto code = [](auto&& call) {
    const AllocationRisk risk;
    try {
      return call().code();
    } catch (const std::bad_alloc&) {
      return StatusCode::unknown_outcome;
    }
  };
  const StatusCode of_status = code([&] { return tx.status(); });
  const StatusCode of_prepare = code([&] { return tx.prepare("g"); });
  const StatusCode of_commit = code([&] { return tx.commit(); });
  g_allocation_script = {};
  EXPECT_EQ(of_status, StatusCode::closed);
  EXPECT_EQ(of_prepare, StatusCode::closed);
  EXPECT_EQ(of_commit, StatusCode::closed);
}

// Who is told that it is unknown whether a keyspace stays asks again.
TEST(AllocationsOfAKeyspace, ARepeatIsDurable) {
  const AllocationTruce truce;
  uint64_t refused = 1;
  uint64_t unknown = 0;
  for (uint64_t k = 0; refused != 0; ++k) {
    SimEnv env({.seed = k});
    Options options;
    options.flush_interval_ms = 0;
    Result<Database> db = open_in(env, "db", options, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    ASSERT_TRUE(db->sync().ok());
    g_allocation_script = {.after = k, .times = 1};
    const StatusCode code = [&] {
      const AllocationRisk risk;
      return db->keyspace("k").status().code();
    }();
    refused = g_allocation_script.refused;
    g_allocation_script = {};
    if (code != StatusCode::unknown_outcome) continue;
    ++unknown;
    ASSERT_TRUE(db->keyspace("k").ok()) << k;
    SimDisk moment = env.disk().kill_image();
    for_each_crash_image(moment, {.limit = 1, .with_kill = false}, [&](CrashImage image) {
      SimEnv after({.seed = k}, std::move(image.disk));
      Result<Database> again = open_in(after, "db", options, OpenKind::open);
      ASSERT_TRUE(again) << again.status().to_string();
      EXPECT_TRUE(again->keyspace("k", {.create = false}).ok()) << k;
    });
  }
  EXPECT_GT(unknown, 0u);
}

// A sync that failed says so, and not by an exception, which would say that nothing was tried.
TEST(AllocationsOfAnError, RefusedLeaveItsCode) {
  const AllocationTruce truce;
  g_allocation_script = {.after = 0, .times = kForever};
  StatusCode code = StatusCode::ok;
  {
    const AllocationRisk risk;
    try {
      code = status_of_errno(EIO, "sync", "0000000001.log").code();
    } catch (const std::bad_alloc&) {
      code = StatusCode::out_of_memory;
    }
  }
  const uint64_t refused = g_allocation_script.refused;
  g_allocation_script = {};
  EXPECT_EQ(code, StatusCode::io_error);
  EXPECT_EQ(refused, 1u);
}

// To roll back takes no memory, whatever was erased.
TEST(AllocationsOfARollback, AreNone) {
  const AllocationTruce truce;
  const auto key = [](int i) { return std::string(1, '\0') + std::to_string(1000 + i); };
  WriteSet set;
  for (int i = 0; i < 1000; ++i) set.put(key(i), "first", 0);
  const std::vector<Operation> before = set.operations();
  const uint64_t point = set.set_savepoint();
  for (int i = 0; i < 10; ++i) set.put(key(i), "second", 0);
  set.remove_range(key(0), key(900));
  for (int i = 100; i < 300; ++i) set.put(key(i), "third", 0);
  set.remove_range(key(200), key(1000));
  g_allocation_script = {.after = 0, .times = kForever};
  bool rolled_back = false;
  {
    const AllocationRisk risk;
    try {
      rolled_back = set.rollback_to(point);
    } catch (const std::bad_alloc&) {
    }
  }
  const uint64_t refused = g_allocation_script.refused;
  g_allocation_script = {};
  EXPECT_TRUE(rolled_back);
  EXPECT_EQ(refused, 0u);
  const std::vector<Operation> after = set.operations();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    ASSERT_EQ(after[i].entry.key, before[i].entry.key);
    ASSERT_EQ(after[i].entry.value, before[i].entry.value);
  }
}

}  // namespace
}  // namespace lightning
