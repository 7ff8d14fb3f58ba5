#include "testing/sparse_bytes.h"

#include <algorithm>
#include <cstring>

namespace lightning {

void SparseBytes::read(uint64_t offset, uint64_t size, char* to) const {
  while (size > 0) {
    const uint64_t start = offset % kPageBytes;
    const uint64_t part = std::min(size, kPageBytes - start);
    if (const char* from = page(offset / kPageBytes)) {
      std::memcpy(to, from + start, part);
    } else {
      std::memset(to, 0, part);
    }
    offset += part;
    to += part;
    size -= part;
  }
}

std::string SparseBytes::read(uint64_t offset, uint64_t size) const {
  std::string bytes(size, '\0');
  read(offset, size, bytes.data());
  return bytes;
}

void SparseBytes::write(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const uint64_t start = offset % kPageBytes;
    const uint64_t part = std::min<uint64_t>(bytes.size(), kPageBytes - start);
    std::memcpy(writable_page(offset / kPageBytes) + start, bytes.data(), part);
    offset += part;
    bytes.remove_prefix(part);
  }
}

void SparseBytes::zero_from(uint64_t offset) {
  const uint64_t whole = (offset + kPageBytes - 1) / kPageBytes;
  if (whole < pages_.size()) pages_.resize(whole);
  const uint64_t start = offset % kPageBytes;
  if (start != 0 && page(offset / kPageBytes) != nullptr) {
    std::memset(writable_page(offset / kPageBytes) + start, 0, kPageBytes - start);
  }
}

void SparseBytes::zero(uint64_t offset, uint64_t size) {
  for (const uint64_t end = offset + size; offset < end;) {
    const uint64_t index = offset / kPageBytes;
    const uint64_t start = offset % kPageBytes;
    const uint64_t part = std::min(end - offset, kPageBytes - start);
    if (part == kPageBytes && index < pages_.size()) pages_[index] = nullptr;
    if (part != kPageBytes && page(index) != nullptr) std::memset(writable_page(index) + start, 0, part);
    offset += part;
  }
}

char* SparseBytes::writable_page(uint64_t index) {
  if (index >= pages_.size()) pages_.resize(index + 1);
  std::shared_ptr<Page>& page = pages_[index];
  if (!page) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return page->data();
}

}  // namespace lightning
