#include "bench/workloads/workload.h"

#include <algorithm>
#include <array>

#include "bench/workloads/churn.h"
#include "bench/workloads/queue.h"
#include "bench/workloads/reads.h"
#include "bench/workloads/steady.h"
#include "bench/workloads/transactions.h"
#include "bench/workloads/writes.h"

namespace lightning::bench {
namespace {

constexpr uint64_t kScans = 5;

uint64_t tenth(const Config& config) { return std::max<uint64_t>(config.num / 10, 1); }
uint64_t once(const Config& config) { return config.num; }
uint64_t tenfold(const Config& config) { return 10 * config.num; }
uint64_t scan(const Config& config) { return config.num * config.threads; }
// Every thread scans the whole database.
uint64_t scans(const Config& config) { return kScans * config.num * config.threads; }

constexpr std::array kWorkloads = {
    Workload{"fillseq", Start::empty, once, 16, fill_sequential, leaves_all},
    Workload{"fillrandom", Start::empty, once, 16, fill_random, leaves_all},
    Workload{"fillbatch", Start::empty, once, 1, fill_batch, leaves_all},
    Workload{"ingest", Start::empty, once, 0, ingest, leaves_all},
    Workload{kSyncedWorkload, Start::empty, synced_entries, 1, fill_random, leaves_synced, nullptr, true},
    Workload{kOpen, Start::shared, once, 1, nullptr},
    Workload{"readrandom", Start::shared, once, 16, read_random},
    Workload{"readone", Start::shared, tenfold, 256, read_one},
    Workload{"readmissing", Start::shared, once, 16, read_missing},
    Workload{"multireadrandom", Start::shared, once, 1, read_many},
    Workload{"readseq", Start::shared, scans, 0, read_sequential},
    Workload{"readreverse", Start::shared, scans, 0, read_reverse},
    Workload{"seekrandom", Start::shared, once, 16, seek_random},
    Workload{"seekreverse", Start::shared, once, 16, seek_reverse},
    Workload{"readwhilewriting", Start::loaded, once, 16, read_random, nullptr, overwrite_until_stopped},
    Workload{"overwrite", Start::loaded, once, 16, overwrite, leaves_overwritten},
    Workload{"deleterandom", Start::loaded, once, 16, delete_random, leaves_nothing},
    Workload{"readrandom-unsettled", Start::unsettled, tenth, 16, read_random},
    Workload{"seekrandom-unsettled", Start::unsettled, tenth, 16, seek_random},
    Workload{"readseq-unsettled", Start::unsettled, scan, 0, read_sequential},
    Workload{"churn", Start::empty, nullptr, 1, nullptr, leaves_half_overwritten, nullptr, false, churn},
    Workload{"queue", Start::empty, nullptr, 1, nullptr, leaves_queue, nullptr, false, queue},
    Workload{"steady", Start::loaded, nullptr, 1, nullptr, nullptr, nullptr, false, steady},
    Workload{"bank", Start::empty, nullptr, 1, nullptr, nullptr, nullptr, false, bank},
    Workload{"counter", Start::empty, nullptr, 1, nullptr, nullptr, nullptr, false, counter},
};

}  // namespace

std::span<const Workload> workloads() { return kWorkloads; }

const Workload* find_workload(std::string_view name) {
  for (const Workload& workload : kWorkloads) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

}  // namespace lightning::bench
