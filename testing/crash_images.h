// Which states a power cut may leave: the enumeration over the pending changes of a moment.
//
// With few pending units every subset of them. With many: nothing survives, everything survives, each unit
// alone is lost, each alone is kept, each prefix survives, and random subsets: by unit, by file (each file
// all or nothing), and by file prefix. When that is more than `limit`, a random choice among each kind.
// Thread safety: externally synchronised.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "testing/sim_disk.h"

namespace lightning {

struct CrashOptions {
  uint64_t limit = 128;  // images of one moment
  uint64_t seed = 1;
  CrashGrain grain = {};
  bool with_kill = true;  // one more image: the process alone ends, nothing is lost
};

struct CrashImage {
  SimDisk disk;
  std::string what;          // "power cut that loses 2 of 7: ..."
  bool killed_only = false;  // the page cache lived on: what was written, synced or not, is there
};

/// Calls `check` with each image; how many there were.
uint64_t for_each_crash_image(SimDisk& moment, const CrashOptions& options,
                              const std::function<void(CrashImage image)>& check);

}  // namespace lightning
