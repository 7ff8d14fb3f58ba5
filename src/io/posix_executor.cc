#include "io/posix_executor.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <new>

#include "io/machine_limits.h"
#include "io/posix_status.h"
#include "io/process_word.h"

namespace lightning {

namespace {

constexpr size_t kStackBytes = size_t{512} << 10;
constexpr int kLaneThreadsMin = 3;
constexpr int kLaneThreadsMax = 4;

// Of slow tasks and of merges. One core is left to the program; but a flush and the build of an index never
// hold up the sync of what a program wrote.
int lane_threads() {
  return std::clamp(static_cast<int>(machine_processors()) - 1, kLaneThreadsMin, kLaneThreadsMax);
}

// For the heap functions, which put the largest first.
constexpr auto kRunsLater = [](const auto& a, const auto& b) {
  return a.due_ns != b.due_ns ? a.due_ns > b.due_ns : a.sequence > b.sequence;
};

sigset_t signals_of_others() {
  sigset_t signals;
  sigfillset(&signals);
  for (int raised_by_the_thread : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    sigdelset(&signals, raised_by_the_thread);
  }
  return signals;
}

}  // namespace

PosixExecutor::PosixExecutor(Clock& clock)
    : quick_(clock, "lightning-quick", 1),
      slow_(clock, "lightning-slow", lane_threads()),
      merge_(clock, "lightning-merge", lane_threads()) {}

Status PosixExecutor::schedule(Lane lane, uint64_t delay_ns, std::function<void()> task) {
  if (in_forked_child()) return Status(StatusCode::closed, "a forked process has no background threads");
  if (lane == Lane::quick) return quick_.add(delay_ns, std::move(task));
  // Where no thread is to be had for merges, those of slow tasks make them, too.
  const bool merges = lane == Lane::merge && merge_.has_thread();
  return (merges ? merge_ : slow_).add(delay_ns, std::move(task));
}

bool PosixExecutor::LanePool::has_thread() {
  MutexLock lock(mutex_);
  return threads_ != 0 || start_thread().ok();
}

Status PosixExecutor::LanePool::add(uint64_t delay_ns, std::function<void()> task) {
  const uint64_t now = clock_.monotonic_ns();
  const uint64_t due = delay_ns > UINT64_MAX - now ? UINT64_MAX : now + delay_ns;
  MutexLock lock(mutex_);
  // Queued tasks that are due may outnumber the threads that wait: then one more thread helps.
  if (static_cast<size_t>(waiting_) <= tasks_.size() && threads_ < threads_max_) {
    Status started = start_thread();
    if (!started.ok() && threads_ == 0) return started;
  }
  try {
    tasks_.push_back({due, next_sequence_, std::move(task)});
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "no memory to schedule a task");
  }
  ++next_sequence_;
  std::push_heap(tasks_.begin(), tasks_.end(), kRunsLater);
  changed_.notify_one();
  return Status();
}

Status PosixExecutor::LanePool::start_thread() {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return Status(StatusCode::out_of_memory, "no memory for a thread");
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  const sigset_t blocked = signals_of_others();
  pthread_attr_setsigmask_np(&attributes, &blocked);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, thread_main, this);
  pthread_attr_destroy(&attributes);
  if (error != 0) return status_of_errno(error, "start a thread", {});
  ++threads_;
  return Status();
}

void* PosixExecutor::LanePool::thread_main(void* pool_of_thread) {
  LanePool& pool = *static_cast<LanePool*>(pool_of_thread);
  pthread_setname_np(pthread_self(), pool.thread_name_);
  for (;;) pool.take().run();
}

PosixExecutor::Task PosixExecutor::LanePool::take() {
  MutexLock lock(mutex_);
  for (;;) {
    uint64_t timeout_ns = kParkForever;
    if (!tasks_.empty()) {
      const uint64_t now = clock_.monotonic_ns();
      if (tasks_.front().due_ns <= now) break;
      timeout_ns = tasks_.front().due_ns - now;
    }
    ++waiting_;
    changed_.wait(mutex_, timeout_ns);
    --waiting_;
  }
  std::pop_heap(tasks_.begin(), tasks_.end(), kRunsLater);
  Task task = std::move(tasks_.back());
  tasks_.pop_back();
  // Of the threads that wait perhaps this one alone knew when the next task is due.
  if (!tasks_.empty() && waiting_ > 0) changed_.notify_one();
  return task;
}

}  // namespace lightning
