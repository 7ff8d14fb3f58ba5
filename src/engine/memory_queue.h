// MemoryQueue: writers that wait for memory, first come, first served, so that a large commit is not passed
// by small ones for ever.
//
// Thread safety: externally synchronised, by the mutex that its CondVar waits with.
#pragma once

#include "base/mutex.h"

namespace lightning {

class MemoryQueue {
 public:
  /// Notifies `freed` when another one becomes the first.
  explicit MemoryQueue(CondVar& freed) : freed_(freed) {}
  MemoryQueue(const MemoryQueue&) = delete;
  MemoryQueue& operator=(const MemoryQueue&) = delete;

  bool empty() const { return first_ == nullptr; }

  /// Kept from join() to its end, over several waits.
  class Place {
   public:
    explicit Place(MemoryQueue& queue) : queue_(queue) {}
    ~Place() {
      if (joined_) queue_.leave(*this);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    /// At the end of the queue, the first time.
    void join() {
      if (joined_) return;
      joined_ = true;
      Place** end = &queue_.first_;
      while (*end != nullptr) end = &(*end)->next_;
      *end = this;
    }
    bool first() const { return queue_.first_ == this; }

   private:
    friend class MemoryQueue;
    MemoryQueue& queue_;
    Place* next_ = nullptr;
    bool joined_ = false;
  };

 private:
  void leave(Place& place) {
    const bool was_first = place.first();
    Place** at = &first_;
    while (*at != &place) at = &(*at)->next_;
    *at = place.next_;
    if (was_first && first_ != nullptr) freed_.notify_all();
  }

  CondVar& freed_;
  Place* first_ = nullptr;
};

}  // namespace lightning
