// What the failure of a call of the Env may do: a whole life of a database in which the k-th call fails,
// for every k: each call of the database answers success or an error that the fault explains, what is
// visible is what the API says, and when the faults have ended the database opens, holds a state that it
// may hold, and works. So do the images of a power cut at the end.
//
// LIGHTNING_FAULT_STRIDE=n  every n-th k
// LIGHTNING_FAULT_SEED=s    another life, short and of steps by chance, and the k at which the strides begin
#include <gtest/gtest.h>

#include <vector>

#include "testing/counts.h"
#include "testing/random.h"
#include "testing/sim_env.h"
#include "tests/crash_check.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultStride = 23;
#else
constexpr uint64_t kDefaultStride = 211;  // slow builds: sanitizers
#endif
constexpr uint64_t kUsualSeed = 5;
constexpr uint64_t kImages = 4;  // of a power cut at the end of each life

uint64_t stride() { return uint_from_environment("LIGHTNING_FAULT_STRIDE", kDefaultStride); }
uint64_t seed() { return uint_from_environment("LIGHTNING_FAULT_SEED", kUsualSeed); }

std::vector<CrashStep> life() {
  using enum CrashStep;
  if (seed() != kUsualSeed) return short_life(seed());
  return {put_power, keyspace,     index,        batch, put_process, read,   burst,  flush,         batch,
          read,      remove_range, flush,        read,  compact,     ingest, remove, index,         put_power,
          idle,      keyspace,     put_oversize, read,  reopen,      levels, burst,  compact_range, idle,
          read,      put_power,    index,        flush, sync,        copy,   reopen, read};
}

/// What is to fail, and which errors explain themselves by it.
struct FaultKind {
  const char* name;
  Fault fault;
};

std::ostream& operator<<(std::ostream& out, const FaultKind& kind) { return out << kind.name; }

std::vector<StatusCode> permitted(const Fault& fault) {
  using enum StatusCode;
  // A file that could not be allocated or synced refuses for good what began as a full disk.
  if (fault.code == no_space) return {no_space, io_error, unknown_outcome, busy};
  return {fault.code, io_error, unknown_outcome, busy};
}

/// One life with one script; empty, or what was wrong. `*met`: calls that failed.
std::string live(const SimOptions& sim, PageSource source, const Fault& fault, uint64_t* met) {
  AllowedStates allowed;
  SimDisk moment;
  std::string call;
  {
    SimEnv env(sim);
    env.faults().add(fault);
    CrashWorkload workload(env, seed(), false);
    workload.set_page_source(source);
    workload.permit(permitted(fault));
    std::string said = workload.run(life());
    *met = env.faults().injected();
    call = env.faults().first();
    env.faults().clear();
    allowed = workload.allowed();
    moment = env.disk().kill_image();
    if (said.empty()) said = workload.recover();
    if (said.empty() && env.open_files() != 0) said = "files are left open";
    if (!said.empty()) return call + ": " + said;
  }
  std::string said;
  CrashCheck check{.sim = sim, .nested_every = 0};
  CrashOptions images{.limit = kImages, .seed = fault.after};
  if (seed() != kUsualSeed) {  // nothing survives a power cut, or the process alone ends
    images.with_kill = fault.after % 2 == 0;
    images.limit = images.with_kill ? 0 : 1;
  }
  for_each_crash_image(moment, images, [&](CrashImage image) {
    if (!said.empty()) return;
    // What a failed sync left clean in the cache is read as the disk has it, sooner or later.
    if (!image.killed_only) image.disk.evict_lost_pages();
    said = check_crash(check, std::move(image), allowed);
  });
  count("states", check.images);
  return said.empty() ? said : call + ": " + said;
}

class Faults : public testing::TestWithParam<FaultKind> {};

TEST_P(Faults, ExplainThemselvesAndLoseNothingThatWasAcknowledged) {
  for (const uint64_t times : {uint64_t{1}, uint64_t{3}, uint64_t{30}, kForever}) {
    for (const int form : {0, 1, 2}) {
      const bool mapped = form != 1;
      const PageSource source = form == 2 ? PageSource::pooled : PageSource::mapped;
      const SimOptions sim{.seed = seed(), .supports_allocate = mapped};
      uint64_t met = 1;
      for (uint64_t k = seed() % stride(); met != 0; k += stride()) {
        Fault fault = GetParam().fault;
        fault.after = k;
        fault.times = times;
        ASSERT_EQ(live(sim, source, fault, &met), "")
            << "k = " << k << ", " << times << " times" << (mapped ? "" : ", written")
            << (form == 2 ? ", pooled" : "") << ", seed " << seed();
        count("faults", met != 0 ? 1 : 0);
      }
    }
  }
}

constexpr StatusCode kIo = StatusCode::io_error;
constexpr StatusCode kFull = StatusCode::no_space;

INSTANTIATE_TEST_SUITE_P(
    Kinds, Faults,
    testing::Values(
        FaultKind{"io_error", {.code = kIo}},
        FaultKind{"io_error_after_half", {.code = kIo, .effect = FaultEffect::half}},
        FaultKind{"io_error_but_done", {.code = kIo, .effect = FaultEffect::done}},
        FaultKind{"no_space", {.code = kFull}},
        FaultKind{"no_space_after_half", {.code = kFull, .effect = FaultEffect::half}},
        FaultKind{"sync_fails_and_pages_turn_clean",
                  {.call = SimCall::sync, .effect = FaultEffect::pages_clean}},
        FaultKind{"sync_finds_no_space_and_pages_turn_clean",
                  {.call = SimCall::sync, .code = kFull, .effect = FaultEffect::pages_clean}},
        // Kinds of calls that fail by themselves: no descriptors, no permission, no threads, no address
        // space.
        FaultKind{"open", {.call = SimCall::open}}, FaultKind{"create", {.call = SimCall::create}},
        FaultKind{"create_finds_no_space", {.call = SimCall::create, .code = kFull}},
        FaultKind{"remove", {.call = SimCall::remove}}, FaultKind{"rename", {.call = SimCall::rename}},
        FaultKind{"list", {.call = SimCall::list}},
        FaultKind{"sync_directory", {.call = SimCall::sync_directory}},
        FaultKind{"sync_directory_but_done", {.call = SimCall::sync_directory, .effect = FaultEffect::done}},
        FaultKind{"lock", {.call = SimCall::lock}}, FaultKind{"read", {.call = SimCall::read}},
        FaultKind{"write", {.call = SimCall::write}},
        FaultKind{"write_finds_no_space", {.call = SimCall::write, .code = kFull}},
        FaultKind{"allocate_finds_no_space", {.call = SimCall::allocate, .code = kFull}},
        FaultKind{"truncate", {.call = SimCall::truncate}}, FaultKind{"size", {.call = SimCall::size}},
        FaultKind{"map", {.call = SimCall::map, .code = StatusCode::out_of_memory}},
        FaultKind{"populate_finds_no_space", {.call = SimCall::populate, .code = kFull}},
        FaultKind{"schedule", {.call = SimCall::schedule, .code = StatusCode::out_of_memory}}),
    [](const auto& kind) { return std::string(kind.param.name); });

// Not one call: no more than so many files at a time, for every number.
TEST(Descriptors, MayBeFew) {
  constexpr uint64_t kEnough = 40;
  for (uint64_t files = 0; files < kEnough; ++files) {
    SimEnv env({.seed = seed(), .open_files_max = files});
    CrashWorkload workload(env, seed(), false);
    workload.permit({StatusCode::io_error, StatusCode::unknown_outcome, StatusCode::busy});
    ASSERT_EQ(workload.run(life()), "") << files << " files";
    const AllowedStates allowed = workload.allowed();
    SimEnv after({.seed = seed()}, env.kill());
    ASSERT_EQ(check_opening(after, "db", allowed.kill, [](const std::vector<uint64_t>&) {}), "")
        << files << " files";
    count("faults", 1);
    EXPECT_FALSE(files + 1 == kEnough && workload.failed());
  }
}

}  // namespace
}  // namespace lightning
