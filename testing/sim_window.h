// SimWindow: the memory behind the mappings of one range of a simulated file.
//
// It holds the file's present bytes of that range while it lives; a store into it is seen by nobody until
// SimInode::capture() compares it with what was captured last. Only pages that the process ever touched are
// compared
// (/proc/self/pagemap tells), so that a 1 MiB window with three records costs two microseconds a capture.
// Ownership: the inode's. Thread safety: externally synchronised.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "testing/sparse_bytes.h"

namespace lightning {

class SimWindow {
 public:
  /// A window over [offset, offset + size) filled from `bytes`; null when the system has no memory. `offset`
  /// is a multiple of the page size.
  static std::unique_ptr<SimWindow> create(uint64_t offset, uint64_t size, const SparseBytes& bytes);
  ~SimWindow();
  SimWindow(const SimWindow&) = delete;
  SimWindow& operator=(const SimWindow&) = delete;

  uint64_t offset() const { return offset_; }
  uint64_t end() const { return offset_ + size_; }
  char* at(uint64_t file_offset) const { return data_ + (file_offset - offset_); }
  bool overlaps(uint64_t offset, uint64_t size) const { return offset < end() && offset + size > offset_; }
  bool contains(uint64_t offset, uint64_t size) const { return offset >= offset_ && offset + size <= end(); }
  /// Copies what the file has in [offset, offset + size) into the window, as far as they overlap.
  void refresh(const SparseBytes& bytes, uint64_t offset, uint64_t size);
  /// Indexes, in the file, of the pages that anybody ever touched, ascending.
  std::vector<uint64_t> touched_pages() const;

  uint32_t mappings = 0;  // regions that use it
  bool writable = false;  // one of them was mapped for writing
  std::atomic<bool> detached =
      false;  // a fault was answered by private pages: stores no longer reach the file

 private:
  SimWindow(uint64_t offset, uint64_t size, char* data) : offset_(offset), size_(size), data_(data) {}

  uint64_t offset_;
  uint64_t size_;
  char* data_;
};

}  // namespace lightning
