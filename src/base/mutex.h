// Mutex and CondVar over park(), known to clang's thread safety analysis and to the simulated executor.
//
// Source of the mutex: U. Drepper, "Futexes Are Tricky", the three-state mutex (0 free, 1 held, 2 held and
// waited for). The condition variable is a sequence word: wait() notes it, unlocks, sleeps while it is
// unchanged, locks again; wakes are never lost and may be spurious.
//
// Thread safety: internally synchronised. Not recursive.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/park.h"
#include "base/thread_annotations.h"

namespace lightning {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() ACQUIRE() {
    uint32_t free = 0;
    if (!state_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed))
      lock_slow();
  }
  bool try_lock() TRY_ACQUIRE(true) {
    uint32_t free = 0;
    return state_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void unlock() RELEASE() {
    if (state_.exchange(0, std::memory_order_release) == 2) unpark_one(state_);
  }

 private:
  void lock_slow() {
    while (state_.exchange(2, std::memory_order_acquire) != 0) park(state_, 2);
  }

  std::atomic<uint32_t> state_{0};
};

class SCOPED_CAPABILITY MutexLock {
 public:
  /// Says that the mutex is held already.
  struct Held {};
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  MutexLock(Mutex& mutex, Held) REQUIRES(mutex) : mutex_(mutex) {}
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  /// Unlocks, waits for a notify or the timeout, locks again. May wake for no reason.
  void wait(Mutex& mutex, uint64_t timeout_ns = kParkForever) REQUIRES(mutex) {
    const uint32_t seen = sequence_.load(std::memory_order_relaxed);
    mutex.unlock();
    park(sequence_, seen, timeout_ns);
    mutex.lock();
  }
  void notify_one() {
    sequence_.fetch_add(1, std::memory_order_release);
    unpark_one(sequence_);
  }
  void notify_all() {
    sequence_.fetch_add(1, std::memory_order_release);
    unpark_all(sequence_);
  }

 private:
  std::atomic<uint32_t> sequence_{0};
};

}  // namespace lightning
