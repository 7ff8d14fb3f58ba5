// What disks do: they fill up, are mounted read-only, vanish under a writer, and lose what was not synced.
// Needs root for the mounts, and skips itself with a message where they cannot be had.
//
// LIGHTNING_POWER_CUTS=n      of each file system
// LIGHTNING_POWER_CUT_SEED=s
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include <lightning/database.h>

#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/model.h"
#include "tests/kill_driver.h"

// Where the machine has what the test needs, a test that is skipped would prove nothing.
#define SKIP_UNLESS_IT_COULD(why)     \
  do {                                \
    if (can_mount()) FAIL() << (why); \
    GTEST_SKIP() << (why);            \
  } while (false)

namespace lightning {
namespace {

Options small_buffers() {
  Options options;
  options.write_buffer_size = 256 * KiB;
  options.durability = Durability::process;
  return options;
}

/// Leaves `bytes` of a file system free.
void fill_up(const std::string& directory, uint64_t bytes) {
  struct statvfs system;
  ASSERT_EQ(statvfs(directory.c_str(), &system), 0);
  const uint64_t free_bytes = uint64_t{system.f_bavail} * system.f_frsize;
  ASSERT_GT(free_bytes, bytes);
  const int file = open((directory + "/ballast").c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(file, 0);
  EXPECT_EQ(posix_fallocate(file, 0, static_cast<off_t>(free_bytes - bytes)), 0);
  close(file);
}

class FullDisk : public testing::TestWithParam<bool> {};

TEST_P(FullDisk, WritesResumeWhenSpaceReturns) {
  ScratchMount disk;
  if (!disk.mount_tmpfs("32m")) SKIP_UNLESS_IT_COULD("no tmpfs can be mounted");
  const std::string directory = disk.path() + "/db";
  Options options = small_buffers();
  options.sigbus_guard = GetParam();
  Result<Database> database = Database::open(directory, options);
  ASSERT_TRUE(database) << database.status().to_string();
  fill_up(disk.path(), 3 * MiB);

  Model model;
  uint64_t number = 0;
  uint64_t timeout_ms = 200;
  const auto put = [&] {
    const std::string key = "key" + std::to_string(number);
    const std::string value(1000 + number % 500, static_cast<char>('a' + number % 26));
    ++number;
    const Status status = database->put(key, value, {.timeout_ms = timeout_ms});
    if (status.ok()) model.put("", key, value);
    return status;
  };
  // Full for good: background work that gave up returned its space, and writers used that too.
  Status status;
  for (int refused = 0; refused < 20 && number < 100'000;) {
    status = put();
    if (status.ok()) {
      refused = 0;
      continue;
    }
    ASSERT_TRUE(status.is(StatusCode::no_space)) << status.to_string();
    ++refused;
    usleep(20'000);
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(difference(model, *database), "") << "a full disk keeps nobody from reading";

  ASSERT_TRUE(std::filesystem::remove(disk.path() + "/ballast"));
  for (int tries = 0; tries < 100 && !status.ok(); ++tries) {
    status = put();
    if (!status.ok()) usleep(50'000);
  }
  ASSERT_TRUE(status.ok()) << "space returned: " << status.to_string();
  timeout_ms = 60'000;  // what failed on the full disk is tried again first
  for (int i = 0; i < 3000; ++i) {
    status = put();
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  status = database->flush();
  EXPECT_TRUE(status.ok()) << status.to_string();
  for (int tries = 0; tries < 2000 && !database->background_error().ok(); ++tries) usleep(50'000);
  status = database->background_error();
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(difference(model, *database), "");
  status = database->close();
  EXPECT_TRUE(status.ok()) << status.to_string();
  database = Database::open(directory, options);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(difference(model, *database), "");
}

// Closed and opened while the disk is full.
TEST_P(FullDisk, LosesNothing) {
  ScratchMount disk;
  if (!disk.mount_tmpfs("32m")) SKIP_UNLESS_IT_COULD("no tmpfs can be mounted");
  const std::string directory = disk.path() + "/db";
  Options options = small_buffers();
  options.sigbus_guard = GetParam();
  Model model;
  {
    Result<Database> database = Database::open(directory, options);
    ASSERT_TRUE(database) << database.status().to_string();
    fill_up(disk.path(), 2 * MiB);
    Status status;
    for (uint64_t number = 0; status.ok() && number < 100'000; ++number) {
      const std::string key = "key" + std::to_string(number);
      status = database->put(key, std::string(900, 'v'), {.timeout_ms = 200});
      if (status.ok()) model.put("", key, std::string(900, 'v'));
    }
    ASSERT_TRUE(status.is(StatusCode::no_space)) << status.to_string();
    (void)database->close().ok();  // it may have no room for what it wants to write
  }
  Result<Database> database = Database::open(directory, options);
  if (database) {
    EXPECT_EQ(difference(model, *database), "");
    (void)database->close().ok();
  } else {
    EXPECT_TRUE(database.status().is(StatusCode::no_space)) << database.status().to_string();
  }
  Options reading = options;
  reading.read_only = true;
  database = Database::open(directory, reading);
  ASSERT_TRUE(database) << "reading needs no space: " << database.status().to_string();
  EXPECT_EQ(difference(model, *database), "");
  EXPECT_TRUE(database->close().ok());
  ASSERT_TRUE(std::filesystem::remove(disk.path() + "/ballast"));
  database = Database::open(directory, options);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(difference(model, *database), "");
}

INSTANTIATE_TEST_SUITE_P(Kinds, FullDisk, testing::Values(true, false),
                         [](const auto& kind) { return kind.param ? "mapped" : "written"; });

TEST(ReadOnlyDisk, IsReadAndNotWritten) {
  ScratchMount disk;
  if (!disk.mount_tmpfs("64m")) SKIP_UNLESS_IT_COULD("no tmpfs can be mounted");
  const std::string directory = disk.path() + "/db";
  Model model;
  {
    Result<Database> database = Database::open(directory, small_buffers());
    ASSERT_TRUE(database);
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(database->put(std::to_string(i), "value").ok());
      model.put("", std::to_string(i), "value");
    }
    ASSERT_TRUE(database->close().ok());
  }
  ASSERT_TRUE(disk.remount_read_only());
  const Status status = Database::open(directory, small_buffers()).status();
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(status.is(StatusCode::corruption)) << status.to_string();
  EXPECT_FALSE(status.message().empty());
  EXPECT_FALSE(Database::open(disk.path() + "/other", small_buffers()).ok());
  Options reading;
  reading.read_only = true;
  Result<Database> database = Database::open(directory, reading);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(difference(model, *database), "");
  EXPECT_TRUE(database->close().ok());
}

// A user who may not: opened by another user than root.
TEST(Permission, IsReported) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  ScratchDirectory scratch;
  {
    Result<Database> database = Database::open(scratch.path("db"));
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->put("a", "1").ok());
  }
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0755));
  const std::string directory = scratch.path("db");
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(seteuid(kNobody), 0);
  const Status denied = Database::open(directory).status();
  const Status not_made = Database::open(scratch.path("other")).status();
  ASSERT_EQ(seteuid(0), 0);
  for (const Status& status : {denied, not_made}) {
    EXPECT_TRUE(status.is(StatusCode::io_error)) << status.to_string();
    EXPECT_NE(status.to_string().find("ermission"), std::string::npos) << status.to_string();
  }
  Result<Database> database = Database::open(directory);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(database->get("a").value(), "1");
}

class Shutdown : public testing::TestWithParam<bool> {};

TEST_P(Shutdown, OfTheFileSystemUnderWritersEndsInErrorsAndLosesNothing) {
  constexpr uint32_t kWriters = 2;
  ScratchMount xfs;
  if (!xfs.mount_image("mkfs.xfs -q", 400 * MiB))
    SKIP_UNLESS_IT_COULD("no XFS can be mounted on a loop device");
  const std::string directory = xfs.path() + "/db";
  Options options = small_buffers();
  options.sigbus_guard = GetParam();
  // Writes of class `power` that were acknowledged before the shutdown began. Those beside it do not count:
  // XFS itself then answers success to an fdatasync now and then (1 run of 100 of plain writes and syncs)
  // whose bytes are gone.
  std::array<uint64_t, kWriters> durable = {};
  {
    Result<Database> database = Database::open(directory, options);
    ASSERT_TRUE(database) << database.status().to_string();
    ASSERT_TRUE(database->put("before", "1", {.durability = Durability::power}).ok());
    std::array<std::atomic<uint64_t>, kWriters> acknowledged = {};
    std::atomic<uint32_t> failed{0};
    const auto write = [&](uint32_t writer) {
      const std::string filler(2000, 'f');
      for (uint64_t number = 1;; ++number) {
        const bool power = number % 4 == 0;
        const std::string key = std::to_string(writer) + "/" + std::to_string(number);
        const Status status = database->put(
            key, filler, {.durability = power ? Durability::power : Durability::process, .timeout_ms = 1000});
        if (!status.ok()) {
          EXPECT_FALSE(status.is(StatusCode::corruption)) << status.to_string();
          break;
        }
        if (power) acknowledged[writer].store(number);
      }
      failed.fetch_add(1);
    };
    std::vector<std::thread> writers;
    for (uint32_t writer = 0; writer < kWriters; ++writer) writers.emplace_back(write, writer);
    const auto all = [&] { return std::ranges::all_of(acknowledged, [](auto& n) { return n.load() != 0; }); };
    while (!all() && failed.load() == 0) usleep(1000);
    usleep(300'000);
    for (uint32_t writer = 0; writer < kWriters; ++writer) durable[writer] = acknowledged[writer].load();
    const bool shut_down = xfs.shut_down();
    EXPECT_TRUE(shut_down);
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(failed.load(), kWriters);
    // What is in memory is still read; what is not is an error, and neither ends the process.
    const Lookup found = database->get("before");
    EXPECT_TRUE(found.absent() == false);
    if (found) {
      EXPECT_EQ(found.value(), "1");
    }
    (void)for_each(database->scan(), [](std::string_view, std::string_view) {}).ok();
    EXPECT_FALSE(database->put("after", "1", {.durability = Durability::power}).ok());
    EXPECT_FALSE(database->close().ok());
  }
  ASSERT_TRUE(xfs.mount_again());
  {
    Result<Database> database = Database::open(directory, options);
    ASSERT_TRUE(database) << database.status().to_string();
    EXPECT_TRUE(database->get("before"));
    for (uint32_t writer = 0; writer < kWriters; ++writer) {
      EXPECT_GT(durable[writer], 0u);
      // One log: everything before what was durable is there too.
      uint64_t there = 0;
      while (database->contains(std::to_string(writer) + "/" + std::to_string(there + 1))) ++there;
      EXPECT_GE(there, durable[writer]);
    }
    EXPECT_TRUE(database->put("after", "1").ok());
    EXPECT_TRUE(database->close().ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Shutdown, testing::Values(true, false),
                         [](const auto& kind) { return kind.param ? "mapped" : "written"; });

#if defined(NDEBUG)
constexpr uint64_t kDefaultPowerCuts = 20;
#else
constexpr uint64_t kDefaultPowerCuts = 5;  // slow builds: sanitizers
#endif
constexpr uint64_t kCutsOfFileSystem = 10;  // then a fresh one

class PowerCuts : public testing::TestWithParam<const char*> {};

// A process writes from several threads, the file system forgets what was not synced: what was acknowledged
// as safe from that is there, of the rest a prefix of what each thread wrote.
TEST_P(PowerCuts, LoseNothingThatWasAcknowledgedAsSafe) {
  const uint64_t cuts = uint_from_environment("LIGHTNING_POWER_CUTS", kDefaultPowerCuts);
  const uint64_t first_seed = uint_from_environment("LIGHTNING_POWER_CUT_SEED", 1);
  std::unique_ptr<ScratchMount> disk;
  std::unique_ptr<KillExpected> expected;
  uint64_t safe = 0;
  for (uint64_t cut = 0; cut < cuts; ++cut) {
    const uint64_t seed = first_seed + cut;
    SCOPED_TRACE("cut " + std::to_string(cut) + ", seed " + std::to_string(seed));
    if (cut % kCutsOfFileSystem == 0) {
      disk = std::make_unique<ScratchMount>();
      expected = std::make_unique<KillExpected>();
      const std::string mkfs = std::string("mkfs.") + GetParam() + " -q";
      if (!disk->mount_image(mkfs, 320 * MiB))
        SKIP_UNLESS_IT_COULD("no such file system can be mounted on a loop device");
    }
    const std::string directory = disk->path() + "/db";
    Random random(seed);
    KillWriter writer(directory, seed, std::array{1u, 2u, 4u}[random.below(3)]);
    writer.listen(60'000, random.below(50));
    writer.listen(static_cast<int>(random.below(250)));
    // What is acknowledged beside the shutdown does not count: XFS then answers success to a sync now and
    // then whose bytes are gone.
    const KillCounts least = writer.said().safe_from_power_cut(seed);
    ASSERT_TRUE(disk->shut_down());
    bool ended_by_itself = false;  // by an error, as it should
    const KillCounts most = writer.kill(&ended_by_itself).operations;
    ASSERT_TRUE(disk->mount_again());
    Result<Database> database = Database::open(directory);
    ASSERT_TRUE(database) << database.status().to_string();
    ASSERT_EQ(expected->compare(seed, least, most, *database), "");
    const Status closed = database->close();
    ASSERT_TRUE(closed.ok()) << closed.to_string();
    for (const uint32_t number : least) safe += number;
  }
  EXPECT_GT(safe, 0u);
  count("power_cuts", cuts);
  count("operations", safe);
}

INSTANTIATE_TEST_SUITE_P(FileSystems, PowerCuts, testing::Values("ext4", "xfs"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace lightning
