#include "testing/sim_env.h"

#include <cstdio>
#include <cstdlib>

#include "base/hash.h"

namespace lightning {

namespace {

constexpr uint64_t kClockCallNs = 100;  // so that a loop that only looks at the clock ends

Status killed() { return Status(StatusCode::io_error, "the simulated process was killed"); }

}  // namespace

SimEnv::SimEnv(const SimOptions& options) : SimEnv(options, SimDisk(options.keeps_unsynced)) {}

SimEnv::SimEnv(const SimOptions& options, SimDisk disk)
    : options_(options),
      random_(mix_seed(options.seed, disk.next_process())),  // two processes never draw the same salt
      unix_offset_micros_(options.unix_micros),
      files_({.supports_allocate = options.supports_allocate,
              .supports_punch = options.supports_punch,
              .open_files_max = options.open_files_max},
             std::move(disk), *this),
      scheduler_({.seed = options.seed,
                  .switch_probability = options.switch_probability,
                  .spurious_wake_probability = options.spurious_wake_probability,
                  .threads_per_lane = options.threads_per_lane}) {
  scheduler_.on_interleave([this](const char* step) {
    look(step, "", false);
    scheduler_.step(step, 0);
  });
}

SimEnv::~SimEnv() { killed_ = true; }

bool SimEnv::disk_changed() {
  const uint64_t version = disk().version();
  return std::exchange(seen_version_, version) != version;
}

SimDisk SimEnv::kill() {
  SimDisk moment = disk().kill_image();
  killed_ = true;
  return moment;
}

void SimEnv::set_unix_micros(int64_t now) {
  unix_offset_micros_ = now - static_cast<int64_t>(scheduler_.now_ns() / 1000);
}

void SimEnv::look(std::string_view what, std::string_view name, bool is_call) {
  const uint64_t number = steps_++;
  if (!watcher_ || killed_) return;
  if (watching_) {
    std::fprintf(stderr, "simulation stopped: the watcher of an Env called that Env\n");
    std::abort();
  }
  watching_ = true;
  disk().capture();
  watcher_({.number = number, .what = what, .name = name, .is_call = is_call});
  watching_ = false;
}

SimOutcome SimEnv::enter(SimCall call, std::string_view name, uint64_t detail) {
  const AllocationTruce truce;
  look(sim_call_name(call), name, true);
  scheduler_.step(sim_call_name(call), checksum(name.data(), name.size(), detail));
  if (killed_) return {.status = lightning::killed(), .effect = FaultEffect::none};
  const std::optional<Fault> fault = faults_.meet(call, name);
  if (!fault) return {};
  if (fault->delay_ns > 0) scheduler_.sleep(fault->delay_ns);
  if (fault->code == StatusCode::ok) return {};
  const std::string message = "injected into " + std::string(sim_call_name(call));
  return {.status = Status(fault->code, message, name, 0), .effect = fault->effect};
}

void SimEnv::pause() {
  const AllocationTruce truce;
  scheduler_.step("pause", 0);
}

Status SimEnv::schedule(Lane lane, uint64_t delay_ns, std::function<void()> task) {
  constexpr std::string_view kLanes[] = {"quick", "slow", "merge"};
  SimOutcome outcome = enter(SimCall::schedule, kLanes[static_cast<size_t>(lane)], delay_ns);
  if (outcome.status.ok()) scheduler_.add_task(lane, delay_ns, std::move(task));
  return std::move(outcome.status);
}

uint64_t SimEnv::monotonic_ns() {
  scheduler_.advance_ns(kClockCallNs);
  return scheduler_.now_ns();
}

int64_t SimEnv::unix_micros() { return unix_offset_micros_ + static_cast<int64_t>(monotonic_ns() / 1000); }

}  // namespace lightning
