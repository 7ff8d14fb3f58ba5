#include "bench/adapters/registry.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bench/fail.h"

namespace lightning::bench {

void Session::ingest(const std::function<bool(Entry*)>& next) {
  constexpr size_t kBatch = 1000;
  std::vector<std::pair<std::string, std::string>> kept(kBatch);
  std::vector<Entry> batch;
  for (Entry entry; next(&entry);) {
    auto& [key, value] = kept[batch.size()];
    key = entry.key;
    value = entry.value;
    batch.push_back({key, value});
    if (batch.size() < kBatch) continue;
    write(batch);
    batch.clear();
  }
  if (!batch.empty()) write(batch);
}

[[noreturn]] static void no_transactions() { fail("this engine is not measured with transactions"); }

void Session::transact(std::span<const std::string_view>, const Change&) { no_transactions(); }

void Session::put_in_transaction(std::string_view, std::string_view) { no_transactions(); }

void Session::get_in_transaction(std::span<const std::string_view>, std::span<std::string_view>) {
  no_transactions();
}

// Each adapters/<engine>_engine.cc defines these two.
#define BENCH_DECLARE(engine)                                        \
  std::unique_ptr<Engine> open_##engine(const EngineConfig& config); \
  std::string version_of_##engine();
BENCH_DECLARE(lightning)
BENCH_DECLARE(rocksdb)
BENCH_DECLARE(rocksdb_optimistic)
BENCH_DECLARE(rocksdb_pessimistic)
BENCH_DECLARE(lmdb)
BENCH_DECLARE(leveldb)
BENCH_DECLARE(wiredtiger)

// BENCH_HAS_<engine> is 1 or 0: bench/CMakeLists.txt.
#define BENCH_BUILT_1(engine) open_##engine, version_of_##engine
#define BENCH_BUILT_0(engine) nullptr, nullptr
#define BENCH_BUILT_EXPANDED(has, engine) BENCH_BUILT_##has(engine)
#define BENCH_BUILT(has, engine) BENCH_BUILT_EXPANDED(has, engine)

namespace {

constexpr std::array kEngines = {
    EngineKind{"lightning", "lightningdb", ".log",
               "defaults but: memory for the data; no periodic flush in class process (no peer has one)",
               BENCH_BUILT(BENCH_HAS_LIGHTNING, lightning)},
    EngineKind{"rocksdb", "librocksdb-dev", ".log",
               "block cache for the data, Bloom filter 10 bits, no compression unless asked for, "
               "64 MiB write buffers, 2 background jobs, WAL on",
               BENCH_BUILT(BENCH_HAS_ROCKSDB, rocksdb)},
    EngineKind{"rocksdb-occ", "librocksdb-dev", ".log",
               "as rocksdb, opened as OptimisticTransactionDB: for workloads of transactions",
               BENCH_BUILT(BENCH_HAS_ROCKSDB, rocksdb_optimistic)},
    EngineKind{"rocksdb-2pl", "librocksdb-dev", ".log",
               "as rocksdb, opened as TransactionDB, keys read for update: for workloads of transactions",
               BENCH_BUILT(BENCH_HAS_ROCKSDB, rocksdb_pessimistic)},
    EngineKind{"lmdb", "liblmdb-dev", "",
               "class process: MDB_NOSYNC|MDB_WRITEMAP, class power: plain; a read transaction renewed for "
               "each call",
               BENCH_BUILT(BENCH_HAS_LMDB, lmdb)},
    EngineKind{"leveldb", "libleveldb-dev", ".log",
               "block cache for the data, Bloom filter 10 bits, no compression unless asked for (Snappy for "
               "lz4), 64 MiB "
               "write buffer",
               BENCH_BUILT(BENCH_HAS_LEVELDB, leveldb)},
    EngineKind{
        "wiredtiger", "libwiredtiger-dev", "WiredTigerLog.",
        "cache for the data, B+tree, log on and written (class process) or synced (power) by each commit",
        BENCH_BUILT(BENCH_HAS_WIREDTIGER, wiredtiger)},
};

}  // namespace

std::span<const EngineKind> engine_kinds() { return kEngines; }

const EngineKind* find_engine(std::string_view name) {
  for (const EngineKind& kind : kEngines) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

}  // namespace lightning::bench
