// What the policy is told of a View (policy.h): made of what the manifest records of its runs, and of a few
// looks into them.
//
// Thread safety: pure functions.
// Costs: a probe a file that is cut, and up to one a run and file of the last level.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compaction/policy.h"
#include "view/durable_state.h"
#include "view/view.h"

namespace lightning {

/// Looks into runs. Answers are estimates: nothing but the order of merges depends on them.
class RunProbe {
 public:
  virtual ~RunProbe() = default;
  /// Which part of a file's bytes its piece answers for, from 0 to 1.
  virtual double share(size_t run, size_t piece) const = 0;
  /// The id of a file's codec.
  virtual uint8_t codec(size_t /*run*/, size_t /*piece*/) const { return 0; }
  /// Is a file written with another one than it would be now, in the last level?
  virtual bool other_codec(size_t /*run*/, size_t /*piece*/) const { return false; }
  /// The first key of a run at or above `key`, or under its range removals; false when there is none.
  virtual bool first_key_from(size_t run, std::string_view key, std::string* found) const = 0;
  /// Of a file of the oldest run: into how many newer runs seeks at its keys looked beside it.
  virtual uint64_t extra_seeks(size_t /*run*/, size_t /*piece*/) const { return 0; }
  /// What was written before this time, in microseconds since 1970, may not stay garbage; 0: anything may.
  virtual uint64_t due_before() const { return 0; }
  /// The lowest registered read LSN, UINT64_MAX where nobody reads.
  virtual uint64_t first_reader() const { return UINT64_MAX; }
  /// How many bytes of run `under` the range removals of a run are over that every reader sees.
  virtual uint64_t covered_bytes(size_t run, size_t under) const = 0;
};

/// `runs`: those of a View, newest first; they must outlive the Shape. `dropped`: ids of dropped keyspaces,
/// ascending. `purge_time` is asked only where something has an expiry.
Shape shape_of(std::span<const SortedRunInfo* const> runs, std::span<const uint32_t> dropped,
               const RunProbe& probe, const std::function<uint64_t()>& purge_time);

}  // namespace lightning
