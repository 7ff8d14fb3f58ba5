#include "engine/side_by_side.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/mutex.h"

namespace lightning {

namespace {

// A task may come when all is done and the caller gone: it finds nothing to begin.
class Pieces {
 public:
  Pieces(size_t count, std::function<void(size_t)> piece) : count_(count), piece_(std::move(piece)) {}

  void work() {
    MutexLock lock(mutex_);
    while (next_ < count_) {
      const size_t at = next_++;
      ++running_;
      mutex_.unlock();
      piece_(at);
      mutex_.lock();
      if (--running_ == 0) ended_.notify_all();
    }
  }
  void wait() {
    MutexLock lock(mutex_);
    while (running_ != 0) ended_.wait(mutex_);
  }

 private:
  const size_t count_;
  const std::function<void(size_t)> piece_;
  Mutex mutex_;
  CondVar ended_;
  size_t next_ GUARDED_BY(mutex_) = 0;
  size_t running_ GUARDED_BY(mutex_) = 0;
};

}  // namespace

void run_side_by_side(Background& background, Lane lane, size_t count, size_t threads,
                      std::function<void(size_t)> piece) {
  const auto pieces = std::make_shared<Pieces>(count, std::move(piece));
  for (size_t more = std::min(count, threads); more > 1; --more) {
    if (!background.run(lane, [pieces] { pieces->work(); })) break;
  }
  pieces->work();
  pieces->wait();
}

}  // namespace lightning
