#include <sys/mman.h>

#include "base/coding.h"
#include "io/env.h"
#include "io/page_allocator.h"
#include "io/page_size.h"
#include "io/process_word.h"

namespace lightning {

namespace {

// Null: the system refuses.
char* map_pages(uint64_t size) {
  (void)process_word();  // made before the first fork that could matter
  // Aligned to huge pages by mapping more and giving back what sticks out.
  const bool huge = size >= kHugePageBytes;
  const uint64_t mapped = huge ? size + kHugePageBytes : size;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  char* data = static_cast<char*>(memory);
  if (huge) {
    char* const begin = data;
    data = reinterpret_cast<char*>(align_up(reinterpret_cast<uint64_t>(begin), kHugePageBytes));
    if (data != begin) munmap(begin, static_cast<size_t>(data - begin));
    char* const end = data + size;
    if (end != begin + mapped) munmap(end, static_cast<size_t>(begin + mapped - end));
    madvise(data, size, MADV_HUGEPAGE);
  }
  madvise(data, size, MADV_DONTFORK);
  return data;
}

void unmap_pages(void* data, uint64_t size) {
  if (data != nullptr && !in_forked_child()) munmap(data, size);
}

}  // namespace

Result<PageMemory> PageMemory::map(uint64_t size) {
  if (size == 0 || size > kMappingBytesMax) {
    return Status(StatusCode::invalid_argument, "page memory of " + std::to_string(size) + " bytes");
  }
  size = align_up(size, page_bytes());
  char* const data = map_pages(size);
  if (data == nullptr) {
    return Status(StatusCode::out_of_memory,
                  "the system refuses " + std::to_string(size) + " bytes of memory");
  }
  return PageMemory(data, size);
}

PageMemory::~PageMemory() { unmap_pages(data_, size_); }

void PageMemory::populate(uint64_t offset, uint64_t size) const {
  const uint64_t end = std::min(size_, align_up(offset + size, kHugePageBytes));
  offset &= ~(kHugePageBytes - 1);
  if (size_ < kHugePageBytes || offset >= end || in_forked_child()) return;
  (void)madvise(data_ + offset, end - offset, MADV_POPULATE_WRITE);
}

void PageMemory::release(uint64_t offset, uint64_t size) {
  const uint64_t end = (offset + size) & ~(page_bytes() - 1);
  offset = align_up(offset, page_bytes());
  if (end > offset && !in_forked_child()) madvise(data_ + offset, end - offset, MADV_DONTNEED);
}

void* take_pages(uint64_t size) {
  if (size > kMappingBytesMax) throw std::bad_alloc();
  void* const pages = map_pages(align_up(size, page_bytes()));
  if (pages == nullptr) throw std::bad_alloc();
  return pages;
}

void give_pages_back(void* pages, uint64_t size) { unmap_pages(pages, align_up(size, page_bytes())); }

}  // namespace lightning
