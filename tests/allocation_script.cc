#include "tests/allocation_script.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "testing/allocation_truce.h"
#include "testing/fault_script.h"

namespace lightning {

AllocationScript g_allocation_script;

namespace {

bool refuses() {
  AllocationScript& script = g_allocation_script;
  if (script.times == 0 || AllocationTruce::holds()) return false;
  if (script.after > 0) {
    --script.after;
    return false;
  }
  if (script.times != kForever) --script.times;
  ++script.refused;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (refuses()) return nullptr;
  size = size == 0 ? 1 : size;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* const memory = allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
}  // namespace lightning

// malloc() and mmap() of the library come here (see the linker's --wrap in CMakeLists.txt).
extern "C" {
void* __real_malloc(std::size_t size);
void* __real_mmap(void* at, std::size_t size, int protection, int flags, int file, off_t offset);
void* __wrap_malloc(std::size_t size) { return lightning::refuses() ? nullptr : __real_malloc(size); }
void* __wrap_mmap(void* at, std::size_t size, int protection, int flags, int file, off_t offset) {
  if (lightning::refuses()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return __real_mmap(at, size, protection, flags, file, offset);
}
}

void* operator new(std::size_t size) { return lightning::allocate_or_throw(size, 1); }
void* operator new[](std::size_t size) { return lightning::allocate_or_throw(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return lightning::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return lightning::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return lightning::allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return lightning::allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return lightning::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return lightning::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
