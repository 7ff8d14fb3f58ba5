// repair(): writes what survives of a damaged database into a directory of its own.
//
//   1. What SUPER and the manifest still say (state_remains.h) gives the sources: the log, and the runs,
//      newest first. Where they do not say all, every run and segment in the directory is one, and nothing
//      proves that the outcome is the newest state: everything is reported as possibly lost.
//   2. Each source gives what verifies of it (log_walk.h, run_salvage.h), and what it may have lost.
//   3. The newest version of each key is written; removals end here. A key whose newest version is known to
//      be damaged is left out, though an older one may be there; in a range whose keys are not known, older
//      versions show.
//   4. What was written is verified.
//
// Invariants
//  P1  Nothing is written into the source, and no file is made there.
//  P2  Every key that is missing or shows another value than the undamaged database had lies in a range of
//      the report, and every value shown was once the key's.
//  P3  A commit record of the log is taken whole or not at all. (What was flushed is keys, and no longer
//      commits.)
// Thread safety: a function. Memory: the log's segments, as for an open, 16 bytes a key of a run file, and
// the records of prepared transactions.
#pragma once

#include <lightning/admin.h>

#include <string>

#include "io/env.h"

namespace lightning {

Result<RepairReport> repair_in(Env& env, const std::string& from, const std::string& into,
                               const RepairOptions& options);

}  // namespace lightning
