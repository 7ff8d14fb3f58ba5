#include "base/barrier.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>

#include <atomic>

#include "io/raw_call.h"

// ThreadSanitizer does not see what membarrier orders.
#if defined(__SANITIZE_THREAD__)
#define LIGHTNING_RACE_DETECTOR 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LIGHTNING_RACE_DETECTOR 1
#endif
#endif

namespace lightning {

namespace {

bool membarrier(int command) { return raw_call(SYS_membarrier, command, 0, 0) == 0; }

bool register_process() {
#ifdef LIGHTNING_RACE_DETECTOR
  return false;
#else
  return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
         membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
#endif
}

}  // namespace

bool heavy_barrier_available() {
  static const bool available = register_process();
  return available;
}

void full_barrier() {
#ifdef LIGHTNING_RACE_DETECTOR
  static std::atomic<int> word{0};  // it knows no fences
  word.fetch_add(1, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

void heavy_barrier() {
  if (!heavy_barrier_available()) {
    full_barrier();
    return;
  }
  // A registered process is refused only while the kernel lacks memory for a set of processors.
  while (!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) sched_yield();
}

}  // namespace lightning
