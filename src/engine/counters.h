// Counters: what the engine did since it was opened. What every commit counts is striped by thread.
// Thread safety: any threads; sums are of no one moment.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/striped_counter.h"

namespace lightning {

struct Counters {
  StripedCounter user_bytes_written;
  StripedCounter commits;
  StripedCounter removals;  // of keys
  std::atomic<uint64_t> log_start_lsn{0};
  std::atomic<uint64_t> flushes{0};
  std::atomic<uint64_t> flush_bytes_written{0};
  std::atomic<uint64_t> merges{0};
  std::atomic<uint64_t> merge_bytes_read{0};
  std::atomic<uint64_t> merge_bytes_written{0};
  std::atomic<uint64_t> moves{0};
  std::atomic<uint64_t> move_bytes{0};
  std::atomic<uint64_t> drops{0};
  std::atomic<uint64_t> drop_bytes{0};
  std::atomic<uint64_t> stalls{0};
  std::atomic<uint64_t> stall_us{0};
  std::atomic<uint64_t> transaction_conflicts{0};
  std::atomic<uint64_t> unasked_scan_errors{0};
  std::atomic<uint64_t> recovered_records{0};
  std::atomic<uint64_t> recovery_us{0};
};

}  // namespace lightning
