#include "io/process_word.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace lightning {

namespace {

constinit std::atomic<uint32_t> g_unwiped{1};

// Where the kernel has no pages that a fork wipes. A child that was not made by fork() is not told.
std::atomic<uint32_t>* word_of_fork_handlers() {
  (void)pthread_atfork(nullptr, nullptr, [] { g_unwiped.store(0, std::memory_order_relaxed); });
  return &g_unwiped;
}

std::atomic<uint32_t>* make_word() {
  const size_t page_size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return word_of_fork_handlers();
  if (madvise(page, page_size, MADV_WIPEONFORK) != 0) {
    munmap(page, page_size);
    return word_of_fork_handlers();
  }
  return new (page) std::atomic<uint32_t>(1);
}

}  // namespace

const std::atomic<uint32_t>& process_word() {
  static const std::atomic<uint32_t>* const word = make_word();
  return *word;
}

}  // namespace lightning
