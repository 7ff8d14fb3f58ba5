#include "compaction/pacing.h"

#include <algorithm>

namespace lightning {

namespace {

constexpr double kMiB = 1 << 20;
constexpr double kNanosPerSecond = 1e9;
// What is flushed once is merged about three times.
constexpr double kMergesPriceHalfway = 3;
constexpr double kMergesPriceMost = 10;
constexpr double kGarbageUnpaced = 0.4;
constexpr double kGarbageMost = 0.6;
constexpr double kTiersUnpaced = 1.25;
constexpr double kTiersMost = 2.25;

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
  if (debt.runs >= kRunsMost) return kMergesPriceMost;
  const auto above = static_cast<double>(debt.runs - kRunsUnpaced);
  const auto left = static_cast<double>(kRunsMost - debt.runs);
  return std::min(kMergesPriceMost, kMergesPriceHalfway * above / left);
}

// What is above the last level may hide as much of it, a removal an entry; then the disk holds
// (last + upper) / (last - removed) times what can be read.
double space_price(const Debt& debt) {
  const auto removed = static_cast<double>(std::min(debt.removed_bytes, debt.last_bytes));
  const double left = static_cast<double>(debt.last_bytes) - removed;
  const auto least = static_cast<double>(debt.tier_bytes_min);
  const double begins = std::max(left * kGarbageUnpaced, least * kTiersUnpaced);
  const double most = std::max(left * kGarbageMost, least * kTiersMost);
  const double garbage = static_cast<double>(debt.upper_bytes) + removed;
  if (garbage <= begins) return 0;
  if (garbage >= most) return kMergesPriceMost;
  return std::min(kMergesPriceMost, kMergesPriceHalfway * (garbage - begins) / (most - garbage));
}

}  // namespace

Pace pace_of(const Debt& debt) {
  if (debt.flush_bytes_per_s == 0) return {};
  const double memory = memory_price(debt);
  const double runs = std::max(runs_price(debt), space_price(debt));
  const double price = std::max(memory, runs);
  if (price == 0) return {};
  const double ns = price * kMiB * kNanosPerSecond / static_cast<double>(debt.flush_bytes_per_s);
  return {.ns_per_mib = std::max<uint64_t>(1, static_cast<uint64_t>(ns)),
          .removal_bytes = debt.entry_bytes,
          .reason = memory >= runs ? PaceReason::memory : PaceReason::merges};
}

}  // namespace lightning
