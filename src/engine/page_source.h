// Where pages of runs come from: mapped files, or the page cache (page_source.cc).
//
// Thread safety: functions; UnswitchedRuns a value.
#pragma once

#include <lightning/options.h>

#include <cstdint>
#include <vector>

namespace lightning {

class Env;

/// How many bytes of run files fit into the machine's memory, and how many may be mapped.
uint64_t machine_limit(Env& env, const Options& options);
uint64_t mapped_limit(Env& env, const Options& options);

/// Files that could not be opened anew, and so stay otherwise than as it says.
struct UnswitchedRuns {
  std::vector<uint64_t> files;
  bool maps = true;
  bool directly = false;
};

}  // namespace lightning
