// lightning-bench: Lightning DB and its peers, measured side by side.
//
// Exit codes: 0 measured; 1 an engine failed or answered wrong; 2 the command line asks for the impossible.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>

#include "bench/adapters/registry.h"
#include "bench/config.h"
#include "bench/driver.h"
#include "bench/report/html.h"
#include "bench/report/machine.h"
#include "bench/report/plot.h"
#include "bench/report/report.h"
#include "bench/workloads/runner.h"
#include "bench/workloads/workload.h"

namespace lightning::bench {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

void add_options(CLI::App& app, Config& config) {
  config.engines = {"lightning", "rocksdb", "lmdb"};
  for (const Workload& workload : workloads()) {
    if (workload.usual()) config.workloads.emplace_back(workload.name);
  }

  std::string engines = "Of", chosen_workloads = "Of";
  for (const EngineKind& kind : engine_kinds()) engines += " " + std::string(kind.name);
  for (const Workload& workload : workloads()) chosen_workloads += " " + std::string(workload.name);
  app.add_option("--engines", config.engines, engines + "; the first is compared with the others")
      ->delimiter(',');
  app.add_option("--workloads", config.workloads, chosen_workloads)->delimiter(',');
  app.add_option("--num", config.num, "Entries of the database")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, uint64_t{10'000'000'000}));
  app.add_option("--key-size", config.key_size, "Bytes of a key: decimal digits")
      ->capture_default_str()
      ->check(CLI::Range(kKeySizeMin, kKeySizeMax));
  app.add_option("--value-size", config.value_size, "Bytes of a value")
      ->capture_default_str()
      ->check(CLI::Range(kValueSizeMin, size_t{1} << 28));
  app.add_option("--threads", config.threads, "Threads of every workload")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  app.add_option("--runs", config.runs, "Runs; the median is reported")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000));
  app.add_option("--retries", config.retries,
                 "Times that a disturbed run is repeated; the least disturbed counts")
      ->capture_default_str();
  app.add_option("--warmup", config.warmup, "Untimed operations of each thread before a workload that reads")
      ->capture_default_str();
  app.add_option(
         "--operations", config.operations,
         "Gets, seeks or keys at most of readrandom, readmissing, multireadrandom, seekrandom, seekreverse "
         "and ycsbc, and one scan of readseq and readreverse; 0: all of them")
      ->capture_default_str();
  app.add_option("--seconds", config.seconds, "Of the load of steady")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{2}, uint64_t{86'400}));
  app.add_option("--write-rate", config.write_rate,
                 "Writes a second beside the reads of readwhilewriting; 0: as many as the engine takes")
      ->capture_default_str();
}

void add_options_of_data(CLI::App& app, Config& config) {
  app.add_option("--durability", config.durability,
                 "What a write survives: process or power (fillsync: always power)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Durability>{{"process", Durability::process}, {"power", Durability::power}}))
      ->option_text("TEXT [process]");
  app.add_option("--values", config.compressed,
                 "To which part values compress: half, random (not at all), or a number")
      ->transform(CLI::Transformer(std::map<std::string, std::string>{{"half", "0.5"}, {"random", "1"}}))
      ->check(CLI::Range(0.01, 1.0))
      ->option_text("TEXT [half]");
  app.add_option("--distribution", config.distribution,
                 "Which keys random reads and the overwrites beside them choose: uniform, zipf or latest")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, Distribution>{{"uniform", Distribution::uniform},
                                                                      {"zipf", Distribution::zipf},
                                                                      {"latest", Distribution::latest}}))
      ->option_text("TEXT [uniform]");
  app.add_option("--option", config.options,
                 "NAME=VALUE, an option of Lightning DB (docs/options.md); may be repeated")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  app.add_option("--compression", config.compression, "none, lz4 or zstd, of engines that have it")
      ->transform(CLI::CheckedTransformer(std::map<std::string, Compression>{
          {"none", Compression::none}, {"lz4", Compression::lz4}, {"zstd", Compression::zstd}}))
      ->option_text("TEXT [none]");
  app.add_option(
         "--memory-limit", config.memory_limit,
         "Bytes of caches and write buffers together, of engines that have them; 0: room for the data")
      ->transform(CLI::AsSizeValue(false))
      ->option_text("SIZE [0]");
  app.add_flag("--direct-reads", config.direct_reads,
               "RocksDB reads past the system's cache, and writes its files so");
  app.add_option("--seed", config.seed, "Of keys and values")->capture_default_str();
}

void add_options_of_output(CLI::App& app, Config& config, ChildTask& child) {
  app.add_option("--db", config.db, "Where to make the databases; what is made is removed")
      ->option_text("DIR [$TMPDIR or /tmp]");
  app.add_option("--svg", config.svg, "A file for the plot of what was measured by the second")
      ->option_text("FILE");
  app.add_option("--html", config.html, "A file for a report with plots, which opens without anything else")
      ->option_text("FILE");
  app.add_flag("--json", config.json, "One JSON object a line for each workload and engine");

  app.add_option("--child-engine", child.engine)->group("");
  app.add_option("--child-unit", child.unit)->group("");
  app.add_option("--child-directory", child.directory)->group("");
}

// What is wrong with the choice; empty if nothing is.
std::string find_fault(const Config& config) {
  for (const std::string& name : config.engines) {
    const EngineKind* kind = find_engine(name);
    if (kind == nullptr) return "no engine is called " + name;
    if (kind->open == nullptr) {
      return name + " is not in this build: install " + std::string(kind->package) +
             ", then configure and build again";
    }
    if (std::ranges::count(config.engines, name) > 1) return name + " is named twice";
  }
  for (const std::string& name : config.workloads) {
    if (find_workload(name) == nullptr) return "no workload is called " + name;
  }
  uint64_t numbers = 1;
  for (size_t digit = 0; digit < config.key_size && numbers < 2 * config.num; ++digit) numbers *= 10;
  const bool inserts = std::ranges::any_of(
      config.workloads, [](const std::string& name) { return name == "ycsbd" || name == "ycsbe"; });
  if (numbers < (inserts ? 2 : 1) * config.num) return "--key-size is too small for --num different keys";
  return "";
}

int run_child_task(const Config& config, const ChildTask& child) {
  if (child.engine == kRawEngine) {
    run_raw_sync(config, child.directory);
  } else {
    run_unit(config, *find_engine(child.engine), plan(config).at(child.unit), child.directory);
  }
  return 0;
}

void print_heading(std::ostream& out, const Config& config, const std::string& directory) {
  out << describe_machine(directory) << "\n";
  out << "data         " << config.num << " entries, keys of " << config.key_size << " and values of "
      << config.value_size << " bytes; " << config.threads << " thread" << (config.threads > 1 ? "s" : "")
      << ", class " << (config.durability == Durability::power ? "power" : "process") << ", median of "
      << config.runs << " run" << (config.runs > 1 ? "s" : "") << "\n";
  if (config.compression != Compression::none) {
    out << "compression  " << (config.compression == Compression::lz4 ? "lz4" : "zstd")
        << ", of engines that have it (LMDB has none)\n";
  }
  if (config.memory_limit != 0)
    out << "memory       " << config.memory_limit << " bytes of caches and buffers (LMDB: the system's)\n";
  for (const std::string& name : config.engines) {
    const EngineKind& kind = *find_engine(name);
    out << name << std::string(std::max<size_t>(name.size() + 1, 13) - name.size(), ' ') << kind.version()
        << ": " << kind.settings << "\n";
  }
  if (is_memory_file_system(directory)) {
    out << "warning      a flush costs nothing on tmpfs: fillsync means nothing\n";
  }
  out << std::endl;
}

int run(int argc, char** argv) {
  CLI::App app("Lightning DB and its peers, measured side by side", "lightning-bench");
  Config config;
  ChildTask child;
  add_options(app, config);
  add_options_of_data(app, config);
  add_options_of_output(app, config, child);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (!child.engine.empty()) return run_child_task(config, child);
  if (const std::string fault = find_fault(config); !fault.empty()) {
    std::cerr << "lightning-bench: " << fault << "\n";
    return kExitUsage;
  }
  const ScratchDirectory scratch(config.db);
  std::ostringstream heading;
  print_heading(heading, config, scratch.path());
  (config.json ? std::cerr : std::cout) << heading.str() << std::flush;
  const auto results = run_children(config, {argv, argv + argc}, scratch.path());
  if (!results) return kExitFailed;
  const std::vector<Row> rows = summarize(*results);
  config.json ? print_json(std::cout, config, rows) : print_tables(std::cout, config, rows);
  if (!config.svg.empty()) write_plot(config.svg, rows);
  if (!config.html.empty()) write_html(config.html, heading.str(), rows);
  return 0;
}

}  // namespace
}  // namespace lightning::bench

int main(int argc, char** argv) { return lightning::bench::run(argc, argv); }
