// The workloads A to F of YCSB (B. Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", 2010),
// whose keys are drawn by Zipf's law, the frequent ones spread over all; of D the last inserted are the
// frequent ones. What is inserted comes behind all other keys.
#pragma once

#include "bench/workloads/worker.h"

namespace lightning::bench {

void ycsb_a(Worker& worker);  // half gets, half updates
void ycsb_b(Worker& worker);  // 95 % gets, updates
void ycsb_c(Worker& worker);  // gets
void ycsb_d(Worker& worker);  // 95 % gets of what is new, inserts
void ycsb_e(Worker& worker);  // 95 % scans of 1 to 100 entries, inserts
void ycsb_f(Worker& worker);  // half gets, half gets with an update of the same key behind

uint64_t ycsb_scans(const Config& config);
Tally leaves_inserted(const Dataset& data);        // by D
Tally leaves_inserted_scans(const Dataset& data);  // by E

}  // namespace lightning::bench
