// Worker: what one thread of a workload has, and how it repeats an operation under the clock.
//
// Thread safety: a Worker belongs to its thread; a Dataset is immutable; `stop` is set by the runner.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "bench/adapters/engine.h"
#include "bench/config.h"
#include "bench/report/histogram.h"
#include "bench/workloads/key.h"
#include "bench/workloads/random.h"
#include "bench/workloads/value_pool.h"
#include "bench/workloads/zipf.h"

namespace lightning::bench {

using Clock = std::chrono::steady_clock;

inline uint64_t nanoseconds_between(Clock::time_point from, Clock::time_point to) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count());
}

// What the database holds: the keys of 0 to num - 1 and their values, and the order in which random fills go.
struct Dataset {
  explicit Dataset(const Config& c)
      : config(c),
        values(c.value_size, c.compressed, c.seed),
        order(c.num, c.seed),
        zipf(c.num),
        raw_bytes(c.num * (c.key_size + c.value_size)),
        all(expect(c.num, 0, [](uint64_t i) { return i; })) {}

  // The tally of a scan that finds `count` entries, the numbers of which `number_of` gives.
  template <typename NumberOf>
  Tally expect(uint64_t count, unsigned generation, NumberOf&& number_of) const {
    Tally tally;
    KeyBuffer key(config.key_size);
    for (uint64_t i = 0; i < count; ++i) tally.add(key(number_of(i)), values(number_of(i), generation));
    return tally;
  }

  const Config& config;
  ValuePool values;
  Permutation order;
  Zipf zipf;
  uint64_t raw_bytes;
  Tally all;  // what a scan of a filled database finds
};

struct Worker {
  Worker(const Dataset& dataset, Session& s, unsigned thread, uint64_t first_operation,
         uint64_t end_operation, unsigned sample_every_nth)
      : data(dataset),
        session(s),
        key(dataset.config.key_size),
        random(dataset.config.seed * 1000 + thread),
        first(first_operation),
        end(end_operation),
        sample_every(sample_every_nth) {}

  // The number of an existing key, as --distribution says.
  uint64_t pick() {
    const uint64_t num = data.config.num;
    switch (data.config.distribution) {
      case Distribution::uniform:
        break;
      case Distribution::zipf:
        return data.order(data.zipf(random) % num);  // of a single entry Zipf knows two ranks
      case Distribution::latest:
        return num - 1 - data.zipf(random) % num;
    }
    return random.below(num);
  }

  // Calls op(i) for i = first, first + step, ... below end; times one call in `sample_every`, because reading
  // the clock costs as much as a fast operation.
  template <typename Op>
  void repeat(uint64_t step, Op&& op) {
    const uint64_t untimed = step * (sample_every - 1);
    for (uint64_t i = first; i < end;) {
      for (const uint64_t sample = std::min(i + untimed, end); i < sample; i += step) op(i);
      if (i >= end) break;
      const Clock::time_point start = Clock::now();
      op(i);
      latency.add(nanoseconds_between(start, Clock::now()));
      i += step;
    }
    operations += end - first;
  }
  template <typename Op>
  void repeat(Op&& op) {
    repeat(1, op);
  }

  const Dataset& data;
  Session& session;
  KeyBuffer key;
  Random random;
  uint64_t first;  // this thread's share of the operations: [first, end)
  uint64_t end;
  unsigned sample_every;
  const std::atomic<bool>* stop = nullptr;  // of a background worker

  uint64_t operations = 0;
  Histogram latency;
};

}  // namespace lightning::bench
