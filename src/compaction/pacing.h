// Pacing: how fast writers may go, given what background work owes. A pure function.
//
// Three debts. Memory: what is sealed and not flushed yet, beside what writers can still fill before they
// would have to wait for memory. Runs: those above the last level, when merges lag behind flushes. Space:
// what these runs may hide of the last level, beyond what the policy leaves before it merges them. Each
// makes a byte dearer in proportion to itself, from early on, so that a load that is too fast settles at
// the speed of the background instead of running into the limit and standing still there: with as much left
// as is owed, writers go as fast as flushes do.
//
// Thread safety: pure.
#pragma once

#include <cstdint>

namespace lightning {

struct Debt {
  uint64_t free_bytes = 0;     // of log, before a writer waits for memory
  uint64_t backlog_bytes = 0;  // of log, sealed and not flushed
  uint64_t runs = 0;           // above the last level
  uint64_t upper_bytes = 0;    // of those runs
  uint64_t entry_bytes = 0;    // of the last level, on average (of other runs where it is empty)
  uint64_t removed_bytes = 0;  // of the last level, about, by their removals
  uint64_t last_bytes = 0;
  uint64_t tier_bytes_min = 0;     // PolicyLimits
  uint64_t flush_bytes_per_s = 0;  // of log, as the last flushes went; 0: not known yet
};

enum class PaceReason : uint8_t { none, memory, merges };

struct Pace {
  uint64_t ns_per_mib = 0;     // that a writer takes for the log that it fills; 0: as fast as it can
  uint64_t removal_bytes = 0;  // that a removal counts beside its own
  PaceReason reason = PaceReason::none;
};

/// Up to here runs are normal: four of a tier, and what comes while they are merged.
inline constexpr uint64_t kRunsUnpaced = 24;
/// From here on a byte takes ten times as long as flushing it does.
inline constexpr uint64_t kRunsMost = 48;

Pace pace_of(const Debt& debt);

}  // namespace lightning
