// WorkerPool: threads that run one job after another, kept for the process: making one costs more than a
// simulated open.
//
// Thread safety: internally synchronised. Its threads are never joined; they end with the process.
#pragma once

#include <functional>

namespace lightning {

class WorkerPool {
 public:
  /// Runs `job` on an idle thread, or on another one if none is idle.
  static void start(std::function<void()> job);
};

}  // namespace lightning
