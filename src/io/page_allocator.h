// PageAllocator: memory of containers that grow large and go soon. From 64 KiB on it is taken from the system
// and given back to it; the C library's heap would keep it, once for each thread that had one.
//
// Thread safety: any threads.
// Costs: beyond those of the heap, a system call each way, and a fault for each page that is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace lightning {

/// Zero-filled, as PageMemory has it. Throws std::bad_alloc.
void* take_pages(uint64_t size);
void give_pages_back(void* pages, uint64_t size);

template <typename T>
class PageAllocator {
 public:
  using value_type = T;

  PageAllocator() = default;
  template <typename U>
  PageAllocator(const PageAllocator<U>&) {}  // NOLINT: implicit by design

  T* allocate(size_t count) {
    if (count > SIZE_MAX / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = count * sizeof(T);
    return static_cast<T*>(bytes < kOwnPagesFrom ? ::operator new(bytes) : take_pages(bytes));
  }
  void deallocate(T* memory, size_t count) {
    const size_t bytes = count * sizeof(T);
    bytes < kOwnPagesFrom ? ::operator delete(memory) : give_pages_back(memory, bytes);
  }
  template <typename U>
  bool operator==(const PageAllocator<U>&) const {
    return true;
  }

 private:
  static constexpr size_t kOwnPagesFrom = 64 << 10;
  static_assert(alignof(T) <= alignof(std::max_align_t));
};

}  // namespace lightning
