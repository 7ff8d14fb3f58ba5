// Compressed databases: what is written how, the page cache beside data that does not fit into it, and values
// that outlive what they were read from. Histories, crashes, faults and damage are the general tests'.
#include <lightning/admin.h>
#include <lightning/database.h>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr WriteOptions kProcess{.durability = Durability::process};

std::string key_of(uint64_t number) { return "key" + std::to_string(100'000 + number); }
std::string value_of(uint64_t number, int round, size_t size = 100) {
  std::string value = "of " + std::to_string(number) + " in round " + std::to_string(round) + " ";
  while (value.size() < size) value += "and so on ";
  value.resize(size);
  return value;
}

class Compressed : public testing::Test {
 protected:
  static Options options(Compression compression) {
    Options options;
    options.write_buffer_size = 256 * KiB;
    options.memory_limit = 4 * MiB;
    options.compression = compression;
    return options;
  }
  void open(const Options& options) {
    if (opened_) {
      ASSERT_TRUE(database_.close().ok());
    }
    Result<Database> opened = Database::open(scratch_.path("db"), options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    database_ = *std::move(opened);
    opened_ = true;
  }
  void put(uint64_t number, std::string value) {
    ASSERT_TRUE(database_.put(key_of(number), value, kProcess).ok());
    model_[key_of(number)] = std::move(value);
  }
  void load(uint64_t keys, int round, uint64_t step = 1) {
    for (uint64_t i = 0; i < keys; i += step) put(i, value_of(i, round, i % 50 == 0 ? 3000 : 100));
  }
  void expect_all() {
    uint64_t entries = 0;
    Scan scan = database_.scan();
    auto at = model_.begin();
    for (const Entry& entry : scan) {
      ASSERT_NE(at, model_.end());
      ASSERT_EQ(entry.key(), at->first);
      ASSERT_EQ(entry.value(), at->second);
      ++at;
      ++entries;
    }
    ASSERT_TRUE(scan.status().ok()) << scan.status().to_string();
    ASSERT_EQ(entries, model_.size());
    for (const auto& [key, value] : model_) {
      const Lookup found = database_.get(key);
      ASSERT_TRUE(found) << key << found.status().to_string();
      ASSERT_EQ(found.value(), value);
    }
  }
  /// Files of the last level, and how many of them are compressed.
  std::pair<uint64_t, uint64_t> last_level() {
    const Stats stats = *database_.stats();
    if (stats.levels.empty()) return {};
    return {stats.levels.back().files, stats.levels.back().compressed_files};
  }

  ScratchDirectory scratch_;
  Database database_;
  bool opened_ = false;
  std::map<std::string, std::string> model_;
};

// From each way of compressing to each other one, by merges alone; compact() leaves nothing as it was.
TEST_F(Compressed, DataIsCompressedAnewByMerges) {
  const std::vector<Compression> ways = {Compression::none, Compression::zstd, Compression::lz4,
                                         Compression::none, Compression::lz4,  Compression::zstd};
  uint64_t plain_bytes = 0;
  int round = 0;
  for (const Compression compression : ways) {
    open(options(compression));
    load(10'000, round, round == 0 ? 1 : 97);
    ASSERT_NO_FATAL_FAILURE(expect_all());
    ASSERT_TRUE(database_.compact().ok());
    const auto [files, compressed] = last_level();
    EXPECT_GT(files, 0u);
    EXPECT_EQ(compressed, compression == Compression::none ? 0 : files);
    const Stats stats = *database_.stats();
    EXPECT_EQ(stats.levels.size(), 1u);
    if (round == 0) plain_bytes = stats.levels[0].bytes;
    if (compression != Compression::none) {
      EXPECT_LT(stats.levels[0].bytes, plain_bytes * 2 / 3);
      EXPECT_LT(stats.levels[0].compressed_bytes, stats.levels[0].plain_bytes / 2);
    }
    ASSERT_NO_FATAL_FAILURE(expect_all());
    const Result<VerifyReport> report = database_.verify();
    ASSERT_TRUE(report) << report.status().to_string();
    EXPECT_TRUE(report->ok());
    ++round;
  }
}

// Each keyspace by its own codec or by the database's, in files of their own; kept through a reopening;
// written anew by compact() when it changes, and by that once.
TEST_F(Compressed, KeyspacesHaveCodecsOfTheirOwn) {
  const std::vector<std::pair<std::string, std::optional<Compression>>> wanted = {
      {"archive", Compression::zstd}, {"hot", Compression::none}, {"log", Compression::lz4}, {"usual", {}}};
  const auto fill = [&](int round) {
    for (const auto& [name, compression] : wanted) {
      Result<Keyspace> keyspace = database_.keyspace(name, {.compression = compression});
      ASSERT_TRUE(keyspace) << keyspace.status().to_string();
      for (uint64_t i = 0; i < 5'000; ++i)
        ASSERT_TRUE(keyspace->put(key_of(i), value_of(i, round), kProcess).ok());
    }
  };
  const auto expect_files = [&](uint64_t all, uint64_t compressed) {
    const uint64_t merges = database_.stats()->merges;
    ASSERT_TRUE(database_.compact().ok());
    EXPECT_EQ(database_.stats()->merges, merges) << "there was nothing to be gained";
    EXPECT_EQ(last_level(), (std::pair<uint64_t, uint64_t>(all, compressed)));
    for (const auto& [name, compression] : wanted) {
      Result<Keyspace> keyspace = database_.keyspace(name, {.create = false});
      ASSERT_TRUE(keyspace) << keyspace.status().to_string();
      uint64_t entries = 0;
      for (const Entry& entry : keyspace->scan()) entries += entry.value().size() == 100 ? 1 : 0;
      EXPECT_EQ(entries, 5'000u) << name;
      EXPECT_EQ(keyspace->get(key_of(77)).value().substr(0, 5), "of 77") << name;
    }
    EXPECT_TRUE(database_.verify()->ok());
  };
  Options big = options(Compression::none);
  big.memory_limit = 64 * MiB;
  big.write_buffer_size = 16 * MiB;  // everything would fit into one file
  open(big);
  ASSERT_TRUE(database_.put("key", "value", kProcess).ok());
  ASSERT_NO_FATAL_FAILURE(fill(0));
  ASSERT_TRUE(database_.compact().ok());
  // Default keyspace and catalogue; archive; hot; log; usual.
  ASSERT_NO_FATAL_FAILURE(expect_files(5, 2));
  EXPECT_EQ(*database_.keyspace("archive")->compression(), Compression::zstd);
  EXPECT_EQ(*database_.keyspace("usual")->compression(), std::nullopt);
  EXPECT_EQ(*database_.compression(), std::nullopt);

  big.compression = Compression::lz4;
  open(big);
  EXPECT_EQ(*database_.keyspace("hot", {.compression = Compression::zstd})->compression(), Compression::none)
      << "one that exists keeps what it has";
  ASSERT_TRUE(database_.compact().ok());
  ASSERT_NO_FATAL_FAILURE(expect_files(4, 3));  // those of log and usual are one

  ASSERT_TRUE(database_.keyspace("hot")->set_compression(std::nullopt).ok());
  ASSERT_TRUE(database_.keyspace("archive")->set_compression(Compression::lz4).ok());
  ASSERT_NO_FATAL_FAILURE(fill(1));
  ASSERT_TRUE(database_.compact().ok());
  ASSERT_NO_FATAL_FAILURE(expect_files(1, 1));
}

// In the middle of a file whose ends stay as they are.
TEST_F(Compressed, AKeyspaceAmongOthersIsCompressedAnew) {
  Options big = options(Compression::none);
  big.memory_limit = 64 * MiB;
  big.write_buffer_size = 16 * MiB;
  open(big);
  const auto set = [&](const char* name, std::optional<Compression> compression) {
    ASSERT_TRUE(database_.keyspace(name)->set_compression(compression).ok());
  };
  const auto expect_files = [&](uint64_t all, uint64_t compressed) {
    ASSERT_TRUE(database_.compact().ok());
    EXPECT_EQ(last_level(), (std::pair<uint64_t, uint64_t>(all, compressed)));
    const uint64_t merges = database_.stats()->merges;
    ASSERT_TRUE(database_.compact().ok());
    EXPECT_EQ(database_.stats()->merges, merges) << "there was nothing to be gained";
  };
  for (const char* const name : {"a", "b", "empty", "c"}) {
    Result<Keyspace> keyspace = database_.keyspace(name);
    ASSERT_TRUE(keyspace);
    for (uint64_t i = 0; name != std::string("empty") && i < 2'000; ++i)
      ASSERT_TRUE(keyspace->put(key_of(i), value_of(i, 0), kProcess).ok());
  }
  expect_files(1, 0);
  set("empty", Compression::zstd);
  expect_files(1, 0);
  set("b", Compression::zstd);
  expect_files(3, 1);  // the catalogue and a; b; c
  set("b", {});
  big.compression = Compression::zstd;
  open(big);
  set("a", Compression::none);
  set("b", Compression::none);
  set("c", Compression::none);
  expect_files(2, 1);  // the catalogue; a, b and c
  set("b", {});
  expect_files(4, 2);  // by the option, between two that have their own
}

// The same among files of which most go on as they are.
TEST_F(Compressed, AFewKeysOfAKeyspaceAreCompressedAnew) {
  open(options(Compression::none));
  for (const char* const name : {"a", "b", "c"}) {
    Result<Keyspace> keyspace = database_.keyspace(name);
    ASSERT_TRUE(keyspace);
    for (uint64_t i = 0; i < (*name == 'b' ? 20u : 10'000u); ++i)
      ASSERT_TRUE(keyspace->put(key_of(i), value_of(i, 0), kProcess).ok());
  }
  ASSERT_TRUE(database_.compact().ok());
  const auto [files, compressed] = last_level();
  EXPECT_GT(files, 2u);
  EXPECT_EQ(compressed, 0u);
  ASSERT_TRUE(database_.keyspace("b")->set_compression(Compression::zstd).ok());
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(last_level().second, 1u);
}

TEST_F(Compressed, TheCodecOfAKeyspaceLastsAsLongAsItDoes) {
  open(options(Compression::lz4));
  ASSERT_TRUE(database_.keyspace("archive", {.compression = Compression::zstd}));
  ASSERT_TRUE(database_.keyspace("hot", {.compression = Compression::none}));
  ASSERT_TRUE(database_.keyspace("hot")->set_compression(std::nullopt).ok());
  Result<Keyspace> usual = database_.keyspace("usual");
  EXPECT_TRUE(usual->set_compression(static_cast<Compression>(77)).is(StatusCode::not_supported));
  EXPECT_TRUE(database_.keyspace("other", {.compression = static_cast<Compression>(77)})
                  .status()
                  .is(StatusCode::not_supported));
  ASSERT_TRUE(usual->set_compression(Compression::zstd).ok());
  ASSERT_TRUE(database_.drop_keyspace("usual").ok());
  EXPECT_TRUE(usual->set_compression(Compression::zstd).is(StatusCode::not_found));
  EXPECT_TRUE(usual->compression().status().is(StatusCode::not_found));
  EXPECT_EQ(*database_.keyspace("usual")->compression(), std::nullopt);
  ASSERT_TRUE(database_.close().ok());
  const Result<RepairReport> repaired = repair(scratch_.path("db"), scratch_.path("repaired"));
  ASSERT_TRUE(repaired) << repaired.status().to_string();
  for (const char* const name : {"db", "repaired"}) {
    Result<Database> opened = Database::open(scratch_.path(name), options(Compression::lz4));
    ASSERT_TRUE(opened) << opened.status().to_string();
    EXPECT_EQ(*opened->keyspace("archive")->compression(), Compression::zstd);
    EXPECT_EQ(*opened->keyspace("hot")->compression(), std::nullopt);
  }
}

// What a flush writes that will move to the last level as it is, is written as that level is.
TEST_F(Compressed, AscendingWritesAreCompressedOnce) {
  open(options(Compression::lz4));
  load(20'000, 0);
  ASSERT_TRUE(database_.flush().ok());
  const Stats stats = *database_.stats();
  uint64_t files = 0;
  uint64_t compressed = 0;
  for (const Stats::Level& level : stats.levels) {
    files += level.files;
    compressed += level.compressed_files;
  }
  EXPECT_GT(files, 2u);
  EXPECT_EQ(compressed, files);
  ASSERT_NO_FATAL_FAILURE(expect_all());
}

TEST_F(Compressed, TheCacheStaysWithinItsPartOfTheLimit) {
  open(options(Compression::zstd));
  load(60'000, 0);
  ASSERT_TRUE(database_.compact().ok());
  Random random(1);
  Value value;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = key_of(random.chance(0.8) ? random.below(3'000) : random.below(60'000));
    const Lookup found = database_.get(key, value);
    ASSERT_TRUE(found) << found.status().to_string();
    ASSERT_EQ(value.view(), model_.at(key));
  }
  const Stats stats = *database_.stats();
  EXPECT_GT(stats.levels.back().plain_bytes, 2 * stats.cache_limit_bytes);
  EXPECT_GT(stats.cache_hits, stats.cache_misses);
  EXPECT_GT(stats.cache_evictions, 0u);
  EXPECT_GT(stats.cache_ghost_hits, 0u);
  EXPECT_GT(stats.cache_frequent_bytes, 0u);
  EXPECT_LE(stats.cache_page_bytes, stats.cache_limit_bytes);
  EXPECT_LE(stats.cache_bytes, stats.cache_limit_bytes + stats.cache_limit_bytes / 64);
  EXPECT_LE(stats.memory_bytes, 4 * MiB);
  EXPECT_GT(stats.page_bytes_read, 0u);
  ASSERT_NO_FATAL_FAILURE(expect_all());
}

// With no room for a cache every page is read as it is needed.
TEST_F(Compressed, WorksWithoutACache) {
  Options small = options(Compression::lz4);
  small.write_buffer_size = 2 * MiB;
  open(small);
  load(5'000, 0);
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(database_.stats()->cache_limit_bytes, 0u);
  ASSERT_NO_FATAL_FAILURE(expect_all());
}

TEST_F(Compressed, ValuesOutliveTheDatabase) {
  Options how = options(Compression::lz4);
  how.value_separation = 2 * KiB;
  open(how);
  const std::vector<size_t> sizes = {10, 1024, 1025, 2000, 2048, 2049, 50'000};
  for (uint64_t i = 0; i < sizes.size(); ++i) put(i, value_of(i, 0, sizes[i]));
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(last_level().second, 1u);
  std::vector<Value> first(sizes.size());
  std::vector<Value> second(sizes.size());
  std::vector<Value> third(sizes.size());
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < sizes.size(); ++i) keys.push_back(key_of(i));
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  for (uint64_t i = 0; i < sizes.size(); ++i) ASSERT_TRUE(database_.get(keys[i], first[i]));
  for (uint64_t i = 0; i < sizes.size(); ++i) ASSERT_TRUE(database_.get(keys[i], second[i]));  // cached
  ASSERT_TRUE(database_.get_many(views, third).ok());
  ASSERT_TRUE(database_.close().ok());
  database_ = Database();
  for (uint64_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(first[i].view(), model_.at(keys[i]));
    EXPECT_EQ(second[i].view(), model_.at(keys[i]));
    EXPECT_EQ(third[i].view(), model_.at(keys[i]));
  }
}

// A cursor that stands on an entry keeps it, whatever merges and reads of others do.
TEST_F(Compressed, ACursorKeepsItsEntry) {
  open(options(Compression::zstd));
  load(20'000, 0);
  ASSERT_TRUE(database_.compact().ok());
  Cursor cursor = database_.cursor();
  cursor.seek(key_of(7'777));
  ASSERT_TRUE(cursor.valid());
  const std::string value = model_.at(key_of(7'777));
  load(20'000, 1);
  ASSERT_TRUE(database_.compact().ok());
  ASSERT_NO_FATAL_FAILURE(expect_all());
  EXPECT_EQ(cursor.key(), key_of(7'777));
  EXPECT_EQ(cursor.value(), value);
  cursor.next();
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.value(), value_of(7'778, 0));
}

// Readers of all kinds over a cache that is too small, beside writers and merges.
TEST_F(Compressed, ReadersBesideMerges) {
  Options how = options(Compression::lz4);
  how.memory_limit = 4 * MiB;
  open(how);
  constexpr uint64_t kKeys = 6'000;
  load(kKeys, 0);
  ASSERT_TRUE(database_.compact().ok());
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  const auto sound = [](std::string_view key, std::string_view value) {
    const uint64_t number = std::stoull(std::string(key.substr(3))) - 100'000;
    const std::string begin = "of " + std::to_string(number) + " in round ";
    return value.substr(0, begin.size()) == begin && (value.size() == 100 || value.size() == 3000);
  };
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    threads.emplace_back([&, seed] {
      Random random(seed);
      Value value;
      while (!done.load()) {
        const std::string key = key_of(random.below(kKeys));
        ASSERT_TRUE(database_.get(key, value));
        ASSERT_TRUE(sound(key, value.view())) << key;
        if (!random.chance(0.02)) continue;
        Scan scan = database_.scan(key, "l").limit(300);
        for (const Entry& entry : scan) ASSERT_TRUE(sound(entry.key(), entry.value())) << entry.key();
        ASSERT_TRUE(scan.status().ok()) << scan.status().to_string();
      }
    });
  }
  for (int round = 1; round <= 4; ++round) {
    for (uint64_t i = 0; i < kKeys; i += 3)
      ASSERT_TRUE(database_.put(key_of(i), value_of(i, round), kProcess).ok());
    ASSERT_TRUE(database_.compact().ok());
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace lightning
