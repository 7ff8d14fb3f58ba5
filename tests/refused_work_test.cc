// Background work for which no thread or no memory was to be had once, when it was scheduled or under way, is
// made up for, whichever refusal it was: nobody asks for it again.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/open_in.h"
#include "engine/background.h"
#include "testing/allocation_truce.h"
#include "testing/sim_env.h"
#include "tests/allocation_script.h"

namespace lightning {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

std::string key_of(uint64_t number) { return std::to_string(100'000 + number); }

enum class Refused : uint8_t { task, allocation };

Status at_risk(const std::function<Status()>& call) {
  const AllocationRisk risk;
  return call();
}

// Each of the first ones, which schedule, and some of the many others.
uint64_t next(uint64_t k) { return k < 60 ? k + 1 : k + k / 4; }

class RefusedWork : public testing::TestWithParam<Refused> {
 protected:
  void make(uint64_t seed, bool mapped = true) {
    db_ = {};
    env_ = nullptr;
    env_ = std::make_unique<SimEnv>(
        SimOptions{.seed = seed, .supports_allocate = mapped, .keeps_unsynced = false});
    ASSERT_TRUE(open(OpenKind::create).ok());
  }
  Status open(OpenKind kind) {
    const Options options{
        .durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
    return at_risk([&] {
      Result<Database> opened = open_in(*env_, "db", options, kind);
      if (opened) db_ = *std::move(opened);
      return opened.status();
    });
  }
  /// The k-th from here on is refused.
  void refuse(uint64_t k) {
    if (GetParam() == Refused::task) {
      env_->faults().add({.call = SimCall::schedule, .after = k, .code = StatusCode::out_of_memory});
    } else {
      g_allocation_script = {.after = k, .times = 1};
    }
  }
  /// Was one?
  bool refuse_no_more() {
    const bool was = g_allocation_script.refused + env_->faults().injected() != 0;
    g_allocation_script = {};
    env_->faults().clear();
    return was;
  }
  void sleep(uint64_t tenths) {
    for (uint64_t i = 0; i < tenths; ++i) env_->sleep(kSecondNs / 10);
  }
  Stats stats() { return *db_.stats(); }

  const AllocationTruce truce_;
  std::unique_ptr<SimEnv> env_;
  Database db_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, RefusedWork, testing::Values(Refused::task, Refused::allocation),
                         [](const auto& kind) {
                           return kind.param == Refused::task ? std::string("task") : "allocation";
                         });

TEST_P(RefusedWork, LeavesNoWriteExposed) {
  bool refused = true;
  for (uint64_t k = 0; refused; ++k) {
    make(k);
    ASSERT_TRUE(db_.put("a", "b").ok());
    sleep(30);
    refuse(k);
    const Status status = at_risk([&] { return db_.put("c", "d"); });
    ASSERT_TRUE(status.ok() || status.is(StatusCode::out_of_memory)) << k << " " << status.to_string();
    sleep(40);
    refused = refuse_no_more();
    EXPECT_EQ(stats().durable_lsn, stats().published_lsn) << k;
    EXPECT_TRUE(db_.background_error().ok()) << k;
  }
}

// A flush that fails is tried again.
TEST_P(RefusedWork, LeavesNothingUnflushed) {
  bool refused = true;
  for (uint64_t k = 0; refused; ++k) {
    make(k);
    env_->faults().add({.call = SimCall::create, .name_part = ".run", .code = StatusCode::no_space});
    for (uint64_t i = 0; i < 2; ++i) ASSERT_TRUE(db_.put(key_of(i), std::string(100'000, 'v')).ok());
    refuse(k);
    sleep(50);
    refused = GetParam() == Refused::task ? env_->faults().injected() == 2 : g_allocation_script.refused != 0;
    (void)refuse_no_more();
    EXPECT_EQ(stats().memtables, 1u) << k;
    EXPECT_TRUE(db_.background_error().ok()) << k << db_.background_error().to_string();
  }
}

// What removals hide goes when nobody writes, though they fill no memtable.
TEST_P(RefusedWork, LeavesNoRemovalsInMemory) {
  constexpr uint64_t kKeys = 300;
  bool refused = true;
  for (uint64_t k = 0; refused; k = next(k)) {
    make(k);
    for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(db_.put(key_of(i), std::string(100, 'v')).ok());
    ASSERT_TRUE(db_.compact().ok());
    for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(db_.remove(key_of(i)).ok());
    ASSERT_EQ(stats().run_entries, kKeys);
    refuse(k);
    sleep(100);
    refused = refuse_no_more();
    EXPECT_EQ(stats().run_entries, 0u) << k;
  }
}

TEST_P(RefusedWork, LeavesNoCompactionUndone) {
  constexpr uint64_t kKeys = 5'000;
  bool refused = true;
  for (uint64_t k = 0; refused; k = next(k)) {
    make(k);
    for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(db_.put(key_of(i), std::string(100, 'v')).ok());
    ASSERT_TRUE(db_.compact().ok());
    for (uint64_t i = 0; i < kKeys; i += 100) ASSERT_TRUE(db_.put(key_of(i), "w").ok());
    ASSERT_TRUE(db_.flush().ok());
    sleep(50);
    ASSERT_EQ(stats().sorted_runs, 2u);  // which are left alone
    refuse(k);
    const Status status = at_risk([&] { return db_.compact({.wait = false}); });
    sleep(50);
    refused = refuse_no_more();
    const bool explained = GetParam() == Refused::allocation && status.is(StatusCode::out_of_memory);
    ASSERT_TRUE(status.ok() || explained) << k << " " << status.to_string();
    if (status.ok()) {
      EXPECT_EQ(stats().sorted_runs, 1u) << k;
    }
  }
}

TEST_P(RefusedWork, LeavesNoIndexUnbuilt) {
  constexpr uint64_t kKeys = 50;
  enum class Life : uint8_t { plain, reopened, written };
  for (const Life life : {Life::plain, Life::reopened, Life::written}) {
    uint64_t visible = 0;
    bool refused = true;
    for (uint64_t k = 0; refused; ++k) {
      make(k, life != Life::written);
      for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(db_.put(key_of(i), key_of(i)).ok());
      const IndexDefinition definition{.name = "whole", .key = {IndexField::whole_value()}, .unique = true};
      refuse(k);
      const Status status = at_risk([&] { return db_.create_index(definition); });
      if (life == Life::reopened && status.ok()) {
        ASSERT_TRUE(db_.close().ok()) << k;
        while (!open(OpenKind::open).ok()) continue;
      }
      sleep(50);
      refused = refuse_no_more();
      const Result<std::vector<IndexInfo>> indexes = db_.indexes();
      ASSERT_TRUE(indexes) << k;
      ASSERT_EQ(status.ok() || status.is(StatusCode::unknown_outcome), indexes->size() == 1)
          << k << " " << status.to_string();
      if (indexes->empty()) continue;
      ++visible;
      EXPECT_EQ(indexes->front().state, IndexState::ready) << k << " " << status.to_string();
    }
    EXPECT_GT(visible, 1u);
  }
}

/// Its tasks run when they are told to. Refuses so many merges, and the next task of any kind if it is to.
class BusyExecutor final : public Executor {
 public:
  Status schedule(Lane lane, uint64_t /*delay_ns*/, std::function<void()> task) override {
    if (refuses_once || (lane == Lane::merge && refuses != 0)) {
      if (!std::exchange(refuses_once, false)) --refuses;
      return Status(StatusCode::out_of_memory, "busy");
    }
    tasks.push_back(std::move(task));
    return {};
  }
  void run_next() {
    ASSERT_FALSE(tasks.empty());
    const std::function<void()> task = std::move(tasks.front());
    tasks.pop_front();
    task();
  }

  std::deque<std::function<void()>> tasks;
  uint64_t refuses = 0;
  bool refuses_once = false;
};

// A merge for which there is no thread takes none of another lane, and holds up no other task.
TEST(RefusedTasks, WaitForNoneThatIsRefusedLonger) {
  BusyExecutor executor;
  Background background(executor);
  std::string made;
  executor.refuses = 5;
  ASSERT_TRUE(background.run(Lane::slow, [&] {
    EXPECT_TRUE(background.run(Lane::merge, [&] { made += 'm'; }));
    executor.refuses_once = true;
    EXPECT_TRUE(background.run(Lane::slow, [&] { made += 'f'; }));
  }));
  executor.run_next();
  for (int i = 0; made.empty() && i < 3; ++i) executor.run_next();
  EXPECT_EQ(made, "f");
  for (int i = 0; made.size() == 1 && i < 10; ++i) executor.run_next();
  EXPECT_EQ(made, "fm");
}

// With nothing to say, it ends.
TEST(TheTimerOfTheLog, EndsWhenAllIsDurable) {
  for (const bool flushed : {false, true}) {
    SimEnv env;
    Result<Database> db = open_in(env, "db", {.durability = Durability::process}, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    ASSERT_TRUE(db->put("a", "b").ok());
    if (flushed) {
      ASSERT_TRUE(db->flush().ok());
    }
    for (int i = 0; i < 100; ++i) env.sleep(kSecondNs);
    EXPECT_EQ(env.scheduler().queued_tasks(), 0u);
    ASSERT_TRUE(db->put("c", "d").ok());
    env.sleep(2 * kSecondNs);
    EXPECT_EQ(db->stats()->durable_lsn, db->stats()->published_lsn);
  }
}

// What could not be made durable and then was is no error any more.
TEST(TheTimerOfTheLog, ForgetsAnErrorThatIsOver) {
  const AllocationTruce truce;
  uint64_t errors = 0;
  uint64_t refused = 1;
  for (uint64_t k = 0; refused != 0; ++k) {
    SimEnv env({.seed = k});
    Result<Database> db = open_in(env, "db", {.durability = Durability::process}, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    ASSERT_TRUE(db->put("a", "b").ok());
    g_allocation_script = {.after = k, .times = 1};
    bool error = false;
    for (int i = 0; i < 300 && !error; ++i) {
      env.sleep(kSecondNs / 100);
      error = !db->background_error().ok();
    }
    refused = g_allocation_script.refused;
    g_allocation_script = {};
    errors += error ? 1 : 0;
    ASSERT_TRUE(db->flush().ok());
    for (int i = 0; i < 100; ++i) env.sleep(kSecondNs / 10);
    EXPECT_TRUE(db->background_error().ok()) << db->background_error().to_string();
  }
  EXPECT_GT(errors, 0u);
}

}  // namespace
}  // namespace lightning
