// lightning-indexbench: what secondary indexes cost and give, beside plain calls and, where it is installed,
// beside SQLite with the same rows, the same index and the same durability.
//
//   lightning-indexbench [--rows N] [--reads N] [--runs N] [--directory D] [--alone] [--json]
//
// A row is a number and 100 bytes, of which the first eight are the key of the index; rows come in random
// order, one commit each, which survive the death of the process (SQLite: WAL, synchronous NORMAL, 256 MiB
// of cache, prepared statements, integer keys). Reads come when the engine has settled. Each figure is the
// median of the runs, in nanoseconds a call, or in milliseconds to build an index over all rows; engines
// alternate.
#include <lightning/database.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/fail.h"
#include "bench/indexes/sqlite_rows.h"
#include "bench/workloads/random.h"

namespace lightning::bench {
namespace {

constexpr size_t kRowBytes = 100;
constexpr uint64_t kRangeRows = 100;

struct Settings {
  uint64_t rows = 1'000'000;
  uint64_t reads = 500'000;
  int runs = 3;
  std::string directory = std::filesystem::temp_directory_path() / "lightning-indexbench";
  bool alone = false;
  bool json = false;
};

void check(const Status& status, const char* what) {
  if (!status.ok()) fail(std::string(what) + ": " + status.to_string());
}

std::string eight_bytes(uint64_t number) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (56 - 8 * i));
  return bytes;
}

/// The key that the index has for a row: another one for each row, none in the order of the rows.
uint64_t code_of(uint64_t row) { return mix(row) >> 1; }

std::string value_of(uint64_t row) {
  std::string value = eight_bytes(code_of(row));
  value.resize(kRowBytes, static_cast<char>('a' + row % 26));
  return value;
}

double nanos(const std::function<void()>& work, uint64_t calls) {
  const auto began = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
  return took.count() / static_cast<double>(calls);
}

using Figures = std::map<std::string, std::vector<double>>;

enum class With : uint8_t { nothing, index, unique };

IndexDefinition by_code(With with) {
  return {.name = "by_code", .key = {IndexField::value_bytes(0, 8)}, .unique = with == With::unique};
}

Database open_new(const Settings& settings) {
  const std::string path = settings.directory + "/lightning";
  std::filesystem::remove_all(path);
  Result<Database> db = Database::open(path, {.durability = Durability::process});
  check(db.status(), "open");
  return *std::move(db);
}

double load(Database& db, const Settings& settings) {
  const Permutation order(settings.rows, 1);
  return nanos(
      [&] {
        for (uint64_t i = 0; i < settings.rows; ++i) {
          const uint64_t row = order(i);
          check(db.put(eight_bytes(row), value_of(row)), "put");
        }
      },
      settings.rows);
}

void read_by_index(Database& db, const Settings& settings, const char* name, Figures* figures) {
  Random random(7);
  Value value;
  const Index index = db.index("by_code");
  (*figures)[name].push_back(nanos(
      [&] {
        for (uint64_t i = 0; i < settings.reads; ++i) {
          const std::string code =
              KeyWriter().bytes(eight_bytes(code_of(random.below(settings.rows)))).take();
          require(static_cast<bool>(index.get(code, value)), "a row is missing in the index");
        }
      },
      settings.reads));
}

void read(Database& db, const Settings& settings, Figures* figures) {
  Random random(7);
  Value value;
  (*figures)["get"].push_back(nanos(
      [&] {
        for (uint64_t i = 0; i < settings.reads; ++i)
          require(static_cast<bool>(db.get(eight_bytes(random.below(settings.rows)), value)),
                  "a row is missing");
      },
      settings.reads));
  const Index index = db.index("by_code");
  read_by_index(db, settings, "get by index", figures);
  const uint64_t ranges = settings.reads / kRangeRows;
  (*figures)["range of 100 by index"].push_back(nanos(
      [&] {
        for (uint64_t i = 0; i < ranges; ++i) {
          const std::string from = KeyWriter().bytes(eight_bytes(random.next() >> 1)).take();
          IndexScan scan = index.range(from, "").limit(kRangeRows);
          uint64_t bytes = 0;
          while (scan.advance()) bytes += scan.value().size();
          check(scan.status(), "range");
          require(bytes % kRowBytes == 0, "a row is cut");
        }
      },
      ranges));
}

void run_lightning(const Settings& settings, Figures* figures) {
  {
    Database db = open_new(settings);
    (*figures)["put"].push_back(load(db, settings));
    (*figures)["build, ms"].push_back(nanos(
        [&] {
          check(db.create_index(by_code(With::index)), "create_index");
          check(db.wait_for_index("by_code"), "wait_for_index");
        },
        1'000'000));
    check(db.close(), "close");
  }
  for (const With with : {With::index, With::unique}) {
    Database db = open_new(settings);
    check(db.create_index(by_code(with)), "create_index");
    check(db.wait_for_index("by_code"), "wait_for_index");
    (*figures)[with == With::index ? "put, index" : "put, unique index"].push_back(load(db, settings));
    check(db.compact(), "compact");
    if (with == With::index) {
      read(db, settings, figures);
    } else {
      read_by_index(db, settings, "get by unique index", figures);
    }
    check(db.close(), "close");
  }
  std::filesystem::remove_all(settings.directory + "/lightning");
}

void run_sqlite(const Settings& settings, Figures* figures) {
  const Permutation order(settings.rows, 1);
  const auto load = [&](SqliteRows& rows) {
    return nanos(
        [&] {
          for (uint64_t i = 0; i < settings.rows; ++i) {
            const uint64_t row = order(i);
            rows.insert(row, code_of(row), value_of(row).substr(8));
          }
        },
        settings.rows);
  };
  {
    SqliteRows rows(settings.directory);
    (*figures)["put"].push_back(load(rows));
    (*figures)["build, ms"].push_back(nanos([&] { rows.create_index(false); }, 1'000'000));
  }
  {
    SqliteRows rows(settings.directory);
    rows.create_index(true);
    (*figures)["put, unique index"].push_back(load(rows));
  }
  SqliteRows rows(settings.directory);
  rows.create_index(false);
  (*figures)["put, index"].push_back(load(rows));
  rows.settle();
  Random random(7);
  (*figures)["get"].push_back(nanos(
      [&] {
        for (uint64_t i = 0; i < settings.reads; ++i)
          require(rows.get(random.below(settings.rows)), "a row is missing");
      },
      settings.reads));
  (*figures)["get by index"].push_back(nanos(
      [&] {
        for (uint64_t i = 0; i < settings.reads; ++i)
          require(rows.find(code_of(random.below(settings.rows))), "a row is missing in the index");
      },
      settings.reads));
  const uint64_t ranges = settings.reads / kRangeRows;
  (*figures)["range of 100 by index"].push_back(nanos(
      [&] {
        for (uint64_t i = 0; i < ranges; ++i) rows.range(random.next() >> 1, kRangeRows);
      },
      ranges));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Target {
  const char* what;
  double reached;
  double asked;
  bool at_most;
};

void print(const Settings& settings, const Figures& own, const Figures& sqlite) {
  const auto of = [](const Figures& figures, const char* name) { return median(figures.at(name)); };
  if (!settings.json) std::printf("%-24s %12s %12s\n", "", "lightning", "sqlite");
  for (const auto& [name, values] : own) {
    const bool both = sqlite.contains(name);
    if (settings.json) {
      nlohmann::json row{{"figure", name}, {"lightning", median(values)}};
      if (both) row["sqlite"] = of(sqlite, name.c_str());
      std::printf("%s\n", row.dump().c_str());
    } else {
      std::printf("%-24s %12.0f %12s\n", name.c_str(), median(values),
                  both ? std::to_string(static_cast<uint64_t>(of(sqlite, name.c_str()))).c_str() : "-");
    }
  }
  std::vector<Target> targets{
      {"put with an index / put", of(own, "put, index") / of(own, "put"), 2.2, true},
      {"put with a unique index / put", of(own, "put, unique index") / of(own, "put"), 2.6, true},
      {"get by index / get", of(own, "get by index") / of(own, "get"), 2.2, true},
      {"get by unique index / get", of(own, "get by unique index") / of(own, "get"), 2.2, true}};
  if (!sqlite.empty()) {
    targets.push_back({"build / SQLite's", of(own, "build, ms") / of(sqlite, "build, ms"), 0.5, true});
    const auto faster = [&](const char* name) { return of(sqlite, name) / of(own, name); };
    targets.push_back({"get by index, times SQLite's", faster("get by index"), 4, false});
    targets.push_back({"put with an index, times SQLite's", faster("put, index"), 4, false});
    targets.push_back({"range of 100, times SQLite's", faster("range of 100 by index"), 3, false});
  }
  for (const Target& target : targets) {
    const bool ok = target.at_most ? target.reached <= target.asked : target.reached >= target.asked;
    if (settings.json) {
      std::printf("%s\n", nlohmann::json{{"figure", target.what},
                                         {"reached_ratio", target.reached},
                                         {"target_ratio", target.asked},
                                         {"ok", ok}}
                              .dump()
                              .c_str());
    } else {
      std::printf("%-36s %6.2f   asked: %s %.1f   %s\n", target.what, target.reached,
                  target.at_most ? "at most" : "at least", target.asked, ok ? "ok" : "FALLS SHORT");
    }
  }
}

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("What secondary indexes cost and give, beside plain calls and SQLite");
  app.add_option("--rows", settings.rows)->capture_default_str();
  app.add_option("--reads", settings.reads)->capture_default_str();
  app.add_option("--runs", settings.runs)->capture_default_str()->check(CLI::Range(1, 99));
  app.add_option("--directory", settings.directory)->capture_default_str();
  app.add_flag("--alone", settings.alone, "Without SQLite");
  app.add_flag("--json", settings.json);
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(settings.directory);
  Figures own;
  Figures sqlite;
  for (int run = 0; run < settings.runs; ++run) {
    if (run % 2 == 0) run_lightning(settings, &own);
    if (SqliteRows::kThere && !settings.alone) run_sqlite(settings, &sqlite);
    if (run % 2 != 0) run_lightning(settings, &own);
  }
  print(settings, own, sqlite);
  return 0;
}

}  // namespace
}  // namespace lightning::bench

int main(int argc, char** argv) { return lightning::bench::main(argc, argv); }
