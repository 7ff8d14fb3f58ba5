#include "engine/vacancies.h"

#include <algorithm>
#include <new>

#include "base/epoch.h"

namespace lightning {

Vacancies::~Vacancies() {
  for (std::atomic<Vacancy*>& slot : slots_) delete slot.load(std::memory_order_relaxed);
}

void Vacancies::note_puts(std::string_view smallest, std::string_view largest, uint64_t lsn) const {
  for (const std::atomic<Vacancy*>& slot : slots_) {
    const Vacancy* vacancy = slot.load(std::memory_order_seq_cst);
    if (vacancy == nullptr || largest < vacancy->from || smallest >= vacancy->to) continue;
    uint64_t until = vacancy->until.load(std::memory_order_relaxed);
    while (lsn < until && !vacancy->until.compare_exchange_weak(until, lsn, std::memory_order_release)) {
    }
  }
}

bool Vacancies::find(std::string_view key, uint64_t read_lsn, std::string* from, std::string* to) const {
  if (filled_.load(std::memory_order_relaxed) == 0) return false;
  EpochGuard epoch;
  for (const std::atomic<Vacancy*>& slot : slots_) {
    const Vacancy* vacancy = slot.load(std::memory_order_acquire);
    if (vacancy == nullptr || key < vacancy->from || key >= vacancy->to) continue;
    if (vacancy->since.load(std::memory_order_acquire) > read_lsn) continue;
    if (vacancy->until.load(std::memory_order_acquire) < read_lsn) continue;
    from->assign(vacancy->from);
    to->assign(vacancy->to);
    return true;
  }
  return false;
}

void Vacancies::clear(size_t slot) {
  Vacancy* const vacancy = slots_[slot].exchange(nullptr, std::memory_order_seq_cst);
  if (vacancy == nullptr) return;
  filled_.fetch_sub(1, std::memory_order_relaxed);
  if (vacancy->since.load(std::memory_order_relaxed) == UINT64_MAX) {
    unconfirmed_.fetch_sub(1, std::memory_order_relaxed);
  }
  epoch_retire(vacancy);
}

size_t Vacancies::free_slot() {
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (slots_[slot].load(std::memory_order_relaxed) == nullptr) return slot;
  }
  const size_t victim = next_victim_++ % kSlots;
  clear(victim);
  return victim;
}

void Vacancies::note_empty(std::string_view from, std::string_view to, uint64_t read_lsn, bool worth_keeping,
                           const std::function<uint64_t()>& tail) {
  if (from >= to || std::max(from.size(), to.size()) > kKeyBytesMax) return;
  std::unique_ptr<Vacancy> learned;
  if (worth_keeping) {
    learned.reset(new (std::nothrow) Vacancy);
    if (learned == nullptr) return;
    learned->from = from;
    learned->to = to;
  }
  MutexLock lock(mutex_);
  bool kept = false;  // [from, to) is in a slot
  for (size_t slot = 0; slot < kSlots; ++slot) {
    Vacancy* const vacancy = slots_[slot].load(std::memory_order_relaxed);
    if (vacancy == nullptr) continue;
    const uint64_t until = vacancy->until.load(std::memory_order_acquire);
    const bool pending = vacancy->since.load(std::memory_order_relaxed) == UINT64_MAX;
    const bool inside = from <= vacancy->from && vacancy->to <= to;
    if (until < read_lsn) {
      clear(slot);  // of no use to anybody who comes later
    } else if (inside && pending && read_lsn >= vacancy->seen_from) {
      vacancy->since.store(read_lsn, std::memory_order_release);
      unconfirmed_.fetch_sub(1, std::memory_order_relaxed);
      // What it continues is of use no longer.
      for (size_t other = 0; other < kSlots; ++other) {
        const Vacancy* const part = slots_[other].load(std::memory_order_relaxed);
        if (part != nullptr && part != vacancy && vacancy->from <= part->from && part->to <= vacancy->to) {
          clear(other);
        }
      }
    }
    if (inside && vacancy->from == from && vacancy->to == to) kept = slots_[slot].load() == vacancy;
  }
  if (learned == nullptr || kept) return;
  const size_t slot = free_slot();
  filled_.fetch_add(1, std::memory_order_seq_cst);
  unconfirmed_.fetch_add(1, std::memory_order_relaxed);
  Vacancy* const vacancy = learned.release();
  slots_[slot].store(vacancy, std::memory_order_seq_cst);
  vacancy->seen_from = tail();
  if (unseen_.load(std::memory_order_seq_cst) != 0) clear(slot);
}

}  // namespace lightning
