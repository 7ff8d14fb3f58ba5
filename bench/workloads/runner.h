// The measuring side: what a child process does.
//
// A unit is what shares a database: one workload that changes it, or all that only read. One child runs one
// unit on one engine in an empty directory and prints a Result as JSON for each workload of it, a line each.
#pragma once

#include <string>
#include <vector>

#include "bench/adapters/registry.h"
#include "bench/config.h"
#include "bench/workloads/workload.h"

namespace lightning::bench {

// The chosen workloads, grouped into units, in the order of the table.
std::vector<std::vector<const Workload*>> plan(const Config& config);

void run_unit(const Config& config, const EngineKind& kind, const std::vector<const Workload*>& unit,
              const std::string& directory);

// The row that is no engine's: synced writes of 4 KiB, one after another.
void run_raw_sync(const Config& config, const std::string& directory);

}  // namespace lightning::bench
