// HeldMemory: memtables that no View names any more and somebody still holds: a flush that is about to end, a
// reader, a Value that refers to the log's memory. They count until they are gone.
//
// Thread safety: internally synchronised.
#pragma once

#include <memory>
#include <vector>

#include "base/mutex.h"
#include "view/view.h"

namespace lightning {

class HeldMemory {
 public:
  /// So that as many add() cannot fail.
  void reserve(size_t more) {
    MutexLock lock(mutex_);
    sources_.reserve(sources_.size() + more);
  }
  void add(const MemSource& source) {
    MutexLock lock(mutex_);
    sources_.push_back({source.segment, source.table});
  }
  uint64_t bytes() {
    MutexLock lock(mutex_);
    uint64_t bytes = 0;
    std::erase_if(sources_, [&](const Source& source) {
      const std::shared_ptr<const Segment> segment = source.segment.lock();
      const std::shared_ptr<const MemTable> table = source.table.lock();
      if (segment != nullptr) bytes += segment->memory_bytes();
      if (table != nullptr) bytes += table->index_bytes();
      return segment == nullptr && table == nullptr;
    });
    return bytes;
  }

 private:
  struct Source {
    std::weak_ptr<const Segment> segment;
    std::weak_ptr<const MemTable> table;
  };

  Mutex mutex_;
  std::vector<Source> sources_ GUARDED_BY(mutex_);
};

}  // namespace lightning
