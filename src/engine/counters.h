// Counters: what the engine did since it was opened. What every commit counts is striped by thread.
// Thread safety: any threads; sums are of no one moment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/epoch.h"

namespace lightning {

/// A sum that many threads add to without sharing a line.
class StripedCounter {
 public:
  /// The sum of this thread's stripe so far.
  uint64_t add(uint64_t amount) {
    // Slots are aligned to 64 bytes and one per thread.
    const auto slot = reinterpret_cast<uintptr_t>(epoch_detail::t_slot) >> 6;
    return stripes_[slot % kStripes].value.fetch_add(amount, std::memory_order_relaxed);
  }
  uint64_t sum() const {
    uint64_t total = 0;
    for (const Stripe& stripe : stripes_) total += stripe.value.load(std::memory_order_relaxed);
    return total;
  }

 private:
  static constexpr uint64_t kStripes = 16;
  struct alignas(64) Stripe {
    std::atomic<uint64_t> value{0};
  };
  std::array<Stripe, kStripes> stripes_;
};

struct Counters {
  StripedCounter user_bytes_written;
  StripedCounter commits;
  StripedCounter removals;  // of keys
  std::atomic<uint64_t> log_start_lsn{0};
  std::atomic<uint64_t> flushes{0};
  std::atomic<uint64_t> flush_bytes_written{0};
  std::atomic<uint64_t> merges{0};
  std::atomic<uint64_t> merge_bytes_read{0};
  std::atomic<uint64_t> merge_bytes_written{0};
  std::atomic<uint64_t> moves{0};
  std::atomic<uint64_t> move_bytes{0};
  std::atomic<uint64_t> drops{0};
  std::atomic<uint64_t> drop_bytes{0};
  std::atomic<uint64_t> stalls{0};
  std::atomic<uint64_t> stall_us{0};
  std::atomic<uint64_t> transaction_conflicts{0};
  std::atomic<uint64_t> unasked_scan_errors{0};
  std::atomic<uint64_t> recovered_records{0};
  std::atomic<uint64_t> recovery_us{0};
};

}  // namespace lightning
