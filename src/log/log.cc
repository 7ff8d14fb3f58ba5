#include "log/log.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/epoch.h"
#include "base/interleave.h"

namespace lightning {

namespace {
// About a microsecond.
constexpr int kSpinsBeforeSleeping = 40;

// The log itself is as it was: whoever comes next tries again.
Status no_memory() { return Status(StatusCode::out_of_memory, "a flush of the log"); }
}  // namespace

void Log::start_at(uint64_t lsn, uint64_t durable) {
  published_.store(lsn, std::memory_order_release);
  durable_.store(durable, std::memory_order_release);
  written_.store(lsn, std::memory_order_release);
}

void Log::skip_to(uint64_t lsn, bool durable) {
  {
    MutexLock lock(write_mutex_);
    written_.store(lsn, std::memory_order_release);
  }
  MutexLock lock(flush_mutex_);
  while (flushing_) flush_done_.wait(flush_mutex_);  // it would move `durable` back
  published_.store(lsn, std::memory_order_seq_cst);
  if (durable) durable_.store(lsn, std::memory_order_release);
}

void Log::append_segment(std::shared_ptr<Segment> segment) {
  if (segment->kind() == SegmentFileKind::written)
    has_written_segments_.store(true, std::memory_order_release);
  MutexLock lock(mutex_);
  if (!segments_.empty() && segments_.back() == segment) return;  // a repeated try
  LIGHTNING_INVARIANT("I2", segments_.empty() || segments_.back()->end_lsn() <= segment->base_lsn());
  segments_.push_back(std::move(segment));
}

void Log::forget_below(uint64_t lsn) {
  MutexLock lock(mutex_);
  while (!segments_.empty() && segments_.front()->end_lsn() <= lsn) segments_.pop_front();
}

std::shared_ptr<Segment> Log::segment_of(uint64_t lsn) {
  MutexLock lock(mutex_);
  for (const std::shared_ptr<Segment>& segment : segments_) {
    if (lsn >= segment->base_lsn() && lsn < segment->end_lsn()) return segment;
  }
  return nullptr;
}

void Log::publish(uint64_t lsn, uint32_t length) {
  const uint64_t end = lsn + length;
  INTERLEAVE("publish.marked");
  for (int spins = 0; spins < kSpinsBeforeSleeping; ++spins) {
    const uint64_t now = published_.load(std::memory_order_acquire);
    if (now == lsn && publish_own_turn(lsn, end)) {
      INTERLEAVE("publish.moved");
      if (sleepers_.load(std::memory_order_seq_cst) != 0) [[unlikely]] {
        walk();
        wake();
      }
      return;
    }
    if (now >= end) {  // a walker published it, or the try before this call
      if (sleepers_.load(std::memory_order_seq_cst) != 0) [[unlikely]] {
        walk();
        wake();
      }
      return;
    }
    spin_pause();
  }
  wait_published(end);
}

void Log::wait_published(uint64_t end) {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  sleep_until_published(end);
}

void Log::wait_turn(uint64_t lsn) {
  for (int spins = 0; spins < kSpinsBeforeSleeping; ++spins) {
    if (published() >= lsn) return;
    spin_pause();
  }
  sleep_until_published(lsn);
  LIGHTNING_INVARIANT("I2", published() == lsn);
}

void Log::sleep_until_published(uint64_t end) {
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  for (;;) {
    const uint32_t seen = publish_sequence_.load(std::memory_order_seq_cst);
    INTERLEAVE("publish.before_walk");
    if (walk()) wake();
    if (published_.load(std::memory_order_seq_cst) >= end) break;
    INTERLEAVE("publish.before_sleep");
    park(publish_sequence_, seen);
  }
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

void Log::publish_complete() {
  if (walk()) wake();
}

bool Log::complete_at(uint64_t lsn, uint64_t* end) {
  const std::shared_ptr<Segment> segment = segment_of(lsn);
  if (segment == nullptr || !marked(segment->at(lsn), lsn, segment->salt(), std::memory_order_seq_cst))
    return false;
  *end = lsn + record_length_of(segment->at(lsn));
  return true;
}

bool Log::walk() {
  bool moved = false;
  for (;;) {
    uint64_t at = published_.load(std::memory_order_seq_cst);
    uint64_t end;
    if (complete_at(at, &end)) {
      moved |= published_.compare_exchange_strong(at, end, std::memory_order_seq_cst);
      INTERLEAVE("publish.walked");
    } else if (published_.load(std::memory_order_seq_cst) == at) {
      return moved;
    }
  }
}

void Log::wake() {
  publish_sequence_.fetch_add(1, std::memory_order_seq_cst);
  unpark_all(publish_sequence_);
}

std::vector<std::shared_ptr<Segment>> Log::segments_in(uint64_t from, uint64_t to) {
  std::vector<std::shared_ptr<Segment>> found;
  MutexLock lock(mutex_);
  for (const std::shared_ptr<Segment>& segment : segments_) {
    if (segment->end_lsn() > from && segment->base_lsn() < to) found.push_back(segment);
  }
  return found;
}

Status Log::write_to(uint64_t lsn) {
  uint64_t at = written_.load(std::memory_order_relaxed);
  if (at >= lsn) return {};
  for (const std::shared_ptr<Segment>& segment : segments_in(at, lsn)) {
    at = std::max(at, segment->base_lsn());
    const uint64_t end = std::min(lsn, segment->end_lsn());
    if (segment->kind() == SegmentFileKind::written) {
      if (Status status = segment->write_out(at, end); !status.ok()) return status;
    }
    at = end;
    written_.store(at, std::memory_order_release);
  }
  return {};
}

Status Log::wait_written(uint64_t lsn) {
  if (!has_written_segments() || written_.load(std::memory_order_acquire) >= lsn) return {};
  Status status;
  try {
    MutexLock lock(write_mutex_);
    if (failed()) return failure();
    status = write_to(published());
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
  if (!status.ok()) refuse(status);
  return status;
}

Status Log::wait_durable(uint64_t lsn) {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  MutexLock lock(flush_mutex_);
  while (durable_.load(std::memory_order_acquire) < lsn) {
    if (!failure_.ok()) return failure_;
    if (flushing_) {
      flush_done_.wait(flush_mutex_);
      continue;
    }
    flushing_ = true;
    flush_mutex_.unlock();
    Status status;
    bool refused_memory = false;
    bool syncs = false;
    try {
      status = flush_once(&syncs);
    } catch (const std::bad_alloc&) {
      // What a sync did that did not come to say so is not known.
      refused_memory = !syncs;
      if (syncs) status = no_memory();
    }
    flush_mutex_.lock();
    flushing_ = false;
    if (!status.ok()) fail(status);
    flush_done_.notify_all();
    if (refused_memory) return no_memory();
  }
  return {};
}

// `*syncs` becomes true where a sync may have been asked for.
Status Log::flush_once(bool* syncs) {
  const uint64_t from = durable();
  const uint64_t to = published();
  if (from == to) return {};
  {
    MutexLock lock(write_mutex_);
    if (Status status = write_to(to); !status.ok()) return status;
  }
  INTERLEAVE("flush.before_sync");
  const std::vector<std::shared_ptr<Segment>> segments = segments_in(from, to);
  *syncs = true;
  for (const std::shared_ptr<Segment>& segment : segments) {
    if (Status status = segment->sync(); !status.ok()) return status;
    durable_.store(std::min(to, segment->end_lsn()), std::memory_order_release);
  }
  durable_.store(to, std::memory_order_release);
  flushes_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

void Log::fail(const Status& status) {
  if (failure_.ok()) {
    failure_ = Status(status.code() == StatusCode::no_space ? StatusCode::io_error : status.code(),
                      status.message(), status.file(), status.offset());
  }
  failed_.store(true, std::memory_order_release);
}

void Log::refuse(const Status& status) {
  MutexLock lock(flush_mutex_);
  fail(status);
}

Status Log::failure() const {
  MutexLock lock(flush_mutex_);
  return failure_;
}

}  // namespace lightning
