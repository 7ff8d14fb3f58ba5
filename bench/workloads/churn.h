// churn: a database that lives. All keys are put in random order, all are overwritten in another one with a
// snapshot from the middle on, which is scanned at the end, and half of them are removed.
//
// rewrite: the first two of these, without a snapshot. compact: all keys are put, then only flushing and
// compacting is timed.
//
// Figures: space_amp_load, the largest size on disk over what could be read at that moment (what only the
// snapshot sees included), sampled once a quarter of the data was there; space_amp, the same when everything
// is settled; write_amp, what flushes and merges wrote, settling included, over what the user wrote.
#pragma once

#include "bench/workloads/workload.h"

namespace lightning::bench {

void churn(const Course& course, Result& result);
void rewrite(const Course& course, Result& result);
void compact(const Course& course, Result& result);
Tally leaves_half_overwritten(const Dataset& data);

}  // namespace lightning::bench
