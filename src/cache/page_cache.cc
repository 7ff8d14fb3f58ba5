#include "cache/page_cache.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "io/process_word.h"

namespace lightning {

/// Evicted frames, until nobody can see their pages.
struct PageCache::Batch {
  std::shared_ptr<PageCache> cache;
  FrameSize size;  // that they were evicted for
  std::vector<uint32_t> frames;

  static void free(void* batch) {
    const std::unique_ptr<Batch> gone(static_cast<Batch*>(batch));
    MutexLock lock(gone->cache->mutex_);
    for (const uint32_t frame : gone->frames) gone->cache->leave(frame);
    gone->cache->leaving_[static_cast<size_t>(gone->size)] -= gone->frames.size();
  }
};

// With what the policy and the lists of the cache need for a group.
static constexpr uint64_t kGroupCost = 224;

PageCache::PageCache(uint64_t budget_bytes, uint64_t large_bytes)
    : small_bytes_(large_bytes / kSmallInLarge),
      groups_count_(std::min<uint64_t>(budget_bytes / (large_bytes + kGroupCost), (1u << 25) - 1)),
      shares_(static_cast<uint32_t>(groups_count_)) {}

PageCache::~PageCache() = default;

Result<std::unique_ptr<PageCache::Table>> PageCache::table(uint32_t large, uint32_t small) try {
  {
    MutexLock lock(mutex_);
    if (groups_count_ != 0 && frames_ == nullptr) {
      const auto frames = static_cast<uint32_t>(groups_count_ * kSmallInLarge);
      std::unique_ptr<ArcFrames> all(new ArcFrames(frames));
      std::unique_ptr<Frame[]> made(new Frame[frames]);
      std::unique_ptr<Place[]> ghosts(new Place[frames]);
      std::unique_ptr<Group[]> groups(new Group[groups_count_]);
      free_[0].reserve(frames);
      free_[1].reserve(groups_count_);
      clocks_[0].reset(new ArcClock(*all, 0, *this));
      clocks_[1].reset(new ArcClock(*all, 0, *this));
      Result<PageMemory> memory = PageMemory::map(capacity_bytes());
      if (!memory) return memory.status();
      memory_ = *std::move(memory);
      ghosts_ = std::move(ghosts);
      groups_ = std::move(groups);
      all_ = std::move(all);
      frames_ = std::move(made);
    }
  }
  return std::unique_ptr<Table>(new Table(shared_from_this(), large, small));
} catch (const std::bad_alloc&) {
  return Status(StatusCode::out_of_memory, "a page cache");
}

// Frames ----------------------------------------------------------------------------------------------------

uint32_t PageCache::take_free(FrameSize size) {
  MutexLock lock(mutex_);
  std::vector<uint32_t>& free = this->free(size);
  if (free.empty() && !open_group(size) && !borrow_group(size)) return kNoFrame;
  const uint32_t frame = free.back();
  if (size == FrameSize::small) {
    remove_free(frame);
    groups_[frame / kSmallInLarge].free &= static_cast<uint8_t>(~(1u << frame % kSmallInLarge));
  } else {
    free.pop_back();
  }
  return frame;
}

uint32_t PageCache::take(FrameSize size) {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  if (groups_count_ == 0) return kNoFrame;
  if (const uint32_t frame = take_free(size); frame != kNoFrame) return frame;
  try {
    std::unique_ptr<Batch> batch = make_room(size);
    INTERLEAVE("cache.evicted");
    if (batch != nullptr) epoch_retire(batch.release(), &Batch::free);
    (void)epoch_reclaim();
  } catch (const std::bad_alloc&) {
    return kNoFrame;
  }
  return take_free(size);
}

size_t PageCache::batch_of(FrameSize size) const {
  return std::clamp(clock(size).capacity() / 16, 1u, kBatchMax);
}

// Evicts pages of other frames of the size, or has groups come from the other one.
std::unique_ptr<PageCache::Batch> PageCache::make_room(FrameSize size) {
  auto batch = std::make_unique<Batch>();
  batch->cache = shared_from_this();
  batch->size = size;
  batch->frames.reserve(kBatchMax);
  MutexLock lock(mutex_);
  // Of an epoch that lasts: more evictions would gain nothing.
  size_t& leaving = leaving_[static_cast<size_t>(size)];
  if (leaving >= 2 * batch_of(size)) return nullptr;
  uint32_t moved = 0;
  for (const uint32_t wanted = std::min(shares_.wants(size), kBatchMax / kSmallInLarge); moved < wanted;
       ++moved) {
    if (!move_group(size, batch.get())) break;
  }
  const size_t wanted = moved != 0 ? 0 : batch_of(size);
  uint32_t frame;
  uint32_t ghost;
  while (batch->frames.size() < wanted && clock(size).evict(&frame, &ghost)) {
    evict(frame, ghost, batch.get());
  }
  // All that the size has is pinned: a group more, which the other size will want back.
  if (moved == 0 && batch->frames.empty() && clock(size).resident() != 0) (void)move_group(size, batch.get());
  if (batch->frames.empty()) return nullptr;
  leaving += batch->frames.size();
  return batch;
}

// Of a page that the policy took out of its frame.
void PageCache::evict(uint32_t frame, uint32_t ghost, Batch* batch) {
  const Frame& of = frames_[frame];
  const Place place{of.table, of.page};  // not its pins, which others change
  place.table->words_[place.page].store(kGhost | ghost, std::memory_order_relaxed);
  ghosts_[ghost] = place;
  frames_[frame].table = nullptr;
  batch->frames.push_back(frame);
  ++evictions_;
}

// Who still can see the page has pinned it by now.
void PageCache::leave(uint32_t frame) {
  std::atomic<uint32_t>& pins = frames_[frame].pins;
  if (pins.fetch_or(kLeft, std::memory_order_acq_rel) != 0) return;
  pins.store(0, std::memory_order_relaxed);
  add_free(frame);
}

void PageCache::unpin(uint32_t frame) {
  if (in_forked_child()) return;  // whose threads, the holder of the mutex perhaps, are gone
  std::atomic<uint32_t>& pins = frames_[frame].pins;
  if (pins.fetch_sub(1, std::memory_order_acq_rel) != (kLeft | 1)) return;
  pins.store(0, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  add_free(frame);
}

void PageCache::give_back(uint32_t frame) {
  MutexLock lock(mutex_);
  ++misses_;
  add_free(frame);
}

void PageCache::forgotten(uint32_t ghost) {
  const Place place = ghosts_[ghost];
  place.table->words_[place.page].store(0, std::memory_order_relaxed);
}

// Groups ----------------------------------------------------------------------------------------------------

// In order, so that the arena becomes resident from its beginning.
bool PageCache::open_group(FrameSize size) {
  if (used_groups_ == groups_count_) return false;
  shares_.start(size);
  set_capacity(size);
  make_free(used_groups_++, size);
  return true;
}

// A free group of the other size, where that has more than it will need soon.
bool PageCache::borrow_group(FrameSize size) {
  const FrameSize from = other_size(size);
  std::vector<uint32_t>& free = this->free(from);
  if (free.size() <= 2 * batch_of(from) && clock(from).resident() != 0) return false;
  const size_t looked_at = std::min<size_t>(free.size(), from == FrameSize::small ? kGroupsLookedAt : 1);
  for (size_t i = 1; i <= looked_at; ++i) {
    const uint32_t group = free[free.size() - i] / kSmallInLarge;
    if (from == FrameSize::small) {
      if (groups_[group].free != kAllFree) continue;
      for (uint32_t j = 0; j < kSmallInLarge; ++j) remove_free(group * kSmallInLarge + j);
    } else {
      free.pop_back();
    }
    shift_capacity(size);
    make_free(group, size);
    return true;
  }
  return false;
}

// Evicts what a group of the other size holds; it becomes one of this when all of that was left.
bool PageCache::move_group(FrameSize to, Batch* batch) {
  if (to == FrameSize::small) {
    uint32_t frame;
    uint32_t ghost;
    if (!clock(FrameSize::large).evict(&frame, &ghost)) return false;
    evict(frame, ghost, batch);
    groups_[frame / kSmallInLarge].moves = true;
    shift_capacity(to);
    return true;
  }
  // The coldest one of some.
  uint32_t coldest = UINT32_MAX;
  uint32_t coldest_warmth = UINT32_MAX;
  const auto steps = static_cast<uint32_t>(std::min<uint64_t>(groups_count_, kGroupsPassed));
  for (uint32_t step = 0, seen = 0; step < steps && seen < kGroupsLookedAt; ++step) {
    const uint32_t group = hand_;
    hand_ = hand_ + 1 == used_groups_ ? 0 : hand_ + 1;
    uint32_t warmth;
    if (!can_move(group, &warmth)) continue;
    ++seen;
    if (warmth >= coldest_warmth) continue;
    coldest = group;
    coldest_warmth = warmth;
  }
  if (coldest == UINT32_MAX) return false;
  groups_[coldest].moves = true;
  for (uint32_t frame = coldest * kSmallInLarge; frame < (coldest + 1) * kSmallInLarge; ++frame) {
    if ((groups_[coldest].free >> frame % kSmallInLarge & 1) != 0) {
      remove_free(frame);
    } else {
      evict(frame, clock(FrameSize::small).evict_page(frame), batch);
    }
  }
  shift_capacity(to);
  if (groups_[coldest].free == kAllFree) make_free(coldest, to);
  return true;
}

// Is it a group of small frames that all are free, or hold a page that may be evicted?
bool PageCache::can_move(uint32_t group, uint32_t* warmth) const {
  const Group& of = groups_[group];
  if (of.size != FrameSize::small || of.moves) return false;
  *warmth = 0;
  for (uint32_t i = 0; i < kSmallInLarge; ++i) {
    if ((of.free >> i & 1) != 0) continue;
    const uint32_t frame = group * kSmallInLarge + i;
    if (frames_[frame].table == nullptr || pinned(frame)) return false;
    *warmth += 1 + clock(FrameSize::small).warmth(frame);
  }
  return true;
}

void PageCache::shift_capacity(FrameSize to) {
  shares_.move(to);
  set_capacity(other_size(to));
  set_capacity(to);
}

void PageCache::set_capacity(FrameSize size) {
  clock(size).set_capacity(shares_.has(size) * (size == FrameSize::small ? kSmallInLarge : 1));
}

// Nobody has a frame of the group, and none is in a list.
void PageCache::make_free(uint32_t group, FrameSize size) {
  groups_[group] = {.size = size};
  const uint32_t frames = size == FrameSize::small ? kSmallInLarge : 1;
  for (uint32_t i = frames; i-- > 0;) add_free(group * kSmallInLarge + i);
}

// Nobody has the frame any more.
void PageCache::add_free(uint32_t frame) {
  const uint32_t number = frame / kSmallInLarge;
  Group& group = groups_[number];
  if (group.size == FrameSize::small) {
    group.free |= static_cast<uint8_t>(1u << frame % kSmallInLarge);
    if (group.moves) {
      if (group.free == kAllFree) make_free(number, FrameSize::large);
      return;
    }
    frames_[frame].page = static_cast<uint32_t>(free(FrameSize::small).size());
  } else if (group.moves) {
    return make_free(number, FrameSize::small);
  }
  free(group.size).push_back(frame);
}

// Of a small one: takes it out of the list.
void PageCache::remove_free(uint32_t frame) {
  std::vector<uint32_t>& free = this->free(FrameSize::small);
  const uint32_t at = frames_[frame].page;
  LIGHTNING_INVARIANT("C5", at < free.size() && free[at] == frame);
  free[at] = free.back();
  frames_[free[at]].page = at;
  free.pop_back();
}

// Tables ----------------------------------------------------------------------------------------------------

PageCache::Pin PageCache::Table::pin(uint32_t page, bool touch) const {
  EpochGuard epoch;
  const uint32_t word = words_[page].load(std::memory_order_acquire);
  if (word == 0 || word >= kGhost) return {};
  const uint32_t frame = word - 1;
  // Inside the epoch the frame is this page's; whoever evicts it looks at the pins when it was left.
  cache_->frames_[frame].pins.fetch_add(1, std::memory_order_relaxed);
  if (touch) {
    cache_->all_->touch(frame);
    cache_->hits_.count();
  }
  return Pin(cache_, frame, cache_->frame_data(frame));
}

PageCache::Pin PageCache::Table::insert(uint32_t page, uint32_t frame) {
  PageCache& cache = *cache_;
  MutexLock lock(cache.mutex_);
  ++cache.misses_;
  std::atomic<uint32_t>& word = words_[page];
  uint32_t present = word.load(std::memory_order_relaxed);
  if (present != 0 && present < kGhost) {
    cache.add_free(frame);
    frame = present - 1;
    cache.frames_[frame].pins.fetch_add(1, std::memory_order_relaxed);
    return Pin(cache_, frame, cache.frame_data(frame));
  }
  const FrameSize size = size_of(page);
  Frame& taken = cache.frames_[frame];
  LIGHTNING_INVARIANT("C4", taken.table == nullptr && taken.pins.load(std::memory_order_relaxed) == 0);
  taken.table = this;
  taken.page = page;
  taken.pins.store(1, std::memory_order_relaxed);
  if (present != 0) cache.count_ghost_hit(size);
  cache.clock(size).insert(frame, present != 0 ? present & ~kGhost : ArcClock::kNone);
  word.store(frame + 1, std::memory_order_release);
  return Pin(cache_, frame, cache.frame_data(frame));
}

void PageCache::count_ghost_hit(FrameSize size) {
  const FrameSize other = other_size(size);
  ++ghost_hits_;
  shares_.came_back(size, clock(size).ghosts() * frame_bytes(size),
                    clock(other).ghosts() * frame_bytes(other));
}

uint64_t PageCache::Table::resident(uint32_t first, uint32_t end) const {
  uint64_t count = 0;
  for (uint32_t page = first; page < end; ++page) {
    const uint32_t word = words_[page].load(std::memory_order_relaxed);
    count += word != 0 && word < kGhost ? 1 : 0;
  }
  return count;
}

void PageCache::drop(Table& table) {
  if (in_forked_child()) return;
  MutexLock lock(mutex_);
  for (uint32_t page = 0; page < table.pages_; ++page) {
    const uint32_t word = table.words_[page].load(std::memory_order_relaxed);
    if (word == 0) continue;
    if (word >= kGhost) {
      clock(table.size_of(page)).forget(word & ~kGhost);
      continue;
    }
    clock(table.size_of(page)).remove(word - 1);
    frames_[word - 1].table = nullptr;
    leave(word - 1);
  }
}

// Statistics ------------------------------------------------------------------------------------------------

uint64_t PageCache::memory_bytes() const {
  MutexLock lock(mutex_);
  if (frames_ == nullptr) return 0;
  return used_groups_ * frame_bytes(FrameSize::large) + groups_count_ * kGroupCost;
}

PageCache::Counts PageCache::counts() const {
  Counts counts{.hits = hits_.sum(), .bytes = memory_bytes()};
  for (size_t i = 0; i < reads_.size(); ++i)
    counts.reads[i] = {.pages = reads_[i].pages.load(), .bytes = reads_[i].bytes.load()};
  MutexLock lock(mutex_);
  counts.misses = misses_;
  counts.ghost_hits = ghost_hits_;
  counts.evictions = evictions_;
  if (frames_ == nullptr) return counts;
  for (const FrameSize size : {FrameSize::small, FrameSize::large}) {
    counts.pages += clock(size).resident();
    counts.page_bytes += clock(size).resident() * frame_bytes(size);
    counts.frequent_bytes += clock(size).frequent() * frame_bytes(size);
    counts.target_bytes += clock(size).target() * frame_bytes(size);
  }
  counts.small_bytes = shares_.has(FrameSize::small) * frame_bytes(FrameSize::large);
  return counts;
}

}  // namespace lightning
