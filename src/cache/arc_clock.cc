#include "cache/arc_clock.h"

#include <algorithm>

#include "base/check.h"

namespace lightning {

ArcClock::ArcClock(uint32_t frames, Owner& owner)
    : frames_(std::min(frames, kFramesMax)),
      owner_(owner),
      links_(new Link[2ull * frames_ + kNowhere + 1]),
      touched_(new std::atomic<uint8_t>[frames_]()) {
  for (uint32_t list = kRecent; list <= kNowhere; ++list) {
    const uint32_t head = head_of(static_cast<List>(list));
    links_[head] = {.next = head, .prev = head, .list = list};
  }
  for (uint32_t frame = 0; frame < frames_; ++frame) links_[frame].list = kNowhere;
  for (uint32_t ghost = 0; ghost < frames_; ++ghost) append(kNowhere, ghost_link(ghost));
}

void ArcClock::append(List list, uint32_t link) {
  const uint32_t head = head_of(list);
  const uint32_t last = links_[head].prev;
  links_[link] = {.next = head, .prev = last, .list = list};
  links_[last].next = link;
  links_[head].prev = link;
  ++sizes_[list];
}

void ArcClock::unlink(uint32_t link) {
  const Link& gone = links_[link];
  links_[gone.prev].next = gone.next;
  links_[gone.next].prev = gone.prev;
  --sizes_[gone.list];
}

void ArcClock::insert(uint32_t frame, uint32_t ghost) {
  LIGHTNING_INVARIANT("C1", list_of(frame) == kNowhere);
  touched_[frame].store(0, std::memory_order_relaxed);
  if (ghost == kNone) {
    append(kRecent, frame);
    return bound_recent();
  }
  const double recent = std::max(1u, size(kRecentGhosts));
  const double frequent = std::max(1u, size(kFrequentGhosts));
  if (list_of(ghost_link(ghost)) == kRecentGhosts) {
    target_ = std::min<double>(frames_, target_ + std::max(1.0, frequent / recent));
  } else {
    LIGHTNING_INVARIANT("C1", list_of(ghost_link(ghost)) == kFrequentGhosts);
    target_ = std::max(0.0, target_ - std::max(1.0, recent / frequent));
  }
  forget(ghost);
  append(kFrequent, frame);
}

bool ArcClock::evict(uint32_t* frame, uint32_t* ghost) {
  // Each page once for its bit, once more if it is pinned.
  for (uint64_t steps = 3ull * resident(); steps > 0; --steps) {
    const bool from_recent =
        size(kFrequent) == 0 || (size(kRecent) != 0 && size(kRecent) >= std::max(1.0, target_));
    const List clock = from_recent ? kRecent : kFrequent;
    const uint32_t page = first(clock);
    unlink(page);
    if (touched_[page].load(std::memory_order_relaxed) != 0) {
      touched_[page].store(0, std::memory_order_relaxed);
      append(kFrequent, page);
    } else if (owner_.pinned(page)) {
      append(clock, page);
    } else {
      links_[page].list = kNowhere;
      *frame = page;
      *ghost = take_ghost();
      append(from_recent ? kRecentGhosts : kFrequentGhosts, ghost_link(*ghost));
      bound_recent();
      return true;
    }
  }
  return false;
}

void ArcClock::remove(uint32_t frame) {
  unlink(frame);
  links_[frame].list = kNowhere;
}

void ArcClock::forget(uint32_t ghost) {
  unlink(ghost_link(ghost));
  append(kNowhere, ghost_link(ghost));
}

uint32_t ArcClock::take_ghost() {
  if (size(kNowhere) == 0) forget_one();
  const uint32_t link = first(kNowhere);
  unlink(link);
  return link - frames_;
}

void ArcClock::forget_first(List list) {
  const uint32_t ghost = first(list) - frames_;
  forget(ghost);
  owner_.forgotten(ghost);
}

// The recent ones' where they and their pages have more than their share of the directory.
void ArcClock::forget_one() {
  const bool recent = size(kFrequentGhosts) == 0 ||
                      (size(kRecentGhosts) != 0 && size(kRecent) + size(kRecentGhosts) >= frames_);
  forget_first(recent ? kRecentGhosts : kFrequentGhosts);
}

void ArcClock::bound_recent() {
  while (size(kRecentGhosts) != 0 && size(kRecent) + size(kRecentGhosts) > frames_) {
    forget_first(kRecentGhosts);
  }
}

}  // namespace lightning
