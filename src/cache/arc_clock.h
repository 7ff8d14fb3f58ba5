// ArcClock: which page leaves a cache. ARC's policy with the mechanics of a clock: a hit sets one bit.
//
// Resident pages stand in two clocks: `recent` (met once since they came) and `frequent`. What was evicted
// leaves a ghost of its clock behind. A page that comes back while its ghost is known goes among the frequent
// ones and moves the target, how many frames the recent ones should have, towards the clock that was cut too
// short. The hand of a clock passes by pages whose bit is set: one of the recent ones becomes frequent, one
// of the frequent ones stays. A scan therefore fills what the target leaves to recent pages, and no more.
//
// Clocks may share frames and ghosts (ArcFrames): each frame is one clock's at a time, and how many a clock
// has may change (set_capacity()).
//
// Sources: N. Megiddo and D. Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache" (FAST 2003);
// S. Bansal and D. Modha, "CAR: Clock with Adaptive Replacement" (FAST 2004).
//
// Invariants, of a clock with c frames
//  C1  Each resident page is in one clock, each ghost in one list; never more than c ghosts.
//  C2  recent pages and their ghosts are at most c, whenever there is another ghost to be forgotten.
// Thread safety: touch() any threads; all else externally synchronised.
// Costs: touch() a load, and a store when the bit was clear; insert() and evict() a few links, evict() a step
// for each page that was touched. Seventeen bytes a frame, its ghost included. docs/cache.md has hit ratios.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace lightning {

/// Frames and ghosts, numbered from 0 to `frames` - 1 each, and in which list of which clock they are.
class ArcFrames {
 public:
  /// Throws std::bad_alloc.
  explicit ArcFrames(uint32_t frames);

  /// The page of a resident frame was used.
  void touch(uint32_t frame) {
    if (touched_[frame].load(std::memory_order_relaxed) == 0)
      touched_[frame].store(1, std::memory_order_relaxed);
  }
  uint64_t memory_bytes() const { return frames_ * (2 * sizeof(Link) + 1ull); }

 private:
  friend class ArcClock;
  static constexpr uint32_t kClocksMax = 2;
  enum List : uint8_t { kRecent, kFrequent, kRecentGhosts, kFrequentGhosts, kNowhere };
  // In a ring through the list's own link; a clock's hand stands at its first one.
  struct Link {
    uint32_t next;
    uint32_t prev : 29;
    uint32_t list : 3;
  };
  static_assert(sizeof(Link) == 8);
  static constexpr uint32_t kFramesMax = 1u << 27;

  // Links: frames, ghosts, the ring of ghosts that are nobody's, then one for each list of each clock.
  uint32_t ghost_link(uint32_t ghost) const { return frames_ + ghost; }
  uint32_t head_of_free() const { return 2 * frames_; }
  void append(uint32_t head, List list, uint32_t link);
  void unlink(uint32_t link);

  const uint32_t frames_;
  uint32_t clocks_ = 0;
  std::unique_ptr<Link[]> links_;
  std::unique_ptr<std::atomic<uint8_t>[]> touched_;
};

class ArcClock {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// Whoever owns the pages.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// May the page of a frame not be evicted now?
    virtual bool pinned(uint32_t frame) const = 0;
    /// The page of a ghost is no longer remembered.
    virtual void forgotten(uint32_t ghost) = 0;
  };

  /// With `capacity` of the frames; the clocks' capacities are together at most all of them.
  ArcClock(ArcFrames& frames, uint32_t capacity, Owner& owner);

  /// How many of the frames are this clock's.
  uint32_t capacity() const { return capacity_; }
  /// Not below resident(). Whoever moves frames to another clock takes them from this one first.
  void set_capacity(uint32_t frames);

  /// A page came into a frame that holds none. `ghost`: what its last eviction left, which ends with it, or
  /// kNone.
  void insert(uint32_t frame, uint32_t ghost);
  /// Takes a page out of its frame. False: every page is pinned.
  bool evict(uint32_t* frame, uint32_t* ghost);
  /// Takes the page of a resident frame out of it, pinned or not; answers its ghost.
  uint32_t evict_page(uint32_t frame);
  /// The page of a frame does not exist any more, or that of a ghost.
  void remove(uint32_t frame);
  void forget(uint32_t ghost);

  uint32_t resident() const { return size(kRecent) + size(kFrequent); }
  uint32_t ghosts() const { return size(kRecentGhosts) + size(kFrequentGhosts); }
  uint32_t frequent() const { return size(kFrequent); }
  /// How many frames recent pages should have.
  uint32_t target() const { return static_cast<uint32_t>(target_); }
  /// How soon is the page of a resident frame used again? The more, the sooner.
  uint32_t warmth(uint32_t frame) const {
    return (all_.links_[frame].list == kFrequent ? 1 : 0) +
           (all_.touched_[frame].load(std::memory_order_relaxed) != 0 ? 2 : 0);
  }

 private:
  using List = ArcFrames::List;
  using enum ArcFrames::List;

  uint32_t head_of(List list) const { return heads_ + list; }
  uint32_t first(List list) const { return all_.links_[head_of(list)].next; }
  uint32_t size(List list) const { return sizes_[list]; }
  List list_of(uint32_t link) const { return static_cast<List>(all_.links_[link].list); }

  void append(List list, uint32_t link);
  void unlink(uint32_t link);
  uint32_t take_ghost();
  void forget_first(List list);
  void forget_one();
  void bound_recent();

  ArcFrames& all_;
  const uint32_t heads_;  // the link of its first list
  Owner& owner_;
  uint32_t capacity_;
  std::array<uint32_t, 4> sizes_ = {};
  double target_ = 0;
};

}  // namespace lightning
