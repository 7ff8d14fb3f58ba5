#include "base/epoch.h"

#include <new>
#include <vector>

#include "base/barrier.h"
#include "base/check.h"
#include "base/mutex.h"
#include "base/thread_slot.h"

namespace lightning {

namespace {

struct Retired {
  void* object;
  void (*deleter)(void*);
  uint64_t epoch;  // readers that entered at or before it may hold the object
};

struct Registry {
  Mutex mutex;
  std::vector<Retired> waiting GUARDED_BY(mutex);
  std::atomic<EpochSlot*> slots{nullptr};  // a list that only grows
  std::atomic<size_t> waiting_count{0};
  std::atomic<uint64_t> freeing{0};  // deleters that run right now
};

// Never destroyed: threads may leave epochs while the process ends. It asks for no memory: closing needs it.
Registry& registry() {
  alignas(Registry) static char storage[sizeof(Registry)];
  static Registry* const instance = new (storage) Registry;
  return *instance;
}

// So many that their addresses say which of the stripes of a counter is whose.
struct alignas(1024) SlotBlock {
  static constexpr size_t kSlots = 16;
  EpochSlot slots[kSlots];
};
static_assert(sizeof(SlotBlock) == SlotBlock::kSlots * sizeof(EpochSlot));

// Slots that are free for a new thread, or else none. The oldest, which stands last: whoever has the same
// threads come and go gets the same slots.
EpochSlot* take_free_slot(Registry& all) {
  for (;;) {
    EpochSlot* oldest = nullptr;
    for (EpochSlot* slot = all.slots.load(std::memory_order_acquire); slot != nullptr; slot = slot->next) {
      if (!slot->taken.load(std::memory_order_relaxed)) oldest = slot;
    }
    bool free = false;
    if (oldest == nullptr || oldest->taken.compare_exchange_strong(free, true, std::memory_order_acquire))
      return oldest;
  }
}

void add_slots(Registry& all) {
  auto* const block = new SlotBlock;
  for (size_t i = 1; i < SlotBlock::kSlots; ++i) block->slots[i].next = &block->slots[i - 1];
  EpochSlot* head = all.slots.load(std::memory_order_relaxed);
  do {
    block->slots[0].next = head;
  } while (!all.slots.compare_exchange_weak(head, &block->slots[SlotBlock::kSlots - 1],
                                            std::memory_order_release, std::memory_order_relaxed));
}

// Gives the slot back when its thread ends, or before.
struct SlotReturn {
  EpochSlot* slot = nullptr;
  ~SlotReturn() { give_back(); }
  void give_back() {
    if (slot == nullptr) return;
    epoch_detail::t_slot = nullptr;
    slot->epoch.store(0, std::memory_order_release);
    slot->taken.store(false, std::memory_order_release);
    slot = nullptr;
  }
};
thread_local SlotReturn t_slot_return;

// No reader is in an epoch below the result, and what was retired below it was retired before the readers
// were looked at.
uint64_t reclaim_limit() {
  uint64_t oldest = epoch_detail::g_epoch.load(std::memory_order_seq_cst);
  heavy_barrier();
  for (EpochSlot* slot = registry().slots.load(std::memory_order_acquire); slot != nullptr;
       slot = slot->next) {
    const uint64_t epoch = slot->epoch.load(std::memory_order_seq_cst);
    if (epoch != 0 && epoch < oldest) oldest = epoch;
  }
  return oldest;
}

}  // namespace

namespace epoch_detail {

thread_local EpochSlot* t_slot __attribute__((tls_model("initial-exec"))) = nullptr;
std::atomic<uint64_t> g_epoch{1};
std::atomic<bool> g_readers_fence{true};

EpochSlot* register_thread() {
  g_readers_fence.store(!heavy_barrier_available(), std::memory_order_relaxed);
  Registry& all = registry();
  EpochSlot* slot = nullptr;
  while ((slot = take_free_slot(all)) == nullptr) add_slots(all);
  slot->depth = 0;
  t_slot = slot;
  t_slot_return.slot = slot;
  return slot;
}

}  // namespace epoch_detail

void give_thread_slot_back() { t_slot_return.give_back(); }

bool inside_epoch() {
  const EpochSlot* slot = epoch_detail::t_slot;
  return slot != nullptr && slot->depth != 0;
}

void epoch_retire(void* object, void (*deleter)(void*)) {
  // Readers that enter from here on carry a larger number and cannot find the object.
  const uint64_t epoch = epoch_detail::g_epoch.fetch_add(1, std::memory_order_seq_cst);
  Registry& all = registry();
  try {
    MutexLock lock(all.mutex);
    all.waiting.push_back({object, deleter, epoch});
  } catch (const std::bad_alloc&) {
    // No room for the note: wait for the readers here.
    epoch_synchronize();
    deleter(object);
    return;
  }
  all.waiting_count.fetch_add(1, std::memory_order_release);
}

size_t epoch_reclaim() {
  Registry& all = registry();
  if (all.waiting_count.load(std::memory_order_acquire) == 0) return 0;
  std::vector<Retired> free_now;
  const uint64_t limit = reclaim_limit();
  {
    MutexLock lock(all.mutex);
    free_now.reserve(all.waiting.size());  // no exception once the list is being changed
    size_t kept = 0;
    for (Retired& retired : all.waiting) {
      if (retired.epoch < limit) {
        free_now.push_back(retired);
      } else {
        all.waiting[kept++] = retired;
      }
    }
    all.waiting.resize(kept);
    all.freeing.fetch_add(free_now.size(), std::memory_order_relaxed);
  }
  for (const Retired& retired : free_now) {
    retired.deleter(retired.object);
    all.freeing.fetch_sub(1, std::memory_order_release);
  }
  return all.waiting_count.fetch_sub(free_now.size(), std::memory_order_acq_rel) - free_now.size();
}

void epoch_synchronize() {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  const uint64_t epoch = epoch_detail::g_epoch.fetch_add(1, std::memory_order_seq_cst);
  while (reclaim_limit() <= epoch) yield_thread();
}

void epoch_drain() {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  while (epoch_reclaim() != 0 || registry().freeing.load(std::memory_order_acquire) != 0) yield_thread();
}

}  // namespace lightning
