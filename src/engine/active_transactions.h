// ActiveTransactions: the transactions that are under way in one database.
//
// Thread safety: internally synchronised.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>

#include "base/mutex.h"

namespace lightning {

class RegisteredReader;

/// Whose turn it is: with a call under way nobody aborts the transaction for its idleness.
enum class TransactionUse : uint32_t { in_call, idle, expired };

/// One of them; stands in the list from add() to remove(), or until it expires.
struct ActiveTransaction {
  uint64_t id = 0;
  uint8_t isolation = 0;
  bool read_only = false;
  uint64_t began_ns = 0;
  // Only moves from in_call to idle and back, by the transaction's thread, and from idle to expired, by the
  // background.
  std::atomic<TransactionUse> use{TransactionUse::in_call};
  std::atomic<uint64_t> used_ns{0};                // when the last call ended or was made
  std::atomic<RegisteredReader*> reader{nullptr};  // its moment's; goes after it has left the list
  bool listed = false;                             // by the list's lock
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
    transaction->listed = true;
    transaction->before = last_;
    transaction->after = nullptr;
    (last_ == nullptr ? first_ : last_->after) = transaction;
    last_ = transaction;
    return true;
  }
  /// For an owner of locks that is no active transaction.
  uint64_t take_id() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return ++last_id_;
  }
  void remove(ActiveTransaction* transaction) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (transaction->listed) take_out(transaction);
  }
  /// Takes out those without a call for `idle_ns` up to `now_ns`, calls `give_up(reader)` for their moments
  /// under the lock, and answers how many `ids` it filled; if all, there may be more. Since when the longest
  /// idle of the others is idle: `*oldest`, UINT64_MAX if there is none.
  template <typename Fn>
  size_t expire(uint64_t now_ns, uint64_t idle_ns, std::span<uint64_t> ids, uint64_t* oldest, Fn&& give_up)
      EXCLUDES(mutex_) {
    size_t count = 0;
    *oldest = UINT64_MAX;
    MutexLock lock(mutex_);
    ActiveTransaction* after = nullptr;
    for (ActiveTransaction* at = first_; at != nullptr && count < ids.size(); at = after) {
      after = at->after;
      const uint64_t used_ns = at->used_ns.load(std::memory_order_relaxed);
      TransactionUse use = TransactionUse::idle;
      if (used_ns + idle_ns > now_ns) {
        *oldest = std::min(*oldest, used_ns);
        continue;
      }
      if (!at->use.compare_exchange_strong(use, TransactionUse::expired, std::memory_order_acq_rel)) {
        *oldest = std::min(*oldest, now_ns);  // in a call
        continue;
      }
      take_out(at);
      ids[count++] = at->id;
      if (RegisteredReader* const reader = at->reader.load(std::memory_order_acquire)) give_up(reader);
    }
    return count;
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
  void take_out(ActiveTransaction* transaction) REQUIRES(mutex_) {
    --count_;
    transaction->listed = false;
    ActiveTransaction* const before = transaction->before;
    ActiveTransaction* const after = transaction->after;
    (before == nullptr ? first_ : before->after) = after;
    (after == nullptr ? last_ : after->before) = before;
  }

  mutable Mutex mutex_;
  uint64_t count_ GUARDED_BY(mutex_) = 0;
  uint64_t last_id_ GUARDED_BY(mutex_) = 0;
  ActiveTransaction* first_ GUARDED_BY(mutex_) = nullptr;
  ActiveTransaction* last_ GUARDED_BY(mutex_) = nullptr;
};

}  // namespace lightning
