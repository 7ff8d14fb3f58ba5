// What the figures depend on beside the engine: the machine, and what else ran on it meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lightning::bench {

// CPU model and cores, memory, kernel, and the file system of `directory`: one line each, the last without
// end.
std::string describe_machine(const std::string& directory);

// tmpfs: a flush costs nothing there, so that class power measures nothing.
bool is_memory_file_system(const std::string& directory);

// Resident bytes of this process, mapped files included.
uint64_t resident_bytes();

// CPU time in seconds since some fixed moment.
struct CpuTime {
  double own = 0;     // of this process
  double others = 0;  // of everything else on the machine, stolen time included; in steps of 10 ms
};
CpuTime cpu_time();

struct DiskUse {
  uint64_t data_bytes = 0;
  uint64_t log_bytes = 0;
};
// Allocated blocks of all files below `directory`; those with a non-empty `log_name` in their names are log.
DiskUse disk_use(const std::string& directory, std::string_view log_name);

}  // namespace lightning::bench
