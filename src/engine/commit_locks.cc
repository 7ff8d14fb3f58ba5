// Commits and the table of locks: who waits for whom.
//
// A commit looks at the table after it has locked its buckets: LockTable::count() is all that it costs while
// there are no locks. Where somebody else holds one of its keys it gives its buckets back, leaves the epoch,
// takes its place in the key's queue as an owner of its own, and tries again when it holds the lock.
//
// Between a lock and the read behind it stands whoever looked before the lock was there:
//  - A commit in the active segment looked under its bucket's lock. lock_key() makes its entry, then loads
//    the View and takes that bucket's lock once, and the one of range removals. A commit that looked too
//    early has given its bucket back by then: its place in the log lies below the tail. Any other takes its
//    bucket later, and finds the entry.
//  - One that looked in an older segment has its place below the beginning of this one. One that loaded a
//    newer View is the reason for the second look at the View: if that is still the same, the newer one was
//    stored behind the count, in the order of all sequentially consistent operations, and so the commit
//    finds the entry.
//  - A commit that fills a segment which nobody sees yet, and an ingestion, announce themselves, then look
//    (Unseen); lock_key() makes its entry, then looks whether any is announced, and waits for it at
//    switch_mutex_, which they hold until their View is installed.
//  Then it waits until all of that is published.
// A lock of a range has no bucket. It waits for all epochs instead, which every commit leaves behind its
// mark.

#include "base/epoch.h"
#include "base/interleave.h"
#include "engine/engine.h"
#include "engine/scopes.h"

namespace lightning {

Status Engine::lock_key(LockOwner owner, std::string_view key, KeyLock mode, uint64_t deadline) {
  if (Status status = locks_.acquire(owner, key, mode, deadline); !status.ok()) return status;
  INTERLEAVE("lock.taken");
  settle_unseen();
  settle_key(hash_key(key));
  return {};
}

Status Engine::lock_range(LockOwner owner, std::string_view from, std::string_view to, KeyLock mode,
                          uint64_t deadline) {
  if (Status status = locks_.acquire_range(owner, from, to, mode, deadline); !status.ok()) return status;
  INTERLEAVE("lock.taken");
  settle_unseen();
  epoch_synchronize();
  log_.wait_published(tail_lsn());
  return {};
}

void Engine::settle_unseen() {
  if (unseen_commits_.load(std::memory_order_seq_cst) == 0) return;
  MutexLock lock(switch_mutex_);
}

void Engine::settle_key(uint64_t hash) {
  uint64_t tail = 0;
  for (bool same = false; !same;) {
    EpochGuard epoch;
    const View* const view = view_.load(std::memory_order_seq_cst);
    if (view->active != nullptr) {
      PointIndex& index = view->active->table->point_index();
      const uint64_t bucket = index.bucket_number(hash);
      (void)index.lock(bucket, 0);  // takes no memory
      index.unlock(bucket);
      RangeRemovals& removals = view->active->table->range_removals();
      removals.lock();
      removals.unlock();
      tail = view->active->segment->tail_lsn();
    } else {
      tail = std::max(log_.published(), view->sealed.empty() ? 0 : view->sealed.front()->end_lsn);
    }
    INTERLEAVE("lock.settles");
    const View* const now = view_.load(std::memory_order_seq_cst);
    same = now->active == view->active;
  }
  if (log_.published() < tail) log_.wait_published(tail);
}

Status Engine::check_unchanged(std::string_view key, const RegisteredReader& reader) const {
  const std::shared_ptr<const View> now = view();
  if (reader.too_old()) return too_old();
  return check_key_unchanged(*now, key, hash_key(key), reader.lsn());
}

// The plan finds itself blocked again, and waits as that owner.
Status Engine::commit_as_owner(CommitPlan& plan, const WriteOptions& options, CheckedCommit* checked) {
  const WriteLocks locks(*this);
  return commit(plan, options, checked, locks.owner());
}

Status Engine::wait_for_lock(LockOwner owner, const Operation& blocked, uint64_t deadline) {
  const LogEntry& entry = blocked.entry;
  const auto take = [&] {
    return entry.kind == EntryKind::remove_range
               ? locks_.acquire_range(owner, entry.key, entry.value, KeyLock::exclusive, deadline)
               : locks_.acquire(owner, entry.key, KeyLock::exclusive, deadline);
  };
  Status status = usable();
  if (status.ok()) status = take();
  if (!status.is(StatusCode::deadlock) || !LockTable::is_write(owner)) return status;
  // A write needs none of what it has until it has all: without anything nobody can wait for it.
  locks_.release_all(owner);
  return take();
}

}  // namespace lightning
