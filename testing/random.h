// A small generator for tests: the same seed gives the same numbers on every machine and compiler.
//
// Source: S. Vigna, splitmix64.  Thread safety: externally synchronised.
#pragma once

#include <cstdint>

#include "base/hash.h"

namespace lightning {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() { return mix_seed(state_++, 0x9e3779b97f4a7c15ull); }
  /// Below `bound`, which is not 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
  /// True with probability `p`.
  bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }

 private:
  uint64_t state_;
};

}  // namespace lightning
