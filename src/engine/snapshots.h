// Snapshots: the registered read LSNs of a database. What a registered reader sees is kept by flush and merge
// (I6).
//
// A reader takes its LSN under the registry's lock, so that a flush which reads the list under the same lock
// either finds it or has all its inputs below it.
// Thread safety: internally synchronised.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "base/mutex.h"

namespace lightning {

class Snapshots {
 public:
  /// Registers what `read_lsn()` answers under the lock.
  template <typename Fn>
  uint64_t add(Fn&& read_lsn) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const uint64_t lsn = read_lsn();
    ++counts_[lsn];
    return lsn;
  }
  /// Registers once more an LSN that is registered.
  void add_again(uint64_t lsn) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++counts_[lsn];
  }
  void remove(uint64_t lsn) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const auto found = counts_.find(lsn);
    if (--found->second == 0) counts_.erase(found);
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

  /// The registered LSNs, ascending.
  std::vector<uint64_t> list() const EXCLUDES(mutex_) {
    std::vector<uint64_t> lsns;
    MutexLock lock(mutex_);
    for (const auto& [lsn, count] : counts_) lsns.push_back(lsn);
    return lsns;
  }
  uint64_t count() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    uint64_t total = 0;
    for (const auto& [lsn, count] : counts_) total += count;
    return total;
  }

 private:
  uint64_t purge_time(uint64_t now) const REQUIRES(mutex_) {
    return moments_.empty() ? now : std::min(now, moments_.begin()->first);
  }
  static void remove_one(uint64_t time, std::map<uint64_t, uint64_t>* times) {
    const auto found = times->find(time);
    if (--found->second == 0) times->erase(found);
  }

  mutable Mutex mutex_;
  std::map<uint64_t, uint64_t> counts_ GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> moments_ GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> purges_ GUARDED_BY(mutex_);
};

}  // namespace lightning
