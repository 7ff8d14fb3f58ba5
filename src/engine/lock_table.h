// LockTable: pessimistic locks on internal keys and ranges of them, with fair queues.
//
// A request is for a key or a range [from, to), shared or exclusive. Two of different owners conflict if they
// overlap and one is exclusive. Writes conflict with both modes.
//
// Invariants
//  K1  No two granted requests of different owners conflict.
//  K2  A request waits for granted requests that conflict with it and for earlier ones that wait and conflict
//      (first come, first served); it passes those that wait for a lock of its own owner (an upgrade).
//  K3  There is no circle of waiting owners: the one whose request would close it answers `deadlock`.
//  K4  What is granted is counted, and stays in the table until its owner releases all.
// Thread safety: internally synchronised; an owner makes one call at a time. A waiter sleeps in park(), never
// inside an epoch, with no lock held. No other lock is taken under the table's, so that commits may ask it
// under their buckets' locks.
// Costs: a node of a tree a lock, about 200 bytes; a wait walks the requests that it waits for. Without locks
// a commit pays for one load.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/commit_plan.h"
#include "io/env.h"

namespace lightning {

enum class KeyLock : uint8_t { shared, exclusive };

/// A transaction's id, or what write_owner() gives to a commit without one.
using LockOwner = uint64_t;

class LockTable {
 public:
  explicit LockTable(Clock& clock) : clock_(clock) {}
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  /// A new owner that is no transaction.
  LockOwner write_owner() { return kWriteOwners | next_write_.fetch_add(1, std::memory_order_relaxed); }
  static bool is_write(LockOwner owner) { return (owner & kWriteOwners) != 0; }

  /// ok when it is held, again too. `busy` names key and holder: not before `deadline` (of the monotonic
  /// clock; 0: without waiting). `deadlock`: its wait would close a circle. `closed`, `out_of_memory`.
  /// Nothing was done unless it is ok; what the owner held it holds still.
  /// Who reads behind it first lets those be over that looked before (Engine::settle_key()).
  Status acquire(LockOwner owner, std::string_view key, KeyLock mode, uint64_t deadline) EXCLUDES(mutex_) {
    return acquire(owner, key, {}, false, mode, deadline);
  }
  Status acquire_range(LockOwner owner, std::string_view from, std::string_view to, KeyLock mode,
                       uint64_t deadline) EXCLUDES(mutex_) {
    return acquire(owner, from, to, true, mode, deadline);
  }
  /// Never fails; not while the owner waits.
  void release_all(LockOwner owner) EXCLUDES(mutex_);

  /// Of all granted requests. Sequentially consistent; partner: a commit that loaded its View before.
  uint64_t count() const { return count_.load(std::memory_order_seq_cst); }
  /// The first operation that writes where another owner holds a lock, null if none does. Takes no memory.
  const Operation* first_blocked(LockOwner owner, std::span<const Operation> operations) const
      EXCLUDES(mutex_);
  /// As above, of any key of [from, to).
  bool range_blocked(LockOwner owner, std::string_view from, std::string_view to) const EXCLUDES(mutex_);

  /// Keys, not ranges, that the owner holds exclusive. Throws std::bad_alloc.
  std::vector<std::string> exclusive_keys(LockOwner owner) const EXCLUDES(mutex_);
  /// Locks that the owner holds.
  uint64_t held(LockOwner owner) const EXCLUDES(mutex_);
  /// One that the owner waits for, 0 if it waits for none.
  LockOwner waits_for(LockOwner owner) const EXCLUDES(mutex_);

  /// Whoever waits, or would have to, answers `closed` from now on.
  void close() EXCLUDES(mutex_);

 private:
  struct Party;
  struct Request {
    Party* party = nullptr;
    KeyLock mode = KeyLock::exclusive;
    bool range = false;
    bool granted = false;
    uint64_t ticket = 0;
    std::string_view from;  // the key; of the map, or of kept_from
    std::string_view to;    // of a range
    std::string kept_from;
    std::string kept_to;
    std::list<Request>::iterator place;
    Request* before = nullptr;  // among those of its party
    Request* after = nullptr;
    std::atomic<uint32_t> word{0};  // 1: look; partner: the waiter's park()
  };
  /// An owner with requests.
  struct Party {
    LockOwner id = 0;
    Request* first = nullptr;
    Request* waiting = nullptr;
    uint64_t held = 0;
    uint64_t walk = 0;  // the last one that came by
    Party* next_in_walk = nullptr;
  };
  using Requests = std::list<Request>;
  using Points = std::map<std::string, Requests, std::less<>>;

  static constexpr LockOwner kWriteOwners = 1ull << 63;

  static bool overlap(const Request& a, const Request& b);
  static bool conflict(const Request& a, const Request& b) {
    return a.party != b.party && (a.mode == KeyLock::exclusive || b.mode == KeyLock::exclusive);
  }

  Status acquire(LockOwner owner, std::string_view from, std::string_view to, bool range, KeyLock mode,
                 uint64_t deadline) EXCLUDES(mutex_);
  Status take(Party& party, const Request& wanted, uint64_t deadline) REQUIRES(mutex_);
  /// Sleeps until `request` is granted; else why it was not.
  Status wait(Request& request, uint64_t deadline) REQUIRES(mutex_);
  Party& party_of(LockOwner owner) REQUIRES(mutex_);
  void forget_if_empty(Party& party) REQUIRES(mutex_);
  /// Does the party hold it already?
  bool covered(const Party& party, const Request& wanted) const REQUIRES(mutex_);
  /// Calls `fn(request)` for what overlaps, until it answers true.
  template <typename Fn>
  bool any_overlapping(const Request& wanted, Fn&& fn) const REQUIRES(mutex_);
  /// Does `waiter` wait for something that `party` holds?
  bool waits_for_party(const Request& waiter, const Party& party) const REQUIRES(mutex_);
  bool blocks(const Request& other, const Request& wanted) const REQUIRES(mutex_);
  /// What `wanted` has to wait for, a granted one if there is any; null: nothing.
  const Request* blocker(const Request& wanted) const REQUIRES(mutex_);
  bool closes_circle(const Request& wanted) REQUIRES(mutex_);
  bool granted_to_other(LockOwner owner, const Request& wanted) const REQUIRES(mutex_);
  Request& insert(const Request& wanted) REQUIRES(mutex_);
  void grant(Request& request) REQUIRES(mutex_);
  /// Takes it out, and grants what waited for nothing else.
  void remove(Request& request) REQUIRES(mutex_);
  void grant_waiters(Requests& requests) REQUIRES(mutex_);
  /// True: there is more to release. Not all at once, since commits wait for the mutex.
  bool release_some(LockOwner owner) EXCLUDES(mutex_);
  /// Of an owner that held it shared: one exclusive request instead of both.
  void join_upgrade(Request& request) REQUIRES(mutex_);
  static Status refusal(StatusCode code, const Request& blocker);

  Clock& clock_;
  std::atomic<LockOwner> next_write_{1};
  mutable Mutex mutex_;
  Points points_ GUARDED_BY(mutex_);    // each list in the order of tickets, none empty
  Requests ranges_ GUARDED_BY(mutex_);  // in the order of tickets
  std::map<LockOwner, Party> parties_ GUARDED_BY(mutex_);
  uint64_t last_ticket_ GUARDED_BY(mutex_) = 0;
  uint64_t waiting_ranges_ GUARDED_BY(mutex_) = 0;
  uint64_t last_walk_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  // Read by every commit.
  alignas(64) std::atomic<uint64_t> count_{0};
};

}  // namespace lightning
