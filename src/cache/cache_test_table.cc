// Prints the table of docs/cache.md.

#include <cstdio>

#include "cache/cache_test_ratios.h"

int main() {
  std::printf("| trace | cache, %% of pages |");
  for (const char* name : lightning::kCacheModels) std::printf(" %s |", name);
  std::printf("\n|---|---|---|---|---|---|---|\n");
  uint32_t near = 0;
  uint32_t cells = 0;
  for (const lightning::HitRatios& one : lightning::hit_ratios(200'000)) {
    std::printf("| %s | %u |", one.trace.c_str(), one.percent);
    for (const double ratio : one.ratios) std::printf(" %.1f |", ratio);
    std::printf("\n");
    ++cells;
    near += one.near_best() ? 1 : 0;
  }
  std::printf("\nBest, or within two points of it: %u of %u.\n", near, cells);
}
