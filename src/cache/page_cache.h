// PageCache: pages of run files, decompressed where they are compressed, in frames of two sizes, within a
// fixed number of bytes.
//
// The memory is groups of four small frames or one large one; a frame is named by the number of its first
// small one, so that a hit need not know its size. Each size has a policy of its own; how many groups it has
// changes as FrameShares says. A group changes hands when its pages were evicted and nobody can see them any
// more. Free frames beyond a size's need are lent to the other one.
//
// Who wants a page has its file's Table: a word for each page, which says in what frame it stands, or what
// its last eviction left (ArcClock). So a hit is a load of the word, and the page's bit where that is clear:
// no hash, no lock, no count. Inside an epoch the bytes of a frame stay what they are: a frame whose page was
// evicted is used again when every epoch that may have seen it was left. Who holds a page for longer pins it.
//
// Nobody waits for a frame: where none is to be had, take() says so, and the page goes into other memory.
// Frames are evicted a batch at a time, so that the barrier of a reclaim is shared.
//
// Invariants
//  C3  A word names a frame only while that holds the page, whole.
//  C4  A frame is filled by whom take() gave it to, while no word names it, no epoch can have seen its former
//      page and nobody pins that.
//  C5  A group that changes hands has no page that a word names, and no frame in the list of free ones.
// Thread safety: internally synchronised; any threads. Locks: mutex_ is a leaf.
// Ownership: by shared_ptr; tables and pins keep it. The memory is mapped when the first table is made and
// becomes resident as frames are first used.
// Costs: a hit 2 to 4 ns beside what its cache misses take; an insertion some 100 ns.
#pragma once

#include <lightning/status.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/striped_counter.h"
#include "cache/arc_clock.h"
#include "cache/frame_shares.h"
#include "io/env.h"

namespace lightning {

class PageCache : public std::enable_shared_from_this<PageCache>, private ArcClock::Owner {
 public:
  static constexpr uint32_t kNoFrame = UINT32_MAX;

  /// What the cache did since it was made.
  struct Counts {
    uint64_t hits = 0;
    uint64_t misses = 0;      // pages that came in, or found no frame
    uint64_t ghost_hits = 0;  // of them, remembered ones
    uint64_t evictions = 0;
    uint64_t pages = 0;           // resident now
    uint64_t page_bytes = 0;      // of their frames
    uint64_t frequent_bytes = 0;  // of them
    uint64_t target_bytes = 0;    // how many the recent ones should have
    uint64_t small_bytes = 0;     // of all small frames
    uint64_t bytes = 0;           // own memory
    struct Reads {
      uint64_t pages = 0;
      uint64_t bytes = 0;  // as they stood in their files
    };
    std::array<Reads, 2> reads = {};  // note_read(), by Reader
  };
  /// Whom a page was read for.
  enum class Reader : uint8_t { point, scan };

  /// A page that stays where it is.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept : cache_(std::move(other.cache_)), frame_(other.frame_), data_(other.data_) {
      other.data_ = nullptr;
    }
    Pin& operator=(Pin&& other) noexcept {
      std::swap(cache_, other.cache_);
      std::swap(frame_, other.frame_);
      std::swap(data_, other.data_);
      return *this;
    }
    ~Pin() {
      if (data_ != nullptr) cache_->unpin(frame_);
    }
    const char* data() const { return data_; }

   private:
    friend class PageCache;
    Pin(std::shared_ptr<PageCache> cache, uint32_t frame, const char* data)
        : cache_(std::move(cache)), frame_(frame), data_(data) {}

    std::shared_ptr<PageCache> cache_;
    uint32_t frame_ = 0;
    const char* data_ = nullptr;
  };

  /// The pages of one file. Its last user destroys it, when nobody can be inside an epoch with it.
  class Table {
   public:
    ~Table() { cache_->drop(*this); }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    /// Inside an epoch: the page, for as long as that lasts; null when no frame has it.
    [[gnu::always_inline]] const char* find(uint32_t page) const {
      const uint32_t word = words_[page].load(std::memory_order_acquire);
      if (word == 0 || word >= kGhost) return nullptr;
      cache_->all_->touch(word - 1);
      cache_->hits_.count();
      return cache_->frame_data(word - 1);
    }
    /// Has a frame the page now? It may have gone when that is answered.
    bool has(uint32_t page) const {
      const uint32_t word = words_[page].load(std::memory_order_relaxed);
      return word != 0 && word < kGhost;
    }
    /// Outside of one: the page, pinned; null data when no frame has it. `touch`: it counts as used.
    Pin pin(uint32_t page, bool touch) const;
    /// Gives a page to the frame of its size that take() answered and `page` was read into. The frame is the
    /// cache's from now on; another thread may have been first, and has it in another one.
    Pin insert(uint32_t page, uint32_t frame);
    uint64_t memory_bytes() const { return pages_ * sizeof(std::atomic<uint32_t>); }
    /// How many of [first, end) are in frames.
    uint64_t resident(uint32_t first, uint32_t end) const;
    uint32_t pages() const { return pages_; }

   private:
    friend class PageCache;
    Table(std::shared_ptr<PageCache> cache, uint32_t large, uint32_t small)
        : cache_(std::move(cache)),
          large_(large),
          pages_(large + small),
          words_(new std::atomic<uint32_t>[pages_]()) {}
    FrameSize size_of(uint32_t page) const { return page < large_ ? FrameSize::large : FrameSize::small; }

    const std::shared_ptr<PageCache> cache_;
    const uint32_t large_;  // so many pages are large, the others small
    const uint32_t pages_;
    const std::unique_ptr<std::atomic<uint32_t>[]> words_;  // partner: evict_batch(), insert()
  };

  /// As many groups of `large_bytes` as fit into `budget_bytes`; perhaps none.
  PageCache(uint64_t budget_bytes, uint64_t large_bytes);
  ~PageCache() override;

  /// For pages of which the first `large` ones are large and then `small` ones small. `out_of_memory`, too,
  /// when the frames cannot be mapped.
  Result<std::unique_ptr<Table>> table(uint32_t large, uint32_t small);

  /// Of all frames.
  uint64_t capacity_bytes() const { return groups_count_ * kSmallInLarge * small_bytes_; }
  uint64_t frame_bytes(FrameSize size) const {
    return size == FrameSize::small ? small_bytes_ : kSmallInLarge * small_bytes_;
  }
  /// A frame to read a page into, for insert() or give_back(). kNoFrame when none is to be had. Not inside an
  /// epoch.
  uint32_t take(FrameSize size);
  char* frame_data(uint32_t frame) const { return memory_.data() + frame * small_bytes_; }
  void give_back(uint32_t frame);

  /// A page was read that takes so many bytes in its file.
  void note_read(Reader reader, uint64_t bytes) {
    Reads& reads = reads_[static_cast<size_t>(reader)];
    reads.pages.fetch_add(1, std::memory_order_relaxed);
    reads.bytes.fetch_add(bytes, std::memory_order_relaxed);
  }

  Counts counts() const;
  /// Own memory: frames that were used, and what the policy remembers by.
  uint64_t memory_bytes() const;

 private:
  static constexpr uint32_t kGhost = 1u << 31;
  static constexpr uint32_t kLeft = 1u << 31;  // of pins: no word names the frame, its last pin frees it
  static constexpr uint32_t kBatchMax = 64;
  static constexpr uint8_t kAllFree = (1 << kSmallInLarge) - 1;
  static constexpr uint32_t kGroupsLookedAt = 16;  // for one that may move
  static constexpr uint32_t kGroupsPassed = 4096;

  struct Place {
    Table* table = nullptr;
    uint32_t page = 0;
  };
  // Numbered as small ones are.
  struct Frame {
    Table* table = nullptr;
    uint32_t page = 0;  // of a small one in the list of free ones: where it stands there
    mutable std::atomic<uint32_t> pins{0};
  };
  static_assert(sizeof(Frame) == 16);
  struct Group {
    FrameSize size = FrameSize::small;
    bool moves = false;  // it becomes one of the other size when nobody has a frame of it
    uint8_t free = 0;    // a bit for each small frame that nobody has
  };
  struct Batch;
  struct Reads {
    std::atomic<uint64_t> pages{0};
    std::atomic<uint64_t> bytes{0};
  };

  bool pinned(uint32_t frame) const override {
    return frames_[frame].pins.load(std::memory_order_relaxed) != 0;
  }
  void forgotten(uint32_t ghost) override REQUIRES(mutex_);
  uint32_t take_free(FrameSize size);
  std::unique_ptr<Batch> make_room(FrameSize size);
  void evict(uint32_t frame, uint32_t ghost, Batch* batch) REQUIRES(mutex_);
  bool open_group(FrameSize size) REQUIRES(mutex_);
  bool borrow_group(FrameSize size) REQUIRES(mutex_);
  bool move_group(FrameSize to, Batch* batch) REQUIRES(mutex_);
  bool can_move(uint32_t group, uint32_t* warmth) const REQUIRES(mutex_);
  void shift_capacity(FrameSize to) REQUIRES(mutex_);
  void set_capacity(FrameSize size) REQUIRES(mutex_);
  void count_ghost_hit(FrameSize size) REQUIRES(mutex_);
  void make_free(uint32_t group, FrameSize size) REQUIRES(mutex_);
  void add_free(uint32_t frame) REQUIRES(mutex_);
  void remove_free(uint32_t frame) REQUIRES(mutex_);
  size_t batch_of(FrameSize size) const REQUIRES(mutex_);
  ArcClock& clock(FrameSize size) const { return *clocks_[static_cast<size_t>(size)]; }
  std::vector<uint32_t>& free(FrameSize size) REQUIRES(mutex_) { return free_[static_cast<size_t>(size)]; }
  void leave(uint32_t frame) REQUIRES(mutex_);
  void unpin(uint32_t frame);
  void drop(Table& table);

  const uint64_t small_bytes_;
  const uint64_t groups_count_;
  StripedCounter hits_;
  std::array<Reads, 2> reads_;

  mutable Mutex mutex_;
  // Made with the first table, before any of it is read without the lock.
  PageMemory memory_;
  std::unique_ptr<ArcFrames> all_;
  std::array<std::unique_ptr<ArcClock>, 2> clocks_;  // by FrameSize, as free_
  std::unique_ptr<Frame[]> frames_;
  std::unique_ptr<Place[]> ghosts_;
  std::unique_ptr<Group[]> groups_;
  std::array<std::vector<uint32_t>, 2> free_ GUARDED_BY(mutex_);
  // By the size that wants them: frames that were evicted and may still be seen.
  std::array<size_t, 2> leaving_ GUARDED_BY(mutex_) = {};
  FrameShares shares_ GUARDED_BY(mutex_);
  uint32_t used_groups_ GUARDED_BY(mutex_) = 0;
  uint32_t hand_ GUARDED_BY(mutex_) = 0;  // the group that is looked at next, for one that may move
  uint64_t misses_ GUARDED_BY(mutex_) = 0;
  uint64_t ghost_hits_ GUARDED_BY(mutex_) = 0;
  uint64_t evictions_ GUARDED_BY(mutex_) = 0;
};

}  // namespace lightning
