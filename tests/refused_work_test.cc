// Background work for which no thread or no memory was to be had once, when it was scheduled or under way, is
// made up for, whichever refusal it was: nobody asks for it again.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/open_in.h"
#include "testing/allocation_truce.h"
#include "testing/sim_env.h"
#include "tests/allocation_script.h"

namespace lightning {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

// With nothing to say, it ends.
TEST(TheTimerOfTheLog, EndsWhenAllIsDurable) {
  for (const bool flushed : {false, true}) {
    SimEnv env;
    Result<Database> db = open_in(env, "db", {.durability = Durability::process}, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    ASSERT_TRUE(db->put("a", "b").ok());
    if (flushed) {
      ASSERT_TRUE(db->flush().ok());
    }
    for (int i = 0; i < 100; ++i) env.sleep(kSecondNs);
    EXPECT_EQ(env.scheduler().queued_tasks(), 0u);
    ASSERT_TRUE(db->put("c", "d").ok());
    env.sleep(2 * kSecondNs);
    EXPECT_EQ(db->stats()->durable_lsn, db->stats()->published_lsn);
  }
}

// What could not be made durable and then was is no error any more.
TEST(TheTimerOfTheLog, ForgetsAnErrorThatIsOver) {
  const AllocationTruce truce;
  uint64_t errors = 0;
  uint64_t refused = 1;
  for (uint64_t k = 0; refused != 0; ++k) {
    SimEnv env({.seed = k});
    Result<Database> db = open_in(env, "db", {.durability = Durability::process}, OpenKind::create);
    ASSERT_TRUE(db) << db.status().to_string();
    ASSERT_TRUE(db->put("a", "b").ok());
    g_allocation_script = {.after = k, .times = 1};
    bool error = false;
    for (int i = 0; i < 300 && !error; ++i) {
      env.sleep(kSecondNs / 100);
      error = !db->background_error().ok();
    }
    refused = g_allocation_script.refused;
    g_allocation_script = {};
    errors += error ? 1 : 0;
    ASSERT_TRUE(db->flush().ok());
    for (int i = 0; i < 100; ++i) env.sleep(kSecondNs / 10);
    EXPECT_TRUE(db->background_error().ok()) << db->background_error().to_string();
  }
  EXPECT_GT(errors, 0u);
}

}  // namespace
}  // namespace lightning
