#include "bench/workloads/workload.h"

#include <algorithm>
#include <array>

#include "bench/workloads/churn.h"
#include "bench/workloads/queue.h"
#include "bench/workloads/reads.h"
#include "bench/workloads/steady.h"
#include "bench/workloads/transactions.h"
#include "bench/workloads/writes.h"
#include "bench/workloads/ycsb.h"

namespace lightning::bench {
namespace {

constexpr uint64_t kScans = 5;

uint64_t tenth(const Config& config) { return std::max<uint64_t>(config.num / 10, 1); }
uint64_t once(const Config& config) { return config.num; }
uint64_t reads(const Config& config) {
  return config.operations != 0 ? std::min(config.operations, config.num) : config.num;
}
uint64_t tenfold(const Config& config) { return 10 * config.num; }
uint64_t scan(const Config& config) { return config.num * config.threads; }
// Every thread scans the whole database.
uint64_t scans(const Config& config) {
  return (config.operations != 0 ? 1 : kScans) * config.num * config.threads;
}

// A workload with a loop of its own that is measured when it is named.
constexpr Workload named(std::string_view name, Start start, uint64_t (*operations)(const Config&),
                         unsigned sample_every, void (*run)(Worker&),
                         Tally (*leaves)(const Dataset&) = nullptr) {
  Workload workload{name, start, operations, sample_every, run, leaves};
  workload.when_named = true;
  return workload;
}
// One with a course.
constexpr Workload course(std::string_view name, Start start, void (*run)(const Course&, Result&),
                          Tally (*leaves)(const Dataset&) = nullptr) {
  return {name, start, nullptr, 1, nullptr, leaves, nullptr, false, run};
}

constexpr std::array kWorkloads = {
    Workload{"fillseq", Start::empty, once, 16, fill_sequential, leaves_all},
    Workload{"fillrandom", Start::empty, once, 16, fill_random, leaves_all},
    Workload{"fillbatch", Start::empty, once, 1, fill_batch, leaves_all},
    Workload{"ingest", Start::empty, once, 0, ingest, leaves_all},
    Workload{kSyncedWorkload, Start::empty, synced_entries, 1, fill_random, leaves_synced, nullptr, true},
    Workload{kOpen, Start::shared, once, 1, nullptr},
    Workload{"readrandom", Start::shared, reads, 16, read_random},
    Workload{"readone", Start::shared, tenfold, 256, read_one},
    Workload{"readmissing", Start::shared, reads, 16, read_missing},
    Workload{"multireadrandom", Start::shared, reads, 1, read_many},
    Workload{"readseq", Start::shared, scans, 0, read_sequential},
    Workload{"readreverse", Start::shared, scans, 0, read_reverse},
    Workload{"seekrandom", Start::shared, reads, 16, seek_random},
    Workload{"seekreverse", Start::shared, reads, 16, seek_reverse},
    Workload{"readwhilewriting", Start::loaded, once, 16, read_random, nullptr, overwrite_until_stopped},
    Workload{"overwrite", Start::loaded, once, 16, overwrite, leaves_overwritten},
    Workload{"deleterandom", Start::loaded, once, 16, delete_random, leaves_nothing},
    Workload{"readrandom-unsettled", Start::unsettled, tenth, 16, read_random},
    Workload{"seekrandom-unsettled", Start::unsettled, tenth, 16, seek_random},
    Workload{"readseq-unsettled", Start::unsettled, scan, 0, read_sequential},
    named("multireadrandom16", Start::shared, reads, 1, read_some),
    named("readhot", Start::shared, once, 16, read_hot),
    named("seekordered", Start::shared, once, 16, seek_ordered),
    named("deleteseq", Start::loaded, once, 16, delete_sequential, leaves_nothing),
    named("fill100K", Start::empty, large_entries, 1, fill_large, leaves_large),
    named("ycsba", Start::loaded, once, 16, ycsb_a),
    named("ycsbb", Start::loaded, once, 16, ycsb_b),
    named("ycsbc", Start::shared, reads, 16, ycsb_c),
    named("ycsbd", Start::loaded, once, 16, ycsb_d, leaves_inserted),
    named("ycsbe", Start::loaded, ycsb_scans, 16, ycsb_e, leaves_inserted_scans),
    named("ycsbf", Start::loaded, once, 16, ycsb_f),
    course("ycsbt", Start::empty, ycsb_t),
    course("compact", Start::empty, compact, leaves_all),
    course("churn", Start::empty, churn, leaves_half_overwritten),
    course("rewrite", Start::empty, rewrite, leaves_overwritten),
    course("queue", Start::empty, queue, leaves_queue),
    course("steady", Start::loaded, steady),
    course("bank", Start::empty, bank),
    course("counter", Start::empty, counter),
    course("txcost", Start::empty, transaction_cost),
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
