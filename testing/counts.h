// What the tests of a process take from the environment, and what they count: one line when the process ends,
// "counts: states=5120 nested=48", for whoever adds up many runs.
//
// Thread safety: externally synchronised.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace lightning {

inline uint64_t uint_from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Adds `n` to the count called `what`: states, nested, faults, syscalls, allocations, damages,
/// interleavings, kills, power_cuts, operations.
inline void count(const std::string& what, uint64_t n) {
  struct Counts {
    std::map<std::string, uint64_t> all;
    pid_t process = getpid();
    ~Counts() {
      if (getpid() != process) return;  // a forked child
      std::string line = "counts:";
      for (const auto& [name, number] : all) line += " " + name + "=" + std::to_string(number);
      std::printf("%s\n", line.c_str());
    }
  };
  static Counts counts;
  counts.all[what] += n;
}

}  // namespace lightning
