// SimScheduler: real threads that run one at a time, in an order that a seed decides, on a clock that is
// virtual.
//
// The thread that makes a scheduler is its thread "main"; spawned threads and background tasks join it.
// Exactly one runs at any time and hands the right to run on at yield points: step() (each Env call and
// interleave point, by chance), park(), yield(), the end of a thread. Two runs with one seed make the same
// decisions, which trace_hash() shows.
//
// Time passes by a fixed amount at each step and leaps to the next timeout when nobody can run. If there is
// none, the threads are deadlocked: run() reports it when main waits there, else the process ends with a list
// of who waits. Tasks of a lane run on a bounded number of threads, as in a real pool, so that a task which
// waits for one that is queued behind it is found.
//
// Schedulers nest: one made while another runs (to check a crash image at a step of the outer run) borrows
// its thread until destroyed. Code that is inside an epoch at that moment keeps epoch_drain() of the inner
// run waiting for ever: collect moments there and check them afterwards. Costs: a step without a switch about
// 20 ns, a switch 5 to 10 us. Thread safety: all calls by threads of the simulation.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "io/env.h"

namespace lightning {

class SimScheduler {
 public:
  struct Options {
    uint64_t seed = 1;
    double switch_probability = 1.0 / 16;  // at a step
    double spurious_wake_probability = 1.0 / 32;
    uint32_t threads_per_lane = 2;
    uint64_t step_ns = 1000;
  };

  explicit SimScheduler(const Options& options);
  /// Runs what is left of tasks and spawned threads first. Stuck threads, and what they use, are left behind.
  ~SimScheduler();
  SimScheduler(const SimScheduler&) = delete;
  SimScheduler& operator=(const SimScheduler&) = delete;

  /// Adds a thread that begins to run at some later yield point.
  void spawn(std::string name, std::function<void()> body);
  /// Main waits until every spawned thread has ended. An error describes a deadlock.
  Status run();
  /// Main waits until no other thread or task can run before time passes.
  Status run_until_idle();
  /// Main sleeps for `ns` of virtual time while others run.
  void sleep(uint64_t ns);
  void add_task(Lane lane, uint64_t delay_ns, std::function<void()> task);
  /// Tasks that have not begun.
  uint64_t queued_tasks() const;

  /// A yield point with a name and a number, both part of the trace.
  void step(std::string_view what, uint64_t detail);
  /// `handler` is called at interleave points in place of step(what, 0).
  void on_interleave(std::function<void(const char* step)> handler);

  uint64_t now_ns() const;
  void advance_ns(uint64_t ns);
  uint64_t steps() const;
  uint64_t switches() const;
  uint64_t trace_hash() const;
  const std::string& current_name() const;

 private:
  friend class SimThread;
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace lightning
