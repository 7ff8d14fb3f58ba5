#include "cache/arc_clock.h"

#include <algorithm>

#include "base/check.h"

namespace lightning {

ArcFrames::ArcFrames(uint32_t frames)
    : frames_(std::min(frames, kFramesMax)),
      links_(new Link[2ull * frames_ + 1 + kClocksMax * kNowhere]),
      touched_(new std::atomic<uint8_t>[frames_]()) {
  links_[head_of_free()] = {.next = head_of_free(), .prev = head_of_free(), .list = kNowhere};
  for (uint32_t frame = 0; frame < frames_; ++frame) links_[frame].list = kNowhere;
  for (uint32_t ghost = 0; ghost < frames_; ++ghost) append(head_of_free(), kNowhere, ghost_link(ghost));
}

void ArcFrames::append(uint32_t head, List list, uint32_t link) {
  const uint32_t last = links_[head].prev;
  links_[link] = {.next = head, .prev = last, .list = list};
  links_[last].next = link;
  links_[head].prev = link;
}

void ArcFrames::unlink(uint32_t link) {
  const Link& gone = links_[link];
  links_[gone.prev].next = gone.next;
  links_[gone.next].prev = gone.prev;
}

ArcClock::ArcClock(ArcFrames& frames, uint32_t capacity, Owner& owner)
    : all_(frames),
      heads_(frames.head_of_free() + 1 + frames.clocks_++ * kNowhere),
      owner_(owner),
      capacity_(capacity) {
  LIGHTNING_INVARIANT("C1", frames.clocks_ <= ArcFrames::kClocksMax);
  for (uint32_t list = kRecent; list < kNowhere; ++list)
    all_.links_[heads_ + list] = {.next = heads_ + list, .prev = heads_ + list, .list = list};
}

void ArcClock::set_capacity(uint32_t frames) {
  capacity_ = frames;
  target_ = std::min<double>(target_, capacity_);
  while (ghosts() > capacity_) forget_one();
  bound_recent();
}

void ArcClock::append(List list, uint32_t link) {
  all_.append(head_of(list), list, link);
  ++sizes_[list];
}

void ArcClock::unlink(uint32_t link) {
  LIGHTNING_INVARIANT("C1", sizes_[list_of(link)] != 0);
  all_.unlink(link);
  --sizes_[list_of(link)];
}

void ArcClock::insert(uint32_t frame, uint32_t ghost) {
  LIGHTNING_INVARIANT("C1", list_of(frame) == kNowhere);
  all_.touched_[frame].store(0, std::memory_order_relaxed);
  if (ghost == kNone) {
    append(kRecent, frame);
    return bound_recent();
  }
  const double recent = std::max(1u, size(kRecentGhosts));
  const double frequent = std::max(1u, size(kFrequentGhosts));
  if (list_of(all_.ghost_link(ghost)) == kRecentGhosts) {
    target_ = std::min<double>(capacity_, target_ + std::max(1.0, frequent / recent));
  } else {
    LIGHTNING_INVARIANT("C1", list_of(all_.ghost_link(ghost)) == kFrequentGhosts);
    target_ = std::max(0.0, target_ - std::max(1.0, recent / frequent));
  }
  forget(ghost);
  append(kFrequent, frame);
}

bool ArcClock::evict(uint32_t* frame, uint32_t* ghost) {
  // Pinned pages that were met in a row: a clock that has no others gives way to the other one.
  std::array<uint32_t, 2> met = {};
  const auto is_through = [&](List clock) { return met[clock] >= size(clock); };
  // Each page once for its bit, once more if it is pinned.
  for (uint64_t steps = 3ull * resident(); steps > 0; --steps) {
    if (is_through(kRecent) && is_through(kFrequent)) return false;
    const bool from_recent =
        is_through(kFrequent) || (!is_through(kRecent) && size(kRecent) >= std::max(1.0, target_));
    const List clock = from_recent ? kRecent : kFrequent;
    const uint32_t page = first(clock);
    if (all_.touched_[page].load(std::memory_order_relaxed) != 0) {
      all_.touched_[page].store(0, std::memory_order_relaxed);
      unlink(page);
      append(kFrequent, page);
      met[kFrequent] = 0;
    } else if (owner_.pinned(page)) {
      unlink(page);
      append(clock, page);
      ++met[clock];
    } else {
      *frame = page;
      *ghost = evict_page(page);
      return true;
    }
  }
  return false;
}

uint32_t ArcClock::evict_page(uint32_t frame) {
  const List ghosts = list_of(frame) == kRecent ? kRecentGhosts : kFrequentGhosts;
  remove(frame);
  const uint32_t ghost = take_ghost();
  append(ghosts, all_.ghost_link(ghost));
  bound_recent();
  return ghost;
}

void ArcClock::remove(uint32_t frame) {
  unlink(frame);
  all_.links_[frame].list = kNowhere;
}

void ArcClock::forget(uint32_t ghost) {
  unlink(all_.ghost_link(ghost));
  all_.append(all_.head_of_free(), kNowhere, all_.ghost_link(ghost));
}

uint32_t ArcClock::take_ghost() {
  if (ghosts() >= capacity_) forget_one();
  const uint32_t link = all_.links_[all_.head_of_free()].next;
  all_.unlink(link);
  return link - all_.frames_;
}

void ArcClock::forget_first(List list) {
  const uint32_t ghost = first(list) - all_.frames_;
  forget(ghost);
  owner_.forgotten(ghost);
}

// The recent ones' where they and their pages have more than their share of the directory.
void ArcClock::forget_one() {
  const bool recent = size(kFrequentGhosts) == 0 ||
                      (size(kRecentGhosts) != 0 && size(kRecent) + size(kRecentGhosts) >= capacity_);
  forget_first(recent ? kRecentGhosts : kFrequentGhosts);
}

void ArcClock::bound_recent() {
  while (size(kRecentGhosts) != 0 && size(kRecent) + size(kRecentGhosts) > capacity_) {
    forget_first(kRecentGhosts);
  }
}

}  // namespace lightning
