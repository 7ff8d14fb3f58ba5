// Background: the engine's tasks on the Env's executor, counted so that closing can wait for them.
//
// What a task schedules is not lost where the executor refuses it: it is asked for again from time to time,
// and behind each task's end, until it is taken.
// Thread safety: internally synchronised.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"

namespace lightning {

class Background {
 public:
  explicit Background(Executor& executor) : state_(std::make_shared<State>(executor)) {}

  /// Runs `task` once in the background; false when nothing more is taken (closing) or the executor refuses
  /// what no task of this Background schedules.
  bool run(Lane lane, std::function<void()> task) { return run_after(lane, 0, std::move(task)); }
  /// Not before `delay_ns` have passed. Closing does not wait for it: it may come later and then finds itself
  /// stopped. `keep`: whoever schedules it, and is not told whether it was refused.
  bool run_after(Lane lane, uint64_t delay_ns, std::function<void()> task, bool keep = false);
  /// Takes no further task and waits until those that run have ended.
  void stop();

 private:
  // Kinds of tasks are fewer, but for the builds of indexes.
  static constexpr size_t kRefusedMax = 32;

  struct Task {
    Lane lane;
    uint64_t delay_ns;
    std::function<void()> run;
  };
  // Outlives the engine: a delayed task that comes after the end finds `stopped`.
  struct State {
    explicit State(Executor& given) : executor(given) { refused.reserve(kRefusedMax); }

    Executor& executor;
    Mutex mutex;
    CondVar changed;  // none runs any more, or `stopped`
    uint64_t running GUARDED_BY(mutex) = 0;
    bool stopped GUARDED_BY(mutex) = false;
    std::vector<Task> refused GUARDED_BY(mutex);
    bool asking GUARDED_BY(mutex) = false;      // a thread asks again
    bool asks_later GUARDED_BY(mutex) = false;  // a task is queued behind which one will
  };
  static bool schedule(const std::shared_ptr<State>& state, const Task& task);
  static void run(const std::shared_ptr<State>& state, const Task& task);
  static void ask_again(const std::shared_ptr<State>& state, Lane lane) REQUIRES(state->mutex);
  static bool ask_later(const std::shared_ptr<State>& state, Lane lane) REQUIRES(state->mutex);

  const std::shared_ptr<State> state_;
};

}  // namespace lightning
