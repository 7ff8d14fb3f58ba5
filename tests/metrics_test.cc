// Metrics as text: the formats, the names that docs/metrics.md promises, and what the figures say.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "testing/sim_env.h"
#include "tests/exposition.h"

namespace lightning {
namespace {

constexpr MetricsFormat kFormats[] = {MetricsFormat::prometheus, MetricsFormat::openmetrics};

std::vector<MetricFamily> metrics_of(const Database& db, MetricsFormat format = MetricsFormat::prometheus) {
  std::vector<MetricFamily> families;
  const Result<std::string> text = db.metrics_text(format);
  EXPECT_TRUE(text) << text.status().to_string();
  if (!text) return families;
  EXPECT_EQ(read_exposition(*text, format, &families), "");
  return families;
}

/// Of the sample `name` with all of `labels`.
double value_of(const std::vector<MetricFamily>& families, const std::string& name,
                const std::map<std::string, std::string>& labels = {}) {
  for (const MetricFamily& family : families) {
    for (const MetricSample& sample : family.samples) {
      if (sample.name == name && sample.labels == labels) return sample.value;
    }
  }
  ADD_FAILURE() << "there is no " << name;
  return -1;
}

class MetricsTest : public testing::Test {
 protected:
  void SetUp() override { open({.durability = Durability::process}); }
  void open(const Options& options) {
    Result<Database> opened = Database::open(scratch_.path() + "/db", options);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
  }
  void ok(const Status& status) { ASSERT_EQ(status.to_string(), "ok"); }

  ScratchDirectory scratch_;
  Database db_;
};

TEST_F(MetricsTest, BothFormatsAreWellFormed) {
  for (int i = 0; i < 100; ++i) ok(db_.put(std::to_string(i), "v"));
  ok(db_.flush());
  ok(db_.compact());
  ok(db_.put("more", "v", {.durability = Durability::power}));
  for (const MetricsFormat format : kFormats) {
    const std::vector<MetricFamily> families = metrics_of(db_, format);
    EXPECT_GT(families.size(), 50u);
    for (const MetricFamily& family : families) {
      EXPECT_TRUE(family.name.starts_with("lightning_")) << family.name;
      EXPECT_EQ(family.unit.empty(),
                format == MetricsFormat::prometheus ||
                    !(family.name.ends_with("bytes") || family.name.ends_with("seconds")))
          << family.name;
    }
  }
}

TEST_F(MetricsTest, TheDocumentNamesThemAll) {
  std::set<std::pair<std::string, std::string>> documented;
  std::ifstream document(LIGHTNING_METRICS_DOCUMENT);
  for (std::string line; std::getline(document, line);) {
    if (!line.starts_with("| `lightning_")) continue;
    const size_t name_end = line.find('`', 3);
    const size_t type = line.find("| ", name_end) + 2;
    EXPECT_TRUE(
        documented.emplace(line.substr(3, name_end - 3), line.substr(type, line.find(' ', type) - type))
            .second)
        << line;
  }
  std::set<std::pair<std::string, std::string>> printed;
  for (const MetricFamily& family : metrics_of(db_)) {
    printed.emplace(family.name + (family.type == "counter" ? "_total" : ""), family.type);
  }
  EXPECT_EQ(documented, printed);
}

TEST_F(MetricsTest, FiguresAreThoseOfStats) {
  for (int i = 0; i < 1000; ++i) ok(db_.put("key" + std::to_string(i), std::string(100, 'v')));
  ok(db_.compact());  // what a flush writes moves on to the last level at some time
  ok(db_.remove("key7"));
  const Result<Snapshot> held = db_.snapshot();
  ASSERT_TRUE(held);
  const std::vector<MetricFamily> metrics = metrics_of(db_);
  const Result<Stats> stats = db_.stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(value_of(metrics, "lightning_commits_total"), 1001);
  EXPECT_EQ(value_of(metrics, "lightning_flushes_total"), static_cast<double>(stats->flushes));
  EXPECT_EQ(value_of(metrics, "lightning_run_entries"), 1000);
  EXPECT_EQ(
      value_of(metrics, "lightning_level_entries", {{"level", std::to_string(stats->levels.at(0).number)}}),
      1000);
  EXPECT_EQ(value_of(metrics, "lightning_readers"), 1);
  EXPECT_EQ(value_of(metrics, "lightning_background_error"), 0);
  EXPECT_EQ(value_of(metrics, "lightning_memory_limit_bytes"), static_cast<double>(Options().memory_limit));
  double parts = 0;
  for (const MetricFamily& family : metrics) {
    if (family.name != "lightning_memory_part_bytes") continue;
    EXPECT_EQ(family.samples.size(), 9u);
    for (const MetricSample& sample : family.samples) parts += sample.value;
  }
  EXPECT_EQ(parts, value_of(metrics, "lightning_memory_bytes"));
}

// In a thread of its own, whose intervals begin anew: what is counted is then the same on each run.
TEST_F(MetricsTest, LatenciesCountAllOperations) {
  constexpr int kTimes = 6400;
  constexpr double kIntervalMax = 96;
  std::thread([&] {
    std::vector<Value> values(2);
    const std::string_view keys[] = {"0", "absent"};
    for (int i = 0; i < kTimes; ++i) ok(db_.put(std::to_string(i), "v"));
    for (int i = 0; i < kTimes; ++i) EXPECT_TRUE(db_.get(std::to_string(i)));
    for (int i = 0; i < kTimes; ++i) ok(db_.get_many(keys, values));
    for (int i = 0; i < 10; ++i) ok(db_.put("durable", "v", {.durability = Durability::power}));
    for (int i = 0; i < 10; ++i) {
      for (const Entry& entry : db_.scan()) EXPECT_FALSE(entry.key().empty());
    }
    for (int i = 0; i < kTimes; ++i) {
      Scan one = db_.scan("1", "2").limit(1);
      EXPECT_TRUE(one.advance());
    }
  }).join();
  ok(db_.flush());
  const std::vector<MetricFamily> metrics = metrics_of(db_);
  for (const char* name : {"lightning_get_seconds", "lightning_get_many_seconds", "lightning_seek_seconds"}) {
    const double count = value_of(metrics, std::string(name) + "_count");
    EXPECT_LE(count, kTimes + 10 + 1) << name;  // the scans, and the open's one of the catalogue
    EXPECT_GT(count, kTimes - kIntervalMax) << name;
    EXPECT_GT(value_of(metrics, std::string(name) + "_sum"), 0) << name;
  }
  const double commits = value_of(metrics, "lightning_commit_seconds_count", {{"durability", "process"}});
  EXPECT_LE(commits, kTimes);
  EXPECT_GT(commits, kTimes - kIntervalMax);
  EXPECT_EQ(value_of(metrics, "lightning_commit_seconds_count", {{"durability", "power"}}), 10);
  const double steps = value_of(metrics, "lightning_step_seconds_count");
  EXPECT_GT(steps, 10 * kTimes * 0.8);
  EXPECT_LT(steps, 10 * kTimes * 1.2);
  EXPECT_EQ(value_of(metrics, "lightning_flush_seconds_count"), value_of(metrics, "lightning_flushes_total"));
}

// What a commit answers that failed is no latency of commits.
TEST_F(MetricsTest, RefusedCommitsAreNotCounted) {
  for (int i = 0; i < 500; ++i) {
    EXPECT_TRUE(db_.put(std::string(100'000, 'k'), "v").is(StatusCode::invalid_argument));
  }
  const std::vector<MetricFamily> metrics = metrics_of(db_);
  EXPECT_EQ(value_of(metrics, "lightning_commits_total"), 0);
  EXPECT_EQ(value_of(metrics, "lightning_commit_seconds_count", {{"durability", "process"}}), 0);
}

TEST_F(MetricsTest, AReadOnlyDatabaseHasThemToo) {
  ok(db_.put("key", "value"));
  ok(db_.close());
  EXPECT_TRUE(db_.metrics_text().status().is(StatusCode::closed));
  open({.create = false, .read_only = true});
  EXPECT_EQ(value_of(metrics_of(db_), "lightning_recovered_records"),
            static_cast<double>(db_.stats()->recovered_records));
}

TEST(Metrics, AFailureOfTheDiskShows) {
  SimEnv env({.seed = 1});
  Result<Database> opened = open_in(env, "/db", {}, OpenKind::open_or_create);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->put("key", "value").ok());
  EXPECT_EQ(value_of(metrics_of(*opened), "lightning_background_error"), 0);
  env.faults().add({.call = SimCall::sync});
  EXPECT_FALSE(opened->put("key", "again").ok());
  EXPECT_EQ(value_of(metrics_of(*opened), "lightning_background_error"), 1);
}

// A simulation is the same whether or not something is timed.
TEST(Metrics, AStopwatchMovesNoSimulatedTime) {
  SimEnv env({.seed = 1});
  const uint64_t before = env.clock().stopwatch_ns();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(env.clock().stopwatch_ns(), before);
  EXPECT_GT(env.clock().monotonic_ns(), before);
}

TEST(Exposition, BadTextsAreRefused) {
  struct Case {
    const char* text;
    const char* fault;  // "": none
  };
  const std::string head = "# HELP a Text.\n# TYPE a ";
  const Case kCases[] = {
      {"gauge\na 1\n", ""},
      {"gauge\na{b=\"x\\\"y\\\\z\\n\"} 1\n", ""},
      {"gauge\na{b=\"x\\y\"} 1\n", "a bad escape"},
      {"gauge\na{b=\"x} 1\n", "a label without an end"},
      {"gauge\na 1", "the last line has no end"},
      {"gauge\na one\n", "no number"},
      {"gauge\na 1\na 2\n", "a sample that comes twice"},
      {"gauge\nb 1\n", "a sample of another family"},
      {"gauge\na 1\n# TYPE a gauge\n", "a comment behind its samples"},
      {"rate\na 1\n", "no TYPE"},
      {"counter\na 1\n", "the name of a counter"},
      {"gauge\na 1\n# EOF\n", "a comment that says nothing"},
      {"gauge\na 1\n# HELP b Text.\n# TYPE b gauge\n# HELP a Text.\n", "a family that comes twice"},
      {"histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\n", ""},
      {"histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 0\na_sum 3\na_count 0\n", "not cumulative"},
      {"histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"1\"} 1\na_sum 3\na_count 2\n", "comes twice"},
      {"histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_sum 3\na_count 1\n", "do not rise"},
      {"histogram\na_bucket{le=\"1\"} 1\na_sum 3\na_count 1\n", "no bucket +Inf"},
      {"histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\n", "no sum"},
      {"histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n", "a count that is not"},
  };
  std::vector<MetricFamily> families;
  for (const Case& one : kCases) {
    const std::string said = read_exposition(head + one.text, MetricsFormat::prometheus, &families);
    EXPECT_TRUE(*one.fault == '\0' ? said.empty() : said.find(one.fault) != std::string::npos)
        << one.text << "\nsaid: " << said;
  }
  EXPECT_EQ(read_exposition(head + "gauge\na 1\n", MetricsFormat::openmetrics, &families), "no # EOF");
  EXPECT_EQ(read_exposition(head + "counter\na_total 1\n# EOF\n", MetricsFormat::openmetrics, &families), "");
  EXPECT_NE(
      read_exposition(head + "gauge\n# UNIT a bytes\na 1\n# EOF\n", MetricsFormat::openmetrics, &families),
      "");
}

}  // namespace
}  // namespace lightning
