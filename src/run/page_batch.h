// PageBatch: pages of pooled files that are needed at once, read side by side into the page cache.
//
// Who will look at many pages says so first of each (RunPages::want_leaf(), want_bucket()), and has those
// read that the cache does not have. They stay pinned until the batch is destroyed. What was not taken in,
// could not be read or does not verify is simply not there: who needs it reads it alone, which may go well,
// or says what is wrong.
//
// Invariant: takes frames of at most an eighth of the cache's memory, so that one batch evicts little, and
// with few frames takes none.
// Thread safety: externally synchronised; not inside an epoch. Ownership: the RunPages must outlive it.
// Costs: none while nothing is missing; then some kilobytes, and memory for what is compressed until it was
// decompressed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/page_cache.h"
#include "io/env.h"
#include "run/run_pages.h"

namespace lightning {

class PageBatch {
 public:
  static constexpr size_t kReads = 32;

  PageBatch() = default;
  ~PageBatch();
  PageBatch(const PageBatch&) = delete;
  PageBatch& operator=(const PageBatch&) = delete;

  /// Once, after all that is wanted was said.
  void read();

 private:
  friend class RunPages;
  struct Piece {
    const RunPages* pages = nullptr;
    uint32_t place = 0;  // in the file's table
    uint32_t frame = PageCache::kNoFrame;
    RunPages::Pooled page = {};      // of what stands in its frame as in the file
    uint64_t page_number = 0;        // of a compressed leaf
    std::unique_ptr<char[]> stored;  // that leaf
    PageCache::Pin pin;
  };

  bool has(const RunPages& pages, uint32_t place) const;
  /// Of a page that needs a frame of `bytes`. Null when it takes no more.
  Piece* add(const RunPages& pages, const PageCache& cache, uint32_t place, uint64_t bytes);

  struct Pieces {
    std::array<Piece, kReads> pieces;
    std::array<ReadRequest, kReads> requests;
  };

  size_t count_ = 0;
  uint64_t bytes_ = 0;          // of their frames
  std::unique_ptr<Pieces> of_;  // made for the first piece
};

}  // namespace lightning
