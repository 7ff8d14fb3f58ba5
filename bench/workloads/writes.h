// Workloads that change the database. Every key is written exactly once: what they leave can be checked.
#pragma once

#include "bench/workloads/worker.h"

namespace lightning::bench {

inline constexpr uint64_t kBatchEntries = 100;
inline constexpr size_t kLargeValueSize = 100'000;

void fill_sequential(Worker& worker);  // in the order of the keys
void fill_random(Worker& worker);      // in random order
void fill_batch(Worker& worker);       // in random order, 100 entries a batch
void ingest(Worker& worker);           // in the order of the keys, as one call
void overwrite(Worker& worker);        // all keys, in another random order, with other values
void delete_random(Worker& worker);    // all keys, in random order
void delete_sequential(Worker& worker);
void fill_large(Worker& worker);  // 100,000-byte values, a thousandth of the entries
void overwrite_until_stopped(Worker& worker);

Tally leaves_all(const Dataset& data);
Tally leaves_synced(const Dataset& data);
Tally leaves_overwritten(const Dataset& data);
Tally leaves_nothing(const Dataset& data);
Tally leaves_large(const Dataset& data);

// In which overwrites and removals go.
Permutation order_of_changes(const Dataset& data);

// How many entries fillsync writes: a thousandth, at least 2,000.
uint64_t synced_entries(const Config& config);
uint64_t large_entries(const Config& config);

}  // namespace lightning::bench
