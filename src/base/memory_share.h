// MemoryShare: what one user has of memory that is counted together, as long as it lives.
//
// Thread safety: one thread; the count any threads.
#pragma once

#include <atomic>
#include <cstdint>

namespace lightning {

class MemoryShare {
 public:
  explicit MemoryShare(std::atomic<uint64_t>& all) : all_(all) {}
  ~MemoryShare() { set(0); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  void set(uint64_t bytes) {
    if (bytes == bytes_) return;
    all_.fetch_add(bytes - bytes_, std::memory_order_relaxed);
    bytes_ = bytes;
  }

 private:
  std::atomic<uint64_t>& all_;
  uint64_t bytes_ = 0;
};

}  // namespace lightning
