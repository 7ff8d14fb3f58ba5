// Vacancies: ranges of keys in which readers found nothing to show, so that the next one need not look
// again. The front of a queue is one: removed entries, thousands of them, before the first that is there.
//
// A vacancy [from, to) was looked through by a read at LSN `since`, and no put came into it below LSN
// `until`. What a read at S with since <= S <= until sees there is nothing: removals, range removals and
// the passing of time only hide more.
//
// Invariants
//  V1  A put into a vacancy lowers `until` to its own LSN, after its reservation and before its record is
//      complete, hence before any reader can see it.
//  V2  A vacancy is of use only after a second read found it empty at an S not below the log's tail at the
//      moment when writers could see it. A writer that did not see it reserved below that tail: its put is
//      not above S, and the second read would have met it. (Writer: reserve, then look at the slots.
//      Reader: fill the slot, then read the tail. One of the two sees the other.)
// Thread safety: internally synchronised; writers and find() take no lock.
// Costs: a commit pays one load of a line that changes only with the vacancies.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace lightning {

class Vacancies {
 public:
  Vacancies() = default;
  ~Vacancies();
  Vacancies(const Vacancies&) = delete;
  Vacancies& operator=(const Vacancies&) = delete;

  /// For writers: is there any? The rest of theirs is only for then.
  bool any() const { return filled_.load(std::memory_order_seq_cst) != 0; }
  /// A put of `key` (internal) at `lsn`, reserved and not complete. Inside an epoch.
  void note_put(std::string_view key, uint64_t lsn) const { note_puts(key, key, lsn); }
  /// Puts of keys from `smallest` to `largest`.
  void note_puts(std::string_view smallest, std::string_view largest, uint64_t lsn) const;

  /// The vacancy of use at `read_lsn` that `key` lies in. False if there is none.
  bool find(std::string_view key, uint64_t read_lsn, std::string* from, std::string* to) const;

  /// Is there anything that a read of an emptiness could confirm?
  bool unconfirmed() const { return unconfirmed_.load(std::memory_order_relaxed) != 0; }
  /// A read at `read_lsn` found [from, to) empty: confirms what lies inside, and keeps it if
  /// `worth_keeping`. `tail` gives the LSN below which everything is reserved. Not inside an epoch.
  void note_empty(std::string_view from, std::string_view to, uint64_t read_lsn, bool worth_keeping,
                  const std::function<uint64_t()>& tail) EXCLUDES(mutex_);

 private:
  friend class UnseenPuts;
  struct Vacancy {
    std::string from;
    std::string to;
    uint64_t seen_from = UINT64_MAX;  // writers at this LSN and above saw it; guarded by the mutex
    std::atomic<uint64_t> since{UINT64_MAX};
    mutable std::atomic<uint64_t> until{UINT64_MAX};
  };
  static constexpr size_t kSlots = 8;
  static constexpr size_t kKeyBytesMax = 1024;

  void clear(size_t slot) REQUIRES(mutex_);
  size_t free_slot() REQUIRES(mutex_);

  std::atomic<uint32_t> filled_{0};  // partner of any(): the slots
  std::atomic<uint32_t> unconfirmed_{0};
  std::atomic<uint32_t> unseen_{0};
  std::array<std::atomic<Vacancy*>, kSlots> slots_{};
  Mutex mutex_;
  size_t next_victim_ GUARDED_BY(mutex_) = 0;
};

/// While it lives nothing new is learned: for puts whose LSN is above the log's tail as readers see it.
/// They are noted meanwhile.
class UnseenPuts {
 public:
  explicit UnseenPuts(Vacancies& vacancies) : unseen_(vacancies.unseen_) {
    unseen_.fetch_add(1, std::memory_order_seq_cst);
  }
  ~UnseenPuts() { unseen_.fetch_sub(1, std::memory_order_seq_cst); }
  UnseenPuts(const UnseenPuts&) = delete;
  UnseenPuts& operator=(const UnseenPuts&) = delete;

 private:
  std::atomic<uint32_t>& unseen_;
};

}  // namespace lightning
