// Reads side by side, by io_uring, where it was compiled in and the kernel allows it.
//
// A ring is borrowed from a small pool of the process for the time of one call, so that there are few
// descriptors however many threads read; where none is left, or none can be made, nothing is read, and the
// caller reads one after the other. A refusal of the system is remembered. A forked child uses none: the
// rings are its parent's.
//
// Invariant: when read_by_ring() returns, the kernel writes to none of the buffers any more.
// Thread safety: any threads; no lock is held while reads are waited for.
// Costs: at most kRingsMax descriptors and some 20 KiB of memory for each, which stay until the process ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lightning {

inline constexpr size_t kRingReads = 32;  // of a call, at most
inline constexpr size_t kRingsMax = 16;

struct RingRead {
  int descriptor = -1;
  uint64_t offset = 0;
  char* to = nullptr;
  uint64_t size = 0;   // 0: not to be done
  int64_t count = -1;  // bytes that were read; below 0: it was not done, or failed
};

void read_by_ring(std::span<RingRead> reads);

/// For tests and comparisons: from now on no ring is used, or again as the system allows. Answers whether
/// this build has them and the system was not found to refuse.
bool allow_read_rings(bool allowed);
/// How many reads rings have done in this process.
uint64_t reads_by_ring();

}  // namespace lightning
