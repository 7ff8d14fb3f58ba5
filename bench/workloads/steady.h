// steady: random puts over a full database for a time (--seconds), each tenth operation a get. Every
// operation is timed, and counted in its second.
//
// Figures: min_second_ratio, the slowest whole second over the median one; percentiles of put and get in us.
#pragma once

#include "bench/workloads/workload.h"

namespace lightning::bench {

void steady(const Course& course, Result& result);

}  // namespace lightning::bench
