// LongCalls: calls that write or read files of the database on their own for long: copies, ingestions.
// Counted, so that close() can wait for them: they ask now and then whether the database is closed.
//
// Thread safety: internally synchronised.
#pragma once

#include <cstdint>

#include "base/mutex.h"

namespace lightning {

class LongCalls {
 public:
  /// One of them; whoever makes it asks afterwards whether the database is closed.
  class Call {
   public:
    explicit Call(LongCalls& calls) : calls_(calls) {
      MutexLock lock(calls_.mutex_);
      ++calls_.count_;
    }
    ~Call() {
      MutexLock lock(calls_.mutex_);
      if (--calls_.count_ == 0) calls_.none_.notify_all();
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    LongCalls& calls_;
  };

  /// The database is closed for all that come: returns once there is none.
  void wait_for_all() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (count_ != 0) none_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar none_;
  uint64_t count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace lightning
