#include "engine/background.h"

#include <new>
#include <utility>

namespace lightning {

namespace {
constexpr uint64_t kAskNs = 10'000'000;
thread_local const void* t_state = nullptr;  // of the Background whose task this thread runs
}  // namespace

bool Background::run_after(Lane lane, uint64_t delay_ns, std::function<void()> task, bool keep) {
  {
    MutexLock lock(state_->mutex);
    if (state_->stopped) return false;
  }
  Task wanted{.lane = lane, .delay_ns = delay_ns, .run = std::move(task)};
  if (schedule(state_, wanted)) return true;
  if (!keep && t_state != state_.get()) return false;
  MutexLock lock(state_->mutex);
  if (state_->refused.size() == kRefusedMax) return false;
  state_->refused.push_back(std::move(wanted));
  ask_later(state_, lane);
  return true;
}

bool Background::schedule(const std::shared_ptr<State>& state, const Task& task) {
  try {
    const auto counted = [state, task] { run(state, task); };
    return state->executor.schedule(task.lane, task.delay_ns, counted).ok();
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Background::run(const std::shared_ptr<State>& state, const Task& task) {
  {
    MutexLock lock(state->mutex);
    if (state->stopped) return;
    ++state->running;
  }
  t_state = state.get();
  try {
    task.run();
  } catch (const std::bad_alloc&) {
    // Tasks that somebody relies on catch it themselves; the others are tried again by whoever needs them
    // next.
  }
  t_state = nullptr;
  MutexLock lock(state->mutex);
  if (!state->asking) ask_again(state, task.lane);
  if (--state->running == 0) state->changed.notify_all();
}

// For each once. Others of the lane come between two rounds, where there is memory for that.
void Background::ask_again(const std::shared_ptr<State>& state, Lane lane) {
  state->asking = true;
  for (;;) {
    for (size_t at = 0; at < state->refused.size() && !state->stopped;) {
      // Stays where it is: others add behind it, in the room that there is.
      const Task& next = state->refused[at];
      state->mutex.unlock();
      const bool taken = schedule(state, next);
      state->mutex.lock();
      if (taken) {
        state->refused.erase(state->refused.begin() + static_cast<ptrdiff_t>(at));
      } else {
        ++at;
      }
    }
    if (state->refused.empty() || state->stopped || ask_later(state, lane)) break;
    state->changed.wait(state->mutex, kAskNs);
  }
  state->asking = false;
}

// By the end of a task that does nothing else.
bool Background::ask_later(const std::shared_ptr<State>& state, Lane lane) {
  if (state->asks_later) return true;
  state->asks_later = true;
  const auto asked = [of = state.get()] {
    MutexLock lock(of->mutex);
    of->asks_later = false;
  };
  state->mutex.unlock();
  const bool taken = schedule(state, {.lane = lane, .delay_ns = kAskNs, .run = asked});
  state->mutex.lock();
  if (!taken) state->asks_later = false;
  return taken;
}

void Background::stop() {
  MutexLock lock(state_->mutex);
  state_->stopped = true;
  state_->changed.notify_all();
  while (state_->running != 0) state_->changed.wait(state_->mutex);
}

}  // namespace lightning
