#include "io/mapping_guard.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/mutex.h"
#include "io/page_size.h"
#include "io/process_word.h"
#include "io/raw_call.h"

namespace lightning {

namespace {

// One registered range. `sequence` is odd while the slot changes (a sequence lock whose only reader is the
// handler: a slot that changes is not the one that faulted, since nobody accesses a range that is made or
// destroyed).
struct Slot {
  std::atomic<uint32_t> sequence{0};
  std::atomic<uintptr_t> begin{0};  // 0 = free
  std::atomic<uintptr_t> end{0};
  std::atomic<GuardedRange*> range{nullptr};
};

struct Chunk {
  static constexpr int kSlots = 64;
  Slot slots[kSlots];
  std::atomic<Chunk*> next{nullptr};
};

constinit Chunk g_first_chunk;  // the head of a list that only grows
constinit Mutex g_registry_mutex;

struct sigaction g_previous;  // written once, before the handler is in force

// Taken in the handler only, with all signals blocked.
constinit std::atomic<bool> g_handler_busy{false};

void set_slot(Slot& slot, uintptr_t begin, uintptr_t end, GuardedRange* range) {
  const uint32_t sequence = slot.sequence.load(std::memory_order_relaxed);
  slot.sequence.store(sequence + 1, std::memory_order_relaxed);
  slot.begin.store(begin, std::memory_order_release);
  slot.end.store(end, std::memory_order_release);
  slot.range.store(range, std::memory_order_release);
  slot.sequence.store(sequence + 2, std::memory_order_release);
}

// Null when memory for more slots cannot be had.
Slot* take_slot(uintptr_t begin, uintptr_t end, GuardedRange* range) {
  MutexLock lock(g_registry_mutex);
  for (Chunk* chunk = &g_first_chunk;;) {
    for (Slot& slot : chunk->slots) {
      if (slot.begin.load(std::memory_order_relaxed) != 0) continue;
      set_slot(slot, begin, end, range);
      return &slot;
    }
    Chunk* next = chunk->next.load(std::memory_order_relaxed);
    if (next == nullptr) {
      next = new (std::nothrow) Chunk;
      if (next == nullptr) return nullptr;
      chunk->next.store(next, std::memory_order_release);
    }
    chunk = next;
  }
}

GuardedRange* range_in_slot(const Slot& slot, uintptr_t address) {
  const uint32_t sequence = slot.sequence.load(std::memory_order_acquire);
  const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
  const uintptr_t end = slot.end.load(std::memory_order_acquire);
  GuardedRange* range = slot.range.load(std::memory_order_acquire);
  if (begin == 0 || address < begin || address >= end) return nullptr;
  const bool unchanged = sequence % 2 == 0 && slot.sequence.load(std::memory_order_relaxed) == sequence;
  return unchanged ? range : nullptr;
}

GuardedRange* find_range(uintptr_t address) {
  for (Chunk* chunk = &g_first_chunk; chunk != nullptr; chunk = chunk->next.load(std::memory_order_acquire)) {
    for (const Slot& slot : chunk->slots) {
      if (GuardedRange* range = range_in_slot(slot, address)) return range;
    }
  }
  return nullptr;
}

// Runs the handler that was there before, under the signal mask that it asked for.
void pass_on(int signal, siginfo_t* info, void* context) {
  const bool takes_info = (g_previous.sa_flags & SA_SIGINFO) != 0;
  if (takes_info || (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN)) {
    sigset_t mask;
    sigorset(&mask, &static_cast<ucontext_t*>(context)->uc_sigmask, &g_previous.sa_mask);
    if ((g_previous.sa_flags & SA_NODEFER) == 0) sigaddset(&mask, signal);
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    if (takes_info) return g_previous.sa_sigaction(signal, info, context);
    return g_previous.sa_handler(signal);
  }
  // A fault comes again when the access is repeated; what was sent by somebody must be sent again.
  const bool comes_again = info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
  if (g_previous.sa_handler == SIG_IGN && !comes_again) return;
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  sigaction(signal, &by_default, nullptr);
  if (!comes_again) raise(signal);
}

void handle_sigbus(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  if (info->si_code > 0 && !in_forked_child()) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
    GuardedRange* range = find_range(address);
    if (range != nullptr && range->answer_fault(address)) {
      errno = saved_errno;
      return;
    }
  }
  pass_on(signal, info, context);
  errno = saved_errno;
}

bool install() {
  (void)process_word();  // the handler must find them made
  (void)page_bytes();
  if (sigaction(SIGBUS, nullptr, &g_previous) != 0) return false;
  struct sigaction ours{};
  ours.sa_sigaction = handle_sigbus;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&ours.sa_mask);
  return sigaction(SIGBUS, &ours, nullptr) == 0;
}

// Raw system calls: sanitizers replace the functions by ones that a signal handler may not call.
void* map_private(void* at, uint64_t size, int protection) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at != nullptr ? MAP_FIXED : 0);
  return reinterpret_cast<void*>(raw_call(SYS_mmap, at, size, protection, flags, -1, 0));
}

}  // namespace

bool mapping_guard_in_force() {
  static const bool installed = install();
  if (!installed) return false;
  struct sigaction present{};
  return sigaction(SIGBUS, nullptr, &present) == 0 && (present.sa_flags & SA_SIGINFO) != 0 &&
         present.sa_sigaction == handle_sigbus;
}

Result<std::unique_ptr<GuardedRange>> GuardedRange::create(char* begin, uint64_t size, int descriptor,
                                                           uint64_t file_offset, bool writable) {
  const Status no_memory(StatusCode::out_of_memory, "no memory to guard a mapping");
  std::unique_ptr<GuardedRange> range(new (std::nothrow)
                                          GuardedRange(begin, size, descriptor, file_offset, writable));
  if (range == nullptr) return no_memory;
  range->replaced_.reset(new (std::nothrow) std::atomic<uint64_t>[size / page_bytes() / 64 + 1]());
  if (range->replaced_ == nullptr) return no_memory;
  const uintptr_t first = reinterpret_cast<uintptr_t>(begin);
  range->slot_ = take_slot(first, first + size, range.get());
  if (range->slot_ == nullptr) return no_memory;
  return range;
}

GuardedRange::~GuardedRange() {
  if (slot_ == nullptr || in_forked_child()) return;  // there, the handler asks for no range
  MutexLock lock(g_registry_mutex);
  set_slot(*static_cast<Slot*>(slot_), 0, 0, nullptr);
}

bool GuardedRange::answer_fault(uintptr_t address) {
  const uint64_t offset = (address - reinterpret_cast<uintptr_t>(begin_)) & ~(page_bytes() - 1);
  const uint64_t page = offset / page_bytes();
  while (g_handler_busy.exchange(true, std::memory_order_acquire)) sched_yield();
  // Two threads may fault on one page: the second must not copy what the first already stores into.
  bool answered = (replaced_[page / 64].load(std::memory_order_relaxed) >> page % 64 & 1) != 0;
  if (!answered) {
    faulted_.store(true, std::memory_order_release);
    answered = replace_page(offset) || replace_all();
    if (answered) replaced_[page / 64].fetch_or(uint64_t{1} << page % 64, std::memory_order_relaxed);
  }
  g_handler_busy.store(false, std::memory_order_release);
  return answered;
}

bool GuardedRange::replace_page(uint64_t offset) {
  char* const page = begin_ + offset;
  const uint64_t size = page_bytes();
  if (!writable_) return map_private(page, size, PROT_READ) != MAP_FAILED;

  void* const copy = map_private(nullptr, size, PROT_READ | PROT_WRITE);
  if (copy == MAP_FAILED) return false;
  // The kernel reads for us: it answers an error where a load would fault.
  const iovec to = {copy, size};
  const iovec from = {page, size};
  if (raw_call(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0) != static_cast<long>(size)) {
    (void)raw_call(SYS_pread64, descriptor_, copy, size, file_offset_ + offset);
  }
  const long moved = raw_call(SYS_mremap, copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, page);
  if (reinterpret_cast<void*>(moved) != MAP_FAILED) return true;
  raw_call(SYS_munmap, copy, size);
  return false;
}

// A process may have only so many mappings, and a replaced page is one more. When that ends, one private
// mapping takes the place of the whole range and the bytes are given up.
bool GuardedRange::replace_all() {
  const int protection = writable_ ? PROT_READ | PROT_WRITE : PROT_READ;
  if (map_private(begin_, size_, protection) == MAP_FAILED) return false;
  for (uint64_t word = 0; word <= size_ / page_bytes() / 64; ++word) {
    replaced_[word].store(UINT64_MAX, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace lightning
