#include "run/read_ahead.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/coding.h"

namespace lightning {

void ReadAhead::step(uint64_t offset, uint64_t size) {
  const uint64_t former_end = offset_ + size_;
  const bool forward = offset >= former_end && offset - former_end < kNearBytes;
  const bool backward = offset + size <= offset_ && offset_ - (offset + size) < kNearBytes;
  // A seek that leads on as a step would have.
  const bool next = offset == former_end || offset + size == offset_ || holds(offset, size);
  const bool jumps = sought_ && (sought_backward_ != backward_ || !next);
  if (size_ != 0 && !jumps && (backward_ ? backward : forward)) {
    ++steps_;
  } else {
    steps_ = 0;
    bytes_ahead_ = 0;
    backward_ = sought_ ? sought_backward_ : size_ != 0 && backward;
  }
  sought_ = false;
  offset_ = offset;
  size_ = size;
}

const char* ReadAhead::fetch(File& file, uint64_t end, std::shared_ptr<const void>* owner) {
  if (has_page()) {  // of a near read whose page found no frame
    *owner = stretch_;
    return stretch_.get() + (offset_ - begin_);
  }
  if (!goes_on() || steps_ == 0) return nullptr;
  return fetch_stretch(file, end, passes_ ? kMergeBytes : std::max(bytes_ahead_, kScanBytesMin), owner);
}

const char* ReadAhead::fetch_near(File& file, uint64_t end, std::shared_ptr<const void>* owner) {
  if (passes_ || size_ > kNearReadBytes / 2) return nullptr;
  return fetch_stretch(file, end, kNearReadBytes, owner);
}

const char* ReadAhead::fetch_stretch(File& file, uint64_t end, uint64_t wanted,
                                     std::shared_ptr<const void>* owner) {
  if (!has_page()) {
    const uint64_t page_end = offset_ + size_;
    if (size_ > wanted || page_end > end) return nullptr;
    // In the direction of the walk, from a multiple of what direct reads want.
    uint64_t begin = offset_;
    if (backward_) begin = page_end - std::min(page_end, wanted);
    begin -= begin % kAlignment;
    const uint64_t until = std::min(end, align_up(backward_ ? page_end : begin + wanted, kAlignment));
    if (until < page_end) return nullptr;
    if (room_ < until - begin || stretch_.use_count() > 1) {
      const uint64_t room = align_up(std::max(until - begin, wanted), kAlignment);
      char* const bytes = static_cast<char*>(std::aligned_alloc(kAlignment, room));
      if (bytes == nullptr) throw std::bad_alloc();
      stretch_ = std::shared_ptr<char>(bytes, &std::free);
      room_ = room;
    }
    held_ = 0;
    const Result<uint64_t> read = file.read(begin, stretch_.get(), until - begin);
    if (!read || *read != until - begin) return nullptr;
    begin_ = begin;
    held_ = *read;
    bytes_ahead_ = std::min(2 * wanted, kScanBytesMax);
  }
  *owner = stretch_;
  return stretch_.get() + (offset_ - begin_);
}

}  // namespace lightning
