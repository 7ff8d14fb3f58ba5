// A memtable's parts: the probe of its point index, and what the order index takes to follow the log.
#include <benchmark/benchmark.h>

#include "bench/micro/bounds.h"
#include "format/internal_key.h"
#include "memtable/memtable_test_util.h"

namespace lightning::micro {
namespace {

constexpr uint32_t kKeys = 1'000'000;

void point_index_probe(benchmark::State& state) {
  const std::unique_ptr<PointIndex> index = *PointIndex::create(kKeys);
  std::vector<uint64_t> hashes;
  for (const uint32_t number : shuffled(kKeys)) {
    hashes.push_back(hash_key(kDefaultKeyspaceId, key_of(number)));
    if (!index->lock(index->bucket_number(hashes.back()), 1).ok()) return state.SkipWithError("no memory");
    index->install(hashes.back(), number + 1);
    index->unlock(index->bucket_number(hashes.back()));
  }
  size_t at = 0;
  uint32_t entry = 0;
  for (auto _ : state) {
    // The next probe waits for this one, as a get's next step would.
    entry = index->find(hashes[(at + (entry == 0 ? 1 : 0)) % kKeys]);
    benchmark::DoNotOptimize(entry);
    ++at;
  }
  state.counters["bytes"] = static_cast<double>(index->memory_bytes());
}
BENCHMARK(point_index_probe);

// One cache miss in as much memory.
void point_index_probe_bound_chase(benchmark::State& state) {
  Chase chase((*PointIndex::create(kKeys))->memory_bytes());
  for (auto _ : state) {
    chase.follow(1);
    benchmark::DoNotOptimize(chase.at());
  }
}
BENCHMARK(point_index_probe_bound_chase);

// An entry's way into the order index, asked for each `range` entries.
void order_index_ingest(benchmark::State& state) {
  const auto step = static_cast<uint64_t>(state.range(0));
  constexpr uint32_t kEntries = 64 * 4096;
  const std::vector<uint32_t> numbers = shuffled(kEntries);
  for (auto _ : state) {
    state.PauseTiming();
    const std::unique_ptr<LogBuffer> log = LogBuffer::create(64 << 20, 1'000'000);
    std::vector<uint64_t> positions;
    for (uint32_t i = 0; i < kEntries; ++i) {
      (void)log->append(EntryKind::put, std::string(1, '\0') + key_of(numbers[i]), "value");
      if ((i + 1) % step == 0) positions.push_back(log->published());
    }
    state.ResumeTiming();
    for (const uint64_t position : positions) {
      if (!log->catch_up(position).ok()) return state.SkipWithError("no memory");
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kEntries);
}
BENCHMARK(order_index_ingest)->Arg(4096)->Arg(64)->Unit(benchmark::kMillisecond);

// Sorting as many numbers, a step at a time.
void order_index_ingest_bound_sort(benchmark::State& state) {
  constexpr uint32_t kEntries = 64 * 4096;
  const auto step = static_cast<ptrdiff_t>(state.range(0));
  std::vector<uint64_t> keys;
  for (const uint32_t number : shuffled(kEntries)) keys.push_back(uint64_t{number} * 0x9e3779b97f4a7c15);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<uint64_t> sorted = keys;
    state.ResumeTiming();
    for (auto at = sorted.begin(); at < sorted.end(); at += step) std::sort(at, at + step);
    benchmark::DoNotOptimize(sorted.data());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kEntries);
}
BENCHMARK(order_index_ingest_bound_sort)->Arg(4096)->Arg(64)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lightning::micro
