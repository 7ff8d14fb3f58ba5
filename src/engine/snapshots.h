// Snapshots: the registered read LSNs of a database. What a registered reader sees is kept by flush and merge
// (I6).
//
// A reader takes its LSN under the registry's lock, so that a flush which reads the list under the same lock
// either finds it or has all its inputs below it.
// Thread safety: internally synchronised.
#pragma once

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
  mutable Mutex mutex_;
  std::map<uint64_t, uint64_t> counts_ GUARDED_BY(mutex_);
};

}  // namespace lightning
