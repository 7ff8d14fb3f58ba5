#include "cache/page_cache.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/interleave.h"

namespace lightning {

/// Evicted frames, until nobody can see their pages.
struct PageCache::Batch {
  std::shared_ptr<PageCache> cache;
  std::vector<uint32_t> frames;

  static void free(void* batch) {
    const std::unique_ptr<Batch> gone(static_cast<Batch*>(batch));
    MutexLock lock(gone->cache->mutex_);
    for (const uint32_t frame : gone->frames) gone->cache->leave(frame);
  }
};

PageCache::PageCache(uint64_t budget_bytes, uint64_t frame_bytes)
    : frame_bytes_(frame_bytes),
      frames_count_(std::min<uint64_t>(budget_bytes / (frame_bytes + 64), (1u << 27) - 1)) {}

PageCache::~PageCache() = default;

Result<std::unique_ptr<PageCache::Table>> PageCache::table(uint32_t pages) try {
  {
    MutexLock lock(mutex_);
    if (frames_count_ != 0 && policy_ == nullptr) {
      const auto frames = static_cast<uint32_t>(frames_count_);
      std::unique_ptr<ArcClock> policy(new ArcClock(frames, *this));
      std::unique_ptr<Frame[]> made(new Frame[frames]);
      std::unique_ptr<Place[]> ghosts(new Place[frames]);
      free_.reserve(frames);
      Result<PageMemory> memory = PageMemory::map(frames_count_ * frame_bytes_);
      if (!memory) return memory.status();
      memory_ = *std::move(memory);
      frames_ = std::move(made);
      ghosts_ = std::move(ghosts);
      policy_ = std::move(policy);
    }
  }
  return std::unique_ptr<Table>(new Table(shared_from_this(), pages));
} catch (const std::bad_alloc&) {
  return Status(StatusCode::out_of_memory, "a page cache");
}

// Frames ----------------------------------------------------------------------------------------------------

uint32_t PageCache::take_free() {
  MutexLock lock(mutex_);
  if (!free_.empty()) {
    const uint32_t frame = free_.back();
    free_.pop_back();
    return frame;
  }
  // In order, so that the arena becomes resident from its beginning.
  const uint64_t used = used_frames_.load(std::memory_order_relaxed);
  if (used == frames_count_) return kNoFrame;
  used_frames_.store(used + 1, std::memory_order_relaxed);
  return static_cast<uint32_t>(used);
}

uint32_t PageCache::take() {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  if (frames_count_ == 0) return kNoFrame;
  if (const uint32_t frame = take_free(); frame != kNoFrame) return frame;
  try {
    std::unique_ptr<Batch> batch = evict_batch();
    INTERLEAVE("cache.evicted");
    if (batch != nullptr) epoch_retire(batch.release(), &Batch::free);
    (void)epoch_reclaim();
  } catch (const std::bad_alloc&) {
    return kNoFrame;
  }
  return take_free();
}

std::unique_ptr<PageCache::Batch> PageCache::evict_batch() {
  const auto wanted = static_cast<uint32_t>(std::clamp<uint64_t>(frames_count_ / 16, 1, kBatchMax));
  auto batch = std::make_unique<Batch>();
  batch->cache = shared_from_this();
  batch->frames.reserve(wanted);
  MutexLock lock(mutex_);
  uint32_t frame;
  uint32_t ghost;
  while (batch->frames.size() < wanted && policy_->evict(&frame, &ghost)) {
    const Frame& of = frames_[frame];
    const Place place{of.table, of.page};  // not its pins, which others change
    place.table->words_[place.page].store(kGhost | ghost, std::memory_order_relaxed);
    ghosts_[ghost] = place;
    frames_[frame].table = nullptr;
    batch->frames.push_back(frame);
    ++evictions_;
  }
  if (batch->frames.empty()) return nullptr;
  return batch;
}

// Who still can see the page has pinned it by now.
void PageCache::leave(uint32_t frame) {
  std::atomic<uint32_t>& pins = frames_[frame].pins;
  if (pins.fetch_or(kLeft, std::memory_order_acq_rel) != 0) return;
  pins.store(0, std::memory_order_relaxed);
  free_.push_back(frame);
}

void PageCache::unpin(uint32_t frame) {
  std::atomic<uint32_t>& pins = frames_[frame].pins;
  if (pins.fetch_sub(1, std::memory_order_acq_rel) != (kLeft | 1)) return;
  pins.store(0, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  free_.push_back(frame);
}

void PageCache::give_back(uint32_t frame) {
  MutexLock lock(mutex_);
  ++misses_;
  free_.push_back(frame);
}

void PageCache::forgotten(uint32_t ghost) {
  const Place place = ghosts_[ghost];
  place.table->words_[place.page].store(0, std::memory_order_relaxed);
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
    cache_->policy_->touch(frame);
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
    cache.free_.push_back(frame);
    frame = present - 1;
    cache.frames_[frame].pins.fetch_add(1, std::memory_order_relaxed);
    return Pin(cache_, frame, cache.frame_data(frame));
  }
  Frame& taken = cache.frames_[frame];
  LIGHTNING_INVARIANT("C4", taken.table == nullptr && taken.pins.load(std::memory_order_relaxed) == 0);
  taken.table = this;
  taken.page = page;
  taken.pins.store(1, std::memory_order_relaxed);
  cache.ghost_hits_ += present != 0 ? 1 : 0;
  cache.policy_->insert(frame, present != 0 ? present & ~kGhost : ArcClock::kNone);
  word.store(frame + 1, std::memory_order_release);
  return Pin(cache_, frame, cache.frame_data(frame));
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
  MutexLock lock(mutex_);
  for (uint32_t page = 0; page < table.pages_; ++page) {
    const uint32_t word = table.words_[page].load(std::memory_order_relaxed);
    if (word == 0) continue;
    if (word >= kGhost) {
      policy_->forget(word & ~kGhost);
      continue;
    }
    policy_->remove(word - 1);
    frames_[word - 1].table = nullptr;
    leave(word - 1);
  }
}

// Statistics ------------------------------------------------------------------------------------------------

uint64_t PageCache::memory_bytes() const {
  MutexLock lock(mutex_);
  if (policy_ == nullptr) return 0;
  return used_frames_.load(std::memory_order_relaxed) * frame_bytes_ + policy_->memory_bytes() +
         frames_count_ * (sizeof(Frame) + sizeof(Place) + sizeof(uint32_t));
}

PageCache::Counts PageCache::counts() const {
  Counts counts{.hits = hits_.sum(), .bytes = memory_bytes()};
  for (size_t i = 0; i < reads_.size(); ++i)
    counts.reads[i] = {.pages = reads_[i].pages.load(), .bytes = reads_[i].bytes.load()};
  MutexLock lock(mutex_);
  counts.misses = misses_;
  counts.ghost_hits = ghost_hits_;
  counts.evictions = evictions_;
  if (policy_ == nullptr) return counts;
  counts.pages = policy_->resident();
  counts.frequent_pages = policy_->frequent();
  counts.target_pages = policy_->target();
  return counts;
}

}  // namespace lightning
