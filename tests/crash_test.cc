// What a crash may leave: short sequences of operations, each of them, and longer random ones; cut at every
// step, by power cuts that lose any part of what was not synced and by the end of the process; recoveries cut
// again. And what the failure of each single call of the Env may do.
//
// LIGHTNING_CRASH_EFFORT=n   n times as many random workloads, moments, and images of each moment
// LIGHTNING_CRASH_SEED=s     the random workloads from this seed on, and other images of the sequences
// LIGHTNING_CRASH_SEEDS=n    so many random workloads from there; 1 unless said
// LIGHTNING_CRASH_FOURTH=n   every n-th sequence of four steps, beginning at the seed; 1 = all
#include <gtest/gtest.h>

#include "base/hash.h"
#include "testing/counts.h"
#include "testing/sim_env.h"
#include "tests/crash_check.h"
#include "tests/order_rules.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultEffort = 2;
constexpr uint64_t kDefaultFourthEvery = 23;
constexpr uint64_t kShards = 4;
#else
constexpr uint64_t kDefaultEffort = 1;  // slow builds: sanitizers
constexpr uint64_t kDefaultFourthEvery = 101;
constexpr uint64_t kShards = 8;
#endif
constexpr uint64_t kThousands = 4;  // of seeds, from each of which so many: twice the effort

uint64_t effort() { return uint_from_environment("LIGHTNING_CRASH_EFFORT", kDefaultEffort); }
/// 0: none is given.
uint64_t given_seed() { return uint_from_environment("LIGHTNING_CRASH_SEED", 0); }

/// Moments of `steps`, thinned out to about `moments_max`, each checked with `images_max` images.
struct CrashPlan {
  uint64_t seed = 1;
  bool mapped = true;
  uint64_t moments_max = UINT64_MAX;
  uint64_t images_max = 16;
  uint64_t nested_every = 40;
};

void check_workload(const std::vector<CrashStep>& steps, const CrashPlan& plan) {
  const SimOptions sim{.seed = plan.seed, .supports_allocate = plan.mapped};
  const std::string trace =
      describe(steps) + ", seed " + std::to_string(plan.seed) + (plan.mapped ? "" : ", written");
  std::vector<CrashMoment> moments;
  {
    SimEnv env(sim);
    add_order_rules(env.order());
    CrashWorkload workload(env, plan.seed, true);
    const std::string said = workload.run(steps);
    EXPECT_EQ(said, "") << trace;
    EXPECT_FALSE(workload.failed()) << trace;
    for (const std::string& violation : env.order().violations()) ADD_FAILURE() << trace << ": " << violation;
    moments = std::move(workload.moments());
  }
  if (testing::Test::HasFailure()) return;
  thin_out(moments, plan.moments_max, plan.seed);
  // Some disks write larger blocks whole, some file systems tear a rename.
  Random random(mix_seed(plan.seed, hash_bytes(trace, 0)));
  CrashCheck check{.sim = sim,
                   .grain = {.block_bytes = random.chance(0.2) ? kPageBytes : kSectorBytes,
                             .split_renames = random.chance(0.2)},
                   .nested_every = plan.nested_every};
  EXPECT_EQ(check_moments(check, moments, plan.images_max), "") << trace;
  count("states", check.images);
  count("nested", check.nested);
}

class ShortSequences : public testing::TestWithParam<uint8_t> {};

// All sequences of up to three of ten steps, by their first one, and of those of four every so many.
TEST_P(ShortSequences, SurviveEveryCrash) {
  const auto step = [](uint8_t chosen) { return static_cast<CrashStep>(chosen); };
  const uint64_t fourth_every = uint_from_environment("LIGHTNING_CRASH_FOURTH", kDefaultFourthEvery);
  const uint64_t seed = given_seed() != 0 ? given_seed() : 1;
  uint64_t number = seed + GetParam();
  check_workload({step(GetParam())}, {.seed = seed, .images_max = 32 * effort(), .nested_every = 10});
  for (uint8_t second = 0; second < kSmallCrashSteps; ++second) {
    for (const bool mapped : {true, false}) {
      check_workload(
          {step(GetParam()), step(second)},
          {.seed = seed, .mapped = mapped, .moments_max = 8 * effort(), .images_max = 8 * effort()});
    }
    for (uint8_t third = 0; third < kSmallCrashSteps; ++third) {
      check_workload({step(GetParam()), step(second), step(third)}, {.seed = seed,
                                                                     .mapped = (second + third) % 3 != 0,
                                                                     .moments_max = 4 * effort(),
                                                                     .images_max = 4 * effort()});
      for (uint8_t fourth = 0; fourth < kSmallCrashSteps; ++fourth) {
        if (number++ % fourth_every != 0) continue;
        check_workload({step(GetParam()), step(second), step(third), step(fourth)},
                       {.seed = seed,
                        .mapped = (second + third + fourth) % 3 != 0,
                        .moments_max = 4 * effort(),
                        .images_max = 4 * effort()});
      }
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(First, ShortSequences, testing::Range<uint8_t>(0, kSmallCrashSteps));

class RandomWorkloads : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomWorkloads, SurviveCrashes) {
  const uint64_t given = given_seed();
  const uint64_t of_each = 2 * effort();
  const uint64_t seeds =
      given == 0 ? kThousands * of_each / kShards : uint_from_environment("LIGHTNING_CRASH_SEEDS", 1);
  for (uint64_t i = 0; i < seeds; ++i) {
    const uint64_t number = GetParam() * seeds + i;
    const uint64_t seed = given != 0 ? given + i : (1 + number / of_each) * 1000 + number % of_each;
    Random random(seed);
    std::vector<CrashStep> steps(5 + random.below(40));
    for (CrashStep& step : steps) step = static_cast<CrashStep>(random.below(kCrashSteps));
    check_workload(steps, {.seed = seed,
                           .mapped = random.chance(0.6),
                           .moments_max = 40,
                           .images_max = 16,
                           .nested_every = given != 0 ? uint64_t{300} : 50});
    if (HasFailure()) return;
  }
}

// Each moment of moves, merges of a tier, and a drain.
TEST(Levels, SurviveCrashesAtEveryStep) {
  for (const bool mapped : {true, false}) {
    uint64_t moves = 0;
    uint64_t merges = 0;
    const std::vector<CrashStep> steps = {CrashStep::levels, CrashStep::remove,        CrashStep::levels,
                                          CrashStep::burst,  CrashStep::compact_range, CrashStep::compact};
    {
      SimEnv env({.seed = 7, .supports_allocate = mapped});
      CrashWorkload workload(env, 7, false);
      EXPECT_EQ(workload.run(steps), "");
      moves = workload.moves();
      merges = workload.merges();
    }
    EXPECT_GT(moves, 0u);
    EXPECT_GT(merges, 1u);
    check_workload(steps, {.seed = 7,
                           .mapped = mapped,
                           .moments_max = 16 * effort(),
                           .images_max = 4 * effort(),
                           .nested_every = 40});
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, RandomWorkloads, testing::Range<uint64_t>(0, kShards));

}  // namespace
}  // namespace lightning
