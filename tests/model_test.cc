// Random histories of every API call agree with the model: in the simulated Env with both kinds of log
// segments, and on the real file system.
//
// LIGHTNING_MODEL_OPERATIONS=n
// steps in all, shared among the shards (simulated) or to each (POSIX a hundredth)
// LIGHTNING_MODEL_FIRST_SEED=s   other histories
// LIGHTNING_MODEL_SEED=s         this history alone, in every test that is chosen
#include "testing/model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/sim_env.h"
#include "tests/history.h"

namespace lightning {
namespace {

// Times that pass: the background takes the Views of cursors; it gives readers up.
constexpr uint64_t kRestNs = 2'500'000'000;
constexpr uint64_t kReaderAgeNs = History::kReaderAgeMs * 1'000'000;
constexpr uint64_t kShards = 8;
constexpr uint64_t kStepsOfHistory = 25'000;
#if defined(NDEBUG)
constexpr uint64_t kDefaultOperations = 5'000'000;
#else
constexpr uint64_t kDefaultOperations = 400'000;  // slow builds: sanitizers
#endif

uint64_t operations() { return uint_from_environment("LIGHTNING_MODEL_OPERATIONS", kDefaultOperations); }

/// Runs one history; false, with a message, when it disagrees.
bool agrees(History& history, uint64_t seed, uint64_t steps) {
  try {
    history.run(steps);
    count("operations", history.operations());
    return true;
  } catch (const Disagreement& disagreement) {
    ADD_FAILURE() << "seed " << seed << ", step " << history.step() << ": " << disagreement.what()
                  << "\nto repeat: LIGHTNING_MODEL_SEED=" << seed << " model_test --gtest_filter='"
                  << testing::UnitTest::GetInstance()->current_test_info()->test_suite_name() << "."
                  << testing::UnitTest::GetInstance()->current_test_info()->name() << "'";
    return false;
  }
}

/// Seeds decide everything: the kind of segments, when background work runs, the history.
bool run_simulated(uint64_t seed, uint64_t steps, History::Work* work) {
  Random random(seed ^ 0x5eed);
  SimEnv env({.seed = seed,
              .switch_probability = random.chance(0.5) ? 1.0 / 16 : 1.0 / 200,
              .supports_punch = random.chance(0.7),
              .supports_allocate = random.chance(0.6),
              .guards_mappings = random.chance(0.9),
              .keeps_unsynced = false});
  Status stuck;
  History history(env, "db", seed, random.chance(0.1), [&] {
    stuck = env.run_until_idle();
    if (random.chance(0.2)) env.sleep(kRestNs);
    if (random.chance(0.1)) env.sleep(random.below(2 * kReaderAgeNs));
  });
  const bool good = agrees(history, seed, steps);
  EXPECT_TRUE(stuck.ok()) << "seed " << seed << ": " << stuck.to_string();
  work->given_up += history.work().given_up;
  work->moves += history.work().moves;
  work->merges += history.work().merges;
  work->value_files += history.work().value_files;
  work->over_expiring += history.work().over_expiring;
  work->under_snapshots += history.work().under_snapshots;
  work->over_expired += history.work().over_expired;
  work->expiring_again += history.work().expiring_again;
  work->levels.insert(history.work().levels.begin(), history.work().levels.end());
  return good && stuck.ok();
}

class SimulatedModel : public testing::TestWithParam<uint64_t> {};

TEST_P(SimulatedModel, AgreesWithRandomHistories) {
  History::Work work;
  if (const uint64_t seed = uint_from_environment("LIGHTNING_MODEL_SEED", 0); seed != 0) {
    run_simulated(seed, kStepsOfHistory, &work);
    return;
  }
  const uint64_t steps = operations() / kShards;
  const uint64_t first_seed = uint_from_environment("LIGHTNING_MODEL_FIRST_SEED", 1);
  uint64_t seed = first_seed + GetParam() * 1'000'000;
  for (uint64_t done = 0; done < steps; done += kStepsOfHistory, ++seed) {
    if (!run_simulated(seed, std::min(kStepsOfHistory, steps - done), &work)) return;
  }
  if (steps < 2 * kStepsOfHistory || first_seed != 1) return;  // of a few other histories, chance
  EXPECT_GT(work.merges, 20u);
  EXPECT_GT(work.value_files, 0u);
  EXPECT_GE(work.levels.size(), 2u);
  EXPECT_GT(work.over_expiring, 100u);
  EXPECT_GT(work.under_snapshots, 10u);
  EXPECT_GT(work.over_expired, 10u);
  EXPECT_GT(work.expiring_again, 100u);
  if (steps < 20 * kStepsOfHistory) return;
  EXPECT_GE(work.levels.size(), 3u);
  EXPECT_GT(work.moves, 0u);
  EXPECT_GT(work.given_up, 5u);  // half of the histories know no age that is too old
}

INSTANTIATE_TEST_SUITE_P(Shards, SimulatedModel, testing::Range<uint64_t>(0, kShards));

TEST(PosixModel, AgreesWithRandomHistories) {
  const uint64_t only = uint_from_environment("LIGHTNING_MODEL_SEED", 0);
  const uint64_t histories = only != 0 ? 1 : 4;
  for (uint64_t i = 0; i < histories; ++i) {
    const uint64_t seed = only != 0 ? only : uint_from_environment("LIGHTNING_MODEL_FIRST_SEED", 1) + i;
    ScratchDirectory scratch;
    History history(posix_env(), scratch.path() + "/db", seed, i == 0, [] {});
    if (!agrees(history, seed, std::max<uint64_t>(1000, operations() / 100 / histories))) return;
  }
}

TEST(Model, KeepsWhatHeldMomentsSee) {
  Model model;
  model.put("", "a", "1");
  const Model::Moment first = model.now();
  model.hold(first);
  model.put("", "a", "2");
  model.remove("", "a");
  model.put("", "b", "3");
  EXPECT_EQ(model.get("", "a", first), "1");
  EXPECT_EQ(model.get("", "b", first), std::nullopt);
  EXPECT_EQ(model.get("", "a"), std::nullopt);
  EXPECT_EQ(model.first_from("", "", true)->key, "b");
  EXPECT_EQ(model.last_to("", std::nullopt, true, first)->key, "a");
  model.release(first);
  Model other;
  other.put("", "b", "3");
  EXPECT_EQ(model.digest(), other.digest());
  other.create_keyspace("k");
  EXPECT_NE(model.digest(), other.digest());
  other.put("k", "b", "3");
  other.drop_keyspace("k");
  EXPECT_EQ(model.digest(), other.digest());
}

}  // namespace
}  // namespace lightning
