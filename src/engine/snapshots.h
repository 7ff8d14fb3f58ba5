// Snapshots: the registered readers of a database: snapshots and cursors. What a registered reader sees is
// kept by flush and merge (I6), until it is given up for its age.
//
// A reader takes its LSN under the registry's lock, so that a flush which reads the list under the same lock
// either finds it or has all its inputs below it. A reader that was given up knows it no later than a View
// from which something that it sees is missing: it asks too_old() after it has loaded a View.
// Thread safety: internally synchronised.
// Ownership: a registration belongs to whoever added it, until remove().
#pragma once

#include <lightning/stats.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "engine/turn.h"
#include "view/merge_cursor.h"
#include "view/view.h"

namespace lightning {

/// What a cursor leaves to the background: what it does not need as long as it stands still.
class IdleCursor {
 public:
  /// It is the background's turn: gives up the View and all sources but the one under the present entry. What
  /// is answered is destroyed outside of every lock; null: there was nothing to be given up.
  virtual std::unique_ptr<MergeCursor> leave_view(std::shared_ptr<const View>* view) = 0;

 protected:
  ~IdleCursor() = default;
};

class RegisteredReader {
 public:
  RegisteredReader(ReaderKind kind, uint64_t lsn, uint64_t since_ns)
      : kind_(kind), lsn_(lsn), since_ns_(since_ns) {}

  ReaderKind kind() const { return kind_; }
  uint64_t lsn() const { return lsn_; }
  uint64_t since_ns() const { return since_ns_; }
  bool too_old() const { return too_old_.load(std::memory_order_acquire); }
  Turn& turn() { return turn_; }

 private:
  friend class Snapshots;

  const ReaderKind kind_;
  const uint64_t lsn_;
  const uint64_t since_ns_;
  std::atomic<bool> too_old_{false};  // set under the registry's lock; partner: a View that is loaded before
  Turn turn_;
  // Of a cursor; by the registry's lock.
  IdleCursor* cursor_ = nullptr;
  std::weak_ptr<const View> view_;
  std::list<RegisteredReader>::iterator place_;
  uint64_t word_seen_ = UINT64_MAX;
};

class Snapshots {
 public:
  /// Registers a reader of what `read_lsn()` answers under the lock.
  template <typename Fn>
  RegisteredReader* add(ReaderKind kind, uint64_t now_ns, Fn&& read_lsn) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return insert(kind, read_lsn(), now_ns);
  }
  /// Registers another reader of what `reader` reads, as old as it is; null: it was given up.
  RegisteredReader* add_again(ReaderKind kind, const RegisteredReader& reader) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return reader.too_old() ? nullptr : insert(kind, reader.lsn(), reader.since_ns());
  }
  /// From now on the background does not know it.
  void remove(RegisteredReader* reader) EXCLUDES(mutex_) {
    std::list<RegisteredReader> removed;  // freed behind the lock
    MutexLock lock(mutex_);
    if (reader->kind_ == ReaderKind::cursor) cursors_.fetch_sub(1, std::memory_order_relaxed);
    removed.splice(removed.begin(), readers_, reader->place_);
  }

  /// What flush and merge keep for: the LSNs of those that were not given up, ascending.
  std::vector<uint64_t> list() const EXCLUDES(mutex_) {
    std::vector<uint64_t> lsns;
    {
      MutexLock lock(mutex_);
      lsns.reserve(readers_.size());
      for (const RegisteredReader& reader : readers_) {
        if (!reader.too_old()) lsns.push_back(reader.lsn());
      }
    }
    std::sort(lsns.begin(), lsns.end());
    lsns.erase(std::unique(lsns.begin(), lsns.end()), lsns.end());
    return lsns;
  }
  /// Of those that were not given up.
  uint64_t count() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return static_cast<uint64_t>(std::count_if(readers_.begin(), readers_.end(),
                                               [](const auto& reader) { return !reader.too_old(); }));
  }
  bool has_cursors() const { return cursors_.load(std::memory_order_relaxed) != 0; }
  /// Calls `fn` with each that was not given up and the View that it holds, which may be null.
  template <typename Fn>
  void for_each(Fn&& fn) const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (const RegisteredReader& reader : readers_) {
      if (!reader.too_old()) fn(reader, reader.view_);
    }
  }

  /// Gives up those that were made before `since_ns`.
  void give_up(uint64_t since_ns) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (RegisteredReader& reader : readers_) {
      if (reader.since_ns() < since_ns) reader.too_old_.store(true, std::memory_order_release);
    }
  }

  /// In a step of a cursor: it now holds `view`.
  void attach(RegisteredReader* reader, IdleCursor* cursor, const std::shared_ptr<const View>& view)
      EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    reader->cursor_ = cursor;
    reader->view_ = view;
  }
  /// Until the background has left the cursors alone.
  void wait_for_turn() EXCLUDES(mutex_) { const MutexLock lock(mutex_); }

  /// What cursors have left.
  struct Left {
    std::shared_ptr<const View> view;
    std::unique_ptr<MergeCursor> merge;
  };
  /// Takes from cursors that made no step since the last call what they do not need to stand still, if they
  /// hold a View other than number `sequence` or were given up. `more`: there are others that hold such a
  /// View.
  std::vector<Left> take_from_idle(uint64_t sequence, bool* more) EXCLUDES(mutex_) {
    std::vector<Left> left;
    MutexLock lock(mutex_);
    left.reserve(readers_.size());  // behind take() nothing may fail
    for (RegisteredReader& reader : readers_) {
      const std::shared_ptr<const View> view = reader.view_.lock();
      if (view == nullptr || (view->sequence == sequence && !reader.too_old())) continue;
      const uint64_t word = reader.turn_.word();
      const bool stood = word == reader.word_seen_ || reader.too_old();
      reader.word_seen_ = word;
      if (!stood || !reader.turn_.take(word)) {
        *more = true;
        continue;
      }
      Left& one = left.emplace_back();
      one.merge = reader.cursor_->leave_view(&one.view);
      reader.view_.reset();
      reader.turn_.give();
    }
    return left;
  }

  // Moments by which cursors judge what has expired, and the times by which flushes and merges do (purges).
  // No purge is by a time above the moment of a cursor: a moment that comes meanwhile is at least that time,
  // and when a purge ends, the clock is at least at all that it gave up.
  template <typename Fn>
  uint64_t add_moment(Fn&& now) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const uint64_t moment = std::max(now(), purges_.empty() ? 0 : purges_.rbegin()->first);
    ++moments_[moment];
    return moment;
  }
  void remove_moment(uint64_t moment) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    remove_one(moment, &moments_);
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
  RegisteredReader* insert(ReaderKind kind, uint64_t lsn, uint64_t since_ns) REQUIRES(mutex_) {
    RegisteredReader& reader = readers_.emplace_back(kind, lsn, since_ns);
    reader.place_ = std::prev(readers_.end());
    if (kind == ReaderKind::cursor) cursors_.fetch_add(1, std::memory_order_relaxed);
    return &reader;
  }
  uint64_t purge_time(uint64_t now) const REQUIRES(mutex_) {
    return moments_.empty() ? now : std::min(now, moments_.begin()->first);
  }
  static void remove_one(uint64_t time, std::map<uint64_t, uint64_t>* times) {
    const auto found = times->find(time);
    if (--found->second == 0) times->erase(found);
  }

  mutable Mutex mutex_;
  std::list<RegisteredReader> readers_ GUARDED_BY(mutex_);
  std::atomic<uint64_t> cursors_{0};  // how many of them
  std::map<uint64_t, uint64_t> moments_ GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> purges_ GUARDED_BY(mutex_);
};

}  // namespace lightning
