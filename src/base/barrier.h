// The asymmetric memory barrier: the rare side pays for the frequent one.
//
// heavy_barrier() acts as a sequentially consistent fence in every running thread of the process, so that a
// frequent reader needs only a compiler barrier where it pairs with it. Where the kernel refuses (seccomp, an
// old kernel) or a race detector runs, heavy_barrier_available() is false and the readers must have a
// full_barrier() of their own.
// Source: membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED. base declares, io/barrier.cc defines.
//
// Thread safety: any thread.
#pragma once

namespace lightning {

/// Decided once for the process, at the first call.
bool heavy_barrier_available();
void heavy_barrier();
/// A sequentially consistent fence in this thread, of which a race detector knows.
void full_barrier();

}  // namespace lightning
