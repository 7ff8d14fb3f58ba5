#include "bench/report/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

#include "bench/workloads/workload.h"

namespace lightning::bench {
namespace {

constexpr int kNameWidth = 22;
constexpr int kRateWidth = 15;
constexpr int kFigureWidth = 12;

template <typename... Args>
std::string format(const char* pattern, Args... args) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

std::string left(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}
// Counts characters, not bytes: "±" is two.
std::string right(std::string text, size_t width) {
  const auto continued = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  const size_t length = text.size() - static_cast<size_t>(std::ranges::count_if(text, continued));
  if (length < width) text.insert(0, width - length, ' ');
  return text;
}

std::string rate(double per_s) {
  if (per_s >= 99.95e6) return format("%.0fM", per_s / 1e6);
  if (per_s >= 9.995e6) return format("%.1fM", per_s / 1e6);
  if (per_s >= 1e6) return format("%.2fM", per_s / 1e6);
  if (per_s >= 99.95e3) return format("%.0fK", per_s / 1e3);
  if (per_s >= 1e3) return format("%.1fK", per_s / 1e3);
  return format("%.0f", per_s);
}

std::string mebibytes(uint64_t bytes) { return format("%.1f", static_cast<double>(bytes) / (1 << 20)); }
std::string microseconds(const std::optional<double>& us) { return us ? format("%.2f", *us) : "-"; }

const Row* find_row(const std::vector<Row>& rows, std::string_view workload, std::string_view engine) {
  const auto row =
      std::ranges::find_if(rows, [&](const Row& r) { return r.workload == workload && r.engine == engine; });
  return row == rows.end() ? nullptr : &*row;
}

// Everything of one workload, in the order of the engines.
std::vector<const Row*> rows_of(const Config& config, const std::vector<Row>& rows,
                                std::string_view workload) {
  std::vector<const Row*> found;
  for (const std::string& engine : config.engines) {
    if (const Row* row = find_row(rows, workload, engine)) found.push_back(row);
  }
  return found;
}

std::string figure(const Row& row) {
  const std::string middle =
      row.workload == kOpen ? format("%.2f ms", 1e3 / row.ops_per_s) : rate(row.ops_per_s);
  return middle + format(" ±%.0f%%", row.spread() * 100);
}

void print_rates(std::ostream& out, const Config& config, const std::vector<Row>& rows) {
  out << left("operations/s", kNameWidth);
  for (const std::string& engine : config.engines) out << right(engine, kRateWidth);
  if (config.engines.size() > 1) {
    out << right("x best peer", kFigureWidth + 2);
    for (size_t i = 1; i < config.engines.size(); ++i)
      out << right("x " + config.engines[i], kFigureWidth + 2);
  }
  out << "\n";
  for (const Workload& workload : workloads()) {
    const std::vector<const Row*> found = rows_of(config, rows, workload.name);
    if (found.empty()) continue;
    out << left(std::string(workload.name), kNameWidth);
    for (const Row* row : found) out << right(figure(*row), kRateWidth);
    double best = 0;
    for (size_t i = 1; i < found.size(); ++i) best = std::max(best, found[i]->ops_per_s);
    if (best > 0) out << right(format("%.2f", found[0]->ops_per_s / best), kFigureWidth + 2);
    for (size_t i = 1; i < found.size(); ++i) {
      out << right(format("%.2f", found[0]->ops_per_s / found[i]->ops_per_s), kFigureWidth + 2);
    }
    out << "\n";
    if (workload.background != nullptr) {
      out << left("  its writer", kNameWidth);
      for (const Row* row : found) out << right(rate(row->writes_per_s), kRateWidth);
      out << "\n";
    }
    if (const Row* raw = find_row(rows, kRawWorkload, kRawEngine); raw && workload.name == kSyncedWorkload) {
      out << left("  x raw " + rate(raw->ops_per_s), kNameWidth);
      for (const Row* row : found) out << right(format("%.2f", row->ops_per_s / raw->ops_per_s), kRateWidth);
      out << "\n";
    }
  }
}

// What a workload tells beside its rate: a line a figure, a column an engine.
void print_figures(std::ostream& out, const Config& config, const std::vector<Row>& rows) {
  for (const Workload& workload : workloads()) {
    const std::vector<const Row*> found = rows_of(config, rows, workload.name);
    std::set<std::string> names;
    for (const Row* row : found) {
      for (const auto& [name, figure] : row->figures) names.insert(name);
    }
    if (names.empty()) continue;
    out << "\n" << left(std::string(workload.name), kNameWidth + kFigureWidth);
    for (const Row* row : found) out << right(row->engine, kRateWidth);
    out << "\n";
    for (const std::string& name : names) {
      out << left("  " + name, kNameWidth + kFigureWidth);
      for (const Row* row : found) {
        const auto figure = row->figures.find(name);
        out << right(figure == row->figures.end() ? "-" : format("%.2f", figure->second), kRateWidth);
      }
      out << "\n";
    }
  }
}

void print_details(std::ostream& out, const std::vector<Row>& rows) {
  out << left("", kNameWidth) << left("", kFigureWidth);
  for (const char* title :
       {"p50 us", "p99 us", "p99.9 us", "max us", "disk MiB", "log MiB", "rss MiB", "cores"}) {
    out << right(title, kFigureWidth);
  }
  out << "\n";
  for (const Row& row : rows) {
    out << left(row.workload, kNameWidth) << left(row.engine, kFigureWidth);
    out << right(microseconds(row.p50_us), kFigureWidth) << right(microseconds(row.p99_us), kFigureWidth);
    out << right(microseconds(row.p999_us), kFigureWidth) << right(microseconds(row.max_us), kFigureWidth);
    out << right(mebibytes(row.disk_bytes), kFigureWidth) << right(mebibytes(row.log_bytes), kFigureWidth);
    out << right(mebibytes(row.rss_bytes), kFigureWidth)
        << right(format("%.2f", row.cpu_cores), kFigureWidth);
    if (row.disturbed_runs > 0) out << format("  %u of %u runs disturbed", row.disturbed_runs, row.runs);
    out << "\n";
  }
}

}  // namespace

void print_tables(std::ostream& out, const Config& config, const std::vector<Row>& rows) {
  print_rates(out, config, rows);
  out << "\n";
  print_details(out, rows);
  print_figures(out, config, rows);
  if (std::ranges::any_of(rows, [](const Row& row) { return row.disturbed_runs > 0; })) {
    out << "\nDisturbed: something else, the kernel's writing back included, used more than "
        << format("%.1f", kDisturbedCores) << " cores meanwhile.\n";
  }
}

void print_json(std::ostream& out, const Config& config, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const Workload* workload = find_workload(row.workload);
    const bool power = workload == nullptr || workload->power || config.durability == Durability::power;
    nlohmann::ordered_json json = {
        {"workload", row.workload},
        {"engine", row.engine},
        {"threads", row.engine == kRawEngine ? 1 : config.threads},
        {"num", config.num},
        {"key_size", config.key_size},
        {"value_size", config.value_size},
        {"durability", power ? "power" : "process"},
        {"ops_per_s", row.ops_per_s},
        {"ops_per_s_min", row.ops_per_s_min},
        {"ops_per_s_max", row.ops_per_s_max},
        {"rank", row.rank},
        {"p50_us", nullptr},
        {"p99_us", nullptr},
        {"p99.9_us", nullptr},
        {"max_us", nullptr},
        {"disk_bytes", row.disk_bytes},
        {"log_bytes", row.log_bytes},
        {"rss_bytes", row.rss_bytes},
        {"cpu_cores", row.cpu_cores},
        {"runs", row.runs},
        {"disturbed_runs", row.disturbed_runs},
    };
    if (row.p50_us) json["p50_us"] = *row.p50_us;
    if (row.p99_us) json["p99_us"] = *row.p99_us;
    if (row.p999_us) json["p99.9_us"] = *row.p999_us;
    if (row.max_us) json["max_us"] = *row.max_us;
    if (workload != nullptr && workload->background != nullptr) json["writes_per_s"] = row.writes_per_s;
    for (const auto& [name, figure] : row.figures) json[name] = figure;
    for (const Second& second : row.timeline) {
      json["timeline"].push_back({{"operations", second.operations},
                                  {"put_p99_us", second.put_p99_us},
                                  {"put_max_us", second.put_max_us},
                                  {"get_p99_us", second.get_p99_us},
                                  {"get_max_us", second.get_max_us}});
    }
    out << json.dump() << "\n";
  }
}

}  // namespace lightning::bench
