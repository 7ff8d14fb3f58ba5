// Background: the engine's tasks on the Env's executor, counted so that closing can wait for them.
//
// Thread safety: internally synchronised.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/mutex.h"
#include "io/env.h"

namespace lightning {

class Background {
 public:
  explicit Background(Executor& executor) : executor_(executor) {}

  /// Runs `task` once in the background; false when nothing more is taken (closing) or the executor refuses.
  bool run(Lane lane, std::function<void()> task) { return run_after(lane, 0, std::move(task)); }
  /// Not before `delay_ns` have passed. Closing does not wait for it: it may come later and then finds itself
  /// stopped.
  bool run_after(Lane lane, uint64_t delay_ns, std::function<void()> task);
  /// Takes no further task and waits until those that run have ended.
  void stop();

 private:
  // Outlives the engine: a delayed task that comes after the end finds `stopped`.
  struct State {
    Mutex mutex;
    CondVar idle;
    uint64_t running GUARDED_BY(mutex) = 0;
    bool stopped GUARDED_BY(mutex) = false;
  };
  Executor& executor_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace lightning
