// ExpiryClock: the time by which entries expire: the system's, which may jump, but never back behind what was
// said to have expired.
//
// Invariants
//  T1  What has expired once has for ever: now() is at least every time that was ever given to raise() or
//      found passed.
//  T2  What something durable relies on is durable before it, or with it: who gives entries up because they
//      have expired records floor() in the same commit of the state, whose time an open gives to raise().
// The floor is the largest expiry that was needed, not the largest time that was seen: one bad step of the
// clock moves it no further than entries have expired by it.
// Thread safety: internally synchronised, without locks.
// Costs: now() asks the system. Who meets no entry with an expiry does not call it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "format/expiry.h"
#include "io/env.h"

namespace lightning {

class ExpiryClock {
 public:
  explicit ExpiryClock(Clock& clock) : clock_(clock) {}

  /// Microseconds since 1970, at least 1.
  uint64_t now() const {
    const auto system = static_cast<uint64_t>(std::max<int64_t>(clock_.unix_micros(), 1));
    return std::max(system, floor_.load(std::memory_order_acquire));
  }
  /// Has what expires at `expiry` expired at `moment`, which now() gave?
  bool passed(uint64_t expiry, uint64_t moment) {
    if (expiry > moment) return false;
    raise(expiry);
    return true;
  }
  void raise(uint64_t time) {
    time = std::min(time, kTimeMaxUs);
    uint64_t before = floor_.load(std::memory_order_relaxed);
    while (before < time && !floor_.compare_exchange_weak(before, time, std::memory_order_acq_rel,
                                                          std::memory_order_relaxed)) {
    }
  }
  uint64_t floor() const { return floor_.load(std::memory_order_acquire); }

 private:
  Clock& clock_;
  std::atomic<uint64_t> floor_{0};
};

}  // namespace lightning
