// The one blocking primitive of the core: wait until a 32-bit word changes, wake who waits on it.
//
// Everything in the core that sleeps (Mutex, CondVar, publication, flush waiters) sleeps in park(), so that a
// simulated executor can take the place of the kernel: a thread that has a Parker installed parks there,
// every other thread in the operating system's futex. base declares, io/park.cc defines.
//
// Thread safety: all functions may be called from any thread. A return from park() says nothing: callers look
// again.
#pragma once

#include <atomic>
#include <cstdint>

namespace lightning {

inline constexpr uint64_t kParkForever = UINT64_MAX;

/// What a simulated executor installs for the threads that it runs.
class Parker {
 public:
  virtual ~Parker() = default;
  virtual void park(const std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) = 0;
  virtual void unpark(const std::atomic<uint32_t>& word, int count) = 0;
  /// Lets others run; the caller stays runnable.
  virtual void yield() = 0;
  /// A named step of the commit protocol (`sim` builds only, see base/interleave.h).
  virtual void interleave(const char* step) = 0;
};

/// The Parker of the calling thread, null where the operating system does the parking.
Parker* this_thread_parker();
void set_this_thread_parker(Parker* parker);

/// Sleeps while `word == expected`, at most `timeout_ns` nanoseconds; may return early for no reason.
void park(const std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns = kParkForever);
void unpark_one(const std::atomic<uint32_t>& word);
void unpark_all(const std::atomic<uint32_t>& word);

/// Gives the processor to another runnable thread.
void yield_thread();

/// One pause of a spin loop; in a simulation a yield, since nobody else runs meanwhile.
void spin_pause();

}  // namespace lightning
