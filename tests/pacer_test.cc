// Waits under the simulated clock: no time passes but what is slept.
#include "engine/pacer.h"

#include <gtest/gtest.h>

#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMilli = 1'000'000;
constexpr uint64_t kForever = UINT64_MAX;
constexpr Pace kTenMillis{.ns_per_mib = 10 * kMilli, .reason = PaceReason::memory};

uint64_t now_of(SimEnv& env) { return env.clock().monotonic_ns(); }

/// Runs `body` on a thread of a simulation in which nothing else happens.
template <typename Body>
void simulate(Body&& body) {
  SimEnv env({.switch_probability = 0, .spurious_wake_probability = 0});
  env.sleep(1000 * kMilli);
  Pacer pacer(env.clock());
  env.spawn("writer", [&] { body(env, pacer); });
  ASSERT_TRUE(env.run().ok());
}

TEST(Pacer, IsOffUntilThereIsAPace) {
  simulate([](SimEnv&, Pacer& pacer) {
    EXPECT_FALSE(pacer.on());
    pacer.set(kTenMillis);
    EXPECT_TRUE(pacer.on());
    pacer.set({});
    EXPECT_FALSE(pacer.on());
  });
}

TEST(Pacer, OneInSoManyBytesTakesATurn) {
  simulate([](SimEnv&, Pacer& pacer) {
    int turns = 0;
    for (uint64_t bytes = 0; bytes < kMiB; bytes += 128) turns += pacer.takes_turn(128) ? 1 : 0;
    EXPECT_EQ(turns, 32);
    EXPECT_TRUE(pacer.takes_turn(kMiB));
  });
}

TEST(Pacer, WritersTogetherGoAtThePace) {
  SimEnv env({.seed = 3});
  env.sleep(1000 * kMilli);
  Pacer pacer(env.clock());
  pacer.set(kTenMillis);
  const uint64_t began = now_of(env);
  for (int writer = 0; writer < 4; ++writer) {
    env.spawn("writer", [&] {
      for (uint64_t bytes = 0; bytes < 4 * kMiB; bytes += 1024) {
        if (!pacer.takes_turn(1024)) continue;
        EXPECT_TRUE(pacer.wait(1024, kForever).ok());
      }
    });
  }
  ASSERT_TRUE(env.run().ok());
  const uint64_t took = now_of(env) - began;
  EXPECT_GE(took, 155 * kMilli);
  EXPECT_LE(took, 165 * kMilli);
  EXPECT_GE(pacer.waited_us(PaceReason::memory), 155'000u);
  EXPECT_EQ(pacer.waited_us(PaceReason::merges), 0u);
}

TEST(Pacer, PastTheDeadlineItIsBusyAtOnceAndOwesNothing) {
  simulate([](SimEnv& env, Pacer& pacer) {
    pacer.set(kTenMillis);
    const uint64_t began = now_of(env);
    EXPECT_TRUE(pacer.wait(kMiB, began + 5 * kMilli).is(StatusCode::busy));
    EXPECT_LT(now_of(env) - began, kMilli);
    EXPECT_TRUE(pacer.wait(kMiB, began + 10 * kMilli).ok());
    EXPECT_LE(now_of(env), began + 10 * kMilli);
  });
}

TEST(Pacer, WhoWaitsGoesOnWhenTheDebtIsPaid) {
  SimEnv env;
  env.sleep(1000 * kMilli);
  Pacer pacer(env.clock());
  pacer.set({.ns_per_mib = 10'000 * kMilli, .reason = PaceReason::merges});
  const uint64_t began = now_of(env);
  env.spawn("writer", [&] { EXPECT_TRUE(pacer.wait(kMiB, kForever).ok()); });
  env.spawn("merger", [&] {
    env.sleep(20 * kMilli);
    pacer.set({});
  });
  ASSERT_TRUE(env.run().ok());
  EXPECT_LE(now_of(env) - began, 25 * kMilli);
}

TEST(Pacer, KnowsHowFastFlushesAre) {
  simulate([](SimEnv& env, Pacer& pacer) {
    {
      Pacer::Flush flush(pacer, 8 * kMiB);
      env.sleep(80 * kMilli);
      EXPECT_EQ(pacer.flushed_bytes(), 0u);  // nothing is known yet
      flush.succeeded();
    }
    EXPECT_NEAR(static_cast<double>(pacer.flush_bytes_per_s()), 100.0 * kMiB, kMiB);
    {
      Pacer::Flush flush(pacer, 8 * kMiB);
      env.sleep(40 * kMilli);
      EXPECT_NEAR(static_cast<double>(pacer.flushed_bytes()), 4.0 * kMiB, kMiB / 10.0);
    }  // failed: says nothing
    EXPECT_NEAR(static_cast<double>(pacer.flush_bytes_per_s()), 100.0 * kMiB, kMiB);
    EXPECT_EQ(pacer.flushed_bytes(), 0u);
  });
}

}  // namespace
}  // namespace lightning
