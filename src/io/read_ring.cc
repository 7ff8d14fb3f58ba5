#include "io/read_ring.h"

#include <algorithm>
#include <atomic>

#if LIGHTNING_HAS_LIBURING
#include <liburing.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <type_traits>

#include "base/mutex.h"
#include "io/process_word.h"
#endif

namespace lightning {

namespace {
std::atomic<uint64_t> done_by_ring{0};
}  // namespace

uint64_t reads_by_ring() { return done_by_ring.load(std::memory_order_relaxed); }

#if LIGHTNING_HAS_LIBURING

namespace {

class RingPool {
 public:
  /// Null where none is to be had.
  io_uring* borrow() {
    if (refused_.load(std::memory_order_relaxed) || !allowed_.load(std::memory_order_relaxed)) return nullptr;
    {
      MutexLock lock(mutex_);
      if (idle_count_ != 0) return idle_[--idle_count_];
      if (made_ == kRingsMax) return nullptr;
      ++made_;
    }
    io_uring* const ring = make();
    if (ring == nullptr) {
      MutexLock lock(mutex_);
      --made_;
    }
    return ring;
  }

  void give_back(io_uring* ring) {
    MutexLock lock(mutex_);
    idle_[idle_count_++] = ring;
  }

  /// One that the kernel takes nothing from, and has nothing of.
  void discard(io_uring* ring) {
    io_uring_queue_exit(ring);
    delete ring;
    MutexLock lock(mutex_);
    --made_;
  }

  bool allow(bool allowed) {
    allowed_.store(allowed, std::memory_order_relaxed);
    return !refused_.load(std::memory_order_relaxed);
  }

 private:
  io_uring* make() {
    std::unique_ptr<io_uring> ring(new (std::nothrow) io_uring());
    if (ring == nullptr) return nullptr;
    const int error = -io_uring_queue_init(kRingReads, ring.get(), 0);
    if (error == 0 && (ring->features & IORING_FEAT_RW_CUR_POS) == 0) {
      io_uring_queue_exit(ring.get());  // Linux before 5.6 has no reads into plain memory
      refused_.store(true, std::memory_order_relaxed);
      return nullptr;
    }
    if (error == 0) {
      (void)io_uring_ring_dontfork(ring.get());
      return ring.release();
    }
    // Other answers may be different ones the next time: too many descriptors, too little memory.
    if (error == ENOSYS || error == EPERM || error == EACCES || error == EINVAL)
      refused_.store(true, std::memory_order_relaxed);
    return nullptr;
  }

  std::atomic<bool> refused_{false};  // by the system
  std::atomic<bool> allowed_{true};
  Mutex mutex_;
  std::array<io_uring*, kRingsMax> idle_ GUARDED_BY(mutex_) = {};
  size_t idle_count_ GUARDED_BY(mutex_) = 0;
  size_t made_ GUARDED_BY(mutex_) = 0;
};

// Without a destructor: threads may read until the process ends.
constinit RingPool pool;
static_assert(std::is_trivially_destructible_v<RingPool>);

size_t prepare(io_uring* ring, std::span<RingRead> reads) {
  size_t count = 0;
  for (RingRead& one : reads) {
    if (one.size == 0) continue;
    io_uring_sqe* const entry = io_uring_get_sqe(ring);
    if (entry == nullptr) break;  // the ring has room for kRingReads
    io_uring_prep_read(entry, one.descriptor, one.to, static_cast<unsigned>(one.size), one.offset);
    io_uring_sqe_set_data(entry, &one);
    ++count;
  }
  return count;
}

size_t take_answers(io_uring* ring) {
  size_t count = 0;
  io_uring_cqe* answer;
  while (io_uring_peek_cqe(ring, &answer) == 0 && answer != nullptr) {
    static_cast<RingRead*>(io_uring_cqe_get_data(answer))->count = answer->res;
    io_uring_cqe_seen(ring, answer);
    ++count;
  }
  return count;
}

}  // namespace

void read_by_ring(std::span<RingRead> reads) {
  if (in_forked_child()) return;
  io_uring* const ring = pool.borrow();
  if (ring == nullptr) return;
  const size_t wanted = prepare(ring, reads.first(std::min(reads.size(), kRingReads)));
  size_t left = wanted;
  while (left != 0) {
    // Hands in what was not yet, and waits for an answer. Whatever it says, the buffers are the kernel's
    // until their answers are here.
    const int outcome = io_uring_submit_and_wait(ring, 1);
    const size_t answers = take_answers(ring);
    left -= answers;
    if (outcome >= 0 || outcome == -EINTR || answers != 0) continue;
    if (left == io_uring_sq_ready(ring)) break;
    sched_yield();
  }
  done_by_ring.fetch_add(wanted - left, std::memory_order_relaxed);
  if (left == 0) {
    pool.give_back(ring);
  } else {
    pool.discard(ring);
  }
}

bool allow_read_rings(bool allowed) { return pool.allow(allowed); }

#else

void read_by_ring(std::span<RingRead>) {}

bool allow_read_rings(bool) { return false; }

#endif

}  // namespace lightning
