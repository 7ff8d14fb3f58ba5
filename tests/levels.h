// Levels: a database in the simulated Env with small write buffers, beside what it should hold.
#pragma once

#include <gtest/gtest.h>
#include <lightning/database.h>

#include <map>
#include <set>
#include <string>

#include "api/open_in.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {

inline constexpr uint32_t kLast = 7;
inline constexpr uint32_t kDrain = 6;
inline constexpr uint64_t kNanosPerSecond = 1'000'000'000;

inline std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(15 - digits.size(), '0') + digits;
}

class Levels : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override {
    expect_answers();
    EXPECT_TRUE(db_.close().ok());
  }

  void open(uint64_t write_buffer_size = 64 * KiB) {
    options_.durability = Durability::process;
    options_.write_buffer_size = write_buffer_size;
    options_.memory_limit = 64 * MiB;
    Result<Database> opened = open_in(env_, "db", options_, OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void reopen(uint64_t write_buffer_size = 64 * KiB) {
    ASSERT_TRUE(db_.close().ok());
    db_ = Database();
    open(write_buffer_size);
  }
  Stats::Level level(uint64_t number) {
    for (const Stats::Level& level : stats().levels) {
      if (level.number == number) return level;
    }
    return {};
  }
  void put(uint64_t number, size_t size = 100) {
    std::string value = std::to_string(++writes_);
    value.resize(size, '.');
    ASSERT_TRUE(db_.put(key_of(number), value).ok());
    model_[key_of(number)] = value;
  }
  void remove(uint64_t number) {
    ASSERT_TRUE(db_.remove(key_of(number)).ok());
    model_.erase(key_of(number));
  }
  void overwrite(uint64_t puts, uint64_t keys) {
    for (uint64_t i = 0; i < puts; ++i) {
      put(random_.below(keys));
      if (i % 500 == 0) note_levels();
    }
  }
  /// Lets background work come to an end, but for what begins when nobody writes for a while.
  void work() {
    ASSERT_TRUE(env_.run_until_idle().ok());
    note_levels();
  }
  Stats stats() {
    Result<Stats> stats = db_.stats();
    EXPECT_TRUE(stats.ok());
    return stats ? *stats : Stats();
  }
  void note_levels() {
    for (const Stats::Level& level : stats().levels) levels_.insert(level.number);
  }
  void expect_answers() {
    expect_answers(model_, {});
    for (int i = 0; i < 200; ++i) {
      const std::string key = key_of(random_.below(20'000));
      const Lookup found = db_.get(key);
      ASSERT_TRUE(found.status().ok()) << found.status().to_string();
      const auto expected = model_.find(key);
      ASSERT_EQ(static_cast<bool>(found), expected != model_.end()) << key;
      if (found) {
        ASSERT_EQ(found.value(), expected->second);
      }
    }
  }
  void expect_answers(const std::map<std::string, std::string>& model, const ReadOptions& options) {
    auto expected = model.begin();
    Scan scan = db_.scan(options);
    while (scan.advance()) {
      ASSERT_NE(expected, model.end());
      ASSERT_EQ(scan.entry().key(), expected->first);
      ASSERT_EQ(scan.entry().value(), expected->second);
      ++expected;
    }
    ASSERT_TRUE(scan.status().ok()) << scan.status().to_string();
    ASSERT_EQ(expected, model.end());
  }
  /// One sorted run of what is alive, and nothing else.
  void expect_compact() {
    const Stats now = stats();
    ASSERT_LE(now.levels.size(), 1u);
    EXPECT_EQ(now.sorted_runs, now.levels.size());
    EXPECT_EQ(now.run_entries, model_.size());
    if (!now.levels.empty()) {
      EXPECT_EQ(now.levels[0].number, kLast);
      EXPECT_EQ(now.levels[0].removals, 0u);
    }
  }
  uint64_t run_files_on_disk() {
    uint64_t count = 0;
    Result<std::unique_ptr<Directory>> directory = env_.files().open_directory("db", false);
    Result<std::vector<FileInfo>> files = (*directory)->list();
    for (const FileInfo& file : *files) count += file.name.ends_with(".run") ? 1 : 0;
    return count;
  }

  SimEnv env_{{.seed = 20261129, .keeps_unsynced = false}};
  Options options_;
  Database db_;
  Random random_{1};
  uint64_t writes_ = 0;
  std::map<std::string, std::string> model_;
  std::set<uint64_t> levels_;  // seen
};

}  // namespace lightning
