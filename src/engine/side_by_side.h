// Work in pieces that do not hang on one another, by the calling thread and by tasks of the background that
// find a thread.
//
// Never waits for a thread to be had: what no other one has begun, the caller does itself.
#pragma once

#include <cstddef>
#include <functional>

#include "engine/background.h"

namespace lightning {

/// Calls `piece(i)` once for each i below `count`, in ascending order where one thread alone comes to it, on
/// at most `threads` threads at a time. Returns when all have ended. `piece` throws nothing. Throws
/// std::bad_alloc, and has called nothing then.
void run_side_by_side(Background& background, Lane lane, size_t count, size_t threads,
                      std::function<void(size_t)> piece);

}  // namespace lightning
