// Background threads of the process: one for quick tasks, a few for slow ones, a few for merges.
//
// Threads start when a task finds none that waits, and never end: tasks belong to databases, which wait for
// theirs before they go. In a forked child, which has none of the threads, schedule() answers closed.
//
// Invariants
//  X1  Tasks of a lane start in the order of their due times; of equal ones, in the order of schedule().
//  X2  All signals are blocked in our threads but those that a thread raises itself: the program's handlers
//  run in the
//      program's threads.
// Thread safety: any thread, tasks too.
// Costs: a stack of 512 KiB a thread, of which a few pages are touched. The number of tasks is bounded by
// their owners.
#pragma once

#include <functional>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"

namespace lightning {

class PosixExecutor final : public Executor {
 public:
  explicit PosixExecutor(Clock& clock);

  Status schedule(Lane lane, uint64_t delay_ns, std::function<void()> task) override;

 private:
  struct Task {
    uint64_t due_ns;
    uint64_t sequence;
    std::function<void()> run;
  };

  // A queue and its threads.
  class LanePool {
   public:
    LanePool(Clock& clock, const char* thread_name, int threads_max)
        : clock_(clock), thread_name_(thread_name), threads_max_(threads_max) {}
    Status add(uint64_t delay_ns, std::function<void()> task);
    /// Starts one, if there is none.
    bool has_thread();

   private:
    static void* thread_main(void* pool);
    Status start_thread() REQUIRES(mutex_);
    Task take() EXCLUDES(mutex_);

    Clock& clock_;
    const char* const thread_name_;
    const int threads_max_;
    Mutex mutex_;
    CondVar changed_;
    std::vector<Task> tasks_ GUARDED_BY(mutex_);  // a heap, earliest first
    uint64_t next_sequence_ GUARDED_BY(mutex_) = 0;
    int threads_ GUARDED_BY(mutex_) = 0;
    int waiting_ GUARDED_BY(mutex_) = 0;
  };

  LanePool quick_;
  LanePool slow_;
  LanePool merge_;
};

}  // namespace lightning
