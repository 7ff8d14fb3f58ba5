// Log: positions of the whole log (published, written, durable), publication in order, and the shared flush.
//
// The log is a chain of segments. A writer reserves a range in the active one, fills it, completes it, and
// publishes; readers see what lies below `published`.
//
// Invariants
//  I2  `published` never stands inside a record and never moves back.
//  I4  durable <= written <= published <= tail.
//  G1  A failed flush is final: it is never retried and never followed by success; writes are refused from
//      then on.
// Publication (measured against a plain frontier and against strict turns, see docs/adr): a writer whose
// record is next moves `published` by compare-and-swap itself; only when somebody sleeps does it walk on over
// further complete records and wake. Who is not next watches for about a microsecond, then counts itself as
// asleep, walks once, and sleeps while the record at `published` is not complete. The exchange on `published`
// and the count of sleepers form a Dekker pair: the owner of the next record either sees the sleeper or is
// seen by it.
// Thread safety: internally synchronised. No call is made inside an epoch but publish_own_turn() and the
// loads.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"
#include "log/segment.h"

namespace lightning {

class Log {
 public:
  Log() = default;

  /// Before the first writer: where the log begins, and how much of what was before is known to be durable.
  void start_at(uint64_t lsn, uint64_t durable);
  /// Nobody reserves, and everything is published and durable: goes on at `lsn`, as if something of this
  /// length had been committed, that is `durable` or, in a log that failed, never will be.
  void skip_to(uint64_t lsn, bool durable) EXCLUDES(flush_mutex_);
  /// Adds the newest segment; it begins where the log ended or, after recovery, later.
  void append_segment(std::shared_ptr<Segment> segment) EXCLUDES(mutex_);
  /// Forgets segments that end at or below `lsn`; they are durable and no writer is in them.
  void forget_below(uint64_t lsn) EXCLUDES(mutex_);

  uint64_t published() const { return published_.load(std::memory_order_acquire); }
  uint64_t durable() const { return durable_.load(std::memory_order_acquire); }

  /// After complete(): publishes if the record is next; never waits. False: call publish() outside of any
  /// epoch.
  bool publish_if_next(uint64_t lsn, uint32_t length) {
    return sleepers_.load(std::memory_order_relaxed) == 0 && publish_own_turn(lsn, lsn + length) &&
           sleepers_.load(std::memory_order_seq_cst) == 0;
  }
  /// After complete(): returns when `published` has passed `lsn + length`.
  void publish(uint64_t lsn, uint32_t length) EXCLUDES(mutex_);

  /// Returns when `published` has reached `end`. Walks, too: nobody else may.
  void wait_published(uint64_t end) EXCLUDES(mutex_);
  /// Returns when all in front of the caller's record at `lsn` is published. It may be inside an epoch, since
  /// whoever is in front waits for nothing that is behind.
  void wait_turn(uint64_t lsn) EXCLUDES(mutex_);
  /// Publishes every complete record that is next; for a close, when no record is being filled any more.
  void publish_complete() EXCLUDES(mutex_);

  /// Everything below `lsn` (published) has reached the kernel. A no-op for mapped segments.
  Status wait_written(uint64_t lsn) EXCLUDES(mutex_, flush_mutex_);
  /// Everything below `lsn` (published) survives a power cut. Waiters share one flush at a time.
  Status wait_durable(uint64_t lsn) EXCLUDES(mutex_, flush_mutex_);

  /// What made the log refuse writes for good, ok if nothing did.
  Status failure() const EXCLUDES(flush_mutex_);
  /// Refuses writes from now on (G1); the first reason stays.
  void refuse(const Status& status) EXCLUDES(flush_mutex_);
  bool failed() const { return failed_.load(std::memory_order_acquire); }

  uint64_t flushes() const { return flushes_.load(std::memory_order_relaxed); }
  /// True while some segment must be pwritten before a process-class write may return.
  bool has_written_segments() const { return has_written_segments_.load(std::memory_order_acquire); }

 private:
  bool publish_own_turn(uint64_t lsn, uint64_t end) {
    uint64_t own = lsn;
    return published_.compare_exchange_strong(own, end, std::memory_order_seq_cst);
  }
  void sleep_until_published(uint64_t end) EXCLUDES(mutex_);
  std::shared_ptr<Segment> segment_of(uint64_t lsn) EXCLUDES(mutex_);
  /// Moves `published` over complete records; did it move?
  bool walk() EXCLUDES(mutex_);
  void wake();
  bool complete_at(uint64_t lsn, uint64_t* end) EXCLUDES(mutex_);
  std::vector<std::shared_ptr<Segment>> segments_in(uint64_t from, uint64_t to) EXCLUDES(mutex_);
  Status write_to(uint64_t lsn) REQUIRES(write_mutex_);
  Status flush_once(bool* syncs) EXCLUDES(flush_mutex_);
  void fail(const Status& status) REQUIRES(flush_mutex_);

  // Written by every put, on a line of its own.
  alignas(64) std::atomic<uint64_t> published_{0};
  // Written only by those who sleep.
  alignas(64) std::atomic<uint32_t> sleepers_{0};  // partner: published_
  std::atomic<uint32_t> publish_sequence_{0};      // what sleepers wait on
  alignas(64) std::atomic<uint64_t> durable_{0};
  std::atomic<uint64_t> written_{0};  // of segments of kind written
  std::atomic<bool> failed_{false};
  std::atomic<bool> has_written_segments_{false};
  std::atomic<uint64_t> flushes_{0};

  mutable Mutex mutex_;
  std::deque<std::shared_ptr<Segment>> segments_ GUARDED_BY(mutex_);  // oldest first

  Mutex write_mutex_;  // before mutex_; held while pwriting

  mutable Mutex flush_mutex_;
  CondVar flush_done_;
  bool flushing_ GUARDED_BY(flush_mutex_) = false;
  Status failure_ GUARDED_BY(flush_mutex_);
};

}  // namespace lightning
