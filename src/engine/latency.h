// Latency: how long operations take, by histograms, of which quick ones are timed now and then only.
//
// Each thread counts down to its next timed operation of a kind; intervals are random, so that no pattern of
// a program hides from them. A timed operation stands for all that came since the one before: a histogram's
// count is that of all operations, less the few of each thread that none stands for yet.
//
// Thread safety: any threads. Reading while others add gives each operation wholly or not at all in the
// counts; the sum of times may be of a moment later.
// Costs: what is not timed pays three instructions; the timed ones two readings of the clock and two
// additions to a stripe of the histogram. 2 KiB a histogram.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/epoch.h"
#include "io/env.h"

namespace lightning {

/// Upper bounds of buckets, in nanoseconds; what takes longer than the last one is beyond them.
inline constexpr std::array<uint64_t, 25> kLatencyBoundsNs = {
    100,           250,           500,           1'000,         2'500,       5'000,       10'000,
    25'000,        50'000,        100'000,       250'000,       500'000,     1'000'000,   2'500'000,
    5'000'000,     10'000'000,    25'000'000,    50'000'000,    100'000'000, 250'000'000, 500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

/// What a histogram held at about one moment.
struct LatencyCounts {
  std::array<uint64_t, kLatencyBoundsNs.size() + 1> buckets{};  // each for itself, the last one beyond all
  uint64_t sum_ns = 0;
};

class LatencyHistogram {
 public:
  /// `operations` that took `ns` each.
  void add(uint64_t ns, uint64_t operations) {
    const auto bound = std::lower_bound(kLatencyBoundsNs.begin(), kLatencyBoundsNs.end(), ns);
    // Slots are aligned to 64 bytes and one per thread.
    const auto slot = reinterpret_cast<uintptr_t>(epoch_detail::t_slot) >> 6;
    Stripe& stripe = stripes_[slot % kStripes];
    stripe.buckets[static_cast<size_t>(bound - kLatencyBoundsNs.begin())].fetch_add(
        operations, std::memory_order_relaxed);
    stripe.sum_ns.fetch_add(ns * operations, std::memory_order_relaxed);
  }
  LatencyCounts read() const {
    LatencyCounts counts;
    for (const Stripe& stripe : stripes_) {
      for (size_t i = 0; i < counts.buckets.size(); ++i) {
        counts.buckets[i] += stripe.buckets[i].load(std::memory_order_relaxed);
      }
      counts.sum_ns += stripe.sum_ns.load(std::memory_order_relaxed);
    }
    return counts;
  }

 private:
  static constexpr uint64_t kStripes = 8;
  struct alignas(64) Stripe {
    std::array<std::atomic<uint64_t>, kLatencyBoundsNs.size() + 1> buckets{};
    std::atomic<uint64_t> sum_ns{0};
  };
  std::array<Stripe, kStripes> stripes_;
};

/// Kinds of operations of which each thread times one in a while.
enum class Timed : uint8_t { get, get_many, seek, commit };

namespace latency_detail {
inline constexpr size_t kKinds = 4;
struct Countdown {
  uint32_t left = 0;      // operations before the next timed one
  uint32_t interval = 0;  // what left began with
};
// Plain and zero-initialised, so that reading it needs no guard and no call: a thread's first one is timed.
extern thread_local std::array<Countdown, kKinds> t_countdowns __attribute__((tls_model("initial-exec")));
}  // namespace latency_detail

/// A random number in [0, bound), from a generator of this thread.
uint32_t random_below(uint32_t bound);
/// One in [mean / 2, mean * 3 / 2).
inline uint32_t random_interval(uint32_t mean) { return mean / 2 + random_below(mean); }

/// Is this operation of the thread one that is timed? Then begin_timed() or time_operation() has to follow.
[[gnu::always_inline]] inline bool is_timed(Timed kind) {
  return latency_detail::t_countdowns[static_cast<size_t>(kind)].left-- == 0;
}
/// How many operations the timed one stands for, itself included. The next one will be some time after;
/// `asks_again`: is_timed() will be asked for this one once more.
uint64_t begin_timed(Timed kind, bool asks_again = false);

/// Times `operation`, which is the call that asked is_timed().
template <typename Fn>
[[gnu::noinline, gnu::cold]] auto time_operation(Timed kind, Clock& clock, LatencyHistogram& histogram,
                                                 Fn&& operation) {
  const uint64_t stands_for = begin_timed(kind, true);
  const uint64_t began_ns = clock.stopwatch_ns();
  auto answer = operation();
  histogram.add(clock.stopwatch_ns() - began_ns, stands_for);
  return answer;
}

/// All of a database.
struct Latencies {
  LatencyHistogram get;
  LatencyHistogram get_many;
  LatencyHistogram seek;
  LatencyHistogram step;  // of a cursor or scan
  LatencyHistogram commit_process;
  LatencyHistogram commit_power;  // each is timed
  LatencyHistogram flush;         // these too
  LatencyHistogram merge;
};

}  // namespace lightning
