// The seeds that a test of interleavings runs with.
//
// Thread safety: functions.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "testing/counts.h"

namespace lightning {

/// Calls `run` with LIGHTNING_INTERLEAVE_SEEDS seeds (without it: `usual`) from LIGHTNING_INTERLEAVE_SEED on,
/// until one has failed. How many there were to be.
template <typename Fn>
uint64_t for_each_seed(uint64_t usual, Fn&& run) {
  const uint64_t seeds = uint_from_environment("LIGHTNING_INTERLEAVE_SEEDS", usual);
  const uint64_t first_seed = uint_from_environment("LIGHTNING_INTERLEAVE_SEED", 1);
  for (uint64_t i = 0; i < seeds && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("seed " + std::to_string(first_seed + i));
    run(first_seed + i);
    count("interleavings", 1);
  }
  return seeds;
}

}  // namespace lightning
