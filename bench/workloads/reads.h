// Workloads that read a database with all keys in it. Each checks what it reads: which keys are there, and a
// part of every value; a wrong answer ends the process with exit code 1.
#pragma once

#include "bench/workloads/worker.h"

namespace lightning::bench {

inline constexpr uint64_t kKeysPerCall = 64;
inline constexpr uint64_t kFewKeysPerCall = 16;
inline constexpr unsigned kSteps = 10;

void read_random(Worker& worker);
void read_hot(Worker& worker);         // the first hundredth of the keys
void read_one(Worker& worker);         // one key, always the same
void read_missing(Worker& worker);     // keys that are not there, each between two that are
void read_many(Worker& worker);        // 64 random keys a call; counts keys
void read_some(Worker& worker);        // 16
void read_sequential(Worker& worker);  // whole scans; counts entries
void read_reverse(Worker& worker);
void seek_random(Worker& worker);   // a random key and the next 10; counts seeks
void seek_reverse(Worker& worker);  // a random key and the 10 before
void seek_ordered(Worker& worker);  // each key in turn, and the next 10

}  // namespace lightning::bench
