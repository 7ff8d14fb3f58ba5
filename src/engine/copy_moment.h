// CopyMoment: the database as of one moment, for whoever copies it: the bytes of the log below an LSN, in
// memory, run files and value files, which stay under their names and as they are as long as it lives.
//
// Invariants
//  C1  log() and runs() together are all commits below lsn(), and none of any other counts: runs hold nothing
//      at or behind it, of the log what lies there is to be left out.
//  C2  What lies below lsn() was durable before the moment was handed out (but of a read-only database).
// Thread safety: one thread.
// Ownership: the Engine must outlive it. It holds the memory of memtables until release_log().
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/long_calls.h"
#include "engine/retired_files.h"
#include "engine/value_extents.h"
#include "io/env.h"
#include "view/durable_state.h"
#include "view/view.h"

namespace lightning {

class CopyMoment {
 public:
  CopyMoment(LongCalls& calls, RetiredFiles& retired, Directory& directory)
      : call_(calls), retired_(retired), directory_(directory) {
    retired_.keep();
  }
  ~CopyMoment() { retired_.release(directory_); }
  CopyMoment(const CopyMoment&) = delete;
  CopyMoment& operator=(const CopyMoment&) = delete;

  uint64_t lsn() const { return lsn_; }
  /// Everything below is in runs().
  uint64_t log_floor() const { return log_floor_; }
  const std::vector<SortedRunInfo>& runs() const { return runs_; }
  /// The value files that runs() refer to, by number, and where in them the values stand.
  const std::map<uint64_t, ValueExtents::OfFile>& values() const { return values_; }
  /// Oldest first; each counts up to its end or lsn(), whichever comes first.
  const std::vector<std::shared_ptr<const MemSource>>& log() const { return log_; }
  /// Identity and counters, which are beyond all that runs() and log() use.
  const DurableState& state() const { return state_; }
  /// Gives the memory of the log back: writers may be waiting for it.
  void release_log() { log_.clear(); }

 private:
  friend class Engine;

  const LongCalls::Call call_;
  RetiredFiles& retired_;
  Directory& directory_;
  uint64_t lsn_ = 0;
  uint64_t log_floor_ = 0;
  std::vector<SortedRunInfo> runs_;
  std::map<uint64_t, ValueExtents::OfFile> values_;
  std::vector<std::shared_ptr<const MemSource>> log_;
  DurableState state_;
};

}  // namespace lightning
