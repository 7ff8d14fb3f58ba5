// What a crash may leave: short sequences of operations, each of them, and longer random ones; cut at every
// step, by power cuts that lose any part of what was not synced and by the end of the process; recoveries cut
// again. And what the failure of each single call of the Env may do.
//
// LIGHTNING_CRASH_EFFORT=n   n times as many random workloads, moments, and images of each moment
// LIGHTNING_CRASH_SEED=s     the random workload of this seed alone
#include <gtest/gtest.h>

#include <cstdlib>

#include "testing/sim_env.h"
#include "tests/crash_workload.h"
#include "tests/order_rules.h"

namespace lightning {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

#if defined(NDEBUG)
constexpr uint64_t kDefaultEffort = 2;
#else
constexpr uint64_t kDefaultEffort = 1;  // slow builds: sanitizers
#endif

uint64_t effort() { return from_environment("LIGHTNING_CRASH_EFFORT", kDefaultEffort); }

/// Moments of `steps`, thinned out to about `moments_max`, each checked with `images_max` images.
struct CrashPlan {
  uint64_t seed = 1;
  bool mapped = true;
  uint64_t moments_max = UINT64_MAX;
  uint64_t images_max = 16;
  uint64_t nested_every = 40;
};

uint64_t check_workload(const std::vector<CrashStep>& steps, const CrashPlan& plan) {
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
  if (testing::Test::HasFailure()) return 0;
  if (moments.size() > plan.moments_max) {
    Random random(plan.seed);
    const double share = static_cast<double>(plan.moments_max) / static_cast<double>(moments.size());
    std::erase_if(moments, [&](const CrashMoment&) { return !random.chance(share); });
  }
  CrashCheck check{.sim = sim, .nested_every = plan.nested_every};
  EXPECT_EQ(check_moments(check, moments, plan.images_max), "") << trace;
  return check.images;
}

class ShortSequences : public testing::TestWithParam<uint8_t> {};

// All sequences of up to three of ten steps, by their first one.
TEST_P(ShortSequences, SurviveEveryCrash) {
  uint64_t images = 0;
  const auto step = [](uint8_t number) { return static_cast<CrashStep>(number); };
  images += check_workload({step(GetParam())}, {.images_max = 32 * effort(), .nested_every = 10});
  for (uint8_t second = 0; second < kSmallCrashSteps; ++second) {
    for (const bool mapped : {true, false}) {
      images += check_workload({step(GetParam()), step(second)},
                               {.mapped = mapped, .moments_max = 8 * effort(), .images_max = 8 * effort()});
    }
    for (uint8_t third = 0; third < kSmallCrashSteps; ++third) {
      images += check_workload(
          {step(GetParam()), step(second), step(third)},
          {.mapped = (second + third) % 3 != 0, .moments_max = 4 * effort(), .images_max = 4 * effort()});
      if (HasFailure()) return;
    }
  }
  RecordProperty("images", static_cast<int>(images));
}

INSTANTIATE_TEST_SUITE_P(First, ShortSequences, testing::Range<uint8_t>(0, kSmallCrashSteps));

class RandomWorkloads : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomWorkloads, SurviveCrashes) {
  const uint64_t only = from_environment("LIGHTNING_CRASH_SEED", 0);
  uint64_t images = 0;
  for (uint64_t i = 0; i < (only != 0 ? 1 : 2 * effort()); ++i) {
    const uint64_t seed = only != 0 ? only : GetParam() * 1000 + i;
    Random random(seed);
    std::vector<CrashStep> steps(5 + random.below(40));
    for (CrashStep& step : steps) step = static_cast<CrashStep>(random.below(kCrashSteps));
    images += check_workload(steps, {.seed = seed,
                                     .mapped = random.chance(0.6),
                                     .moments_max = 40,
                                     .images_max = 16,
                                     .nested_every = 50});
    if (HasFailure()) return;
  }
  RecordProperty("images", static_cast<int>(images));
}

// Each moment of moves, merges of a tier, and a drain.
TEST(Levels, SurviveCrashesAtEveryStep) {
  for (const bool mapped : {true, false}) {
    uint64_t moves = 0;
    uint64_t merges = 0;
    const std::vector<CrashStep> steps = {CrashStep::levels, CrashStep::remove, CrashStep::levels,
                                          CrashStep::compact};
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

INSTANTIATE_TEST_SUITE_P(Shards, RandomWorkloads, testing::Range<uint64_t>(1, 5));

struct FaultKind {
  const char* name;
  Fault fault;
};

std::ostream& operator<<(std::ostream& out, const FaultKind& kind) { return out << kind.name; }

class SingleFaults : public testing::TestWithParam<FaultKind> {};

// The k-th call fails, for every k: every answer until the end is an error or right, and after the end of the
// process, or a power cut, everything acknowledged is there.
TEST_P(SingleFaults, LoseNothingThatWasAcknowledged) {
  constexpr CrashStep kSteps[] = {CrashStep::put_power,   CrashStep::keyspace,     CrashStep::batch,
                                  CrashStep::put_process, CrashStep::burst,        CrashStep::flush,
                                  CrashStep::batch,       CrashStep::compact,      CrashStep::put_power,
                                  CrashStep::idle,        CrashStep::put_oversize, CrashStep::reopen,
                                  CrashStep::levels,      CrashStep::put_power,    CrashStep::sync};
  for (const bool mapped : {true, false}) {
    const SimOptions sim{.seed = 5, .supports_allocate = mapped};
    uint64_t met = 1;
    for (uint64_t k = 0; met != 0; ++k) {
      AllowedStates allowed;
      SimDisk moment;
      std::string call;
      {
        SimEnv env(sim);
        env.watch([&](const SimStep& step) {
          if (env.faults().injected() == 0) call = std::string(step.what).append(" ").append(step.name);
        });
        Fault fault = GetParam().fault;
        fault.after = k;
        env.faults().add(fault);
        CrashWorkload workload(env, 5, false);
        ASSERT_EQ(workload.run({std::begin(kSteps), std::end(kSteps)}), "") << "k = " << k << ": " << call;
        met = env.faults().injected();
        allowed = workload.allowed();
        moment = env.kill();
      }
      CrashCheck check{.sim = sim, .nested_every = 0};
      for_each_crash_image(moment, {.limit = 4, .seed = k}, [&](CrashImage image) {
        if (HasFailure()) return;
        // What a failed sync left clean in the cache is read as the disk has it, sooner or later.
        if (!image.killed_only) image.disk.evict_lost_pages();
        ASSERT_EQ(check_crash(check, std::move(image), allowed), "") << "k = " << k << ": " << call;
      });
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SingleFaults,
    testing::Values(
        FaultKind{"io_error", {.code = StatusCode::io_error}},
        FaultKind{"io_error_after_half", {.code = StatusCode::io_error, .effect = FaultEffect::half}},
        FaultKind{"io_error_but_done", {.code = StatusCode::io_error, .effect = FaultEffect::done}},
        FaultKind{"no_space", {.code = StatusCode::no_space}},
        FaultKind{"no_space_for_long", {.times = 30, .code = StatusCode::no_space}},
        FaultKind{"sync_fails_and_pages_turn_clean",
                  {.call = SimCall::sync, .effect = FaultEffect::pages_clean}},
        FaultKind{"everything_fails_from_then_on", {.times = kForever}}),
    [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace lightning
