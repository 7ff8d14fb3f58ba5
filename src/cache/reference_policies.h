// What ArcClock is measured against: LRU, CLOCK, S3-FIFO and SIEVE, as plain as can be, and ArcClock itself
// behind the same face. For tests and for the table of docs/cache.md.
//
// Sources: J. Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023), S3-FIFO with a
// small queue of a tenth and ghosts for the rest; Y. Zhang et al., "SIEVE is Simpler than LRU" (NSDI 2024).
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cache/arc_clock.h"

namespace lightning {

class CacheModel {
 public:
  virtual ~CacheModel() = default;
  /// Is the page there? It is afterwards.
  virtual bool access(uint32_t page) = 0;
};

class LruModel final : public CacheModel {
 public:
  explicit LruModel(uint32_t frames) : frames_(frames) {}
  bool access(uint32_t page) override {
    if (const auto at = places_.find(page); at != places_.end()) {
      order_.splice(order_.begin(), order_, at->second);
      return true;
    }
    if (places_.size() == frames_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(page);
    places_[page] = order_.begin();
    return false;
  }

 private:
  const uint32_t frames_;
  std::list<uint32_t> order_;  // the last used first
  std::unordered_map<uint32_t, std::list<uint32_t>::iterator> places_;
};

class ClockModel final : public CacheModel {
 public:
  explicit ClockModel(uint32_t frames) : frames_(frames) {}
  bool access(uint32_t page) override {
    if (const auto at = places_.find(page); at != places_.end()) {
      pages_[at->second].used = true;
      return true;
    }
    if (pages_.size() < frames_) {
      places_[page] = static_cast<uint32_t>(pages_.size());
      pages_.push_back({page, false});
      return false;
    }
    for (; pages_[hand_].used; hand_ = (hand_ + 1) % frames_) pages_[hand_].used = false;
    places_.erase(pages_[hand_].page);
    pages_[hand_].page = page;
    places_[page] = hand_;
    hand_ = (hand_ + 1) % frames_;
    return false;
  }

 private:
  struct Page {
    uint32_t page;
    bool used;
  };
  const uint32_t frames_;
  uint32_t hand_ = 0;
  std::vector<Page> pages_;
  std::unordered_map<uint32_t, uint32_t> places_;
};

class SieveModel final : public CacheModel {
 public:
  explicit SieveModel(uint32_t frames) : frames_(frames), hand_(queue_.end()) {}
  bool access(uint32_t page) override {
    if (const auto at = places_.find(page); at != places_.end()) {
      at->second->used = true;
      return true;
    }
    if (places_.size() == frames_) evict();
    queue_.push_front({page, false});
    places_[page] = queue_.begin();
    return false;
  }

 private:
  struct Page {
    uint32_t page;
    bool used;
  };
  using Place = std::list<Page>::iterator;

  // From the oldest to the youngest, and round again.
  Place before(Place at) { return std::prev(at == queue_.begin() ? queue_.end() : at); }
  void evict() {
    Place at = hand_ == queue_.end() ? std::prev(queue_.end()) : hand_;
    for (; at->used; at = before(at)) at->used = false;
    hand_ = at == queue_.begin() ? queue_.end() : std::prev(at);
    places_.erase(at->page);
    queue_.erase(at);
  }

  const uint32_t frames_;
  std::list<Page> queue_;  // the youngest first
  Place hand_;
  std::unordered_map<uint32_t, Place> places_;
};

class S3FifoModel final : public CacheModel {
 public:
  explicit S3FifoModel(uint32_t frames) : frames_(frames), small_frames_(std::max(1u, frames / 10)) {}
  bool access(uint32_t page) override {
    if (const auto at = uses_.find(page); at != uses_.end()) {
      at->second = std::min(3, at->second + 1);
      return true;
    }
    while (small_.size() + main_.size() >= frames_) {
      small_.size() >= small_frames_ || main_.empty() ? evict_small() : evict_main();
    }
    uses_[page] = 0;
    (ghost_counts_.contains(page) ? main_ : small_).push_back(page);
    return false;
  }

 private:
  static uint32_t pop(std::deque<uint32_t>* queue) {
    const uint32_t page = queue->front();
    queue->pop_front();
    return page;
  }
  void evict_small() {
    while (!small_.empty()) {
      const uint32_t page = pop(&small_);
      if (uses_[page] <= 1) {
        uses_.erase(page);
        return remember(page);
      }
      uses_[page] = 0;
      main_.push_back(page);
      if (main_.size() > frames_ - small_frames_) evict_main();
    }
  }
  void evict_main() {
    while (!main_.empty()) {
      const uint32_t page = pop(&main_);
      if (uses_[page] == 0) {
        uses_.erase(page);
        return;
      }
      --uses_[page];
      main_.push_back(page);
    }
  }
  void remember(uint32_t page) {
    ghosts_.push_back(page);
    ++ghost_counts_[page];
    if (ghosts_.size() <= frames_ - small_frames_) return;
    const auto gone = ghost_counts_.find(pop(&ghosts_));
    if (--gone->second == 0) ghost_counts_.erase(gone);
  }

  const uint32_t frames_;
  const uint32_t small_frames_;
  std::deque<uint32_t> small_;
  std::deque<uint32_t> main_;
  std::deque<uint32_t> ghosts_;
  std::unordered_map<uint32_t, int> uses_;  // of pages that are there
  std::unordered_map<uint32_t, uint32_t> ghost_counts_;
};

/// An ArcClock that has all of its frames for itself.
class LoneArcClock : private ArcFrames, public ArcClock {
 public:
  LoneArcClock(uint32_t frames, Owner& owner) : ArcFrames(frames), ArcClock(*this, frames, owner) {}
  using ArcFrames::touch;
};

class ArcClockModel final : public CacheModel, private ArcClock::Owner {
 public:
  explicit ArcClockModel(uint32_t frames)
      : policy_(frames, *this), pages_of_frames_(frames), pages_of_ghosts_(frames) {
    for (uint32_t frame = 0; frame < frames; ++frame) free_.push_back(frame);
  }
  bool access(uint32_t page) override {
    if (const auto at = frames_.find(page); at != frames_.end()) {
      policy_.touch(at->second);
      return true;
    }
    if (free_.empty()) evict();
    const uint32_t frame = free_.back();
    free_.pop_back();
    uint32_t ghost = ArcClock::kNone;
    if (const auto at = ghosts_.find(page); at != ghosts_.end()) {
      ghost = at->second;
      ghosts_.erase(at);
    }
    policy_.insert(frame, ghost);
    frames_[page] = frame;
    pages_of_frames_[frame] = page;
    return false;
  }
  const ArcClock& policy() const { return policy_; }

 private:
  bool pinned(uint32_t) const override { return false; }
  void forgotten(uint32_t ghost) override { ghosts_.erase(pages_of_ghosts_[ghost]); }
  void evict() {
    uint32_t frame;
    uint32_t ghost;
    if (!policy_.evict(&frame, &ghost)) return;
    const uint32_t page = pages_of_frames_[frame];
    frames_.erase(page);
    ghosts_[page] = ghost;
    pages_of_ghosts_[ghost] = page;
    free_.push_back(frame);
  }

  LoneArcClock policy_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> pages_of_frames_;
  std::vector<uint32_t> pages_of_ghosts_;
  std::unordered_map<uint32_t, uint32_t> frames_;
  std::unordered_map<uint32_t, uint32_t> ghosts_;
};

}  // namespace lightning
