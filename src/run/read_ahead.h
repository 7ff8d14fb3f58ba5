// ReadAhead: what an ordered walk over a file that is not mapped reads beyond the page that it needs, into
// memory of its own.
//
// A scan that comes to a small leaf reads a few of them, in the direction that it will take, as short scans
// mostly need more than one; they go into the page cache as it comes to them. One that has gone on from leaf
// to leaf a few times reads ever longer stretches, each twice as long as the one before; one that jumps
// begins anew. A merge, which will pass all of the file, reads long ones from its second page on. Both
// directions are alike. Long stretches stay out of the page cache: a long walk takes nobody's pages away.
//
// Thread safety: one thread at a time.
// Ownership: a stretch lives as long as its owner, which whoever looks at its bytes keeps.
// Costs: a stretch of memory a walk, kScanBytesMax at most.
#pragma once

#include <cstdint>
#include <memory>

#include "io/env.h"

namespace lightning {

class ReadAhead {
 public:
  static constexpr uint64_t kNearReadBytes = 16 << 10;
  static constexpr uint64_t kScanBytesMin = 32 << 10;
  static constexpr uint64_t kScanBytesMax = 256 << 10;
  static constexpr uint64_t kMergeBytes = 64 << 10;

  /// `passes`: of a merge.
  explicit ReadAhead(bool passes) : passes_(passes) {}

  /// The walk seeks a place, to go on from there in this direction.
  void seek(bool backward) {
    sought_ = true;
    sought_backward_ = backward;
  }
  /// The walk comes to a page that stands at [offset, offset + size) of the file.
  void step(uint64_t offset, uint64_t size);
  /// Has it gone on so far that it reads ahead?
  bool goes_on() const { return passes_ || steps_ >= kStepsMin; }
  /// The bytes of the page that step() named, and their owner; null when they are not to be had in this way:
  /// the caller is to read the page alone. Nothing at or behind `end` is read. Throws std::bad_alloc.
  const char* fetch(File& file, uint64_t end, std::shared_ptr<const void>* owner);
  /// The same for a scan that has not gone on so far, with a few pages behind it; null of large pages.
  const char* fetch_near(File& file, uint64_t end, std::shared_ptr<const void>* owner);

 private:
  static constexpr uint64_t kStepsMin = 2;
  static constexpr uint64_t kNearBytes = 1 << 20;  // so far may the next page be: values stand between
  static constexpr uint64_t kAlignment = 4096;

  const char* fetch_stretch(File& file, uint64_t end, uint64_t wanted, std::shared_ptr<const void>* owner);
  bool holds(uint64_t offset, uint64_t size) const {
    return offset >= begin_ && offset + size <= begin_ + held_;
  }
  bool has_page() const { return holds(offset_, size_); }

  const bool passes_;
  bool sought_ = false;  // since the last step
  bool sought_backward_ = false;
  bool backward_ = false;
  uint64_t steps_ = 0;  // from page to page, in a row
  uint64_t offset_ = 0;
  uint64_t size_ = 0;
  uint64_t bytes_ahead_ = 0;  // of the next stretch; 0: the shortest
  std::shared_ptr<char> stretch_;
  uint64_t room_ = 0;
  uint64_t begin_ = 0;  // in the file
  uint64_t held_ = 0;
};

}  // namespace lightning
