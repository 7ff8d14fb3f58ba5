// Values that stand in value files: written once, read as any other, and their space comes back. In the
// simulated Env with small values, and on the real file system with those of 1 MiB.
#include <gtest/gtest.h>
#include <lightning/admin.h>
#include <lightning/database.h>
#include <lightning/ingest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "admin/copy.h"
#include "admin/verify.h"
#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "log/segment.h"
#include "testing/clock_env.h"
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
    db_ = Database();
    model_.clear();
    env_ = nullptr;
    env_ = std::make_unique<SimEnv>(how);
    open();
  }
  static Options options() {
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 256 * KiB;
    return options;
  }
  void open() {
    Result<Database> opened = open_in(*env_, "db", options(), OpenKind::open_or_create, kLarge);
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
  /// A database in `directory` opens and has what the model has.
  void expect_copy(const std::string& directory, const std::map<std::string, std::string>& model) {
    Result<Database> copy = open_in(*env_, directory, options(), OpenKind::open, kLarge);
    ASSERT_TRUE(copy) << copy.status().to_string();
    for (const auto& [key, value] : model) {
      const Lookup found = copy->get(key);
      ASSERT_TRUE(found) << found.status().to_string();
      ASSERT_TRUE(found.value() == value) << key;
    }
    ASSERT_TRUE(copy->close().ok());
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
      if (path.starts_with("db/") && path.ends_with(".log")) names.push_back(path.substr(path.find('/') + 1));
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
  // What is written are keys and the fixed pages of a run file, which count where values are this small.
  EXPECT_LT(now.flush_bytes_written + now.merge_bytes_written, now.user_bytes_written / 7);
  EXPECT_GT(now.value_files, 5u);
  EXPECT_EQ(now.value_live_bytes, 300 * kLarge);
  EXPECT_LE(now.disk_bytes, live_bytes() * 13 / 10);
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
  const uint64_t with_cursor = stats().value_file_bytes;
  cursor = Cursor();
  snapshot = Snapshot();
  overwrite();
  EXPECT_LT(stats().value_file_bytes, with_cursor);
  EXPECT_EQ(stats().value_live_bytes, 40 * kLarge);
  EXPECT_LE(stats().value_file_bytes, 40 * kLarge * 3 / 2 + 8 * 5 * 4096);
  expect_answers();
  // Who holds a value keeps no space, and has it for as long as he likes.
  EXPECT_TRUE(held.value() == then.at(key_of(3)));
  Lookup of_now = db_.get(key_of(3));
  const std::string now = model_.at(key_of(3));
  ASSERT_TRUE(db_.close().ok());
  open();
  overwrite();
  EXPECT_TRUE(held.value() == then.at(key_of(3)));
  EXPECT_TRUE(of_now.value() == now);
}

// Runs and value files of a checkpoint are the database's under a second name: neither gives anything of them
// back as holes.
TEST_F(LargeValues, OfACheckpointStayAsTheyAre) {
  start();
  for (uint64_t i = 0; i < 40; ++i) put(i);
  settle();
  for (uint64_t i = 0; i < 40; i += 3) put(i);  // holes, and values in the log
  const std::map<std::string, std::string> then = model_;
  const Result<CopyReport> report = db_.checkpoint("copy");
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_GT(report->linked_files, 2u);
  const auto overwrite = [&] {
    for (uint64_t i = 0; i < 40; ++i) {
      if (i % 10 != 9) put(i);
    }
    settle();
  };
  overwrite();
  overwrite();
  expect_answers();
  const auto expect_of = [&](const std::string& directory, const std::map<std::string, std::string>& model) {
    Result<VerifyReport> verified = verify_in(*env_, directory, {});
    ASSERT_TRUE(verified) << verified.status().to_string();
    ASSERT_TRUE(verified->ok()) << verified->findings[0].what << " in " << verified->findings[0].file;
    expect_copy(directory, model);
  };
  expect_of("copy", then);
  // Now the checkpoint overwrites and merges beside a copy of it and the database.
  const std::map<std::string, std::string> mine = model_;
  {
    Database database = std::exchange(db_, Database());
    Result<Database> copy = open_in(*env_, "copy", options(), OpenKind::open, kLarge);
    ASSERT_TRUE(copy) << copy.status().to_string();
    db_ = *std::move(copy);
    model_ = then;
    ASSERT_TRUE(db_.checkpoint("third"));
    const uint64_t before = stats().value_file_bytes;
    overwrite();
    overwrite();
    expect_answers();
    EXPECT_GT(stats().value_file_bytes, before);  // those that are shared stay
    ASSERT_TRUE(db_.close().ok());
    db_ = std::move(database);
  }
  const std::map<std::string, std::string> of_copy = std::exchange(model_, mine);
  expect_answers();
  expect_of("third", then);
  expect_of("copy", of_copy);
  // When nobody else has them any more, they are given back.
  const uint64_t shared = stats().value_file_bytes;
  for (const char* const name : {"copy", "third"}) {
    Result<std::unique_ptr<Directory>> directory = env_->files().open_directory(name, false);
    const std::vector<FileInfo> files = *(*directory)->list();
    for (const FileInfo& file : files) ASSERT_TRUE((*directory)->remove(file.name).ok());
  }
  put(0);
  overwrite();
  EXPECT_LT(stats().value_file_bytes, shared);
  EXPECT_LE(stats().value_file_bytes, 40 * kLarge * 3 / 2 + 8 * 5 * 4096);
  expect_answers();
}

// Who reads by a View of before keeps what its runs refer to: no hole comes into it, and its name stays. Else
// the other database, which then had it alone, would punch holes under him. (A cursor from before the values
// registers an LSN for which no merge keeps any of them.)
TEST_F(LargeValues, StayForWhoeverReadsByAnOlderView) {
  start();
  put(100);
  ASSERT_TRUE(db_.flush().ok());
  Cursor cursor = db_.cursor();
  cursor.seek_first();
  for (uint64_t i = 0; i < 18; ++i) put(i);
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(db_.checkpoint("copy"));
  {
    Result<std::unique_ptr<Directory>> copy = env_->files().open_directory("copy", false);
    for (const std::string& name : value_files()) (void)(*copy)->remove(name);
  }
  cursor.seek(key_of(100));  // by the present View
  ASSERT_TRUE(cursor.valid());
  const std::string file = value_files()[1];
  const auto is_there = [&] {
    const std::vector<std::string> now = value_files();
    return std::ranges::find(now, file) != now.end();
  };
  const std::string before = env_->disk().file_bytes("db/" + file);
  ASSERT_NE(before.find(model_.at(key_of(5))), std::string::npos);
  // Not for long: one who stands still lets go of it.
  for (uint64_t i = 0; i < 17; ++i) put(i);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_TRUE(env_->disk().file_bytes("db/" + file) == before);
  put(17);
  ASSERT_TRUE(db_.compact().ok());
  ASSERT_TRUE(is_there());
  EXPECT_TRUE(env_->disk().file_bytes("db/" + file) == before);
  cursor = Cursor();
  settle();
  EXPECT_FALSE(is_there());
  expect_answers();
}

// A copy that is under way has files that nobody may change, linked or not.
TEST_F(LargeValues, OfACopyUnderWayStayAsTheyAre) {
  for (const bool linked : {true, false}) {
    start();
    for (uint64_t i = 0; i < 40; ++i) put(i);
    settle();
    const std::map<std::string, std::string> then = model_;
    int pieces = 0;
    BackupOptions how;
    how.on_progress = [&](const AdminProgress&) {
      if (pieces++ > 3) return;
      for (uint64_t i = 0; i < 40; ++i) {
        if (i % 10 != 9) put(i);
      }
      settle();
    };
    const Result<CopyReport> report = linked ? db_.checkpoint("copy", how) : db_.backup("copy", how);
    ASSERT_TRUE(report) << report.status().to_string();
    EXPECT_GT(pieces, 3);
    expect_answers();
    expect_copy("copy", then);
    for (uint64_t i = 0; i < 40; ++i) put(i);
    settle();
    EXPECT_LE(stats().value_file_bytes, 40 * kLarge * 3 / 2 + 8 * 5 * 4096);
  }
}

// A copy has what is alive, and no more.
TEST_F(LargeValues, OfABackupTakeTheSpaceOfWhatIsAlive) {
  start();
  for (uint64_t i = 0; i < 100; ++i) put(i);
  env_->faults().add({.call = SimCall::punch, .times = kForever});
  for (uint64_t i = 0; i < 100; ++i) {
    if (i % 10 != 0) put(i);
  }
  settle();
  EXPECT_GT(stats().value_file_bytes, 180 * kLarge);
  ASSERT_TRUE(db_.backup("backup"));
  ASSERT_TRUE(db_.close().ok());
  const Result<CopyReport> restored = restore_in(*env_, "backup", "db2", {});
  ASSERT_TRUE(restored) << restored.status().to_string();
  for (const char* const directory : {"backup", "db2"}) {
    Result<VerifyReport> verified = verify_in(*env_, directory, {});
    ASSERT_TRUE(verified && verified->ok());
    Result<Database> opened = open_in(*env_, directory, options(), OpenKind::open, kLarge);
    ASSERT_TRUE(opened) << opened.status().to_string();
    EXPECT_EQ(opened->stats()->value_live_bytes, 100 * kLarge);
    EXPECT_LE(opened->stats()->value_file_bytes, 100 * kLarge * 3 / 2 + 8 * 5 * 4096);
    db_ = *std::move(opened);
    expect_answers();
    ASSERT_TRUE(db_.close().ok());
  }
}

TEST_F(LargeValues, WhatASnapshotKeptGoesAfterIt) {
  start();
  for (uint64_t i = 0; i < 60; ++i) put(i);
  Result<Snapshot> snapshot = db_.snapshot();
  ASSERT_TRUE(snapshot);
  for (uint64_t i = 0; i < 60; ++i) put(i);
  ASSERT_TRUE(db_.compact().ok());
  EXPECT_EQ(stats().value_live_bytes, 120 * kLarge);
  *snapshot = Snapshot();
  for (int i = 0; i < 60; ++i) env_->sleep(kNanosPerSecond / 2);
  ASSERT_TRUE(env_->run_until_idle().ok());
  EXPECT_EQ(stats().value_live_bytes, 60 * kLarge);
  expect_answers();
}

// What they hide is dead, however it came to be hidden.
TEST_F(LargeValues, UnderRangeRemovalsAndOfDroppedKeyspacesGiveTheirSpaceBack) {
  start();
  Result<Keyspace> other = db_.keyspace("other");
  ASSERT_TRUE(other);
  for (uint64_t i = 0; i < 60; ++i) {
    put(i);
    ASSERT_TRUE(other->put(key_of(i), value_of(i, kLarge)).ok());
  }
  settle();
  EXPECT_EQ(stats().value_live_bytes, 120 * kLarge);
  ASSERT_TRUE(db_.remove_range(key_of(10), key_of(50)).ok());
  model_.erase(model_.find(key_of(10)), model_.find(key_of(50)));
  settle();
  EXPECT_EQ(stats().value_live_bytes, 80 * kLarge);
  expect_answers();
  ASSERT_TRUE(db_.drop_keyspace("other").ok());
  settle();
  EXPECT_EQ(stats().value_live_bytes, 20 * kLarge);
  EXPECT_LE(stats().value_file_bytes, 20 * kLarge * 3 / 2 + 8 * 5 * 4096);
  expect_answers();
}

TEST_F(LargeValues, ThatExpireGiveTheirSpaceBack) {
  start();
  ClockEnv clock(*env_);
  ASSERT_TRUE(db_.close().ok());
  Result<Database> opened = open_in(clock, "db", options(), OpenKind::open, kLarge);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  for (uint64_t i = 0; i < 60; ++i) {
    const std::string value = value_of(i, kLarge);
    ASSERT_TRUE(db_.put(key_of(i), value, {.ttl_ms = i % 3 == 0 ? 0u : 1000u}).ok());
    if (i % 3 == 0) model_[key_of(i)] = value;
  }
  ASSERT_TRUE(db_.flush().ok());
  EXPECT_GE(stats().value_live_bytes, 60 * kLarge);
  clock.pass_ms(2000);
  settle();
  EXPECT_EQ(stats().value_live_bytes, 20 * kLarge);
  EXPECT_LE(stats().value_file_bytes, 20 * kLarge * 3 / 2 + 8 * 5 * 4096);
  expect_answers();
  ASSERT_TRUE(db_.close().ok());
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

/// Entries of `first` to `end`, each with a value of its own.
class ValuesToIngest final : public IngestSource {
 public:
  ValuesToIngest(uint64_t first, uint64_t end) : number_(first), end_(end) {}
  bool next() override {
    if (number_ == end_) return false;
    key_ = key_of(number_);
    value_ = value_of(1'000'000 + number_++, kLarge);
    return true;
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }

 private:
  uint64_t number_;
  const uint64_t end_;
  std::string key_;
  std::string value_;
};

// An ingestion has no log that could keep its values: they stand in its runs. What it hides is dead.
TEST_F(LargeValues, ThatAreIngestedOverOthersAreReadAndReclaimed) {
  start();
  for (uint64_t i = 0; i < 60; ++i) put(i);
  settle();
  Result<Snapshot> snapshot = db_.snapshot();
  const std::map<std::string, std::string> then = model_;
  for (uint64_t i = 30; i < 40; ++i) put(i);  // in memory when it begins
  ValuesToIngest source(20, 60);
  const Result<IngestReport> report = db_.ingest(source);
  ASSERT_TRUE(report) << report.status().to_string();
  for (uint64_t i = 20; i < 60; ++i) model_[key_of(i)] = value_of(1'000'000 + i, kLarge);
  for (uint64_t i = 50; i < 55; ++i) put(i);
  expect_answers();
  settle();
  expect_answers();
  for (const auto& [key, value] : then) {
    const Lookup before = db_.get(key, {.snapshot = &*snapshot});
    ASSERT_TRUE(before && before.value() == value) << key;
  }
  snapshot = Snapshot();
  put(54);
  settle();
  EXPECT_EQ(stats().value_live_bytes, 25 * kLarge);
  EXPECT_LE(stats().value_file_bytes, 25 * kLarge * 3 / 2 + 8 * 5 * 4096);
  expect_answers();
}

// Under load and when nobody writes: what is dead is at most a fifth of what is alive.
TEST_F(LargeValues, TakeAtMostAFifthMoreSpaceThanWhatIsAlive) {
  constexpr uint64_t kSize = 100 * KiB;  // so that a page at either end is little
  constexpr uint64_t kKeys = 60;
  env_ = std::make_unique<SimEnv>(SimOptions{.keeps_unsynced = false});
  Options how = options();
  how.write_buffer_size = 256 * KiB;
  Result<Database> opened = open_in(*env_, "db", how, OpenKind::create, kSize);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  for (uint64_t i = 0; i < kKeys; ++i) put(i, kSize);
  Random random(11);
  uint64_t under_load = 0;
  for (uint64_t i = 0; i < 4 * kKeys; ++i) {
    random.chance(0.05) ? remove(random.below(kKeys)) : put(random.below(kKeys), kSize);
    env_->sleep(20'000'000);  // less than any pause in which the database settles
    if (i > kKeys && i % 4 == 0) under_load = std::max(under_load, 100 * stats().disk_bytes / live_bytes());
  }
  settle();
  RecordProperty("under_load", static_cast<int>(under_load));
  EXPECT_LE(under_load, 125u);  // a value is nearly two hundredths of all
  EXPECT_LE(stats().disk_bytes * 100 / live_bytes(), 112u);
  EXPECT_LT(stats().flush_bytes_written + stats().merge_bytes_written, stats().user_bytes_written / 4);
  expect_answers();
}

// The bytes of values that stand in runs outside of the leaves count, not their entries.
TEST_F(LargeValues, AndThoseOfFourKibibytesTakeNoMoreSpaceThanTheyMay) {
  env_ = std::make_unique<SimEnv>(SimOptions{.keeps_unsynced = false});
  Options options;
  options.durability = Durability::process;
  options.write_buffer_size = 256 * KiB;
  Result<Database> opened = open_in(*env_, "db", options, OpenKind::create);
  ASSERT_TRUE(opened) << opened.status().to_string();
  db_ = *std::move(opened);
  constexpr uint64_t kKeys = 3000;
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
