#include "bench/report/result.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/fail.h"

namespace lightning::bench {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Second, operations, put_p99_us, put_max_us, get_p99_us, get_max_us)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Result, workload, engine, operations, seconds, samples, p50_ns, p99_ns,
                                   p999_ns, max_ns, writes_per_s, disk_bytes, log_bytes, rss_bytes, cpu_cores,
                                   others_cores, figures, timeline)

std::string encode(const Result& result) { return nlohmann::json(result).dump(); }

Result decode(const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) fail("not a result: " + line);
  return json.get<Result>();
}

void Result::set_latency(const Histogram& latency) {
  samples = latency.count();
  p50_ns = latency.percentile(50);
  p99_ns = latency.percentile(99);
  p999_ns = latency.percentile(99.9);
  max_ns = latency.max();
}

void Result::set_cpu(const CpuTime& from, const CpuTime& to, double elapsed_s) {
  constexpr double kResolution = 0.02;  // the kernel counts in ticks of 10 ms
  cpu_cores = (to.own - from.own) / elapsed_s;
  others_cores = std::max(0.0, to.others - from.others - kResolution) / elapsed_s;
}

namespace {

// `of` gives the figure of a result; of an even number of runs the lower of the middle two.
template <typename Of>
auto median(const std::vector<Result>& runs, Of&& of) {
  std::vector<decltype(of(runs[0]))> figures;
  figures.reserve(runs.size());
  for (const Result& run : runs) figures.push_back(of(run));
  const auto middle = figures.begin() + static_cast<ptrdiff_t>((figures.size() - 1) / 2);
  std::nth_element(figures.begin(), middle, figures.end());
  return *middle;
}

Row summarize_runs(const std::vector<Result>& runs) {
  Row row;
  row.workload = runs[0].workload;
  row.engine = runs[0].engine;
  row.runs = static_cast<unsigned>(runs.size());
  row.ops_per_s = median(runs, [](const Result& r) { return r.ops_per_s(); });
  row.ops_per_s_min = row.ops_per_s_max = row.ops_per_s;
  for (const Result& run : runs) {
    row.ops_per_s_min = std::min(row.ops_per_s_min, run.ops_per_s());
    row.ops_per_s_max = std::max(row.ops_per_s_max, run.ops_per_s());
    if (run.others_cores > kDisturbedCores) ++row.disturbed_runs;
  }
  if (runs[0].samples > 0) {
    row.p50_us = median(runs, [](const Result& r) { return static_cast<double>(r.p50_ns) / 1e3; });
    row.p99_us = median(runs, [](const Result& r) { return static_cast<double>(r.p99_ns) / 1e3; });
    row.p999_us = median(runs, [](const Result& r) { return static_cast<double>(r.p999_ns) / 1e3; });
    row.max_us = median(runs, [](const Result& r) { return static_cast<double>(r.max_ns) / 1e3; });
  }
  row.writes_per_s = median(runs, [](const Result& r) { return r.writes_per_s; });
  row.disk_bytes = median(runs, [](const Result& r) { return r.disk_bytes; });
  row.log_bytes = median(runs, [](const Result& r) { return r.log_bytes; });
  row.rss_bytes = median(runs, [](const Result& r) { return r.rss_bytes; });
  row.cpu_cores = median(runs, [](const Result& r) { return r.cpu_cores; });
  for (const auto& [name, figure] : runs[0].figures) {
    row.figures[name] = median(runs, [&](const Result& r) { return r.figures.at(name); });
  }
  const auto middle =
      std::ranges::find_if(runs, [&](const Result& r) { return r.ops_per_s() == row.ops_per_s; });
  row.timeline = middle->timeline;
  return row;
}

}  // namespace

std::vector<Row> summarize(const std::vector<Result>& results) {
  std::vector<std::vector<Result>> groups;
  for (const Result& result : results) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const std::vector<Result>& g) {
      return g[0].workload == result.workload && g[0].engine == result.engine;
    });
    group == groups.end() ? groups.push_back({result}) : group->push_back(result);
  }
  std::vector<Row> rows;
  rows.reserve(groups.size());
  for (const std::vector<Result>& group : groups) rows.push_back(summarize_runs(group));
  for (Row& row : rows) {
    row.rank = 1 + static_cast<unsigned>(std::count_if(rows.begin(), rows.end(), [&](const Row& other) {
                 return other.workload == row.workload && other.ops_per_s > row.ops_per_s;
               }));
  }
  return rows;
}

}  // namespace lightning::bench
