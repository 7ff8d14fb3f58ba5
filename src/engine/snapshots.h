// Snapshots: the registered readers of a database: snapshots, cursors and the moments of transactions. What a
// registered reader sees is kept by flush and merge (I6), for a transaction also what is newer (X1), until it
// is given up for its age.
//
// A reader takes its LSN under the registry's lock, so that a flush which reads the list under the same lock
// either finds it or has all its inputs below it. A reader that was given up knows it no later than a View
// from which something that it sees is missing: it asks too_old() after it has loaded a View.
// Thread safety: internally synchronised.
// Ownership: a reader is a part of whoever reads, who keeps it from add() to remove(): no memory is taken for
// it. What is taken from cursors is freed by the caller, outside of the lock.
#pragma once

#include <lightning/stats.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/turn.h"
#include "format/source_cursor.h"
#include "view/view.h"

namespace lightning {

/// The side of a cursor that the background sees.
class IdleCursor {
 public:
  /// What a cursor does not need as long as it stands still.
  struct Left {
    std::shared_ptr<const View> view;
    std::vector<std::unique_ptr<SourceCursor>> sources;  // over the View's; go first
  };
  /// It is the background's turn: gives up all but what keeps the present entry, which `pin` says. Never
  /// fails.
  virtual Left leave_view(SourceCursor::Pin* pin) = 0;
  Turn& turn() { return turn_; }

 protected:
  ~IdleCursor() = default;

  Turn turn_;
};

class RegisteredReader {
 public:
  RegisteredReader() = default;
  RegisteredReader(const RegisteredReader&) = delete;
  RegisteredReader& operator=(const RegisteredReader&) = delete;

  // Good from add() on.
  ReaderKind kind() const { return kind_; }
  uint64_t lsn() const { return lsn_; }
  uint64_t since_ns() const { return since_ns_; }
  /// Of those of its registry, from 1; 0: it was not added.
  uint64_t number() const { return number_; }
  /// It was given up.
  bool too_old() const { return too_old_.load(std::memory_order_acquire); }

 private:
  friend class Snapshots;

  ReaderKind kind_ = ReaderKind::snapshot;
  uint64_t number_ = 0;
  uint64_t lsn_ = 0;
  uint64_t since_ns_ = 0;
  std::atomic<bool> too_old_{false};  // set under the registry's lock; partner: a View that is loaded before
  // By the registry's lock.
  RegisteredReader* before_ = nullptr;
  RegisteredReader* after_ = nullptr;
  uint64_t moment_ = 0;  // 0: none
  // Of a cursor.
  IdleCursor* cursor_ = nullptr;  // null: it holds no View
  uint64_t view_sequence_ = 0;
  std::weak_ptr<const View> view_;
  uint64_t word_ = UINT64_MAX;  // of its turn, when it was last looked at
  uint64_t bytes_ = 0;          // of its own
  std::weak_ptr<const void> pinned_;
  uint64_t pinned_bytes_ = 0;
};

class Snapshots {
 public:
  /// Registers a reader of what `read_lsn()` answers under the lock.
  template <typename Fn>
  void add(RegisteredReader* reader, ReaderKind kind, uint64_t now_ns, Fn&& read_lsn) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    insert(reader, kind, read_lsn(), now_ns);
  }
  /// Registers another reader of what `other` reads, as old as it is; false: that was given up.
  bool add_again(RegisteredReader* reader, ReaderKind kind, const RegisteredReader& other) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (other.too_old()) return false;
    insert(reader, kind, other.lsn(), other.since_ns());
    return true;
  }
  /// From now on the background does not know it.
  void remove(RegisteredReader* reader) EXCLUDES(mutex_);

  /// What flush and merge keep for: the LSNs of those that were not given up, ascending.
  std::vector<uint64_t> list() const EXCLUDES(mutex_);
  /// The oldest LSN of a transaction that was not given up, UINT64_MAX if there is none: whatever is newer
  /// for a key, removals included, stays to be found (commit_checked.cc). A flush or merge asks after list().
  uint64_t oldest_checked() const EXCLUDES(mutex_);
  /// Of those that were not given up.
  uint64_t count() const EXCLUDES(mutex_);
  /// Own memory of readers, about.
  uint64_t memory_bytes() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return count_ * kReaderBytes + bytes_;
  }
  /// A reader as it is now.
  struct Seen {
    ReaderKind kind = ReaderKind::snapshot;
    uint64_t lsn = 0;
    uint64_t since_ns = 0;
    bool too_old = false;
    std::shared_ptr<const View> view;    // that a cursor reads; may be null
    std::shared_ptr<const void> pinned;  // what one that stands still keeps
    uint64_t pinned_bytes = 0;
  };
  std::vector<Seen> all() const EXCLUDES(mutex_);

  /// Gives up those that were made at `since_ns` or before; since when the oldest of the others is there,
  /// UINT64_MAX if there is none.
  uint64_t give_up(uint64_t since_ns) EXCLUDES(mutex_);
  void give_up_one(RegisteredReader* reader) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    give_up_registered(reader);
  }

  /// In a step of a cursor: it holds `view` from now on, and so much memory of its own.
  void attach(RegisteredReader* reader, IdleCursor* cursor, const std::shared_ptr<const View>& view,
              uint64_t bytes) EXCLUDES(mutex_);
  /// Until the background has left the cursors alone.
  void wait_for_turn() EXCLUDES(mutex_) { const MutexLock lock(mutex_); }
  /// Does a cursor hold a View other than number `sequence`?
  bool views_left(uint64_t sequence) const EXCLUDES(mutex_);
  /// Takes what they do not need from cursors that made no step since the last call and hold a View other
  /// than number `sequence`, and from those that were given up. `more`: others are left that hold such a
  /// View.
  std::vector<IdleCursor::Left> take_from_idle(uint64_t sequence, bool* more) EXCLUDES(mutex_);

  // Moments by which cursors judge what has expired, and the times by which flushes and merges do (purges).
  // No purge is by a time above the moment of a cursor: a moment that comes meanwhile is at least that time,
  // and when a purge ends, the clock is at least at all that it gave up.
  /// Until remove_moment(), or the reader is removed or given up.
  template <typename Fn>
  uint64_t add_moment(RegisteredReader* reader, Fn&& now) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const uint64_t moment = std::max(now(), purges_.empty() ? 0 : purges_.rbegin()->first);
    if (reader->too_old()) return moment;
    ++moments_[moment];
    reader->moment_ = moment;
    return moment;
  }
  void remove_moment(RegisteredReader* reader) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    forget_moment(reader);
  }
  template <typename Fn>
  uint64_t begin_purge(Fn&& now) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const uint64_t time = purge_time(now());
    ++purges_[time];
    return time;
  }
  void end_purge(uint64_t time) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    remove_one(time, &purges_);
  }
  /// By which time a purge would be now.
  uint64_t next_purge(uint64_t now) const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return purge_time(now);
  }

 private:
  void insert(RegisteredReader* reader, ReaderKind kind, uint64_t lsn, uint64_t since_ns) REQUIRES(mutex_);
  /// Calls `fn(reader)` for each, oldest registration first.
  template <typename Fn>
  void for_each(Fn&& fn) const REQUIRES(mutex_) {
    for (RegisteredReader* at = first_; at != nullptr; at = at->after_) fn(*at);
  }
  uint64_t purge_time(uint64_t now) const REQUIRES(mutex_) {
    return moments_.empty() ? now : std::min(now, moments_.begin()->first);
  }
  void give_up_registered(RegisteredReader* reader) REQUIRES(mutex_) {
    reader->too_old_.store(true, std::memory_order_release);
    forget_moment(reader);
  }
  void forget_moment(RegisteredReader* reader) REQUIRES(mutex_) {
    if (reader->moment_ != 0) remove_one(std::exchange(reader->moment_, 0), &moments_);
  }
  static void remove_one(uint64_t time, std::map<uint64_t, uint64_t>* times) {
    const auto found = times->find(time);
    if (--found->second == 0) times->erase(found);
  }

  /// About, with what its owner has beside it.
  static constexpr uint64_t kReaderBytes = 640;

  void count(RegisteredReader* reader, uint64_t bytes) REQUIRES(mutex_) {
    bytes_ += bytes - reader->bytes_;
    reader->bytes_ = bytes;
  }

  mutable Mutex mutex_;
  uint64_t bytes_ GUARDED_BY(mutex_) = 0;  // of all readers
  uint64_t added_ GUARDED_BY(mutex_) = 0;
  uint64_t count_ GUARDED_BY(mutex_) = 0;
  RegisteredReader* first_ GUARDED_BY(mutex_) = nullptr;
  RegisteredReader* last_ GUARDED_BY(mutex_) = nullptr;
  std::map<uint64_t, uint64_t> moments_ GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> purges_ GUARDED_BY(mutex_);
};

}  // namespace lightning
