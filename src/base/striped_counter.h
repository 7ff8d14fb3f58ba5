// StripedCounter: a sum that many threads add to without sharing a line.
//
// Thread safety: any threads; sum() is of no one moment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/epoch.h"

namespace lightning {

class StripedCounter {
 public:
  /// The sum of this thread's stripe so far.
  uint64_t add(uint64_t amount) {
    // Slots are aligned to 64 bytes and one per thread.
    const auto slot = reinterpret_cast<uintptr_t>(epoch_detail::t_slot) >> 6;
    return stripes_[slot % kStripes].value.fetch_add(amount, std::memory_order_relaxed);
  }
  /// One more, without a locked instruction: threads that share a stripe may lose some.
  void count() {
    const auto slot = reinterpret_cast<uintptr_t>(epoch_detail::t_slot) >> 6;
    std::atomic<uint64_t>& value = stripes_[slot % kStripes].value;
    value.store(value.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
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

}  // namespace lightning
