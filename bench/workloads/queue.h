// queue: what a queue on top of an ordered store does. Each operation puts an entry behind the last
// one, looks for the first one, and removes it: what was removed piles up where the next look begins.
//
// Figure: last_tenth_ratio, the rate of the last tenth of the operations over that of the first.
#pragma once

#include "bench/workloads/workload.h"

namespace lightning::bench {

void queue(const Course& course, Result& result);
Tally leaves_queue(const Dataset& data);

}  // namespace lightning::bench
