#include "bench/workloads/writes.h"

#include <thread>
#include <vector>

namespace lightning::bench {

void fill_sequential(Worker& worker) {
  worker.repeat([&](uint64_t i) { worker.session.put(worker.key(i), worker.data.values(i)); });
}

void fill_random(Worker& worker) {
  worker.repeat([&](uint64_t i) {
    const uint64_t number = worker.data.order(i);
    worker.session.put(worker.key(number), worker.data.values(number));
  });
}

void fill_batch(Worker& worker) {
  std::vector<KeyBuffer> keys(kBatchEntries, KeyBuffer(worker.data.config.key_size));
  std::vector<Entry> batch;
  worker.repeat(kBatchEntries, [&](uint64_t i) {
    batch.clear();
    for (const uint64_t end = std::min(i + kBatchEntries, worker.end); i < end; ++i) {
      const uint64_t number = worker.data.order(i);
      batch.push_back({keys[batch.size()](number), worker.data.values(number)});
    }
    worker.session.write(batch);
  });
}

Permutation order_of_changes(const Dataset& data) { return {data.config.num, ~data.config.seed}; }
void ingest(Worker& worker) {
  uint64_t i = worker.first;
  worker.session.ingest([&](Entry* entry) {
    if (i == worker.end) return false;
    *entry = {worker.key(i), worker.data.values(i)};
    ++i;
    return true;
  });
  worker.operations += worker.end - worker.first;
}

void overwrite(Worker& worker) {
  const Permutation order = order_of_changes(worker.data);
  worker.repeat([&](uint64_t i) {
    const uint64_t number = order(i);
    worker.session.put(worker.key(number), worker.data.values(number, 1));
  });
}

void delete_random(Worker& worker) {
  const Permutation order = order_of_changes(worker.data);
  worker.repeat([&](uint64_t i) { worker.session.remove(worker.key(order(i))); });
}

void delete_sequential(Worker& worker) {
  worker.repeat([&](uint64_t i) { worker.session.remove(worker.key(i)); });
}

namespace {
ValuePool large_values(const Config& config) { return {kLargeValueSize, config.compressed, config.seed}; }
}  // namespace

void fill_large(Worker& worker) {
  const ValuePool values = large_values(worker.data.config);
  worker.repeat([&](uint64_t i) { worker.session.put(worker.key(i), values(i)); });
}

uint64_t large_entries(const Config& config) { return std::max<uint64_t>(config.num / 1'000, 1); }

Tally leaves_large(const Dataset& data) {
  const ValuePool values = large_values(data.config);
  KeyBuffer key(data.config.key_size);
  Tally tally;
  for (uint64_t i = 0; i < large_entries(data.config); ++i) tally.add(key(i), values(i));
  return tally;
}

void overwrite_until_stopped(Worker& worker) {
  const Config& config = worker.data.config;
  const Clock::time_point start = Clock::now();
  while (!worker.stop->load(std::memory_order_relaxed)) {
    const uint64_t number = worker.pick();
    worker.session.put(worker.key(number), worker.data.values(number, 1));
    ++worker.operations;
    if (config.write_rate == 0) continue;
    // Ahead of the rate: sleeps, and catches up afterwards, since a sleep always lasts a little longer.
    const auto due = start + std::chrono::nanoseconds(worker.operations * 1'000'000'000 / config.write_rate);
    if (due > Clock::now()) std::this_thread::sleep_until(due);
  }
}

uint64_t synced_entries(const Config& config) {
  return std::min(config.num, std::max<uint64_t>(2'000, config.num / 1'000));
}

Tally leaves_all(const Dataset& data) { return data.all; }

Tally leaves_synced(const Dataset& data) {
  return data.expect(synced_entries(data.config), 0, [&](uint64_t i) { return data.order(i); });
}

Tally leaves_overwritten(const Dataset& data) {
  return data.expect(data.config.num, 1, [](uint64_t i) { return i; });
}

Tally leaves_nothing(const Dataset&) { return {}; }

}  // namespace lightning::bench
