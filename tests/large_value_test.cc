// Values that stand in value files: written once, read as any other, and their space comes back. In the
// simulated Env with small values, and on the real file system with those of 1 MiB.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <map>
#include <string>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "log/segment.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kLarge = 12'000;
constexpr uint64_t kNanosPerSecond = 1'000'000'000;

std::string key_of(uint64_t number) { return "key" + std::to_string(1'000'000 + number); }

std::string value_of(uint64_t number, uint64_t size) {
  Random random(number);
  std::string value(size, '\0');
  for (char& byte : value) byte = static_cast<char>(random.next());
  return value;
}

class LargeValues : public testing::Test {
 protected:
  void start(const SimOptions& how = {}) {
    env_ = std::make_unique<SimEnv>(how);
    open();
  }
  void open() {
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 256 * KiB;
    Result<Database> opened = open_in(*env_, "db", options, OpenKind::open_or_create, kLarge);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void put(uint64_t number, uint64_t size = kLarge) {
    const std::string value = value_of(++writes_, size);
    ASSERT_TRUE(db_.put(key_of(number), value).ok());
    model_[key_of(number)] = value;
  }
  void remove(uint64_t number) {
    ASSERT_TRUE(db_.remove(key_of(number)).ok());
    model_.erase(key_of(number));
  }
  Stats stats() { return *db_.stats(); }
  void settle() {
    ASSERT_TRUE(db_.compact().ok());
    env_->sleep(5 * kNanosPerSecond);
    ASSERT_TRUE(env_->run_until_idle().ok());
  }
  void expect_answers() {
    uint64_t entries = 0;
    auto expected = model_.begin();
    Scan scan = db_.scan();
    for (const Entry& entry : scan) {
      ASSERT_TRUE(expected != model_.end());
      ASSERT_EQ(entry.key(), expected->first);
      ASSERT_TRUE(entry.value() == expected->second) << entry.key();
      ++expected;
      ++entries;
    }
    ASSERT_TRUE(scan.status().ok()) << scan.status().to_string();
    ASSERT_EQ(entries, model_.size());
    for (const auto& [key, value] : model_) {
      const Lookup found = db_.get(key);
      ASSERT_TRUE(found) << found.status().to_string();
      ASSERT_TRUE(found.value() == value) << key;
    }
    Result<VerifyReport> report = db_.verify();
    ASSERT_TRUE(report);
    ASSERT_TRUE(report->ok()) << report->findings[0].what << " in " << report->findings[0].file;
  }
  uint64_t live_bytes() const {
    uint64_t bytes = 0;
    for (const auto& [key, value] : model_) bytes += key.size() + value.size();
    return bytes;
  }
  std::vector<std::string> value_files() const {
    std::vector<std::string> names;
    for (const std::string& path : env_->disk().file_paths()) {
      if (path.ends_with(".log")) names.push_back(path.substr(path.find('/') + 1));
    }
    return names;
  }

  std::unique_ptr<SimEnv> env_;
  Database db_;
  std::map<std::string, std::string> model_;
  uint64_t writes_ = 0;
};

TEST_F(LargeValues, AreWrittenOnce) {
  start();
  for (uint64_t i = 0; i < 300; ++i) put(i);
  for (uint64_t i = 0; i < 100; ++i) put(1000 + i, 50);  // beside them
  ASSERT_TRUE(db_.flush().ok());
  for (uint64_t i = 0; i < 100; ++i) put(2 * i);
  settle();
  const Stats now = stats();
  EXPECT_GE(now.merges, 1u);
  EXPECT_LT(now.flush_bytes_written + now.merge_bytes_written, now.user_bytes_written / 10);
  EXPECT_GT(now.value_files, 5u);
  EXPECT_EQ(now.value_live_bytes, 300 * kLarge);
  EXPECT_LE(now.disk_bytes, live_bytes() * 12 / 10);
  EXPECT_GE(now.disk_bytes, now.value_file_bytes);
  expect_answers();
  ASSERT_TRUE(db_.close().ok());
  open();
  EXPECT_EQ(stats().value_live_bytes, 300 * kLarge);
  expect_answers();
}

TEST_F(LargeValues, FromTheThresholdOn) {
  start();
  put(1, kLarge - 1);
  ASSERT_TRUE(db_.flush().ok());
  EXPECT_EQ(stats().value_files, 0u);
  put(2, kLarge);
  ASSERT_TRUE(db_.flush().ok());
  EXPECT_EQ(stats().value_files, 1u);
  EXPECT_EQ(stats().value_live_bytes, kLarge);
  EXPECT_GT(*db_.approximate_size(key_of(0), key_of(9)), 2 * kLarge - 100);
  expect_answers();
}

TEST_F(LargeValues, GiveTheirSpaceBack) {
  start();
  Random random(1);
  uint64_t space_max = 0;
  for (uint64_t i = 0; i < 200; ++i) put(i);
  for (int round = 0; round < 12; ++round) {
    for (uint64_t i = 0; i < 60; ++i) random.chance(0.2) ? remove(random.below(200)) : put(random.below(200));
    settle();
    const Stats now = stats();
    space_max = std::max(space_max, 100 * now.disk_bytes / live_bytes());
    EXPECT_EQ(now.log_bytes, now.log_bytes / kSegmentHeaderBytes * kSegmentHeaderBytes);
  }
  // A value's pages at either end are its own: pages of 4 KiB are a third of such values.
  EXPECT_LE(space_max, 150u);
  expect_answers();
  for (uint64_t i = 0; i < 200; ++i) remove(i);
  settle();
  EXPECT_EQ(stats().value_files, 0u);
  EXPECT_EQ(stats().value_file_bytes, 0u);
  ASSERT_TRUE(db_.close().ok());
  EXPECT_TRUE(value_files().empty());
}

TEST_F(LargeValues, StayForWhoeverReadsThem) {
  start();
  for (uint64_t i = 0; i < 40; ++i) put(i);
  ASSERT_TRUE(db_.flush().ok());
  const std::map<std::string, std::string> then = model_;
  // A value alone, a cursor between two steps, and a snapshot.
  Lookup held = db_.get(key_of(3));
  Cursor cursor = db_.cursor();
  cursor.seek(key_of(5));
  Result<Snapshot> snapshot = db_.snapshot();
  // Some stay, so that no file is without a living value.
  const auto overwrite = [&] {
    for (uint64_t i = 0; i < 40; ++i) {
      if (i % 10 != 9) put(i);
    }
    settle();
  };
  overwrite();
  EXPECT_TRUE(held.value() == then.at(key_of(3)));
  EXPECT_TRUE(cursor.value() == then.at(key_of(5)));
  for (uint64_t i = 0; i < 40; ++i) {
    const Lookup before = db_.get(key_of(i), {.snapshot = &*snapshot});
    ASSERT_TRUE(before) << before.status().to_string();
    ASSERT_TRUE(before.value() == then.at(key_of(i)));
  }
  cursor = Cursor();
  snapshot = Snapshot();
  overwrite();
  EXPECT_TRUE(held.value() == then.at(key_of(3)));
  const uint64_t with_held = stats().value_file_bytes;
  held = Lookup(Status());
  env_->sleep(5 * kNanosPerSecond);
  EXPECT_LT(stats().value_file_bytes, with_held);
  EXPECT_EQ(stats().value_live_bytes, 40 * kLarge);
  EXPECT_LE(stats().value_file_bytes, 40 * kLarge * 3 / 2 + 8 * 5 * 4096);
  expect_answers();
}

TEST_F(LargeValues, OfAFileThatIsLinkedKeepTheirSpace) {
  start();
  for (uint64_t i = 0; i < 18; ++i) put(i);
  ASSERT_TRUE(db_.flush().ok());
  const std::string name = value_files().front();
  Result<std::unique_ptr<Directory>> db = env_->files().open_directory("db", false);
  Result<std::unique_ptr<Directory>> copy = env_->files().open_directory("copy", true);
  ASSERT_TRUE((*db)->link(name, **copy, name).ok());
  settle();
  const std::string before = env_->disk().file_bytes("db/" + name);
  for (uint64_t i = 0; i < 17; ++i) put(i);
  settle();
  EXPECT_TRUE(env_->disk().file_bytes("copy/" + name) == before);
  const uint64_t linked = stats().value_file_bytes;
  ASSERT_TRUE((*copy)->remove(name).ok());
  put(0);
  settle();
  EXPECT_LT(stats().value_file_bytes + 8 * kLarge, linked);
  expect_answers();
}

TEST_F(LargeValues, MoveIntoRunsWhereNoHolesCanBePunched) {
  start({.supports_punch = false});
  Random random(3);
  for (uint64_t i = 0; i < 200; ++i) put(i);
  settle();
  for (int round = 0; round < 6; ++round) {
    for (uint64_t i = 0; i < 80; ++i) put(random.below(200));
    settle();
  }
  settle();
  // Merges come first, what they leave of a file then goes with the next.
  EXPECT_LE(stats().disk_bytes, live_bytes() * 15 / 10);
  expect_answers();
  ASSERT_TRUE(db_.close().ok());
  open();
  expect_answers();
}

TEST_F(LargeValues, AreReclaimedByTheNextOpenAfterAFailure) {
  start();
  for (uint64_t i = 0; i < 18; ++i) put(i);
  ASSERT_TRUE(db_.flush().ok());
  env_->faults().add({.call = SimCall::punch, .times = kForever});
  for (uint64_t i = 0; i < 16; ++i) put(i);
  settle();
  const uint64_t before = stats().value_file_bytes;
  EXPECT_TRUE(db_.background_error().ok());
  expect_answers();
  ASSERT_TRUE(db_.close().ok());
  env_->faults().clear();
  open();
  env_->sleep(kNanosPerSecond);
  // A power cut may still bring back the state before the one that was read.
  EXPECT_EQ(stats().value_file_bytes, before);
  put(100);
  ASSERT_TRUE(db_.flush().ok());
  env_->sleep(kNanosPerSecond);
  EXPECT_LT(stats().value_file_bytes + 10 * kLarge, before);
  expect_answers();
}

// The bytes of values that stand in runs outside of the leaves count, not their entries.
TEST_F(LargeValues, AndThoseOfFourKibibytesTakeNoMoreSpaceThanTheyMay) {
  env_ = std::make_unique<SimEnv>(SimOptions{.keeps_unsynced = false});
  Options options;
  options.durability = Durability::process;
  options.write_buffer_size = 64 * KiB;
  Result<Database> opened = open_in(*env_, "db", options, OpenKind::create);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  constexpr uint64_t kKeys = 1500;
  Random random(5);
  uint64_t under_load = 0;
  for (uint64_t i = 0; i < 4 * kKeys; ++i) {
    const uint64_t number = i < kKeys ? i : random.below(kKeys);
    i >= kKeys&& random.chance(0.1) ? remove(number) : put(number, 4096);
    if (i % 100 != 0) continue;
    env_->sleep(100'000'000);  // background work keeps up
    if (i > kKeys) under_load = std::max(under_load, 100 * stats().disk_bytes / live_bytes());
  }
  env_->sleep(10 * kNanosPerSecond);
  ASSERT_TRUE(env_->run_until_idle().ok());
  const uint64_t settled = 100 * stats().disk_bytes / live_bytes();
  RecordProperty("under_load", static_cast<int>(under_load));
  RecordProperty("settled", static_cast<int>(settled));
  EXPECT_LE(under_load, 160u);
  EXPECT_LE(settled, 115u);
  expect_answers();
}

// The whole way with the threshold of every database, and memory for few of the values.
TEST(LargeValuesOnDisk, OfAMebibyte) {
  ScratchDirectory scratch;
  Options options;
  options.durability = Durability::process;
  options.write_buffer_size = 8 * MiB;
  options.memory_limit = 24 * MiB;
  std::map<std::string, uint64_t> model;
  {
    Result<Database> db = Database::open(scratch.path("db"), options);
    ASSERT_TRUE(db) << db.status().to_string();
    Random random(7);
    for (uint64_t i = 0; i < 100; ++i) {
      const std::string key = key_of(i < 40 ? i : random.below(40));
      ASSERT_TRUE(db->put(key, value_of(i, MiB), {.timeout_ms = 60'000}).ok()) << i;
      model[key] = i;
    }
    ASSERT_TRUE(db->put("small", std::string(MiB - 1, 's')).ok());
    ASSERT_TRUE(db->compact().ok());
    const Stats stats = *db->stats();
    EXPECT_EQ(stats.value_live_bytes, 40 * MiB);
    EXPECT_LT(stats.flush_bytes_written + stats.merge_bytes_written, 5 * MiB);
    for (const auto& [key, number] : model) {
      ASSERT_TRUE(db->get(key).value() == value_of(number, MiB)) << key;
    }
    ASSERT_TRUE(db->close().ok());
  }
  Result<Database> db = Database::open(scratch.path("db"), options);
  ASSERT_TRUE(db) << db.status().to_string();
  for (const auto& [key, number] : model) ASSERT_TRUE(db->get(key).value() == value_of(number, MiB)) << key;
  EXPECT_TRUE(db->verify()->ok());
  EXPECT_LE(db->stats()->value_file_bytes, 48 * MiB);
}

}  // namespace
}  // namespace lightning
