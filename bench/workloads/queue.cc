#include "bench/workloads/queue.h"

#include "bench/fail.h"

namespace lightning::bench {
namespace {

// How many entries wait: a thousand, or a tenth of a short run.
uint64_t depth(const Config& config) { return std::min<uint64_t>(1'000, config.num / 10); }

}  // namespace

void queue(const Course& course, Result& result) {
  const Dataset& data = course.data;
  const uint64_t num = data.config.num, waiting = depth(data.config), pops = num - waiting;
  const std::unique_ptr<Session> session = course.engine.session();
  KeyBuffer key(data.config.key_size);
  Histogram latency;
  for (uint64_t i = 0; i < waiting; ++i) session->put(key(i), data.values(i));
  const Clock::time_point start = Clock::now();
  Clock::time_point last = start;
  uint64_t first_tenth_ns = 0, last_tenth_ns = 0;
  for (uint64_t i = 0; i < pops; ++i) {
    session->put(key(waiting + i), data.values(waiting + i));
    const Tally first = session->scan(Direction::forward, 1);
    Tally expected;
    expected.add(key(i), data.values(i));
    require(first == expected, "wrong answer: the first entry of a queue is another one");
    session->remove(key(i));
    const Clock::time_point now = Clock::now();
    const uint64_t took_ns = nanoseconds_between(last, now);
    latency.add(took_ns);
    if (i < pops / 10) first_tenth_ns += took_ns;
    if (i >= pops - pops / 10) last_tenth_ns += took_ns;
    last = now;
  }
  result.operations = pops;
  result.seconds = static_cast<double>(nanoseconds_between(start, last)) / 1e9;
  result.set_latency(latency);
  result.figures["last_tenth_ratio"] =
      last_tenth_ns == 0 ? 0 : static_cast<double>(first_tenth_ns) / static_cast<double>(last_tenth_ns);
}

Tally leaves_queue(const Dataset& data) {
  const uint64_t waiting = depth(data.config);
  return data.expect(waiting, 0, [&](uint64_t i) { return data.config.num - waiting + i; });
}

}  // namespace lightning::bench
