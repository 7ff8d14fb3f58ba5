// The table of workloads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "bench/report/result.h"
#include "bench/workloads/worker.h"

namespace lightning::bench {

enum class Start {
  empty,      // an empty directory
  loaded,     // a directory of its own with all keys in it, settled and reopened: the workload changes them
  shared,     // the same, but one for all such workloads of a child: they change nothing
  unsettled,  // one for all of them too, filled by single puts and left as it is then
};

// The database of a workload that has a course of its own.
struct Course {
  const Dataset& data;
  Engine& engine;
  std::function<uint64_t()> data_bytes;  // on disk now, log apart
};

struct Workload {
  std::string_view name;
  Start start;
  uint64_t (*operations)(const Config&);  // of all threads together
  unsigned sample_every;                  // one operation in so many is timed; 0: none is
  void (*run)(Worker&);
  // What a scan must find afterwards; null: what it found before.
  Tally (*leaves)(const Dataset&) = nullptr;
  void (*background)(Worker&) = nullptr;  // run by one more thread until the others are done
  bool power = false;                     // always in durability class power
  // Instead of `run`: fills in operations, seconds, latencies and figures.
  void (*course)(const Course&, Result&) = nullptr;
  bool when_named = false;  // only then, as those with a course and those that are not settled

  // Is it measured when the user names no workloads?
  bool usual() const { return course == nullptr && start != Start::unsettled && !when_named; }
};

// In the order in which they are run and reported.
std::span<const Workload> workloads();
const Workload* find_workload(std::string_view name);

// "open" is no loop over a session: the runner times it itself.
inline constexpr std::string_view kOpen = "open";

// Not an engine's: pwrite of 4 KiB and fdatasync in a preallocated file, what fillsync is compared with.
inline constexpr std::string_view kRawEngine = "raw";
inline constexpr std::string_view kRawWorkload = "rawsync";
inline constexpr std::string_view kSyncedWorkload = "fillsync";

}  // namespace lightning::bench
