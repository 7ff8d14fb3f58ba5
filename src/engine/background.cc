#include "engine/background.h"

#include <new>

namespace lightning {

bool Background::run_after(Lane lane, uint64_t delay_ns, std::function<void()> task) {
  {
    MutexLock lock(state_->mutex);
    if (state_->stopped) return false;
  }
  const auto counted = [state = state_, task = std::move(task)] {
    {
      MutexLock lock(state->mutex);
      if (state->stopped) return;
      ++state->running;
    }
    try {
      task();
    } catch (const std::bad_alloc&) {
      // Tasks that somebody relies on catch it themselves; the others are tried again by whoever needs them
      // next.
    }
    MutexLock lock(state->mutex);
    if (--state->running == 0) state->idle.notify_all();
  };
  try {
    return executor_.schedule(lane, delay_ns, counted).ok();
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Background::stop() {
  MutexLock lock(state_->mutex);
  state_->stopped = true;
  while (state_->running != 0) state_->idle.wait(state_->mutex);
}

}  // namespace lightning
