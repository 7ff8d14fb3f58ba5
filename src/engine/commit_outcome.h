// What comes of one attempt of a commit to take its place in the log (Engine::try_commit()).
//
// Thread safety: values.
#pragma once

#include <lightning/status.h>

#include <cstdint>

#include "engine/commit_plan.h"

namespace lightning {

enum class CommitAttempt { done, again, need_segment, oversized, locked, failed };

struct CommitOutcome {
  uint64_t lsn = 0;
  uint64_t segment_number = 0;  // the active segment that was met, 0 if there was none
  bool ahead = false;           // the commit is to start the preparation of what comes next
  bool published = false;
  uint64_t end_record_lsn = 0;  // of the end record that the attempt wrote, to be published; 0 if none
  uint32_t end_record_length = 0;
  bool repace = false;       // so much was removed that the pace is to be looked at
  bool faulted = false;      // the mapped copy was lost
  const Operation* blocked;  // where the attempt is `locked`: by somebody's lock
  Status status;
};

/// Of a commit that is timed.
struct CommitTime {
  uint64_t stands_for = 0;  // 0: it is not
  uint64_t began_ns = 0;
};

}  // namespace lightning
