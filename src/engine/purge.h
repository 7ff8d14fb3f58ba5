// Purge: what a flush or merge gives up because it has expired; lives until the View without it is installed.
//
// Its time is taken when the first entry with an expiry is met.
// Thread safety: one thread.
#pragma once

#include <cstdint>

#include "engine/snapshots.h"
#include "view/expiry_clock.h"
#include "view/merge_cursor.h"

namespace lightning {

class Purge final : public ExpiryJudge {
 public:
  Purge(ExpiryClock& clock, Snapshots& readers) : clock_(clock), readers_(readers) {}
  ~Purge() {
    if (time_ != 0) readers_.end_purge(time_);
  }
  Purge(const Purge&) = delete;
  Purge& operator=(const Purge&) = delete;

  bool has_expired(uint64_t expiry_us) override {
    if (time_ == 0) time_ = readers_.begin_purge([this] { return clock_.now(); });
    return clock_.passed(expiry_us, time_);
  }

 private:
  ExpiryClock& clock_;
  Snapshots& readers_;
  uint64_t time_ = 0;
};

}  // namespace lightning
