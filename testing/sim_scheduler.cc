#include "testing/sim_scheduler.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/park.h"
#include "base/thread_slot.h"
#include "testing/allocation_truce.h"
#include "testing/random.h"
#include "testing/worker_pool.h"

namespace lightning {

namespace {

constexpr uint64_t kNever = UINT64_MAX;
// After so many yields in a row by a thread that has nobody to yield to, time leaps to the next timeout.
constexpr uint64_t kLoneYieldsMax = 64;
// So many yields without any other step are a livelock.
constexpr uint64_t kIdleYieldsMax = 20'000'000;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "simulation stopped: %s\n", why.c_str());
  std::abort();
}

}  // namespace

class SimThread final : public Parker {
 public:
  enum class State { runnable, parked, waiting };  // waiting: main, for Core::main_waits_for

  SimThread(SimScheduler::Core& core, std::string name, uint64_t id, std::function<void()> body)
      : core_(core), name_(std::move(name)), id_(id), body_(std::move(body)) {}

  void park(const std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) override;
  void unpark(const std::atomic<uint32_t>& word, int count) override;
  void yield() override;
  void interleave(const char* step) override;

  const std::string& name() const { return name_; }
  void set_spawned() { spawned_ = true; }

 private:
  friend struct SimScheduler::Core;

  SimScheduler::Core& core_;
  const std::string name_;
  const uint64_t id_;
  std::function<void()> body_;
  bool started_ = false;
  bool spawned_ = false;     // by a test; else main or a task
  Lane lane_ = Lane::quick;  // of a task
  State state_ = State::runnable;
  const void* word_ = nullptr;     // parked at
  uint64_t deadline_ns_ = kNever;  // parked until
  std::atomic<uint32_t> turn_{0};  // 1: may run; partner: Core::hand_over()
};

struct SimScheduler::Core {
  struct Task {
    uint64_t id;
    Lane lane;
    uint64_t ready_ns;
    std::function<void()> body;
  };
  enum class MainWait { nothing, spawned_end, all_end, idle };

  explicit Core(const Options& given)
      : options(given),
        random(given.seed),
        main(*this, "main", 0, nullptr),
        outer_parker(this_thread_parker()) {
    main.started_ = true;
    set_this_thread_parker(&main);
  }

  // --- the trace
  void trace(uint64_t a, uint64_t b) { hash = mix_seed(hash, mix_seed(a, b)); }

  void check_caller() const {
    if (this_thread_parker() != current) [[unlikely]]
      stop("a call by a thread that is not the running one");
  }

  // --- who runs next
  bool can_run(const SimThread& thread) const {
    if (thread.state_ == SimThread::State::runnable) return true;
    if (thread.state_ == SimThread::State::parked) return thread.deadline_ns_ <= now_ns;
    return (main_wait == MainWait::spawned_end && spawned == 0) ||
           (main_wait == MainWait::all_end && threads.empty() && tasks.empty());
  }
  bool can_start(const Task& task) const {
    return task.ready_ns <= now_ns && lane_threads[static_cast<size_t>(task.lane)] < options.threads_per_lane;
  }

  /// Chooses among all that can run, `except` left out if anybody else can. Null: deadlock.
  SimThread* pick(SimThread* except) {
    for (;;) {
      ready_threads.clear();
      ready_tasks.clear();
      if (&main != except && can_run(main)) ready_threads.push_back(&main);
      for (const auto& thread : threads) {
        if (thread.get() != except && can_run(*thread)) ready_threads.push_back(thread.get());
      }
      for (size_t i = 0; i < tasks.size(); ++i) {
        if (can_start(tasks[i])) ready_tasks.push_back(i);
      }
      const uint64_t ready = ready_threads.size() + ready_tasks.size();
      if (ready > 0) {
        const uint64_t chosen = ready == 1 ? 0 : random.below(ready);
        if (chosen < ready_threads.size()) return ready_threads[chosen];
        return thread_of_task(ready_tasks[chosen - ready_threads.size()]);
      }
      if (except != nullptr) return except;
      if (main_wait == MainWait::idle) return &main;
      if (!leap()) return nullptr;
    }
  }

  SimThread* thread_of_task(size_t index) {
    Task task = std::move(tasks[index]);
    tasks.erase(tasks.begin() + static_cast<ptrdiff_t>(index));
    auto thread =
        std::make_unique<SimThread>(*this, "task " + std::to_string(task.id), task.id, std::move(task.body));
    thread->lane_ = task.lane;
    ++lane_threads[static_cast<size_t>(task.lane)];
    threads.push_back(std::move(thread));
    return threads.back().get();
  }

  /// Moves the clock to the next timeout or task. False: there is none.
  bool leap() {
    uint64_t next = main.state_ == SimThread::State::parked ? main.deadline_ns_ : kNever;
    for (const auto& thread : threads) {
      if (thread->state_ == SimThread::State::parked) next = std::min(next, thread->deadline_ns_);
    }
    for (const Task& task : tasks) {
      if (lane_threads[static_cast<size_t>(task.lane)] < options.threads_per_lane)
        next = std::min(next, task.ready_ns);
    }
    if (next == kNever) return false;
    now_ns = std::max(now_ns, next);
    return true;
  }

  SimThread* pick_or_report(SimThread* except) {
    if (SimThread* next = pick(except)) return next;
    deadlock = who_waits();
    if (main.state_ != SimThread::State::waiting) stop(deadlock);
    return &main;
  }

  std::string who_waits() const {
    std::string text = "deadlock: nobody can run";
    std::map<const void*, size_t> words;  // numbered, since addresses differ from run to run
    const auto add = [&](const SimThread& thread) {
      text += "\n  " + thread.name_;
      if (thread.state_ == SimThread::State::waiting) {
        text += " waits for the others to end";
      } else {
        text += " waits at word " + std::to_string(words.emplace(thread.word_, words.size()).first->second);
      }
    };
    add(main);
    for (const auto& thread : threads) add(*thread);
    if (!tasks.empty()) text += "\n  " + std::to_string(tasks.size()) + " tasks queued behind them";
    return text;
  }

  // --- running
  /// Gives the right to run to `next`; returns when the caller, unless it ended, has it again.
  void hand_over(SimThread* next, bool caller_ends) {
    SimThread* self = current;
    next->state_ = SimThread::State::runnable;
    next->word_ = nullptr;
    next->deadline_ns_ = kNever;
    if (next == self) return;
    ++switches;
    trace(1, next->id_);
    current = next;
    if (!next->started_) {
      next->started_ = true;
      WorkerPool::start([this, next] { run_thread(next); });
    } else {
      next->turn_.store(1, std::memory_order_release);
      next->turn_.notify_one();
    }
    if (caller_ends) return;
    self->turn_.wait(0, std::memory_order_acquire);
    self->turn_.store(0, std::memory_order_relaxed);
  }

  void run_thread(SimThread* thread) {
    set_this_thread_parker(thread);
    thread->body_();
    const AllocationTruce truce;
    thread->body_ = nullptr;
    give_thread_slot_back();  // the worker goes on to another thread, no simulation says which
    set_this_thread_parker(nullptr);
    const auto place =
        std::ranges::find_if(threads, [&](const auto& other) { return other.get() == thread; });
    const std::unique_ptr<SimThread> ended = std::move(*place);  // outlives the hand-over, which reads it
    threads.erase(place);
    if (thread->spawned_) {
      --spawned;
    } else {
      --lane_threads[static_cast<size_t>(thread->lane_)];
    }
    idle_yields = 0;
    hand_over(pick_or_report(nullptr), true);
  }

  void wait_as_main(MainWait wait) {
    check_caller();
    if (current != &main) stop("only thread main waits for the others");
    main_wait = wait;
    main.state_ = SimThread::State::waiting;
    hand_over(pick_or_report(nullptr), false);
    main_wait = MainWait::nothing;
  }

  Status take_deadlock() {
    if (deadlock.empty()) return Status();
    stuck = true;
    return Status(StatusCode::deadlock, std::exchange(deadlock, {}));
  }

  void step(std::string_view what, uint64_t detail) {
    check_caller();
    ++steps;
    idle_yields = 0;
    now_ns += options.step_ns;
    trace(checksum(what.data(), what.size(), current->id_), detail);
    maybe_switch();
  }

  void maybe_switch() {
    if (threads.empty() && tasks.empty()) return;
    if (random.chance(options.switch_probability)) hand_over(pick_or_report(nullptr), false);
  }

  const Options options;
  Random random;
  uint64_t now_ns = 1'000'000'000;
  uint64_t hash = 0;
  uint64_t steps = 0;
  uint64_t switches = 0;
  uint64_t idle_yields = 0;
  uint64_t lone_yields = 0;
  uint64_t ids = 0;

  SimThread main;
  SimThread* current = &main;
  std::vector<std::unique_ptr<SimThread>> threads;  // but main; in the order of their start
  std::vector<Task> tasks;                          // not started yet
  std::array<uint32_t, 3> lane_threads{};           // by Lane
  uint64_t spawned = 0;
  MainWait main_wait = MainWait::nothing;
  std::string deadlock;
  bool stuck = false;
  Parker* const outer_parker;
  std::function<void(const char*)> interleave_handler;

  std::vector<SimThread*> ready_threads;  // of pick()
  std::vector<size_t> ready_tasks;
};

void SimThread::park(const std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) {
  const AllocationTruce truce;
  core_.check_caller();
  core_.idle_yields = 0;
  core_.trace(2, id_);
  if (word.load(std::memory_order_seq_cst) != expected) return;
  if (core_.random.chance(core_.options.spurious_wake_probability)) return core_.step("spurious", 0);
  state_ = State::parked;
  word_ = &word;
  deadline_ns_ = timeout_ns >= kNever - core_.now_ns ? kNever : core_.now_ns + timeout_ns;
  core_.hand_over(core_.pick_or_report(nullptr), false);
}

void SimThread::unpark(const std::atomic<uint32_t>& word, int count) {
  const AllocationTruce truce;
  core_.check_caller();
  core_.idle_yields = 0;
  std::vector<SimThread*> waiters;
  const auto add = [&](SimThread& thread) {
    if (thread.state_ == State::parked && thread.word_ == &word) waiters.push_back(&thread);
  };
  add(core_.main);
  for (const auto& thread : core_.threads) add(*thread);
  for (; count > 0 && !waiters.empty(); --count) {
    const size_t chosen = waiters.size() == 1 ? 0 : core_.random.below(waiters.size());
    waiters[chosen]->state_ = State::runnable;
    core_.trace(3, waiters[chosen]->id_);
    waiters.erase(waiters.begin() + static_cast<ptrdiff_t>(chosen));
  }
  core_.maybe_switch();
}

void SimThread::yield() {
  const AllocationTruce truce;
  core_.check_caller();
  core_.now_ns += core_.options.step_ns;
  core_.trace(4, id_);
  if (++core_.idle_yields > kIdleYieldsMax) stop("livelock: threads only yield; " + core_.who_waits());
  SimThread* next = core_.pick_or_report(this);
  core_.lone_yields = next == this ? core_.lone_yields + 1 : 0;
  if (core_.lone_yields > kLoneYieldsMax) {
    core_.lone_yields = 0;
    core_.leap();
  }
  core_.hand_over(next, false);
}

void SimThread::interleave(const char* step) {
  const AllocationTruce truce;
  if (core_.interleave_handler) return core_.interleave_handler(step);
  core_.step(step, 0);
}

SimScheduler::SimScheduler(const Options& options) : core_(std::make_unique<Core>(options)) {}

SimScheduler::~SimScheduler() {
  if (!core_->stuck && (!core_->threads.empty() || !core_->tasks.empty())) {
    core_->wait_as_main(Core::MainWait::all_end);
    if (const Status status = core_->take_deadlock(); !status.ok()) {
      std::fprintf(stderr, "simulation ended with stuck threads: %s\n", status.to_string().c_str());
    }
  }
  set_this_thread_parker(core_->outer_parker);
  if (core_->stuck) (void)core_.release();  // the stuck threads refer to it for ever
}

void SimScheduler::spawn(std::string name, std::function<void()> body) {
  core_->check_caller();
  auto thread = std::make_unique<SimThread>(*core_, std::move(name), ++core_->ids, std::move(body));
  thread->set_spawned();
  core_->threads.push_back(std::move(thread));
  ++core_->spawned;
}

Status SimScheduler::run() {
  core_->wait_as_main(Core::MainWait::spawned_end);
  return core_->take_deadlock();
}

Status SimScheduler::run_until_idle() {
  core_->wait_as_main(Core::MainWait::idle);
  return core_->take_deadlock();
}

void SimScheduler::sleep(uint64_t ns) {
  const std::atomic<uint32_t> never{0};
  const uint64_t until = core_->now_ns + ns;
  while (core_->now_ns < until) park(never, 0, until - core_->now_ns);
}

void SimScheduler::add_task(Lane lane, uint64_t delay_ns, std::function<void()> task) {
  core_->tasks.push_back({++core_->ids, lane, core_->now_ns + delay_ns, std::move(task)});
}

uint64_t SimScheduler::queued_tasks() const { return core_->tasks.size(); }
void SimScheduler::step(std::string_view what, uint64_t detail) { core_->step(what, detail); }
void SimScheduler::on_interleave(std::function<void(const char*)> handler) {
  core_->interleave_handler = std::move(handler);
}
uint64_t SimScheduler::now_ns() const { return core_->now_ns; }
void SimScheduler::advance_ns(uint64_t ns) { core_->now_ns += ns; }
uint64_t SimScheduler::steps() const { return core_->steps; }
uint64_t SimScheduler::switches() const { return core_->switches; }
uint64_t SimScheduler::trace_hash() const { return core_->hash; }
const std::string& SimScheduler::current_name() const { return core_->current->name(); }

}  // namespace lightning
