// SimEnv: a whole simulated machine: files that forget what was not synced, threads that run one at a time,
// virtual time.
//
// A test is an ordinary function on an ordinary thread. That thread becomes "main" of the simulation while a
// SimEnv lives; what it calls on the database runs at once, and background tasks run when it parks, yields,
// or by chance at a call of Env. So a single-threaded test needs nothing but the Env, and costs next to
// nothing more than the calls:
//
//   SimEnv env({.seed = seed});
//   Result<Database> db = open_in(env, "db", options);   // src/api/open_in.h
//   ... db->put(...) ...
//   ASSERT_TRUE(env.run_until_idle().ok());               // let flushes and merges happen
//
// Several threads: spawn() them and run(); the same seed gives the same trace_hash(). Build with
// LIGHTNING_SIM to switch at the steps inside a commit as well.
//
// Power cuts: watch every step, keep the moment and what had been acknowledged, look at all images
// afterwards:
//
//   std::vector<std::pair<SimDisk, uint64_t>> moments;
//   env.watch([&](const SimStep&) {
//     if (env.disk_changed()) moments.emplace_back(env.disk().kill_image(), acknowledged);
//   });
//   workload(env, &acknowledged);
//   for (auto& [moment, acknowledged_then] : moments) {
//     for_each_crash_image(moment, {.seed = seed}, [&](CrashImage image) {
//       SimEnv after({.seed = seed}, std::move(image.disk));
//       check(after, acknowledged_then) << image.what;       // watch `after` in turn: a crash during
//       recovery
//     });
//   }
//
// A cut at the k-th step: `if (step.number == k) moment = env.kill();`. From then on every call of the old
// Env fails and nothing reaches a disk that anybody looks at, so that the old database object can simply be
// destroyed. Moments taken inside an epoch are checked after the run, not in the watcher (see
// sim_scheduler.h).
//
// Faults: env.faults() (fault_script.h). Missing syncs without a crash: env.order() (order_checker.h); expect
// env.order().violations() to be empty. Damage: env.disk().put_file() and its kin, between close and open.
//
// Ownership: the database and all files die before their SimEnv; SimEnvs of one thread die in reverse order.
// Thread safety: for threads of the simulation.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/env.h"
#include "testing/fault_script.h"
#include "testing/order_checker.h"
#include "testing/random.h"
#include "testing/sim_disk.h"
#include "testing/sim_file_system.h"
#include "testing/sim_scheduler.h"

namespace lightning {

struct SimOptions {
  uint64_t seed = 1;
  double switch_probability = 1.0 / 16;         // at each call and interleave point
  double spurious_wake_probability = 1.0 / 32;  // at each park
  uint32_t threads_per_lane = 2;
  bool supports_punch = true;
  bool supports_allocate = true;  // else File::allocate() answers not_supported: written segments
  bool guards_mappings = true;
  bool keeps_unsynced = true;  // false: no power cuts, less memory; for a disk made by this Env
  uint64_t open_files_max = UINT64_MAX;
  uint64_t memory_bytes = uint64_t{1} << 40;
  size_t processors = 3;
  int64_t unix_micros = 1'700'000'000'000'000;  // when the simulation begins
};

/// A point at which the machine may be cut: before a call of Env, or at an interleave point.
struct SimStep {
  uint64_t number = 0;    // from 0, over the life of the Env
  std::string_view what;  // "write", "sync_directory", ..., or the name of the interleave point
  std::string_view name;  // the file or directory
  bool is_call = true;
};

class SimEnv final : public Env, private SimGate, private Executor, private Clock {
 public:
  explicit SimEnv(const SimOptions& options = {});
  SimEnv(const SimOptions& options, SimDisk disk);
  ~SimEnv() override;

  FileSystem& files() override { return files_; }
  Executor& executor() override { return *this; }
  Clock& clock() override { return *this; }
  uint64_t random() override { return random_.next(); }
  uint64_t boot_id() override { return files_.disk().boot_id(); }
  const std::atomic<uint32_t>& process_word() override { return process_word_; }
  bool guards_mappings() override { return options_.guards_mappings; }
  uint64_t memory_bytes() override { return options_.memory_bytes; }
  uint64_t open_files_max() override { return options_.open_files_max; }
  size_t processors() override { return options_.processors; }

  // The disk and what happens to it.
  SimDisk& disk() { return files_.disk(); }
  FaultScript& faults() { return faults_; }
  OrderChecker& order() { return files_.order(); }
  uint64_t open_files() const { return files_.open_files(); }
  /// Called at every step before it happens; stores into mappings are captured first. It makes no call of
  /// this Env.
  void watch(std::function<void(const SimStep&)> watcher) { watcher_ = std::move(watcher); }
  /// Has the disk changed since the last call of this function?
  bool disk_changed();
  /// The process ends here: the moment it leaves (for power cuts too); every later call of this Env fails.
  SimDisk kill();
  bool killed() const { return killed_; }

  // Threads (see SimScheduler).
  void spawn(std::string name, std::function<void()> body) {
    scheduler_.spawn(std::move(name), std::move(body));
  }
  Status run() { return scheduler_.run(); }
  Status run_until_idle() { return scheduler_.run_until_idle(); }
  /// Lets `ns` of virtual time pass, delayed tasks included.
  void sleep(uint64_t ns) { scheduler_.sleep(ns); }
  SimScheduler& scheduler() { return scheduler_; }
  uint64_t trace_hash() const { return scheduler_.trace_hash(); }
  /// Steps so far.
  uint64_t steps() const { return steps_; }

  // The machine's other whims.
  void set_unix_micros(int64_t now);
  /// What a forked child would see: process_word() is 0.
  void set_forked(bool forked) { process_word_.store(forked ? 0 : 1, std::memory_order_relaxed); }

 private:
  SimOutcome enter(SimCall call, std::string_view name, uint64_t detail) override;
  void pause() override;
  Status schedule(Lane lane, uint64_t delay_ns, std::function<void()> task) override;
  uint64_t monotonic_ns() override;
  uint64_t stopwatch_ns() override { return scheduler_.now_ns(); }
  int64_t unix_micros() override;

  void look(std::string_view what, std::string_view name, bool is_call);

  const SimOptions options_;
  Random random_;
  FaultScript faults_;
  std::atomic<uint32_t> process_word_{1};
  std::function<void(const SimStep&)> watcher_;
  bool watching_ = false;  // inside the watcher
  bool killed_ = false;
  uint64_t steps_ = 0;
  uint64_t seen_version_ = 0;
  int64_t unix_offset_micros_;
  SimFileSystem files_;
  SimScheduler scheduler_;  // last: its destructor runs what is left of the threads, which use the rest
};

}  // namespace lightning
