#include "bench/workloads/runner.h"

#include <algorithm>
#include <iostream>
#include <latch>
#include <memory>
#include <thread>

#include "bench/fail.h"
#include "bench/report/machine.h"
#include "bench/report/result.h"

namespace lightning::bench {
namespace {

constexpr uint64_t kLoadBatchEntries = 1'000;
constexpr unsigned kOpens = 5;

// Is one database enough for all such workloads of a child?
bool shares(Start start) { return start == Start::shared || start == Start::unsettled; }

void print(const Result& result) { std::cout << encode(result) << std::endl; }

// One engine, its directory and the data that it is given.
class Unit {
 public:
  Unit(const Dataset& data, const EngineKind& kind, std::string directory)
      : data_(data), kind_(kind), directory_(std::move(directory)) {}

  void open(Durability durability) {
    engine_ = kind_.open({.path = directory_,
                          .durability = durability,
                          .raw_bytes = data_.raw_bytes,
                          .threads = data_.config.threads,
                          .options = data_.config.options,
                          .compression = data_.config.compression,
                          .direct_reads = data_.config.direct_reads,
                          .memory_limit = data_.config.memory_limit});
  }
  void close() {
    data_under_log_names_ = engine_->data_under_log_names();
    engine_.reset();
  }

  // All keys, in random order.
  void load(Durability durability) {
    open(durability);
    {
      const std::unique_ptr<Session> session = engine_->session();
      std::vector<KeyBuffer> keys(kLoadBatchEntries, KeyBuffer(data_.config.key_size));
      std::vector<Entry> batch;
      for (uint64_t i = 0; i < data_.config.num;) {
        batch.clear();
        for (const uint64_t end = std::min(i + kLoadBatchEntries, data_.config.num); i < end; ++i) {
          const uint64_t number = data_.order(i);
          batch.push_back({keys[batch.size()](number), data_.values(number)});
        }
        session->write(batch);
      }
    }
  }
  // Settled, closed and opened again, and read once, so that everything is warm.
  void warm() {
    engine_->settle();
    close();
    open(data_.config.durability);
    verify(data_.all);
  }

  void settle() { engine_->settle(); }
  void verify(const Tally& expected) {
    require(engine_->session()->scan(Direction::forward) == expected,
            "wrong answer: the database does not hold what was written");
  }
  DiskUse disk_use() const {
    DiskUse use = bench::disk_use(directory_, kind_.log_name);
    const uint64_t data = engine_ != nullptr ? engine_->data_under_log_names() : data_under_log_names_;
    use.data_bytes += data;
    use.log_bytes -= std::min(use.log_bytes, data);
    return use;
  }

  Result measure(const Workload& workload);
  Result measure_course(const Workload& workload);
  Result measure_open();

 private:
  const Dataset& data_;
  const EngineKind& kind_;
  std::string directory_;
  std::unique_ptr<Engine> engine_;
  uint64_t data_under_log_names_ = 0;  // when it was closed
};

// Lets all threads of a workload start at one moment, and takes the time.
struct Race {
  explicit Race(unsigned threads) : ready(threads), go(1) {}
  std::latch ready;
  std::latch go;
  std::atomic<bool> stop{false};
};

struct Outcome {
  uint64_t operations = 0;
  Histogram latency;
  Clock::time_point finished;
};

Result Unit::measure(const Workload& workload) {
  const Config& config = data_.config;
  const uint64_t operations = workload.operations(config);
  const unsigned readers = config.threads, threads = readers + (workload.background != nullptr ? 1 : 0);
  Race race(threads);
  std::vector<Outcome> outcomes(threads);
  const auto run = [&](unsigned thread) {
    const std::unique_ptr<Session> session = engine_->session();
    const bool background = thread >= readers;
    if (!background && workload.leaves == nullptr && config.warmup > 0) {
      Worker warmup(data_, *session, thread + readers, 0, config.warmup, workload.sample_every);
      workload.run(warmup);
    }
    Worker worker(data_, *session, thread, operations * thread / readers, operations * (thread + 1) / readers,
                  workload.sample_every);
    worker.stop = &race.stop;
    race.ready.count_down();
    race.go.wait();
    background ? workload.background(worker) : workload.run(worker);
    outcomes[thread] = {worker.operations, worker.latency, Clock::now()};
  };
  std::vector<std::thread> running;
  running.reserve(threads);
  for (unsigned thread = 0; thread < threads; ++thread) running.emplace_back(run, thread);
  race.ready.wait();
  const CpuTime cpu = cpu_time();
  const Clock::time_point start = Clock::now();
  race.go.count_down();
  for (unsigned thread = 0; thread < readers; ++thread) running[thread].join();
  const CpuTime cpu_end = cpu_time();
  race.stop = true;
  for (unsigned thread = readers; thread < threads; ++thread) running[thread].join();

  Result result;
  result.workload = workload.name;
  result.engine = kind_.name;
  result.rss_bytes = resident_bytes();
  Histogram latency;
  for (unsigned thread = 0; thread < readers; ++thread) {
    result.operations += outcomes[thread].operations;
    result.seconds = std::max(
        result.seconds, static_cast<double>(nanoseconds_between(start, outcomes[thread].finished)) / 1e9);
    latency.merge(outcomes[thread].latency);
  }
  result.set_latency(latency);
  if (threads > readers)
    result.writes_per_s = static_cast<double>(outcomes[readers].operations) / result.seconds;
  result.set_cpu(cpu, cpu_end, result.seconds);
  return result;
}

Result Unit::measure_course(const Workload& workload) {
  Result result;
  result.workload = workload.name;
  result.engine = kind_.name;
  const CpuTime cpu = cpu_time();
  const Clock::time_point start = Clock::now();
  workload.course({data_, *engine_, [this] { return disk_use().data_bytes; }}, result);
  result.set_cpu(cpu, cpu_time(), static_cast<double>(nanoseconds_between(start, Clock::now())) / 1e9);
  result.rss_bytes = resident_bytes();
  return result;
}

// From nothing to the first answer, of a database that was closed cleanly and is in the page cache.
Result Unit::measure_open() {
  Result result;
  result.workload = kOpen;
  result.engine = kind_.name;
  KeyBuffer key(data_.config.key_size);
  Histogram latency;
  const CpuTime cpu = cpu_time();
  const Clock::time_point first = Clock::now();
  for (unsigned i = 0; i < kOpens; ++i) {
    close();
    const Clock::time_point start = Clock::now();
    open(data_.config.durability);
    const bool found = data_.values.matches(i, engine_->session()->get(key(i)));
    latency.add(nanoseconds_between(start, Clock::now()));
    require(found, "wrong answer: a key is missing after the database was opened");
  }
  result.set_cpu(cpu, cpu_time(), static_cast<double>(nanoseconds_between(first, Clock::now())) / 1e9);
  result.set_latency(latency);
  // One open as long as the median: the closing between two of them does not count.
  result.operations = 1;
  result.seconds = static_cast<double>(result.p50_ns) / 1e9;
  result.rss_bytes = resident_bytes();
  return result;
}

}  // namespace

std::vector<std::vector<const Workload*>> plan(const Config& config) {
  std::vector<std::vector<const Workload*>> units;
  for (const Workload& workload : workloads()) {
    if (std::ranges::find(config.workloads, workload.name) == config.workloads.end()) continue;
    const auto same = std::ranges::find_if(units, [&](const std::vector<const Workload*>& unit) {
      return shares(workload.start) && unit[0]->start == workload.start;
    });
    same != units.end() ? same->push_back(&workload) : units.push_back({&workload});
  }
  return units;
}

void run_unit(const Config& config, const EngineKind& kind,
              const std::vector<const Workload*>& unit_workloads, const std::string& directory) {
  const Dataset data(config);
  Unit unit(data, kind, directory);
  const Workload& first = *unit_workloads[0];
  if (first.start == Start::empty) {
    unit.open(first.power ? Durability::power : config.durability);
  } else {
    unit.load(first.start == Start::unsettled ? config.durability : Durability::process);
    if (first.start != Start::unsettled) unit.warm();
  }
  std::vector<Result> results;
  results.reserve(unit_workloads.size());
  for (const Workload* workload : unit_workloads) {
    if (workload->course != nullptr) {
      results.push_back(unit.measure_course(*workload));
    } else {
      results.push_back(workload->name == kOpen ? unit.measure_open() : unit.measure(*workload));
    }
  }
  if (!shares(first.start)) unit.settle();
  if (first.leaves != nullptr) unit.verify(first.leaves(data));
  unit.close();
  const DiskUse disk = unit.disk_use();
  for (Result& result : results) {
    result.disk_bytes = disk.data_bytes;
    result.log_bytes = disk.log_bytes;
    print(result);
  }
}

}  // namespace lightning::bench
