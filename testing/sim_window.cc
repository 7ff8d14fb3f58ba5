#include "testing/sim_window.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace lightning {

namespace {

uint64_t round_up(uint64_t size) { return (size + kPageBytes - 1) / kPageBytes * kPageBytes; }

}  // namespace

std::unique_ptr<SimWindow> SimWindow::create(uint64_t offset, uint64_t size, const SparseBytes& bytes) {
  void* memory = mmap(nullptr, round_up(size), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, round_up(size), MADV_NOHUGEPAGE);  // touched_pages() would see a huge page as 512 of them
  std::unique_ptr<SimWindow> window(new SimWindow(offset, size, static_cast<char*>(memory)));
  const uint64_t last = std::min(bytes.page_count(), round_up(window->end()) / kPageBytes);
  for (uint64_t index = offset / kPageBytes; index < last; ++index) {
    if (const char* page = bytes.page(index)) std::memcpy(window->at(index * kPageBytes), page, kPageBytes);
  }
  return window;
}

SimWindow::~SimWindow() { munmap(data_, round_up(size_)); }

void SimWindow::refresh(const SparseBytes& bytes, uint64_t offset, uint64_t size) {
  const uint64_t from = std::max(offset, offset_);
  const uint64_t to = std::min(offset + size, end());
  if (from < to) bytes.read(from, to - from, at(from));
}

std::vector<uint64_t> SimWindow::touched_pages() const {
  static const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  constexpr uint64_t kPresentOrSwapped = 3ull << 62;
  const uint64_t count = round_up(size_) / kPageBytes;
  const uint64_t first = reinterpret_cast<uintptr_t>(data_) / kPageBytes;
  std::vector<uint64_t> pages;
  uint64_t entries[512];
  for (uint64_t done = 0; done < count;) {
    const uint64_t part = std::min<uint64_t>(count - done, 512);
    const bool known = pread(pagemap, entries, part * 8, static_cast<off_t>((first + done) * 8)) ==
                       static_cast<ssize_t>(part * 8);
    for (uint64_t i = 0; i < part; ++i) {
      if (!known || (entries[i] & kPresentOrSwapped) != 0) pages.push_back(offset_ / kPageBytes + done + i);
    }
    done += part;
  }
  return pages;
}

}  // namespace lightning
