// Hit ratios of the cache's policy and of what it is measured against, over the traces of docs/cache.md.
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lightning {

inline constexpr std::array<const char*, 5> kCacheModels = {"ArcClock", "LRU", "CLOCK", "S3-FIFO", "SIEVE"};

/// One trace at one size of cache.
struct HitRatios {
  std::string trace;
  uint32_t percent;                                // of the trace's pages that the cache holds
  std::array<double, kCacheModels.size()> ratios;  // hits in percent, as kCacheModels

  double best() const;
  /// ArcClock's place: within two points of the best, and not half a point below LRU.
  bool near_best() const { return ratios[0] >= best() - 2; }
  bool below_lru() const { return ratios[0] < ratios[1] - 0.5; }
};

/// `accesses` a trace.
std::vector<HitRatios> hit_ratios(uint32_t accesses);

}  // namespace lightning
