#include "io/process_word.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace lightning {

namespace {

std::atomic<uint32_t>* make_word() {
  static std::atomic<uint32_t> unwiped{1};
  const size_t page_size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return &unwiped;
  if (madvise(page, page_size, MADV_WIPEONFORK) != 0) {
    munmap(page, page_size);
    return &unwiped;
  }
  return new (page) std::atomic<uint32_t>(1);
}

}  // namespace

const std::atomic<uint32_t>& process_word() {
  static const std::atomic<uint32_t>* const word = make_word();
  return *word;
}

}  // namespace lightning
