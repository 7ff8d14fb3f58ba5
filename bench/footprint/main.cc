// lightning-footprint: what an open database takes of memory. One JSON object on standard output.
//
//   lightning-footprint idle DIRECTORY         a database of 100,000 entries, open, used and then left alone
//   lightning-footprint low_memory DIRECTORY   the preset low_memory under a load of all kinds of calls
//
// resident: all pages of the process; anonymous: those that belong to no file, beyond what the process had
// before the database was opened; own: the database's own count (Stats::memory_bytes), the most that was
// seen, with its parts at that moment.
#include <lightning/database.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

namespace lightning::footprint {
namespace {

constexpr uint64_t kEntries = 100'000;
constexpr std::chrono::milliseconds kSample{5};
constexpr std::chrono::seconds kIdle{3};  // what waits for a pause is done by then

void check(const Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "lightning-footprint: %s: %s\n", what, status.to_string().c_str());
  std::exit(1);
}

/// A line of /proc/self/status, in bytes.
uint64_t process_bytes(const char* name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::strtoull(line.c_str() + std::strlen(name), nullptr, 10) * 1024;
  }
  return 0;
}

std::string key_of(uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof text, "%016" PRIu64, number * 7'919 % kEntries);
  return text;
}

void fill(Database& db, const std::string& value) {
  for (uint64_t i = 0; i < kEntries; ++i) {
    check(db.put(key_of(i), value, {.durability = Durability::process}), "put");
  }
}

void read(Database& db) {
  Value value;
  for (uint64_t i = 0; i < kEntries; ++i) check(db.get(key_of(i), value).status(), "get");
  for (int round = 0; round < 3; ++round) {
    Scan all = db.scan();
    while (all.advance()) {
    }
    check(all.status(), "scan");
  }
}

/// Watches the database and the process beside a load.
class Watch {
 public:
  Watch(Database& db, uint64_t anonymous_before)
      : db_(db), before_(anonymous_before), thread_([this] {
          while (!stop_) {
            sample();
            std::this_thread::sleep_for(kSample);
          }
        }) {}
  void stop() {
    stop_ = true;
    thread_.join();
    sample();
  }
  const Stats& most() const { return most_; }
  uint64_t anonymous() const { return anonymous_; }

 private:
  void sample() {
    const Result<Stats> stats = db_.stats();
    check(stats.status(), "stats");
    if (stats->memory_bytes > most_.memory_bytes) most_ = *stats;
    const uint64_t now = process_bytes("RssAnon:");
    anonymous_ = std::max(anonymous_, now - std::min(now, before_));
  }

  Database& db_;
  const uint64_t before_;
  Stats most_;
  uint64_t anonymous_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void print(uint64_t anonymous, const Stats& stats) {
  const std::pair<const char*, uint64_t> figures[] = {{"resident", process_bytes("VmRSS:")},
                                                      {"of_files", process_bytes("RssFile:")},
                                                      {"anonymous", anonymous},
                                                      {"own", stats.memory_bytes},
                                                      {"memtables", stats.memtables},
                                                      {"memtable", stats.memtable_bytes},
                                                      {"point_index", stats.point_index_bytes},
                                                      {"order_index", stats.order_index_bytes},
                                                      {"fences", stats.fence_bytes},
                                                      {"runs", stats.run_memory_bytes},
                                                      {"held", stats.held_bytes},
                                                      {"cache", stats.cache_bytes},
                                                      {"cursors", stats.cursor_bytes},
                                                      {"merges", stats.merge_bytes}};
  const char* between = "{";
  for (const auto& [name, value] : figures) {
    std::printf("%s\"%s\": %" PRIu64, between, name, value);
    between = ", ";
  }
  std::printf("}\n");
}

void idle(const std::string& directory) {
  const uint64_t before = process_bytes("RssAnon:");
  {
    Result<Database> db = Database::open(directory);
    check(db.status(), "open");
    fill(*db, std::string(100, 'v'));
    check(db->close(), "close");
  }
  malloc_trim(0);
  Result<Database> db = Database::open(directory);
  check(db.status(), "open");
  check(db->put("one", "more"), "put");
  check(db->get("one").status(), "get");
  std::this_thread::sleep_for(kIdle);
  const Result<Stats> stats = db->stats();
  check(stats.status(), "stats");
  const uint64_t now = process_bytes("RssAnon:");
  print(now - std::min(now, before), *stats);
  check(db->close(), "close");
}

void low_memory(const std::string& directory) {
  const uint64_t before = process_bytes("RssAnon:");
  Result<Database> db = Database::open(directory, Options::low_memory());
  check(db.status(), "open");
  Watch watch(*db, before);
  const std::string value(100, 'v');
  fill(*db, value);
  fill(*db, value);
  read(*db);
  WriteBatch batch;
  for (uint64_t i = 0; i < kEntries; ++i) {
    batch.put(key_of(i), value);
    if (batch.count() < 100) continue;
    check(db->write(batch, {.durability = Durability::process}), "write");
    batch.clear();
  }
  check(db->compact(), "compact");
  read(*db);
  watch.stop();
  print(watch.anonymous(), watch.most());
  check(db->close(), "close");
}

}  // namespace
}  // namespace lightning::footprint

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  if (what == "idle") {
    lightning::footprint::idle(argv[2]);
  } else if (what == "low_memory") {
    lightning::footprint::low_memory(argv[2]);
  } else {
    std::fprintf(stderr, "usage: lightning-footprint idle|low_memory DIRECTORY\n");
    return 2;
  }
  return 0;
}
