// What the machine and the control groups around this process let it have.
//
// Thread safety: any thread. Costs: some small files of the system are read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lightning {

/// The least of the machine's memory and the limits of the control groups that this process is in.
uint64_t machine_memory_bytes();
/// RLIMIT_NOFILE.
uint64_t machine_open_files_max();
/// Those on which this process may run; 1 at least.
size_t machine_processors();

}  // namespace lightning
