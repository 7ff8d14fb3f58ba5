#include "base/park.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include "io/raw_call.h"

namespace lightning {

namespace {

thread_local Parker* t_parker __attribute__((tls_model("initial-exec"))) = nullptr;

// Longer waits end early, which park() allows.
constexpr uint64_t kFutexSecondsMax = 1'000'000;

void futex(const std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
  // Every outcome (changed value, signal, timeout, a word that is gone by now) means the same: look again.
  (void)raw_call(SYS_futex, &word, operation, value, timeout, nullptr, 0);
}

}  // namespace

Parker* this_thread_parker() { return t_parker; }
void set_this_thread_parker(Parker* parker) { t_parker = parker; }

void park(const std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) {
  if (t_parker != nullptr) return t_parker->park(word, expected, timeout_ns);
  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  const uint64_t seconds = timeout_ns / kNsPerSecond;
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(seconds < kFutexSecondsMax ? seconds : kFutexSecondsMax);
  timeout.tv_nsec = static_cast<long>(timeout_ns % kNsPerSecond);
  futex(word, FUTEX_WAIT_PRIVATE, expected, timeout_ns == kParkForever ? nullptr : &timeout);
}

void unpark_one(const std::atomic<uint32_t>& word) {
  if (t_parker != nullptr) return t_parker->unpark(word, 1);
  futex(word, FUTEX_WAKE_PRIVATE, 1, nullptr);
}

void unpark_all(const std::atomic<uint32_t>& word) {
  if (t_parker != nullptr) return t_parker->unpark(word, INT_MAX);
  futex(word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr);
}

void yield_thread() {
  if (t_parker != nullptr) return t_parker->yield();
  sched_yield();
}

void spin_pause() {
  if (t_parker != nullptr) return t_parker->yield();
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace lightning
