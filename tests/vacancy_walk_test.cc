// Cursors that remember where nothing is shown, beside writers that put something there: a scan shows what
// single gets of the same snapshot find, whatever others learned before.
//
// LIGHTNING_INTERLEAVE_SEEDS=n, LIGHTNING_INTERLEAVE_SEED=s   as in interleave_test
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <string>
#include <vector>

#include "api/open_in.h"
#include "testing/counts.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kKeys = 300;
constexpr WriteOptions kProcess{.durability = Durability::process};

std::string key_of(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(4 - digits.size(), '0') + digits;
}

std::vector<std::string> keys_of(Scan scan) {
  std::vector<std::string> keys;
  for (const Entry& entry : scan) keys.emplace_back(entry.key());
  EXPECT_TRUE(scan.status().ok()) << scan.status().to_string();
  return keys;
}

void compare_with_gets(Database& db) {
  const Result<Snapshot> snapshot = db.snapshot();
  ASSERT_TRUE(snapshot);
  const ReadOptions as_of{.snapshot = &*snapshot};
  const std::vector<std::string> forward = keys_of(db.scan(as_of));
  std::vector<std::string> backward = keys_of(db.scan(as_of).reverse());
  std::reverse(backward.begin(), backward.end());
  std::vector<std::string> expected;
  for (uint64_t i = 0; i < kKeys; ++i) {
    if (db.get(key_of(i), as_of)) expected.push_back(key_of(i));
  }
  EXPECT_EQ(forward, expected);
  EXPECT_EQ(backward, expected);
}

void write_at_random(Database& db, uint64_t seed) {
  Random random(seed);
  for (int step = 0; step < 60; ++step) {
    const uint64_t number = random.below(kKeys);
    switch (random.below(6)) {
      case 0:
        EXPECT_TRUE(db.put(key_of(number), "v", kProcess).ok());
        break;
      case 1:
        EXPECT_TRUE(db.remove_range(key_of(number), key_of(std::min(number + 50, kKeys)), kProcess).ok());
        break;
      case 2: {
        WriteBatch batch;
        for (uint64_t i = number; i < std::min(number + 3, kKeys); ++i) batch.put(key_of(i), "b");
        EXPECT_TRUE(db.write(batch, kProcess).ok());
        break;
      }
      case 3:
        if (step % 8 == 0) {
          EXPECT_TRUE(
              db.put(key_of(number), std::string(100'000, 'o'), kProcess).ok());  // a segment of its own
        }
        break;
      default:
        EXPECT_TRUE(db.remove(key_of(number), kProcess).ok());
    }
  }
}

void live_once(uint64_t seed) {
  SCOPED_TRACE("LIGHTNING_INTERLEAVE_SEED=" + std::to_string(seed));
  SimEnv env({.seed = seed, .switch_probability = 1.0 / 8});
  Result<Database> db = open_in(
      env, "db", {.durability = Durability::process, .memory_limit = 8 * MiB, .write_buffer_size = 64 * KiB},
      OpenKind::open_or_create);
  ASSERT_TRUE(db) << db.status().to_string();
  for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(db->put(key_of(i), "a", kProcess).ok());
  for (uint64_t i = 0; i < kKeys; ++i) {
    if (i % 100 == 99) continue;
    ASSERT_TRUE(db->remove(key_of(i), kProcess).ok());
  }
  for (int writer = 0; writer < 2; ++writer) {
    env.spawn("writer", [&, writer] { write_at_random(*db, seed * 10 + static_cast<uint64_t>(writer)); });
  }
  for (int reader = 0; reader < 2; ++reader) {
    env.spawn("reader", [&] {
      for (int i = 0; i < 12; ++i) compare_with_gets(*db);
    });
  }
  ASSERT_TRUE(env.run().ok());
  compare_with_gets(*db);
  EXPECT_TRUE(db->close().ok());
}

TEST(VacancyWalk, AScanShowsWhatGetsFind) {
  const uint64_t first = uint_from_environment("LIGHTNING_INTERLEAVE_SEED", 1);
  const uint64_t seeds = uint_from_environment("LIGHTNING_INTERLEAVE_SEEDS", 60);
  for (uint64_t seed = first; seed < first + seeds && !testing::Test::HasFailure(); ++seed) live_once(seed);
  count("interleavings", seeds);
}

// Each pop walks over what was removed since a reader last learned where the front is, not over all of it.
TEST(VacancyWalk, AQueueHoldsWhatIsPutThere) {
  SimEnv env;
  Result<Database> db = open_in(env, "db", {.durability = Durability::process}, OpenKind::open_or_create);
  ASSERT_TRUE(db);
  constexpr uint64_t kWaiting = 20;
  for (uint64_t i = 0; i < 5'000; ++i) {
    ASSERT_TRUE(db->put(key_of(i), "v", kProcess).ok());
    if (i < kWaiting) continue;
    const std::vector<std::string> first = keys_of(db->scan().limit(2));
    ASSERT_EQ(first, (std::vector<std::string>{key_of(i - kWaiting), key_of(i - kWaiting + 1)}));
    ASSERT_TRUE(db->remove(first[0], kProcess).ok());
    if (i % 1'000 != 999) continue;
    // Something comes in where all was empty.
    ASSERT_TRUE(db->put(key_of(i / 2), "late", kProcess).ok());
    ASSERT_EQ(keys_of(db->scan().limit(1)), std::vector<std::string>{key_of(i / 2)});
    ASSERT_TRUE(db->remove(key_of(i / 2), kProcess).ok());
  }
  EXPECT_TRUE(db->close().ok());
}

}  // namespace
}  // namespace lightning
