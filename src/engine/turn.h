// Turn: whose turn it is with a cursor's View: the cursor's thread in each of its steps, or the background,
// which takes the View of a cursor that stands still.
//
// Invariant R1: never both. The cursor raises its word and then looks whether it is asked to wait; the
// background asks and then looks at the word: one of them sees the other.
// Thread safety: enter() and leave() by the one thread that uses the cursor, the others by one at a time.
// Costs: enter and leave are two plain stores and a load where the asymmetric barrier works (base/barrier.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/barrier.h"

namespace lightning {

class Turn {
 public:
  Turn() : fenced_(!heavy_barrier_available()) {}

  /// False: the background is at it. Then nothing was entered.
  bool enter() {
    const uint64_t word = word_.load(std::memory_order_relaxed) + 1;
    if (fenced_) [[unlikely]] {
      word_.exchange(word, std::memory_order_seq_cst);
    } else {
      word_.store(word, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // partner: heavy_barrier() in take()
    }
    if (asked_.load(std::memory_order_seq_cst) == 0) [[likely]]
      return true;
    leave();
    return false;
  }
  void leave() { word_.store(word_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  /// Changes with every step; odd within one.
  uint64_t word() const { return word_.load(std::memory_order_acquire); }
  /// Takes the turn of a cursor that has made no step since word() was `word`; until give().
  bool take(uint64_t word) {
    asked_.store(1, std::memory_order_seq_cst);
    heavy_barrier();
    if (word % 2 == 0 && word_.load(std::memory_order_seq_cst) == word) return true;
    give();
    return false;
  }
  void give() { asked_.store(0, std::memory_order_seq_cst); }

 private:
  const bool fenced_;
  std::atomic<uint64_t> word_{0};
  std::atomic<uint32_t> asked_{0};
};

}  // namespace lightning
