// lightning-instructions: the operations whose instructions dev/instructions counts, under callgrind.
//
//   valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no lightning-instructions DIRECTORY
//
// DIRECTORY is an empty one. Each operation is done often enough in a row that what happens once in a while,
// the timing of a sample among it, is in the average. Only the instructions of this thread count. After each
// row a dump named `<operation> <times>` is written; everything is prepared before it. A row that did not
// measure what it says ends the program with exit code 1.
#include <lightning/database.h>
#include <valgrind/callgrind.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace lightning::instructions {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr size_t kValueBytes = 100;
constexpr uint64_t kFresh = 4'864;      // entries of a memtable; they fit into the first segment
constexpr uint64_t kWarm = 256;         // of them, before anything is counted
constexpr uint64_t kSettled = 100'000;  // entries of a run
constexpr uint64_t kTimes = 64 * 64;
constexpr uint64_t kTransactions = 1024;
constexpr uint64_t kIndexed = 2048;  // with their entries they fit, too

void check(const Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "lightning-instructions: %s: %s\n", what, status.to_string().c_str());
  std::exit(1);
}

void require(bool holds, const char* what) {
  if (!holds) check(Status(StatusCode::invalid_argument, "did not happen as it should"), what);
}

std::string key_of(uint64_t number) {
  char text[kKeyBytes + 1];
  std::snprintf(text, sizeof text, "%016" PRIu64, number);
  return text;
}

/// Eight bytes that come in no order.
std::string part_of_value(uint64_t number) {
  return key_of(number * 7'919 % 1'000'003).substr(kKeyBytes - 8);
}

/// `times` numbers below `count` in an order that looks random, each at most once if there are enough.
std::vector<std::string> scattered(uint64_t count, uint64_t times) {
  constexpr uint64_t kStride = 7'919;  // a prime: it meets every number
  std::vector<std::string> keys;
  keys.reserve(times);
  for (uint64_t i = 0; i < times; ++i) keys.push_back(key_of(i * kStride % count));
  return keys;
}

/// Counts what `row` does, which is `times` operations.
template <typename Row>
void count(const char* operation, uint64_t times, Row&& row) {
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_TOGGLE_COLLECT;
  row();
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_STOP_INSTRUMENTATION;
  const std::string name = std::string(operation) + " " + std::to_string(times);
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

Database open(const std::string& directory) {
  Options options;
  options.durability = Durability::process;
  options.flush_interval_ms = 0;
  Result<Database> opened = Database::create(directory, options);
  check(opened.status(), "create");
  return *std::move(opened);
}

void count_gets(Database& db, const char* operation, const std::vector<std::string>& keys, bool present) {
  Value value;
  uint64_t found = 0;
  count(operation, keys.size(), [&] {
    for (const std::string& key : keys) found += db.get(key, value) ? 1 : 0;
  });
  require(found == (present ? keys.size() : 0), operation);
}

/// Transactions of one put; of ten gets, read-only; and transfers: two gets and two puts of the same keys.
void count_transactions(Database& db, const std::vector<std::string>& keys, const std::string& value) {
  constexpr size_t kReads = 10;
  uint64_t refused = 0;
  count("transaction_put", kTransactions, [&] {
    for (uint64_t i = 0; i < kTransactions; ++i) {
      Transaction tx = db.begin();
      refused += tx.put(keys[i], value).ok() && tx.commit().ok() ? 0 : 1;
    }
  });
  Value first, second;
  count("transaction_get10", kTransactions, [&] {
    for (uint64_t i = 0; i < kTransactions; ++i) {
      Transaction tx = db.begin({.read_only = true});
      for (size_t k = 0; k < kReads; ++k) refused += tx.get(keys[i + k], first) ? 0 : 1;
      refused += tx.commit().ok() ? 0 : 1;
    }
  });
  count("transfer", kTransactions, [&] {
    for (uint64_t i = 0; i < kTransactions; ++i) {
      const std::string& from = keys[2 * i];
      const std::string& to = keys[2 * i + 1];
      Transaction tx = db.begin();
      refused += tx.get(from, first) && tx.get(to, second) ? 0 : 1;
      refused += tx.put(from, value).ok() && tx.put(to, value).ok() && tx.commit().ok() ? 0 : 1;
    }
  });
  require(refused == 0, "transactions");
}

/// Steps that follow a seek to the first entry.
void count_steps(Database& db, const char* operation) {
  Cursor cursor = db.cursor();
  cursor.seek_first();
  uint64_t bytes = 0;
  count(operation, kTimes, [&] {
    for (uint64_t i = 0; i < kTimes; ++i) {
      cursor.next();
      bytes += cursor.key().size() + cursor.value().size();
    }
  });
  check(cursor.status(), operation);
  require(bytes == kTimes * (kKeyBytes + kValueBytes), operation);
}

void count_seeks(Database& db, const char* operation, const std::vector<std::string>& keys) {
  Cursor cursor = db.cursor();
  uint64_t found = 0;
  for (const std::string& key : keys) cursor.seek(key);
  count(operation, keys.size(), [&] {
    for (const std::string& key : keys) {
      cursor.seek(key);
      found += cursor.valid() ? 1 : 0;
    }
  });
  require(found == keys.size(), operation);
}

void of_memtable(const std::string& directory) {
  Database db = open(directory);
  const std::string value(kValueBytes, 'v');
  const std::vector<std::string> keys = scattered(kFresh, kFresh);
  for (uint64_t i = 0; i < kWarm; ++i) check(db.put(keys[i], value), "put");
  uint64_t refused = 0;
  count("put", kTimes, [&] {
    for (uint64_t i = kWarm; i < kWarm + kTimes; ++i) refused += db.put(keys[i], value).ok() ? 0 : 1;
  });
  require(refused == 0, "put");
  for (uint64_t i = kWarm + kTimes; i < kFresh; ++i) check(db.put(keys[i], value), "put");
  count_gets(db, "get_memtable", scattered(kFresh, kTimes), true);
  for (const Entry& entry : db.scan()) require(!entry.key().empty(), "scan");  // the order index catches up
  count_steps(db, "next_memtable");
  const Result<Stats> stats = db.stats();
  check(stats.status(), "stats");
  require(stats->memtables == 1 && stats->run_files == 0, "one memtable and nothing else");
  count_transactions(db, scattered(kFresh, kTimes), value);
  check(db.close(), "close");
}

/// Puts of new rows where an index is kept, of another part of each value.
void of_index(const std::string& directory) {
  Database db = open(directory);
  check(db.create_index({.name = "by_value", .key = {IndexField::value_bytes(0, 8)}}), "create_index");
  check(db.wait_for_index("by_value"), "wait_for_index");
  const std::vector<std::string> keys = scattered(kFresh, kFresh);
  std::vector<std::string> values;
  for (uint64_t i = 0; i < kWarm + kIndexed; ++i)
    values.push_back(part_of_value(i) + std::string(kValueBytes - 8, 'v'));
  for (uint64_t i = 0; i < kWarm; ++i) check(db.put(keys[i], values[i]), "put");
  uint64_t refused = 0;
  count("put_indexed", kIndexed, [&] {
    for (uint64_t i = kWarm; i < kWarm + kIndexed; ++i) refused += db.put(keys[i], values[i]).ok() ? 0 : 1;
  });
  require(refused == 0, "put");
  check(db.close(), "close");
}

class Ascending final : public IngestSource {
 public:
  bool next() override {
    if (at_ == kSettled) return false;
    key_ = key_of(at_++);
    return true;
  }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return value_; }

 private:
  uint64_t at_ = 0;
  std::string key_;
  const std::string value_ = std::string(kValueBytes, 'v');
};

void of_run(const std::string& directory) {
  Database db = open(directory);
  Ascending entries;
  check(db.ingest(entries).status(), "ingest");
  check(db.compact(), "compact");
  uint64_t seen = 0;
  for (const Entry& entry : db.scan()) seen += entry.key().empty() ? 0 : 1;  // every page is verified
  require(seen == kSettled, "scan");
  const std::vector<std::string> keys = scattered(kSettled, kTimes);
  std::vector<std::string> missing;
  for (const std::string& key : keys) missing.push_back(key + "-");
  Value value;
  for (const std::string& key : keys) require(static_cast<bool>(db.get(key, value)), "get");
  count_gets(db, "get_run", keys, true);
  count_gets(db, "get_missing", missing, false);
  count_steps(db, "next_run");
  count_seeks(db, "seek_run", keys);
  check(db.close(), "close");
}

}  // namespace
}  // namespace lightning::instructions

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: lightning-instructions DIRECTORY\n");
    return 2;
  }
  const std::string directory = argv[1];
  lightning::instructions::of_memtable(directory + "/memtable");
  lightning::instructions::of_index(directory + "/index");
  lightning::instructions::of_run(directory + "/run");
  return 0;
}
