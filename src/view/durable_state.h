// DurableState: what a database is on disk, apart from the bytes of its runs and log segments.
//
// The manifest holds it (manifest.h), StateStore changes it (state_store.h).
//
// Invariants (check_state() holds them against everything that is read or written)
//  D1  Every file id, segment number and LSN ever used is below next_file_id, next_segment_number,
//      next_base_lsn; these, log_floor, durable_lsn, time_max_us, next_keyspace_id and removal_floor never go
//      down.
//  D2  log_segments stand in the order of number and base LSN, and do not overlap.
//  D3  runs stand newest first, levels ascending, at most one run at the last level; none is empty. The
//      pieces of a run stand in key order, and no key is answered for by two of them.
//  D4  value_files ascend; each was a segment whose records went into runs: none is in log_segments. Every
//      one that a run refers to is among them.
// Thread safety: a value.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "run/run_file_info.h"

namespace lightning {

/// The end of a segment that is not known here: its end record, or the end of the log, says where it is.
inline constexpr uint64_t kOpenEnd = UINT64_MAX;
inline constexpr uint32_t kLastLevel = 7;

struct LogSegmentInfo {
  uint64_t number = 0;
  uint64_t base_lsn = 0;
  uint64_t end_lsn = kOpenEnd;  // where a recovery or a clean close ended it: all before it is durable

  bool operator==(const LogSegmentInfo&) const = default;
};

/// A segment whose large values runs refer to.
struct ValueFileInfo {
  uint64_t number = 0;  // of the segment
  uint64_t size = 0;    // of the file

  bool operator==(const ValueFileInfo&) const = default;
};

/// A run file, or what merges left of it: it answers for its keys in [from, to) alone. An empty bound is no
/// bound (internal keys are never empty).
struct RunPiece {
  RunFileInfo file;
  std::string from;
  std::string to;
  /// Of a file that was ingested, in a View, never stored: reads at or below this LSN see nothing of it, and
  /// its entries, which have no LSN, are of just this one. 0: as the entries say. After an open no reader is
  /// left to which it would matter.
  uint64_t ingested_at = 0;
};

/// Disjoint files in key order. compaction/policy.h says what the levels are.
struct SortedRunInfo {
  uint32_t level = 0;
  std::vector<RunPiece> pieces;
};

struct DurableState {
  uint64_t database_id = 0;   // random, for life
  uint64_t incarnation = 0;   // random; changes with each recovery that cut the log, each restore and clone
  uint64_t next_file_id = 1;  // of runs and manifests; kept by StateStore: what an edit says of it is ignored
  uint64_t next_segment_number = 1;
  uint64_t next_base_lsn = 0;
  uint64_t log_floor = 0;    // everything below is in runs; segments that end at or below it are obsolete
  uint64_t durable_lsn = 0;  // everything below was durable when this was written
  int64_t time_max_us = 0;   // the largest time seen
  uint32_t next_keyspace_id = 0;
  uint64_t log_since_us = 0;   // nothing in log_segments was written before; 0: not known
  uint64_t removal_floor = 0;  // unknown files of a lower id are never removed; kept by StateStore
  std::vector<LogSegmentInfo> log_segments;  // those that end above the floor, as known when this was written
  std::vector<SortedRunInfo> runs;
  std::vector<ValueFileInfo> value_files;
};

/// Is it the number of a value file?
bool is_value_file(const DurableState& state, uint64_t number);

/// The invariant that `state` breaks, empty if none.
std::string_view check_state(const DurableState& state);
/// The rule of D1 that going from `from` to `to` breaks, empty if none.
std::string_view check_transition(const DurableState& from, const DurableState& to);

}  // namespace lightning
