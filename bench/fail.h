// How the benchmark ends when an engine fails or gives a wrong answer: at once, loudly, with exit code 1.
// A figure measured beside an error is worth nothing, so nothing is caught and nothing is retried.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

namespace lightning::bench {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "lightning-bench: %s\n", what.c_str());
  std::fflush(nullptr);
  _exit(1);
}

inline void require(bool condition, const char* what) {
  if (!condition) [[unlikely]]
    fail(what);
}

}  // namespace lightning::bench
