// Result: what one child measured of one workload. Row: the medians of an engine's runs of a workload.
//
// A Result goes from the child to the parent as one line of JSON; a Row goes to the user as one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/report/histogram.h"
#include "bench/report/machine.h"

namespace lightning::bench {

// What happened in one second of a long run.
struct Second {
  uint64_t operations = 0;
  double put_p99_us = 0;
  double put_max_us = 0;
  double get_p99_us = 0;
  double get_max_us = 0;
};

// Further figures of a workload by name: ratios, amplifications, latencies in us.
using Figures = std::map<std::string, double>;

struct Result {
  std::string workload;
  std::string engine;
  uint64_t operations = 0;  // gets, puts, entries scanned, seeks: of all threads
  double seconds = 0;
  uint64_t samples = 0;  // of the percentiles; 0: there are none
  uint64_t p50_ns = 0;
  uint64_t p99_ns = 0;
  uint64_t p999_ns = 0;
  uint64_t max_ns = 0;
  double writes_per_s = 0;  // of a writer beside the readers
  uint64_t disk_bytes = 0;  // allocated blocks, log apart, settled and closed
  uint64_t log_bytes = 0;
  uint64_t rss_bytes = 0;   // resident when the clock stopped, mapped files included
  double cpu_cores = 0;     // that the child kept busy
  double others_cores = 0;  // that everything else did meanwhile: a disturbance
  Figures figures;
  std::vector<Second> timeline;

  double ops_per_s() const { return static_cast<double>(operations) / seconds; }
  void set_latency(const Histogram& latency);
  // What was used between two moments that lie `elapsed_s` apart.
  void set_cpu(const CpuTime& from, const CpuTime& to, double elapsed_s);
};

// One line of JSON, without its end. decode() ends the process on anything else.
std::string encode(const Result& result);
Result decode(const std::string& line);

struct Row {
  std::string workload;
  std::string engine;
  unsigned runs = 0;
  unsigned disturbed_runs = 0;
  double ops_per_s = 0;
  double ops_per_s_min = 0;
  double ops_per_s_max = 0;
  std::optional<double> p50_us;
  std::optional<double> p99_us;
  std::optional<double> p999_us;
  std::optional<double> max_us;
  double writes_per_s = 0;
  uint64_t disk_bytes = 0;
  uint64_t log_bytes = 0;
  uint64_t rss_bytes = 0;
  double cpu_cores = 0;
  Figures figures;               // the median of each
  std::vector<Second> timeline;  // of the run in the middle
  unsigned rank = 0;             // among the engines of this workload, 1 is the fastest

  // Half the distance between the slowest and the fastest run, as a part of the median.
  double spread() const { return (ops_per_s_max - ops_per_s_min) / 2 / ops_per_s; }
};

// A run counts as disturbed when others, the kernel's writing back included, kept more cores busy than this.
inline constexpr double kDisturbedCores = 0.1;

// One row for each workload and engine, in the order of their first results.
std::vector<Row> summarize(const std::vector<Result>& results);

}  // namespace lightning::bench
