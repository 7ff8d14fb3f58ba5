#include "testing/worker_pool.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "testing/allocation_truce.h"

namespace lightning {

namespace {

struct Worker {
  std::atomic<uint32_t> has_job{0};
  std::function<void()> job;
};

struct Pool {
  std::mutex mutex;
  std::vector<Worker*> idle;
};

Pool& pool() {
  static Pool* const instance = new Pool;  // never destroyed: workers outlive static destruction
  return *instance;
}

void work(Worker* worker) {
  for (;;) {
    worker->has_job.wait(0, std::memory_order_acquire);
    worker->has_job.store(0, std::memory_order_relaxed);
    std::exchange(worker->job, nullptr)();
    const AllocationTruce truce;
    const std::lock_guard lock(pool().mutex);
    pool().idle.push_back(worker);
  }
}

}  // namespace

void WorkerPool::start(std::function<void()> job) {
  Worker* worker = nullptr;
  {
    const std::lock_guard lock(pool().mutex);
    if (!pool().idle.empty()) {
      worker = pool().idle.back();
      pool().idle.pop_back();
    }
  }
  if (worker == nullptr) {
    worker = new Worker;
    std::thread(work, worker).detach();
  }
  worker->job = std::move(job);
  worker->has_job.store(1, std::memory_order_release);
  worker->has_job.notify_one();
}

}  // namespace lightning
