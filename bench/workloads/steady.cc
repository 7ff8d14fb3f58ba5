#include "bench/workloads/steady.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "bench/fail.h"

namespace lightning::bench {
namespace {

constexpr uint64_t kGetEvery = 10;

struct Span {
  Histogram puts;
  Histogram gets;

  void merge(const Span& other) {
    puts.merge(other.puts);
    gets.merge(other.gets);
  }
  uint64_t operations() const { return puts.count() + gets.count(); }
};

// Of all threads, by the second.
class Timeline {
 public:
  explicit Timeline(uint64_t seconds) : seconds_(seconds) {}

  void add(uint64_t second, const Span& span) {
    if (second >= seconds_.size()) return;
    const std::lock_guard lock(mutex_);
    seconds_[second].merge(span);
  }
  const std::vector<Span>& seconds() const { return seconds_; }

 private:
  std::mutex mutex_;
  std::vector<Span> seconds_;
};

void load(const Course& course, unsigned thread, Clock::time_point start, Timeline& timeline) {
  const Dataset& data = course.data;
  const std::unique_ptr<Session> session = course.engine.session();
  KeyBuffer key(data.config.key_size);
  Random random(data.config.seed * 1000 + thread);
  const uint64_t end_ns = data.config.seconds * 1'000'000'000;
  auto span = std::make_unique<Span>();
  uint64_t second = 0, begun_ns = nanoseconds_between(start, Clock::now());
  for (uint64_t i = 0; begun_ns < end_ns; ++i) {
    const uint64_t number = random.below(data.config.num);
    const bool get = i % kGetEvery == 0;
    if (get) {
      require(data.values.matches(number, session->get(key(number))),
              "wrong answer: a key that was written is absent or has another value");
    } else {
      session->put(key(number), data.values(number, 1));
    }
    const uint64_t now_ns = nanoseconds_between(start, Clock::now());
    // An operation counts in the second in which it ended.
    if (now_ns / 1'000'000'000 != second) {
      timeline.add(second, *span);
      *span = Span();
      second = now_ns / 1'000'000'000;
    }
    (get ? span->gets : span->puts).add(now_ns - begun_ns);
    begun_ns = now_ns;
  }
}

void add_percentiles(const std::string& name, const Histogram& latency, Figures& figures) {
  const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1e3; };
  figures[name + "_p50_us"] = us(latency.percentile(50));
  figures[name + "_p99_us"] = us(latency.percentile(99));
  figures[name + "_p99.9_us"] = us(latency.percentile(99.9));
  figures[name + "_max_us"] = us(latency.max());
}

}  // namespace

void steady(const Course& course, Result& result) {
  const Config& config = course.data.config;
  Timeline timeline(config.seconds);
  std::vector<std::thread> threads;
  const Clock::time_point start = Clock::now();
  for (unsigned thread = 0; thread < config.threads; ++thread) {
    threads.emplace_back(load, std::cref(course), thread, start, std::ref(timeline));
  }
  for (std::thread& thread : threads) thread.join();

  auto all = std::make_unique<Span>();
  std::vector<uint64_t> rates;
  for (const Span& span : timeline.seconds()) {
    all->merge(span);
    rates.push_back(span.operations());
    const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1e3; };
    result.timeline.push_back({span.operations(), us(span.puts.percentile(99)), us(span.puts.max()),
                               us(span.gets.percentile(99)), us(span.gets.max())});
  }
  result.operations = all->operations();
  result.seconds = static_cast<double>(config.seconds);
  result.set_latency(all->puts);
  add_percentiles("put", all->puts, result.figures);
  add_percentiles("get", all->gets, result.figures);
  std::ranges::sort(rates);
  const double middle = static_cast<double>(rates[rates.size() / 2]);
  result.figures["min_second_ratio"] = middle == 0 ? 0 : static_cast<double>(rates.front()) / middle;
}

}  // namespace lightning::bench
