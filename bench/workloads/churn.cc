#include "bench/workloads/churn.h"

#include <atomic>
#include <thread>

#include "bench/fail.h"
#include "bench/workloads/writes.h"

namespace lightning::bench {
namespace {

constexpr std::chrono::milliseconds kSamplePeriod{50};

// Watches the size on disk beside what is readable, which the load tells it.
class SpaceWatch {
 public:
  explicit SpaceWatch(const Course& course)
      : course_(course), thread_([this] {
          while (!stop_.load(std::memory_order_relaxed)) {
            std::this_thread::sleep_for(kSamplePeriod);
            sample();
          }
        }) {}
  ~SpaceWatch() { stop(); }

  void readable(uint64_t entries) { readable_.store(entries, std::memory_order_relaxed); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  double max() const { return max_; }  // after stop()

 private:
  void sample() {
    const Config& config = course_.data.config;
    const uint64_t entries = readable_.load(std::memory_order_relaxed);
    if (entries < config.num / 4) return;
    const auto raw = static_cast<double>(entries * (config.key_size + config.value_size));
    max_ = std::max(max_, static_cast<double>(course_.data_bytes()) / raw);
  }

  const Course& course_;
  std::atomic<uint64_t> readable_{0};
  std::atomic<bool> stop_{false};
  double max_ = 0;
  std::thread thread_;
};

struct Load {
  Load(const Course& c, Histogram& l)
      : course(c), latency(l), session(c.engine.session()), key(c.data.config.key_size) {}

  // change(i) for each i of [0, count); readable(i) entries can be read then.
  template <typename Change, typename Readable>
  void run(uint64_t count, SpaceWatch& watch, Change&& change, Readable&& readable) {
    for (uint64_t i = 0; i < count; ++i) {
      if (i % kTimedEvery != 0) {
        change(i);
        continue;
      }
      const Clock::time_point start = Clock::now();
      change(i);
      latency.add(nanoseconds_between(start, Clock::now()));
      watch.readable(readable(i));
    }
  }

  /// Puts all keys into the empty database.
  void fill(SpaceWatch& watch) {
    const Dataset& data = course.data;
    run(
        data.config.num, watch,
        [&](uint64_t i) {
          const uint64_t number = data.order(i);
          session->put(key(number), data.values(number));
        },
        [](uint64_t i) { return i; });
  }

  static constexpr uint64_t kTimedEvery = 16;

  const Course& course;
  Histogram& latency;
  std::unique_ptr<Session> session;
  KeyBuffer key;
};

// All keys are there, `changed` of them overwritten in the order of changes.
Tally partly_overwritten(const Dataset& data, uint64_t changed) {
  const Permutation order = order_of_changes(data);
  Tally tally = data.expect(changed, 1, [&](uint64_t i) { return order(i); });
  const Tally rest =
      data.expect(data.config.num - changed, 0, [&](uint64_t i) { return order(changed + i); });
  return {tally.entries + rest.entries, tally.digest + rest.digest};
}

}  // namespace

void churn(const Course& course, Result& result) {
  const Dataset& data = course.data;
  const uint64_t num = data.config.num;
  const uint64_t removed = num / 2;
  const Permutation order = order_of_changes(data);
  Histogram latency;
  SpaceWatch watch(course);
  Load load(course, latency);
  const Clock::time_point start = Clock::now();
  load.fill(watch);
  std::unique_ptr<Held> held;
  load.run(
      num, watch,
      [&](uint64_t i) {
        if (i == num / 2) held = course.engine.session()->hold();
        const uint64_t number = order(i);
        load.session->put(load.key(number), data.values(number, 1));
      },
      [&](uint64_t i) { return num + (i < num / 2 ? 0 : i - num / 2); });
  const Clock::time_point paused = Clock::now();
  require(held->scan() == partly_overwritten(data, num / 2),
          "wrong answer: a snapshot does not hold what was there when it was taken");
  held.reset();
  const Clock::time_point resumed = Clock::now();
  load.run(
      removed, watch, [&](uint64_t i) { load.session->remove(load.key(order(i))); },
      [&](uint64_t i) { return num - i; });
  const Clock::time_point end = Clock::now();
  watch.stop();
  course.engine.settle();

  result.operations = 2 * num + removed;
  result.seconds =
      static_cast<double>(nanoseconds_between(start, paused) + nanoseconds_between(resumed, end)) / 1e9;
  result.set_latency(latency);
  const auto raw = static_cast<double>(data.config.key_size + data.config.value_size);
  result.figures["space_amp_load"] = watch.max();
  result.figures["space_amp"] =
      static_cast<double>(course.data_bytes()) / (static_cast<double>(num - removed) * raw);
  if (const std::optional<uint64_t> written = course.engine.written_bytes()) {
    const double user = 2.0 * static_cast<double>(num) * raw +
                        static_cast<double>(removed) * static_cast<double>(data.config.key_size);
    result.figures["write_amp"] = static_cast<double>(*written) / user;
  }
}

void rewrite(const Course& course, Result& result) {
  const Dataset& data = course.data;
  const uint64_t num = data.config.num;
  const Permutation order = order_of_changes(data);
  Histogram latency;
  SpaceWatch watch(course);
  Load load(course, latency);
  const Clock::time_point start = Clock::now();
  load.fill(watch);
  load.run(
      num, watch,
      [&](uint64_t i) {
        const uint64_t number = order(i);
        load.session->put(load.key(number), data.values(number, 1));
      },
      [&](uint64_t) { return num; });
  result.seconds = static_cast<double>(nanoseconds_between(start, Clock::now())) / 1e9;
  watch.stop();
  course.engine.settle();
  result.operations = 2 * num;
  result.set_latency(latency);
  const auto raw = static_cast<double>(data.raw_bytes);
  result.figures["space_amp_load"] = watch.max();
  result.figures["space_amp"] = static_cast<double>(course.data_bytes()) / raw;
  if (const std::optional<uint64_t> written = course.engine.written_bytes())
    result.figures["write_amp"] = static_cast<double>(*written) / (2 * raw);
}

void compact(const Course& course, Result& result) {
  const Dataset& data = course.data;
  const std::unique_ptr<Session> session = course.engine.session();
  KeyBuffer key(data.config.key_size);
  for (uint64_t i = 0; i < data.config.num; ++i) {
    const uint64_t number = data.order(i);
    session->put(key(number), data.values(number));
  }
  const Clock::time_point start = Clock::now();
  course.engine.settle();
  result.operations = data.config.num;
  result.seconds = static_cast<double>(nanoseconds_between(start, Clock::now())) / 1e9;
}

Tally leaves_half_overwritten(const Dataset& data) {
  const Permutation order = order_of_changes(data);
  const uint64_t removed = data.config.num / 2;
  return data.expect(data.config.num - removed, 1, [&](uint64_t i) { return order(removed + i); });
}

}  // namespace lightning::bench
