// EpochPause: the calling thread, which is inside an epoch, leaves it for a while, to wait or to read. What
// it reached through the epoch must be counted before, or is gone behind the pause.
//
// Thread safety: belongs to its thread. Costs: those of an EpochGuard.
#pragma once

#include "base/check.h"
#include "base/epoch.h"

namespace lightning {

class EpochPause {
 public:
  EpochPause() : slot_(epoch_detail::t_slot), depth_(slot_->depth) {
    LIGHTNING_INVARIANT("E1", depth_ != 0);
    slot_->depth = 0;
    slot_->epoch.store(0, std::memory_order_release);
  }
  ~EpochPause() {
    // Enters as a guard does, and gives the epoch to those that were there before.
    {
      EpochGuard again;
      slot_->depth += depth_;
    }
  }
  EpochPause(const EpochPause&) = delete;
  EpochPause& operator=(const EpochPause&) = delete;

 private:
  EpochSlot* const slot_;
  const uint32_t depth_;
};

}  // namespace lightning
