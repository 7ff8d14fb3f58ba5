// Compactions: the ranges of keys that the background was asked to compact and has not begun.
//
// Bounded: a range within another one is no further one, and where there are many they become one, of all
// keys between their bounds.
// Thread safety: internally synchronised.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "compaction/policy.h"

namespace lightning {

class Compactions {
 public:
  /// Internal keys, as in KeySpan.
  struct Range {
    std::string from;
    std::string to;

    KeySpan span() const { return {.from = from, .to = to}; }
    bool operator==(const Range&) const = default;
  };

  /// Throws std::bad_alloc, and then has changed nothing.
  void add(Range range) EXCLUDES(mutex_);
  bool empty() const { return count_.load(std::memory_order_acquire) == 0; }
  /// Not of an empty one. It stays until remove().
  Range first() const EXCLUDES(mutex_);
  /// Not what it has become part of meanwhile.
  void remove(const Range& range) EXCLUDES(mutex_);

 private:
  static constexpr size_t kRangesMax = 64;

  mutable Mutex mutex_;
  std::vector<Range> ranges_ GUARDED_BY(mutex_);
  std::atomic<size_t> count_{0};  // of ranges_
};

}  // namespace lightning
