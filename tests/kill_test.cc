// Kills a process that writes from several threads, with SIGKILL and at random moments, its opening included.
// Each time the database opens, every acknowledged write is there, batches are whole, and each thread's
// writes are a prefix of what it wrote: at most the one that was under way is there beside the acknowledged
// ones.
//
// LIGHTNING_KILLS=n, LIGHTNING_KILL_SEED=s
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include <lightning/database.h>

#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "tests/kill_driver.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultKills = 200;
#else
constexpr uint64_t kDefaultKills = 40;  // slow builds: sanitizers
#endif
constexpr uint64_t kKillsOfDatabase = 20;  // then a fresh one
constexpr int kPatienceMs = 60'000;

TEST(Kill, LosesNothingThatWasAcknowledged) {
  const uint64_t kills = uint_from_environment("LIGHTNING_KILLS", kDefaultKills);
  const uint64_t first_seed = uint_from_environment("LIGHTNING_KILL_SEED", 1);
  std::unique_ptr<ScratchDirectory> scratch;
  std::unique_ptr<KillExpected> expected;
  uint64_t operations = 0;
  for (uint64_t kill = 0; kill < kills; ++kill) {
    const uint64_t seed = first_seed + kill;
    Random random(seed);
    SCOPED_TRACE("kill " + std::to_string(kill) + ", seed " + std::to_string(seed));
    if (kill % kKillsOfDatabase == 0) {
      scratch = std::make_unique<ScratchDirectory>();
      expected = std::make_unique<KillExpected>();
    }
    const std::string directory = scratch->path("db");
    KillWriter writer(directory, seed, std::array{1u, 2u, 4u}[random.below(3)]);
    if (random.chance(0.2)) {
      writer.listen(static_cast<int>(random.below(30)));
    } else {
      // Some operations, however slow the machine is, then some time.
      writer.listen(kPatienceMs, random.below(50));
      writer.listen(static_cast<int>(random.below(250)));
    }
    bool ended_by_itself = false;
    const KillAcknowledged acknowledged = writer.kill(&ended_by_itself);
    ASSERT_FALSE(acknowledged.failed || ended_by_itself);
    operations += acknowledged.operations_of_all();
    // Read-only, what the killed process left stays for the next one to recover.
    Options options;
    options.read_only = acknowledged.opened && random.chance(0.4);
    Result<Database> database = Database::open(directory, options);
    ASSERT_TRUE(database) << database.status().to_string();
    ASSERT_EQ(expected->compare(seed, acknowledged.operations, acknowledged.operations, *database), "");
    const Status closed = database->close();
    ASSERT_TRUE(closed.ok()) << closed.to_string();
    if (HasFailure()) return;
  }
  EXPECT_GT(operations, kills * 10);
  count("kills", kills);
  count("operations", operations);
}

}  // namespace
}  // namespace lightning
