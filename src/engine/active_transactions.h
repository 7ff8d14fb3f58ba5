// ActiveTransactions: the transactions that are under way in one database.
//
// Thread safety: internally synchronised.
#pragma once

#include <cstdint>

#include "base/mutex.h"

namespace lightning {

/// One of them; stands in the list from add() to remove().
struct ActiveTransaction {
  uint64_t id = 0;
  uint8_t isolation = 0;
  bool read_only = false;
  uint64_t began_ns = 0;
  ActiveTransaction* before = nullptr;
  ActiveTransaction* after = nullptr;
};

class ActiveTransactions {
 public:
  /// Gives it an id; false when there are `most` already.
  bool add(ActiveTransaction* transaction, uint64_t most) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (count_ >= most) return false;
    ++count_;
    transaction->id = ++last_id_;
    transaction->before = last_;
    transaction->after = nullptr;
    (last_ == nullptr ? first_ : last_->after) = transaction;
    last_ = transaction;
    return true;
  }
  void remove(ActiveTransaction* transaction) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --count_;
    ActiveTransaction* const before = transaction->before;
    ActiveTransaction* const after = transaction->after;
    (before == nullptr ? first_ : before->after) = after;
    (after == nullptr ? last_ : after->before) = before;
  }
  uint64_t count() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return count_;
  }
  /// Calls `fn(transaction)` for each, oldest first, under the lock.
  template <typename Fn>
  void for_each(Fn&& fn) const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (const ActiveTransaction* at = first_; at != nullptr; at = at->after) fn(*at);
  }

 private:
  mutable Mutex mutex_;
  uint64_t count_ GUARDED_BY(mutex_) = 0;
  uint64_t last_id_ GUARDED_BY(mutex_) = 0;
  ActiveTransaction* first_ GUARDED_BY(mutex_) = nullptr;
  ActiveTransaction* last_ GUARDED_BY(mutex_) = nullptr;
};

}  // namespace lightning
