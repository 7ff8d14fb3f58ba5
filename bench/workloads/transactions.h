// bank: transfers between accounts: each reads two and writes both. The sum of all is what it was.
// counter: all threads add to one number; none of the additions is lost.
//
// --num transactions in all, by --threads threads. The accounts are as many, at most 100,000.
// For lightning, rocksdb-occ, rocksdb-2pl and lmdb.
#pragma once

#include "bench/workloads/workload.h"

namespace lightning::bench {

void bank(const Course& course, Result& result);
void counter(const Course& course, Result& result);

}  // namespace lightning::bench
