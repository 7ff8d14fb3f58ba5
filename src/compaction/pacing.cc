#include "compaction/pacing.h"

#include <algorithm>

namespace lightning {

namespace {

constexpr double kMiB = 1 << 20;
constexpr double kNanosPerSecond = 1e9;
constexpr double kRunsPriceMost = 16;

// Price of a byte in units of what it costs to flush it. Free memory of three times the backlog is no debt;
// without any it is three: what stops a writer is the limit itself. (Steeper prices made the slowest seconds
// of a load slower, because memory comes back in lumps.)
double memory_price(const Debt& debt) {
  if (debt.backlog_bytes == 0) return 0;
  const double ratio = static_cast<double>(debt.free_bytes) / static_cast<double>(debt.backlog_bytes);
  return std::max(0.0, (3 - ratio) / (1 + ratio));
}

double runs_price(const Debt& debt) {
  if (debt.runs <= kRunsUnpaced) return 0;
  if (debt.runs >= kRunsMost) return kRunsPriceMost;
  const auto above = static_cast<double>(debt.runs - kRunsUnpaced);
  const auto left = static_cast<double>(kRunsMost - debt.runs);
  return std::min(kRunsPriceMost, above / left);
}

}  // namespace

Pace pace_of(const Debt& debt) {
  if (debt.flush_bytes_per_s == 0) return {};
  const double memory = memory_price(debt);
  const double runs = runs_price(debt);
  const double price = std::max(memory, runs);
  if (price == 0) return {};
  const double ns = price * kMiB * kNanosPerSecond / static_cast<double>(debt.flush_bytes_per_s);
  return {.ns_per_mib = std::max<uint64_t>(1, static_cast<uint64_t>(ns)),
          .reason = memory >= runs ? PaceReason::memory : PaceReason::merges};
}

}  // namespace lightning
