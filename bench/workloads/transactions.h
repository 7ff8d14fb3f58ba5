// bank: transfers between accounts: each reads two and writes both. The sum of all is what it was.
// counter: all threads add to one number; none of the additions is lost.
// ycsbt: YCSB's keys (Zipf's law) over transactions: each reads four counters and writes them, one higher.
// Their sum is what was added.
// txcost: transactions of one put beside plain puts, and read-only ones of ten gets beside ten plain gets, a
// slice of each after the other: put_ratio and get10_ratio say how much longer they take, the medians of all
// slices. For lightning alone.
//
// --num transactions in all, by --threads threads. The accounts are as many, at most 100,000.
// For lightning, rocksdb-occ, rocksdb-2pl and lmdb.
#pragma once

#include "bench/workloads/workload.h"

namespace lightning::bench {

void bank(const Course& course, Result& result);
void counter(const Course& course, Result& result);
void ycsb_t(const Course& course, Result& result);
void transaction_cost(const Course& course, Result& result);

}  // namespace lightning::bench
