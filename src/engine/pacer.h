// Pacer: makes writers wait as long as compaction/pacing.h says, before their commit is reserved.
//
// Who takes the log over a multiple of kGrainBytes waits for that much; whoever writes between two of them
// does not even look at a clock. Waits follow one another (a token bucket), so that any number of writers
// together go at the pace.
//
// Thread safety: internally synchronised.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include <lightning/status.h>

#include "base/mutex.h"
#include "compaction/pacing.h"
#include "io/env.h"

namespace lightning {

class Pacer {
 public:
  explicit Pacer(Clock& clock) : clock_(clock) {}

  /// Is there anything to wait for? The rest is only for then.
  bool on() const { return ns_per_mib_.load(std::memory_order_relaxed) != 0; }
  void set(const Pace& pace) EXCLUDES(mutex_);
  uint64_t removal_bytes() const { return removal_bytes_.load(std::memory_order_relaxed); }

  /// Is it the turn of a commit of `bytes` to wait()?
  bool takes_turn(uint64_t bytes) {
    const uint64_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return before / kGrainBytes != (before + bytes) / kGrainBytes;
  }
  /// busy, at once, if the wait would pass `deadline`; what `refused` answers, asked from time to time, if
  /// that is an error.
  Status wait(uint64_t bytes, uint64_t deadline, const std::function<Status()>& refused) EXCLUDES(mutex_);

  /// Around each flush of so much log, one at a time: how fast flushes are.
  class Flush {
   public:
    Flush(Pacer& pacer, uint64_t bytes) : pacer_(pacer) { pacer_.flush_began(bytes); }
    ~Flush() { pacer_.flush_ended(succeeded_); }
    Flush(const Flush&) = delete;
    Flush& operator=(const Flush&) = delete;
    void succeeded() { succeeded_ = true; }

   private:
    Pacer& pacer_;
    bool succeeded_ = false;
  };
  uint64_t flush_bytes_per_s() const { return flush_bytes_per_s_.load(std::memory_order_relaxed); }
  /// About what the running flush has behind it.
  uint64_t flushed_bytes() const;

  uint64_t waited_us(PaceReason reason) const {
    return waited_ns_[static_cast<size_t>(reason)].load(std::memory_order_relaxed) / 1000;
  }

 private:
  void flush_began(uint64_t bytes);
  void flush_ended(bool succeeded);

  static constexpr uint64_t kGrainBytes = 32 << 10;

  Clock& clock_;
  std::atomic<uint64_t> ns_per_mib_{0};
  std::atomic<uint64_t> removal_bytes_{0};
  std::atomic<PaceReason> reason_{PaceReason::none};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> waited_ns_[3] = {};

  // Of the flush that runs; one at a time.
  std::atomic<uint64_t> flush_began_ns_{0};  // 0: none runs
  std::atomic<uint64_t> flush_bytes_{0};
  std::atomic<uint64_t> flush_bytes_per_s_{0};

  Mutex mutex_;
  CondVar eased_;
  uint64_t due_ns_ GUARDED_BY(mutex_) = 0;  // when what was let pass is paid for
};

}  // namespace lightning
