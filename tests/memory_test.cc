// What is taken is given back: memory and disk stay flat over many openings and many overwrites, and an empty
// database is small.
//
// LIGHTNING_MEMORY_OVERWRITES=n
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <lightning/database.h>

#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr uint64_t kDefaultOverwrites = 10'000'000;

uint64_t overwrites() { return uint_from_environment("LIGHTNING_MEMORY_OVERWRITES", kDefaultOverwrites); }

uint64_t resident_bytes() {
  uint64_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  statm >> pages >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t open_files() {
  return static_cast<uint64_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// A directory in memory where there is one: thousands of syncs say nothing about what is given back.
class QuickDirectory {
 public:
  QuickDirectory() {
    if (mounted_) path_ = mount_.path();
  }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  ScratchDirectory scratch_;
  ScratchMount mount_;
  bool mounted_ = mount_.mount_tmpfs("512m");
  std::string path_ = scratch_.path();
};

/// Allocated blocks.
uint64_t disk_bytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat status;
    if (stat(entry.path().c_str(), &status) == 0) bytes += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

Options quick() {
  Options options;
  options.durability = Durability::process;
  return options;
}

TEST(Memory, AnEmptyClosedDatabaseIsSmall) {
  ScratchDirectory scratch;
  Result<Database> database = Database::open(scratch.path("db"));
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->close().ok());
  EXPECT_LT(disk_bytes(scratch.path("db")), 64 * KiB);
  // Also after it was used and emptied.
  database = Database::open(scratch.path("db"));
  ASSERT_TRUE(database);
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(database->put(std::to_string(i), "value", {Durability::process}).ok());
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(database->remove(std::to_string(i), {Durability::process}).ok());
  ASSERT_TRUE(database->compact().ok());
  ASSERT_TRUE(database->close().ok());
  EXPECT_LT(disk_bytes(scratch.path("db")), 64 * KiB);
}

TEST(Memory, StaysFlatOverThousandOpenings) {
  constexpr int kCycles = 1000;
  constexpr int kSettled = 100;  // from here on nothing grows
  QuickDirectory scratch;
  uint64_t resident = 0;
  uint64_t disk = 0;
  uint64_t files = 0;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    Result<Database> database = Database::open(scratch.path("db"), quick());
    ASSERT_TRUE(database) << database.status().to_string();
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(database->put("key" + std::to_string(i), std::string(100, 'v')).ok());
    }
    ASSERT_TRUE(database->get("key7"));
    const Status closed = database->close();
    ASSERT_TRUE(closed.ok()) << closed.to_string();
    if (cycle != kSettled) continue;
    resident = resident_bytes();
    disk = disk_bytes(scratch.path("db"));
    files = open_files();
  }
  EXPECT_LE(resident_bytes(), resident + 2 * MiB);
  EXPECT_LE(disk_bytes(scratch.path("db")), std::max(2 * disk, 2 * MiB));
  EXPECT_EQ(open_files(), files);
}

TEST(Memory, StaysFlatOverOverwrites) {
  constexpr uint64_t kKeys = 1000;
  constexpr uint64_t kParts = 10;
  ScratchDirectory scratch;
  Options options = quick();
  options.write_buffer_size = 8 * MiB;
  options.memory_limit = 64 * MiB;
  const uint64_t resident = resident_bytes();
  Result<Database> database = Database::open(scratch.path("db"), options);
  ASSERT_TRUE(database);
  Random random(1);
  const std::string value(100, 'v');
  uint64_t disk = 0;
  for (uint64_t part = 0; part < kParts; ++part) {
    for (uint64_t i = 0; i < overwrites() / kParts; ++i) {
      const Status status = database->put("key" + std::to_string(random.below(kKeys)), value);
      ASSERT_TRUE(status.ok()) << status.to_string();
    }
    // What is flat is measured at the same point of each part.
    ASSERT_TRUE(database->flush().ok());
    const Result<Stats> stats = database->stats();
    ASSERT_TRUE(stats);
    EXPECT_LE(stats->memory_bytes, options.memory_limit);
    if (part < 2) disk = std::max(disk, disk_bytes(scratch.path("db")));
  }
  // How many buffers are in use depends on the pace of flushes; how many may be does not.
  EXPECT_LE(resident_bytes(), resident + options.memory_limit + 8 * MiB);
  EXPECT_LE(disk_bytes(scratch.path("db")), disk + 16 * MiB);
  ASSERT_TRUE(database->compact().ok());
  ASSERT_TRUE(database->close().ok());
  EXPECT_LT(disk_bytes(scratch.path("db")), 1 * MiB);
}

}  // namespace
}  // namespace lightning
