// Epoch-based reclamation for the whole process: readers enter and leave for the price of a plain store each,
// and what was unlinked is freed when every reader that could have seen it has left.
//
// Invariants
//  E1  A thread inside an epoch never waits, and leaves before the call that entered returns; entering nests
//      by count.
//  E2  retire(object) is called after the object was unlinked from every place where a reader could find it;
//      its deleter runs after every epoch entered before the unlinking was left.
//  E3  A deleter runs in whatever thread reclaims, outside every lock of this class; it may retire further
//      objects.
// Thread safety: internally synchronised; a guard belongs to its thread.
// Costs: enter + leave 1 to 3 ns; a reclaim pass one membarrier (or none where readers pay with a full
// exchange).
// Source: K. Fraser, "Practical lock-freedom" (2004), epochs; the asymmetric barrier as in base/barrier.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/barrier.h"

namespace lightning {

/// One per thread that ever entered; reused after the thread ends. On a cache line of its own.
struct alignas(64) EpochSlot {
  std::atomic<uint64_t> epoch{0};  // 0 = outside; partner: epoch_reclaim()
  uint32_t depth = 0;
  std::atomic<bool> taken{false};
  EpochSlot* next = nullptr;
};

namespace epoch_detail {
// Plain and zero-initialised, so that reading it needs no guard and no call.
extern thread_local EpochSlot* t_slot __attribute__((tls_model("initial-exec")));
extern std::atomic<uint64_t> g_epoch;
extern std::atomic<bool> g_readers_fence;
EpochSlot* register_thread();
}  // namespace epoch_detail

class EpochGuard {
 public:
  [[gnu::always_inline]] EpochGuard() {
    slot_ = epoch_detail::t_slot;
    if (slot_ == nullptr) [[unlikely]]
      slot_ = epoch_detail::register_thread();
    if (slot_->depth++ != 0) return;
    const uint64_t now = epoch_detail::g_epoch.load(std::memory_order_acquire);
    if (epoch_detail::g_readers_fence.load(std::memory_order_relaxed)) [[unlikely]] {
      slot_->epoch.exchange(now, std::memory_order_seq_cst);
      full_barrier();
    } else {
      slot_->epoch.store(now, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // partner: heavy_barrier() in epoch_reclaim()
    }
  }
  [[gnu::always_inline]] ~EpochGuard() {
    if (slot_ != nullptr) leave();
  }
  /// Before its time; once.
  [[gnu::always_inline]] void leave() {
    if (--slot_->depth == 0) slot_->epoch.store(0, std::memory_order_release);
    slot_ = nullptr;
  }
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  EpochSlot* slot_;
};

/// Is the calling thread inside an epoch? For assertions that forbid waiting there (E1).
bool inside_epoch();

/// Frees `object` by `deleter` once no reader can hold it (E2). Not inside an epoch: without
/// memory for the note it waits for the readers. Never blocks; falls back to an immediate wait for the
/// readers when memory for the note cannot be had.
void epoch_retire(void* object, void (*deleter)(void*));

template <typename T>
void epoch_retire(T* object) {
  epoch_retire(const_cast<void*>(static_cast<const void*>(object)),
               [](void* p) { delete static_cast<T*>(p); });
}

/// Frees what can be freed now; returns how many objects still wait. Cheap when nothing waits.
size_t epoch_reclaim();

/// Waits until every epoch that was entered before this call was left. Not inside an epoch.
void epoch_synchronize();

/// Waits until everything retired before this call by any thread has been freed. Not inside an epoch.
void epoch_drain();

}  // namespace lightning
