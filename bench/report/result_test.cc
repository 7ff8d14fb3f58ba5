#include "bench/report/result.h"

#include <gtest/gtest.h>

namespace lightning::bench {
namespace {

Result result(const char* workload, const char* engine, double ops_per_s, double others_cores = 0) {
  Result made;
  made.workload = workload;
  made.engine = engine;
  made.operations = 1000;
  made.seconds = 1000 / ops_per_s;
  made.others_cores = others_cores;
  return made;
}

TEST(ResultTest, SurvivesTheWayFromChildToParent) {
  Result sent = result("readone", "lmdb", 12.5, 0.25);
  sent.p99_ns = UINT64_MAX;
  sent.disk_bytes = 1 << 30;
  const Result received = decode(encode(sent));
  EXPECT_EQ(received.workload, sent.workload);
  EXPECT_EQ(received.engine, sent.engine);
  EXPECT_EQ(received.ops_per_s(), sent.ops_per_s());
  EXPECT_EQ(received.p99_ns, sent.p99_ns);
  EXPECT_EQ(received.disk_bytes, sent.disk_bytes);
  EXPECT_EQ(received.others_cores, sent.others_cores);
}

TEST(ResultDeathTest, WhatIsNoResultEndsTheProcess) {
  EXPECT_EXIT((void)decode("garbage"), testing::ExitedWithCode(1), "not a result: garbage");
}

TEST(ResultTest, ARowIsTheMedianAndTheSpreadOfItsRuns) {
  const std::vector<Row> rows = summarize(
      {result("fillseq", "lmdb", 100), result("fillseq", "lmdb", 300, 0.5), result("fillseq", "lmdb", 110)});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].runs, 3u);
  EXPECT_EQ(rows[0].disturbed_runs, 1u);
  EXPECT_DOUBLE_EQ(rows[0].ops_per_s, 110);
  EXPECT_DOUBLE_EQ(rows[0].ops_per_s_min, 100);
  EXPECT_DOUBLE_EQ(rows[0].ops_per_s_max, 300);
  EXPECT_DOUBLE_EQ(rows[0].spread(), 100.0 / 110);
  EXPECT_FALSE(rows[0].p50_us.has_value());
}

TEST(ResultTest, RanksAreWithinAWorkload) {
  const std::vector<Row> rows =
      summarize({result("fillseq", "lmdb", 100), result("fillseq", "rocksdb", 200),
                 result("readone", "lmdb", 9'000), result("readone", "rocksdb", 900)});
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].rank, 2u);
  EXPECT_EQ(rows[1].rank, 1u);
  EXPECT_EQ(rows[2].rank, 1u);
  EXPECT_EQ(rows[3].rank, 2u);
}

}  // namespace
}  // namespace lightning::bench
