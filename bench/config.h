// What one invocation measures: the same in the parent, which plans and reports, and in its children.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/adapters/engine.h"

namespace lightning::bench {

// Which keys the random reads and overwrites choose.
enum class Distribution {
  uniform,
  zipf,    // few of them often, spread over all (workloads/zipf.h)
  latest,  // the same, the last ones of the key order most often
};

struct Config {
  std::vector<std::string> engines;
  std::vector<std::string> workloads;
  uint64_t num = 1'000'000;
  size_t key_size = 16;
  size_t value_size = 100;
  unsigned threads = 1;
  unsigned runs = 3;
  unsigned retries = 0;       // of a run that something else disturbed
  uint64_t warmup = 100'000;  // untimed operations before a workload that reads
  uint64_t operations = 0;    // of a workload that reads, at most; 0: as many as there are keys
  uint64_t seconds = 60;      // of a load that is measured by time
  uint64_t write_rate = 0;    // of the writer of readwhilewriting, a second; 0: as fast as it can
  uint64_t seed = 1;
  Durability durability = Durability::process;
  double compressed = 0.5;  // to which part a value compresses
  Distribution distribution = Distribution::uniform;
  Compression compression = Compression::none;
  uint64_t memory_limit = 0;         // bytes; 0: room for the data
  bool direct_reads = false;         // past the system's cache, of RocksDB
  std::vector<std::string> options;  // NAME=VALUE, of Lightning DB
  std::string db;                    // where the databases are made; empty: $TMPDIR or /tmp
  bool json = false;
  std::string svg;   // file for plots of what was measured by the second; empty: none
  std::string html;  // file for a report of everything; empty: none
};

}  // namespace lightning::bench
