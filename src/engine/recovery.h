// Recovery: takes from the log's segments the longest prefix of records that verify, and makes the cut
// durable.
//
// Steps, correct when cut at any of them:
//   1. load every segment that the durable state lists; one that is missing or not itself is corruption, by
//      name;
//   2. walk the records in LSN order. A segment with a recorded end must verify up to exactly there. The
//      first bad record of one without, at X, is a torn tail: everything from X on, in later segments too,
//      was never promised, unless something proves that it was: an intact header beyond X or the durable
//      state says that more than X was durable, or, with the same page cache, a segment's mirror says that
//      more was published. Then it is corruption at X;
//   3. write the accepted bytes that nothing proves durable again, zero the rest of the cut segment, sync;
//   4. record the ends, and a new incarnation where something was cut, in the durable state;
//   5. remove the segments behind the cut, and those that are obsolete;
//   6. index the rest as sealed memtables.
// Read-only, steps 3 to 5 are left out.
// Thread safety: one thread, before the database is open.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "io/env.h"
#include "view/state_store.h"
#include "view/view.h"

namespace lightning {

/// Identifies the page cache behind a directory: equal as long as what a killed process wrote is there,
/// synced or not. 0 where the system cannot tell.
inline uint64_t page_cache_id(Env& env, Directory& directory) {
  const uint64_t mount = directory.mount_id();
  return mount == 0 ? 0 : mix_seed(env.boot_id(), mount);
}

struct RecoveredLog {
  std::vector<std::shared_ptr<const MemSource>> sealed;  // newest first; those with records
  uint64_t end_lsn = 0;                                  // of the accepted log
  uint64_t durable_lsn = 0;                              // what the accepted records state
  uint64_t records = 0;
  bool state_changed = false;            // the durable state must record the ends below
  bool cut = false;                      // bytes that looked like records were dropped
  std::vector<LogSegmentInfo> segments;  // what log_segments becomes
};

class LogRecovery {
 public:
  LogRecovery(Env& env, Directory& directory, const DurableState& state, bool read_only)
      : env_(env), directory_(directory), state_(state), read_only_(read_only) {}

  Result<RecoveredLog> run();

 private:
  struct Walked {
    std::shared_ptr<Segment> segment;
    LogSegmentInfo info;
    uint64_t end = 0;   // where the accepted records end
    bool open = false;  // its end was not recorded
  };

  Status load();
  Status walk(RecoveredLog* log);
  Status refuse_if_promised(size_t index, uint64_t cut) const;
  Status mend(const Walked& walked) const;
  Status index(const Walked& walked, RecoveredLog* log) const;

  Env& env_;
  Directory& directory_;
  const DurableState& state_;
  const bool read_only_;
  std::vector<Walked> segments_;  // oldest first
};

}  // namespace lightning
