// Waits under the simulated clock: no time passes but what is slept.
#include "engine/pacer.h"

#include <gtest/gtest.h>
#include <lightning/database.h>

#include <string>
#include <string_view>

#include "api/open_in.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMilli = 1'000'000;
const auto kNever = [] { return Status(); };  // refused
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
        EXPECT_TRUE(pacer.wait(1024, kForever, kNever).ok());
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
    EXPECT_TRUE(pacer.wait(kMiB, began + 5 * kMilli, kNever).is(StatusCode::busy));
    EXPECT_LT(now_of(env) - began, kMilli);
    EXPECT_TRUE(pacer.wait(kMiB, began + 10 * kMilli, kNever).ok());
    EXPECT_LE(now_of(env), began + 10 * kMilli);
  });
}

TEST(Pacer, WhoWaitsGoesOnWhenTheDebtIsPaid) {
  SimEnv env;
  env.sleep(1000 * kMilli);
  Pacer pacer(env.clock());
  pacer.set({.ns_per_mib = 10'000 * kMilli, .reason = PaceReason::merges});
  const uint64_t began = now_of(env);
  env.spawn("writer", [&] { EXPECT_TRUE(pacer.wait(kMiB, kForever, kNever).ok()); });
  env.spawn("merger", [&] {
    env.sleep(20 * kMilli);
    pacer.set({});
  });
  ASSERT_TRUE(env.run().ok());
  EXPECT_LE(now_of(env) - began, 25 * kMilli);
}

TEST(Pacer, WhoWaitsHearsThatWritesAreRefused) {
  SimEnv env;
  env.sleep(1000 * kMilli);
  Pacer pacer(env.clock());
  pacer.set({.ns_per_mib = 10'000 * kMilli, .reason = PaceReason::merges});
  Status refusal;
  const uint64_t began = now_of(env);
  env.spawn("writer",
            [&] { EXPECT_TRUE(pacer.wait(kMiB, kForever, [&] { return refusal; }).is(StatusCode::closed)); });
  env.sleep(500 * kMilli);
  refusal = Status(StatusCode::closed, "");
  ASSERT_TRUE(env.run().ok());
  EXPECT_LE(now_of(env) - began, 650 * kMilli);
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

constexpr WriteOptions kPatient{.timeout_ms = 5'000};

/// A database whose flushes took long, and then failed: its writers are paced.
class PacedDatabase : public testing::Test {
 protected:
  /// A write of kValueBytes waits for a part of it.
  void open(uint64_t flush_ns) {
    const Options options{.durability = Durability::process,
                          .flush_interval_ms = 0,
                          .memory_limit = 16 * kMiB,
                          .write_buffer_size = 2 * kMiB};
    Result<Database> opened = open_in(env_, "db", options, OpenKind::create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
    env_.faults().add({.call = SimCall::create,
                       .name_part = ".run",
                       .times = kForever,
                       .code = StatusCode::ok,
                       .delay_ns = flush_ns});
    for (uint64_t i = 0; i < 3 * kMiB / kValueBytes; ++i) ASSERT_TRUE(put("a", {}).ok());
    ASSERT_TRUE(db_.flush().ok());
    env_.faults().clear();
    env_.faults().add({.call = SimCall::create, .name_part = ".run", .times = kForever});
    for (int i = 0; paced_us() == 0; ++i) {
      ASSERT_LT(i, 1000);
      ASSERT_TRUE(put("a", {}).ok());
    }
  }
  Status put(std::string_view key, const WriteOptions& options) {
    return db_.put(key, std::string(kValueBytes, 'v'), options);
  }
  uint64_t paced_us() const { return db_.stats()->paced_memory_us; }

  static constexpr uint64_t kValueBytes = 64 << 10;
  SimEnv env_{{.seed = 1}};
  Database db_;
};

TEST_F(PacedDatabase, AWriteThatIsPacedWaitsNoLongerForALock) {
  open(64'000 * kMilli);
  Transaction holder = db_.begin({.isolation = Isolation::read_committed});
  ASSERT_TRUE(holder.lock("k").ok());
  const uint64_t paced_before = paced_us();
  const uint64_t began = now_of(env_);
  EXPECT_TRUE(put("k", kPatient).is(StatusCode::busy));
  const uint64_t took = now_of(env_) - began;
  EXPECT_GT(paced_us(), paced_before + 100'000);
  EXPECT_GE(took, kPatient.timeout_ms * kMilli);
  EXPECT_LE(took, (kPatient.timeout_ms + 50) * kMilli);
}

TEST_F(PacedDatabase, AWriteThatIsPacedWaitsNoLongerForMemory) {
  open(16'000 * kMilli);
  Status status;
  for (int i = 0; status.ok() && i < 1000; ++i) {
    const uint64_t paced_before = paced_us();
    const uint64_t began = now_of(env_);
    status = put("k", kPatient);
    EXPECT_GT(paced_us(), paced_before);
    EXPECT_LE(now_of(env_) - began, (kPatient.timeout_ms + 50) * kMilli);
  }
  EXPECT_TRUE(status.is(StatusCode::busy)) << status.to_string();
  EXPECT_GT(db_.stats()->stall_us, 0u);
}

TEST_F(PacedDatabase, AChangeOfTheCatalogueDoesNotHoldUpAClose) {
  open(10'000'000 * kMilli);
  Status status;
  int made = 0;
  env_.spawn("names", [&] {
    while (status.ok()) status = db_.keyspace(std::to_string(made++)).status();
  });
  env_.sleep(1000 * kMilli);
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_GT(made, 0);
  env_.faults().clear();
  const uint64_t began = now_of(env_);
  EXPECT_TRUE(db_.close().ok());
  ASSERT_TRUE(env_.run().ok());
  EXPECT_LE(now_of(env_) - began, 150 * kMilli);
  EXPECT_TRUE(status.is(StatusCode::closed)) << status.to_string();
}

TEST_F(PacedDatabase, AWriteThatIsPacedHearsOfALogThatFails) {
  open(10'000'000 * kMilli);
  Status status;
  const uint64_t paced_before = paced_us();
  env_.spawn("writes", [&] { status = put("k", {}); });
  env_.sleep(1000 * kMilli);
  env_.faults().add({.call = SimCall::sync, .name_part = ".log"});
  EXPECT_FALSE(db_.sync().ok());
  EXPECT_EQ(paced_us(), paced_before);  // it waits still
  const uint64_t began = now_of(env_);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_LE(now_of(env_) - began, 150 * kMilli);
  EXPECT_TRUE(status.is(StatusCode::io_error)) << status.to_string();
}

}  // namespace
}  // namespace lightning
