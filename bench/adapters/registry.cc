#include "bench/adapters/registry.h"

#include <array>

namespace lightning::bench {

std::unique_ptr<Engine> open_lightning(const EngineConfig& config);
std::unique_ptr<Engine> open_rocksdb(const EngineConfig& config);
std::unique_ptr<Engine> open_lmdb(const EngineConfig& config);
std::unique_ptr<Engine> open_leveldb(const EngineConfig& config);
std::unique_ptr<Engine> open_wiredtiger(const EngineConfig& config);

// BENCH_HAS_<engine> is 1 or 0: bench/CMakeLists.txt.
#define BENCH_OPEN_1(function) function
#define BENCH_OPEN_0(function) nullptr
#define BENCH_OPEN_EXPANDED(has, function) BENCH_OPEN_##has(function)
#define BENCH_OPEN(has, function) BENCH_OPEN_EXPANDED(has, function)

namespace {

constexpr std::array kEngines = {
    EngineKind{"lightning", "lightningdb", ".log",
               "defaults but: memory for the data; no periodic flush in class process (no peer has one)",
               BENCH_OPEN(BENCH_HAS_LIGHTNING, open_lightning)},
    EngineKind{"rocksdb", "librocksdb-dev", ".log",
               "block cache for the data, Bloom filter 10 bits, hash index in blocks, no compression, "
               "64 MiB write buffers, 2 background jobs, WAL on",
               BENCH_OPEN(BENCH_HAS_ROCKSDB, open_rocksdb)},
    EngineKind{"lmdb", "liblmdb-dev", "",
               "class process: MDB_NOSYNC|MDB_WRITEMAP, class power: plain; a read transaction renewed for each call",
               BENCH_OPEN(BENCH_HAS_LMDB, open_lmdb)},
    EngineKind{"leveldb", "libleveldb-dev", ".log",
               "block cache for the data, Bloom filter 10 bits, no compression, 64 MiB write buffer",
               BENCH_OPEN(BENCH_HAS_LEVELDB, open_leveldb)},
    EngineKind{"wiredtiger", "libwiredtiger-dev", "WiredTigerLog.",
               "cache for the data, B+tree, log on and written (class process) or synced (power) by each commit",
               BENCH_OPEN(BENCH_HAS_WIREDTIGER, open_wiredtiger)},
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
