// Turn: whose turn it is with what a cursor reads through: the cursor's thread in each of its steps, or the
// background, which takes it away from a cursor that stands still.
//
// Invariant R1: never both. The cursor raises its word and then looks whether it is asked to wait; the
// background asks and then looks at the word: one of them sees the other.
// Thread safety: enter() and leave() by the one thread that uses the cursor, the others by one at a time.
// Costs: a step is two plain stores and a load where the asymmetric barrier works (base/barrier.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/barrier.h"
#include "base/interleave.h"

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
      std::atomic_signal_fence(std::memory_order_seq_cst);  // partner: the heavy_barrier() behind ask()
    }
    INTERLEAVE("turn.entered");
    if (asked_.load(std::memory_order_seq_cst) == 0) [[likely]]
      return true;
    leave();
    return false;
  }
  void leave() { word_.store(word_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  /// Changes with every step; odd within one.
  uint64_t word() const { return word_.load(std::memory_order_acquire); }
  /// Until give() no step begins, once a heavy_barrier() has followed and stood() has said that none runs.
  void ask() { asked_.store(1, std::memory_order_seq_cst); }
  /// Has the cursor made no step since word() was `word`?
  bool stood(uint64_t word) const { return word % 2 == 0 && word_.load(std::memory_order_seq_cst) == word; }
  void give() { asked_.store(0, std::memory_order_seq_cst); }
  bool asked() const { return asked_.load(std::memory_order_relaxed) != 0; }

 private:
  const bool fenced_;
  std::atomic<uint64_t> word_{0};   // partner: asked_
  std::atomic<uint32_t> asked_{0};  // partner: word_
};

}  // namespace lightning
