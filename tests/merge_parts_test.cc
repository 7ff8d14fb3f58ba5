// Merges that are divided among threads: parts are written side by side, nothing is missing, nothing is left
// where one fails, and without a thread to be had one does all.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/open_in.h"
#include "engine/side_by_side.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kEntries = 12'000;

std::string key_of(uint64_t number) { return std::to_string(1'000'000 + number); }
std::string value_of(uint64_t number) { return std::string(100, static_cast<char>('a' + number % 26)); }

/// A database of many small files, in a machine of some processors.
class DividedMerge : public testing::Test {
 protected:
  void open(size_t processors, uint64_t memory_limit = 64 * MiB) {
    env_.emplace(SimOptions{.seed = 7, .switch_probability = 0.2, .processors = processors});
    Result<Database> opened = open_in(
        *env_, "db",
        {.durability = Durability::process, .memory_limit = memory_limit, .write_buffer_size = 64 * KiB},
        OpenKind::create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    database_ = *std::move(opened);
    std::vector<uint64_t> numbers(kEntries);
    for (uint64_t i = 0; i < kEntries; ++i) numbers[i] = i;
    Random random(1);
    for (uint64_t i = kEntries; i > 1; --i) std::swap(numbers[i - 1], numbers[random.below(i)]);
    for (const uint64_t number : numbers) ASSERT_TRUE(database_.put(key_of(number), value_of(number)).ok());
    ASSERT_TRUE(database_.flush().ok());
    ASSERT_TRUE(env_->run_until_idle().ok());
    overwrite(0);
  }
  /// One in ten entries: then there is something to compact everywhere.
  void overwrite(uint64_t first) {
    for (uint64_t number = first; number < kEntries; number += 10)
      ASSERT_TRUE(database_.put(key_of(number), value_of(number)).ok());
    ASSERT_TRUE(database_.flush().ok());
  }
  void TearDown() override { database_ = {}; }

  /// The most files of runs that are begun and not finished, while compact() works.
  size_t compact() {
    std::set<std::string> unfinished;
    size_t most = 0;
    env_->watch([&](const SimStep& step) {
      if (!step.name.ends_with(".run")) return;
      const std::string name(step.name);
      if (step.what == "create") unfinished.insert(name);
      if (step.what == "sync") unfinished.erase(name);
      most = std::max(most, unfinished.size());
    });
    const Status status = database_.compact();
    EXPECT_TRUE(status.ok()) << status.to_string();
    env_->watch(nullptr);
    return most;
  }

  void expect_all() {
    uint64_t number = 0;
    for (const Entry& entry : database_.scan()) {
      ASSERT_EQ(entry.key(), key_of(number));
      ASSERT_EQ(entry.value(), value_of(number));
      ++number;
    }
    EXPECT_EQ(number, kEntries);
    EXPECT_TRUE(database_.verify().ok());
  }

  std::optional<SimEnv> env_;
  Database database_;
};

TEST_F(DividedMerge, WritesItsPartsSideBySide) {
  open(3);
  EXPECT_GT(compact(), 1u);
  expect_all();
}

TEST_F(DividedMerge, IsNotDividedForOneProcessor) {
  open(1);
  EXPECT_EQ(compact(), 1u);
  expect_all();
}

// Each part takes memory of its own.
TEST_F(DividedMerge, IsNotDividedWhereMemoryIsShort) {
  open(4, 4 * MiB);
  EXPECT_EQ(compact(), 1u);
  expect_all();
}

TEST_F(DividedMerge, LeavesNothingWhereAPartFails) {
  open(3);
  uint64_t failed = 0;
  for (uint64_t skip = 0; skip < 20; ++skip) {
    overwrite(skip);
    env_->faults().add({.call = SimCall::write, .name_part = ".run", .after = skip});
    const Status status = database_.compact();
    failed += status.ok() ? 0 : 1;
    EXPECT_TRUE(status.ok() || status.is(StatusCode::io_error)) << status.to_string();
    env_->faults().clear();
    ASSERT_TRUE(env_->run_until_idle().ok());
  }
  EXPECT_GT(failed, 3u);
  compact();
  expect_all();
  ASSERT_TRUE(env_->run_until_idle().ok());
  uint64_t named = 0;
  const Stats stats = *database_.stats();
  for (const Stats::Level& level : stats.levels) named += level.files;
  const std::vector<std::string> paths = env_->disk().file_paths();
  EXPECT_EQ(std::ranges::count_if(paths, [](const auto& path) { return path.ends_with(".run"); }), named);
}

/// Runs tasks when it is told to, or refuses them.
class TestExecutor final : public Executor {
 public:
  Status schedule(Lane, uint64_t, std::function<void()> task) override {
    if (refuses) return Status(StatusCode::out_of_memory, "no thread");
    tasks.push_back(std::move(task));
    return {};
  }

  std::deque<std::function<void()>> tasks;
  bool refuses = false;
};

TEST(SideBySide, TheCallerDoesWhatNobodyElseBegins) {
  for (const bool refuses : {false, true}) {
    TestExecutor executor;
    executor.refuses = refuses;
    Background background(executor);
    std::vector<size_t> done;
    run_side_by_side(background, Lane::merge, 5, 3, [&](size_t i) { done.push_back(i); });
    EXPECT_EQ(done, (std::vector<size_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(executor.tasks.size(), refuses ? 0u : 2u);
    for (const auto& task : executor.tasks) task();  // too late: there is nothing left
    EXPECT_EQ(done.size(), 5u);
  }
}

TEST(SideBySide, EachPieceIsDoneOnceByAnyThread) {
  Background background(posix_env().executor());
  for (int round = 0; round < 50; ++round) {
    std::vector<std::atomic<int>> done(100);
    run_side_by_side(background, Lane::merge, done.size(), 4, [&](size_t i) { ++done[i]; });
    for (const std::atomic<int>& times : done) ASSERT_EQ(times, 1);
  }
  background.stop();
}

}  // namespace
}  // namespace lightning
