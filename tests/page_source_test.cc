// Where pages of runs come from: mapped files while these fit into memory, the page cache beyond, and the way
// from one to the other beside readers, writers and merges.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <lightning/database.h>
#include <lightning/index.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "api/open_in.h"
#include "io/env.h"
#include "io/read_ring.h"
#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/fault_script.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr WriteOptions kProcess{.durability = Durability::process};

std::string key_of(uint64_t number) { return "key" + std::to_string(1'000'000 + number); }
std::string value_of(uint64_t number, uint64_t round, size_t size) {
  std::string value = "of " + std::to_string(number) + " in round " + std::to_string(round) + ".";
  value.resize(size, static_cast<char>('a' + number % 26));
  return value;
}

/// Runs of up to nearly 4 MiB fit.
Options small() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.memory_limit = 4 * MiB;
  return options;
}

struct Sources {
  uint64_t files = 0;
  uint64_t pooled = 0;
};
Sources sources_of(const Stats& stats) {
  Sources sources;
  for (const Stats::Level& level : stats.levels) {
    sources.files += level.files;
    sources.pooled += level.pooled_files;
  }
  EXPECT_EQ(stats.mapped_bytes == 0, sources.files == sources.pooled);
  return sources;
}

class PageSources : public testing::Test {
 protected:
  void open(const Options& options) {
    database_ = Database();
    Result<Database> opened = Database::open(scratch_.path("db"), options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    database_ = *std::move(opened);
  }
  void load(uint64_t first, uint64_t end, uint64_t round = 0, size_t long_size = 3000) {
    for (uint64_t i = first; i < end; ++i) {
      const size_t size = i % 100 == 0 ? long_size : 100;
      ASSERT_TRUE(database_.put(key_of(i), value_of(i, round, size), kProcess).ok());
      model_[key_of(i)] = value_of(i, round, size);
    }
  }
  void remove_from(uint64_t first) {
    ASSERT_TRUE(database_.remove_range(key_of(first), "l", kProcess).ok());
    model_.erase(model_.lower_bound(key_of(first)), model_.end());
  }
  void expect_all() {
    for (const bool reverse : {false, true}) {
      Scan scan = reverse ? database_.scan().reverse() : database_.scan();
      std::map<std::string, std::string> seen;
      for (const Entry& entry : scan) seen.emplace(entry.key(), entry.value());
      ASSERT_TRUE(scan.status().ok()) << scan.status().to_string();
      ASSERT_TRUE(seen == model_) << seen.size() << " of " << model_.size();
    }
    std::vector<std::string_view> keys;
    for (const auto& [key, value] : model_) {
      const Lookup found = database_.get(key);
      ASSERT_TRUE(found) << key << found.status().to_string();
      ASSERT_EQ(found.value(), value);
      ASSERT_FALSE(database_.get(key + "x"));
      keys.push_back(key);
    }
    std::vector<Value> values(keys.size());
    ASSERT_TRUE(database_.get_many(keys, values).ok());
    for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(values[i].view(), model_.at(std::string(keys[i])));
  }
  Sources sources() { return sources_of(*database_.stats()); }

  ScratchDirectory scratch_;
  Database database_;
  std::map<std::string, std::string> model_;
};

TEST_F(PageSources, RunsAreMappedWhileTheyFit) {
  open(small());
  load(0, 10'000);
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_GT(sources().files, 0u);
  EXPECT_EQ(sources().pooled, 0u);
  EXPECT_EQ(database_.stats()->cache_misses, 0u);
  load(10'000, 50'000);
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(sources().pooled, sources().files);
  ASSERT_NO_FATAL_FAILURE(expect_all());
  EXPECT_GT(database_.stats()->cache_hits, 0u);
  EXPECT_LE(database_.stats()->memory_bytes, 4 * MiB);
  EXPECT_TRUE(database_.verify()->ok());
  open(small());
  EXPECT_EQ(sources().pooled, sources().files);
  ASSERT_NO_FATAL_FAILURE(expect_all());
  remove_from(10'000);
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(sources().pooled, 0u);
  // Files that are gone leave the cache when nobody can be reading them.
  while (database_.stats()->cache_page_bytes != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_NO_FATAL_FAILURE(expect_all());
}

TEST_F(PageSources, AreAsTheOptionSays) {
  for (const PageSource source : {PageSource::pooled, PageSource::mapped, PageSource::automatic}) {
    Options options = small();
    options.page_source = source;
    open(options);
    load(0, 50'000, static_cast<uint64_t>(source));
    ASSERT_TRUE(database_.compact().ok());
    EXPECT_EQ(sources().pooled, source == PageSource::mapped ? 0 : sources().files);
    ASSERT_NO_FATAL_FAILURE(expect_all());
  }
  Options unguarded = small();
  unguarded.page_source = PageSource::mapped;
  unguarded.sigbus_guard = false;
  open(unguarded);
  EXPECT_EQ(sources().pooled, sources().files);
  EXPECT_GT(sources().files, 0u);
  ASSERT_NO_FATAL_FAILURE(expect_all());
  unguarded.read_only = true;
  open(unguarded);
  ASSERT_NO_FATAL_FAILURE(expect_all());
}

/// This machine, with less memory.
class SmallMachine final : public Env {
 public:
  FileSystem& files() override { return posix_env().files(); }
  Executor& executor() override { return posix_env().executor(); }
  Clock& clock() override { return posix_env().clock(); }
  uint64_t random() override { return posix_env().random(); }
  uint64_t boot_id() override { return posix_env().boot_id(); }
  const std::atomic<uint32_t>& process_word() override { return posix_env().process_word(); }
  uint64_t memory_bytes() override { return 16 * MiB; }
  uint64_t open_files_max() override { return posix_env().open_files_max(); }
  size_t processors() override { return posix_env().processors(); }
  bool guards_mappings() override { return posix_env().guards_mappings(); }
};

/// Descriptors of run files of this process, and how many of them read past the system's cache.
std::pair<uint64_t, uint64_t> run_descriptors() {
  uint64_t all = 0;
  uint64_t direct = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).extension() != ".run") continue;
    ++all;
    const int flags = fcntl(std::stoi(entry.path().filename()), F_GETFL);
    direct += flags >= 0 && (flags & O_DIRECT) != 0 ? 1 : 0;
  }
  return {all, direct};
}

// What does not fit into the machine is read past the system's cache, which would hold everything twice;
// where memory_limit alone is small, that cache helps.
TEST_F(PageSources, ReadDirectlyWhatTheMachineCannotHold) {
  SmallMachine machine;
  ScratchDirectory scratch;
  Result<Database> opened = open_in(machine, scratch.path("db"), small(), OpenKind::create);
  ASSERT_TRUE(opened) << opened.status().to_string();
  database_ = *std::move(opened);
  // A file that was opened anew is open twice until nobody can be reading by its former descriptor.
  const auto direct_of_all = [&] {
    while (run_descriptors().first != sources().files)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return run_descriptors().second;
  };
  load(0, 50'000, 0, 100);  // beyond memory_limit, within the machine
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(sources().pooled, sources().files);
  EXPECT_EQ(direct_of_all(), 0u);
  load(50'000, 150'000, 0, 100);
  ASSERT_TRUE(database_.compact().ok());
  EXPECT_EQ(sources().pooled, sources().files);
  ASSERT_NO_FATAL_FAILURE(expect_all());
  const uint64_t direct = direct_of_all();
  EXPECT_TRUE(direct == sources().files || direct == 0) << direct;  // as the file system can
  count("direct_files", direct);
}

// Where memory_limit is the default one, the machine decides; and what is pooled needs descriptors.
TEST(PageSourcesOfAMachine, FollowItsMemory) {
  struct Machine {
    uint64_t memory_bytes;
    uint64_t open_files_max;
    bool pooled;
  };
  for (const Machine machine :
       {Machine{8 * GiB, 1000, false}, Machine{32 * MiB, 1000, true}, Machine{32 * MiB, 120, false}}) {
    SimEnv env({.keeps_unsynced = false,
                .open_files_max = machine.open_files_max,
                .memory_bytes = machine.memory_bytes});
    Options options;
    options.write_buffer_size = 64 * KiB;
    Result<Database> database = open_in(env, "db", options, OpenKind::create);
    ASSERT_TRUE(database) << database.status().to_string();
    for (uint64_t i = 0; i < 24'000; ++i)
      ASSERT_TRUE(database->put(key_of(i), value_of(i, 0, 400), kProcess).ok());
    ASSERT_TRUE(database->compact().ok());
    const Sources sources = sources_of(*database->stats());
    EXPECT_EQ(sources.pooled, machine.pooled ? sources.files : 0) << machine.open_files_max;
    EXPECT_GT(sources.files, 30u);  // a quarter of the fewer descriptors
    ASSERT_TRUE(database->close().ok());
  }
}

// What a get costs: one page beyond the index, which stays in the cache.
TEST_F(PageSources, APointReadReadsOnePage) {
  Options options = small();
  options.write_buffer_size = 1 * MiB;
  options.memory_limit = 6 * MiB;
  open(options);
  for (uint64_t i = 0; i < 60'000; ++i)
    ASSERT_TRUE(database_.put(key_of(i), value_of(i, 0, 400), kProcess).ok());
  ASSERT_TRUE(database_.compact().ok());
  Random random(1);
  Value value;
  const auto read = [&](int times) {
    for (int i = 0; i < times; ++i) {
      const uint64_t number = random.below(60'000);
      ASSERT_TRUE(database_.get(key_of(number), value));
      ASSERT_EQ(value.view(), value_of(number, 0, 400));
    }
  };
  read(5'000);
  const Stats before = *database_.stats();
  read(20'000);
  const Stats after = *database_.stats();
  const uint64_t pages = after.point_pages_read - before.point_pages_read;
  EXPECT_LE(pages, 21'000u);
  EXPECT_GE(pages, 15'000u);
  EXPECT_EQ(after.scan_pages_read, 0u);
  EXPECT_LE(after.point_bytes_read - before.point_bytes_read, pages * 4 * KiB);
  const Stats::Level& level = after.levels.back();
  EXPECT_GT(level.cache_index_bytes, 0u);
  EXPECT_GT(level.cache_leaf_bytes, 0u);
  EXPECT_EQ(level.cache_leaf_bytes + level.cache_index_bytes, after.cache_page_bytes);
  uint64_t entries = 0;
  for ([[maybe_unused]] const Entry& entry : database_.scan()) ++entries;
  EXPECT_EQ(entries, 60'000u);
  const Stats scanned = *database_.stats();
  EXPECT_GT(scanned.scan_pages_read, 0u);
  EXPECT_LE(scanned.scan_pages_read * 9, entries);  // of 4 KiB, with 400 bytes an entry
  EXPECT_EQ(scanned.point_pages_read, after.point_pages_read);
}

// What get_many misses it reads side by side where the system can; what it answers is the same without.
TEST_F(PageSources, ManyReadsGoTogether) {
  for (const Compression compression : {Compression::none, Compression::lz4}) {
    Options options = small();
    options.compression = compression;
    options.page_source = PageSource::pooled;
    open(options);
    load(0, 60'000, static_cast<uint64_t>(compression), 500);
    ASSERT_TRUE(database_.compact().ok());
    ASSERT_EQ(sources().pooled, sources().files);
    for (const bool allowed : {false, true}) {
      const bool has_rings = allow_read_rings(allowed);
      const uint64_t by_ring = reads_by_ring();
      const Stats before = *database_.stats();
      Random random(1);
      std::vector<Value> values(50);
      for (int round = 0; round < 100; ++round) {
        std::vector<std::string> keys;
        for (size_t i = 0; i < values.size(); ++i) keys.push_back(key_of(random.below(66'000)));
        const std::vector<std::string_view> views(keys.begin(), keys.end());
        ASSERT_TRUE(database_.get_many(views, values).ok());
        for (size_t i = 0; i < values.size(); ++i) {
          const auto at = model_.find(keys[i]);
          ASSERT_EQ(values[i].present(), at != model_.end()) << keys[i];
          if (values[i].present()) {
            ASSERT_EQ(values[i].view(), at->second);
          }
        }
      }
      EXPECT_EQ(reads_by_ring() > by_ring, allowed && has_rings);
      // Each page once: the leaf of a key, and of its index what was not there.
      EXPECT_LE(database_.stats()->point_pages_read - before.point_pages_read, 2u * 50 * 100);
      EXPECT_LE(database_.stats()->memory_bytes, 4 * MiB);
    }
    allow_read_rings(true);
  }
  EXPECT_TRUE(database_.verify()->ok());
}

// Gets, get_many, scans and cursors go on while runs change their source, again and again.
// A chain of keys, each of which is the value of the one before: short ones, and such that a Value refers to.
TEST_F(PageSources, AKeyMayBeAViewOfTheValueThatIsReused) {
  for (const PageSource source : {PageSource::mapped, PageSource::pooled}) {
    for (const size_t size : {size_t{20}, size_t{3000}}) {
      Options options = small();
      options.page_source = source;
      open(options);
      const auto key = [&](uint64_t number) { return value_of(number, 0, size); };
      for (uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(database_.put(key(i), key(i + 1), kProcess).ok());
      ASSERT_TRUE(database_.flush().ok());
      IndexDefinition whole{.name = "whole" + std::to_string(size),
                            .key = {IndexField::whole_value(KeyType::text)}};
      if (size < 100) {
        ASSERT_TRUE(database_.create_index(whole).ok() && database_.wait_for_index(whole.name).ok());
      }
      Transaction tx = database_.begin();
      Value value;
      const auto follow = [&](const char* what, auto&& get) {
        ASSERT_TRUE(value.copy(key(0)).ok());
        for (uint64_t i = 0; i < 5; ++i) {
          ASSERT_TRUE(get(value.view())) << what;
          ASSERT_EQ(value.view(), key(i + 1)) << what;
        }
      };
      follow("get", [&](std::string_view at) { return bool(database_.get(at, value)); });
      follow("transaction", [&](std::string_view at) { return bool(tx.get(at, value)); });
      follow("lock", [&](std::string_view at) { return bool(tx.get_for_update(at, value)); });
      if (size > 100) continue;
      ASSERT_TRUE(value.copy(ordered_key(key(1))).ok());
      ASSERT_TRUE(database_.index(whole.name).get(value.view(), value));
      ASSERT_EQ(value.view(), key(1));
      ASSERT_TRUE(database_.drop_index(whole.name).ok());
    }
  }
}

TEST_F(PageSources, ChangeUnderReaders) {
  open(small());
  constexpr uint64_t kKept = 5'000;
  load(0, kKept);
  ASSERT_TRUE(database_.compact().ok());
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    threads.emplace_back([&, seed] {
      Random random(seed);
      Value value;
      std::vector<Value> values(16);
      while (!done.load()) {
        const uint64_t number = random.below(kKept);
        ASSERT_TRUE(database_.get(key_of(number), value));
        ASSERT_EQ(value.view(), model_.find(key_of(number))->second);
        if (!random.chance(0.05)) continue;
        std::vector<std::string> keys;
        for (size_t i = 0; i < values.size(); ++i) keys.push_back(key_of(random.below(kKept)));
        const std::vector<std::string_view> views(keys.begin(), keys.end());
        ASSERT_TRUE(database_.get_many(views, values).ok());
        for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i].view(), model_.find(keys[i])->second);
        Cursor cursor = database_.cursor();
        cursor.seek(key_of(number));
        for (uint64_t i = number; i < std::min(kKept, number + 300); ++i) {
          ASSERT_TRUE(cursor.valid()) << cursor.status().to_string();
          ASSERT_EQ(cursor.key(), key_of(i));
          ASSERT_EQ(cursor.value(), model_.find(key_of(i))->second);
          cursor.next();
        }
      }
    });
  }
  for (uint64_t round = 1; round <= 3; ++round) {
    for (uint64_t i = kKept; i < 45'000; ++i)
      ASSERT_TRUE(database_.put(key_of(i), value_of(i, round, 100), kProcess).ok());
    ASSERT_TRUE(database_.compact().ok());
    EXPECT_EQ(sources().pooled, sources().files);
    ASSERT_TRUE(database_.remove_range(key_of(kKept), "l", kProcess).ok());
    ASSERT_TRUE(database_.compact().ok());
    EXPECT_EQ(sources().pooled, 0u);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_NO_FATAL_FAILURE(expect_all());
}

// A file that cannot be opened again stays as it is, and its keys with it; what comes is as it should be.
TEST(PageSourcesInASimulation, AFileThatCannotBeOpenedAgainStaysMapped) {
  SimEnv env({.keeps_unsynced = false});
  Result<Database> database = open_in(env, "db", small(), OpenKind::create);
  ASSERT_TRUE(database) << database.status().to_string();
  const auto load = [&](uint64_t first, uint64_t end) {
    for (uint64_t i = first; i < end; ++i)
      ASSERT_TRUE(database->put(key_of(i), value_of(i, 0, 100), kProcess).ok());
    ASSERT_TRUE(database->compact().ok());
  };
  load(0, 20'000);
  EXPECT_EQ(sources_of(*database->stats()).pooled, 0u);
  std::string name;
  for (const std::string& path : env.disk().file_paths()) {
    if (path.ends_with(".run")) name = path.substr(path.find('/') + 1);
  }
  env.faults().add({.call = SimCall::open, .name_part = name, .times = kForever});
  load(30'000, 60'000);
  const Sources sources = sources_of(*database->stats());
  EXPECT_EQ(sources.pooled + 1, sources.files);
  EXPECT_GT(sources.files, 1u);
  EXPECT_GT(env.faults().injected(), 0u);
  EXPECT_TRUE(database->background_error().ok());
  for (uint64_t i = 0; i < 20'000; i += 7) ASSERT_TRUE(database->get(key_of(i))) << i;
  EXPECT_TRUE(database->close().ok());
}

}  // namespace
}  // namespace lightning
