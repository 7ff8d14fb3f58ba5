#include "bench/workloads/reads.h"

#include <vector>

#include "bench/fail.h"

namespace lightning::bench {

namespace {

constexpr const char* kWrongValue = "wrong answer: a key that was written is absent or has another value";

void scan_repeatedly(Worker& worker, Direction direction) {
  const uint64_t entries = worker.data.config.num;
  for (uint64_t done = worker.first; done < worker.end; done += entries) {
    const Tally tally = worker.session.scan(direction);
    require(tally == worker.data.all, "wrong answer: a scan found other entries than were written");
    worker.operations += entries;
  }
}

template <typename NumberOf>
void seek_repeatedly(Worker& worker, Direction direction, NumberOf&& number_of) {
  const uint64_t num = worker.data.config.num;
  const bool forward = direction == Direction::forward;
  KeyBuffer expected_key(worker.data.config.key_size);
  worker.repeat([&](uint64_t i) {
    const uint64_t number = number_of(i);
    const Tally tally = worker.session.seek(worker.key(number), direction, kSteps);
    const uint64_t entries = std::min<uint64_t>(kSteps + 1, forward ? num - number : number + 1);
    require(tally.entries == entries,
            "wrong answer: a seek found another number of entries than were written");
    if (i % 64 != 0) return;  // what was found is looked at now and then only: it costs as much as the steps
    Tally expected;
    for (uint64_t step = 0; step < entries; ++step) {
      const uint64_t at = forward ? number + step : number - step;
      expected.add(expected_key(at), worker.data.values(at));
    }
    require(tally.digest == expected.digest, "wrong answer: a seek found other entries than were written");
  });
}

}  // namespace

void read_random(Worker& worker) {
  worker.repeat([&](uint64_t) {
    const uint64_t number = worker.pick();
    require(worker.data.values.matches(number, worker.session.get(worker.key(number))), kWrongValue);
  });
}

void read_hot(Worker& worker) {
  const uint64_t hot = (worker.data.config.num + 99) / 100;
  worker.repeat([&](uint64_t) {
    const uint64_t number = worker.random.below(hot);
    require(worker.data.values.matches(number, worker.session.get(worker.key(number))), kWrongValue);
  });
}

void read_one(Worker& worker) {
  const uint64_t number = worker.data.config.num / 2;
  const std::string_view key = worker.key(number);
  worker.repeat(
      [&](uint64_t) { require(worker.data.values.matches(number, worker.session.get(key)), kWrongValue); });
}

void read_missing(Worker& worker) {
  worker.repeat([&](uint64_t) {
    const std::string_view key = worker.key.missing(worker.random.below(worker.data.config.num));
    require(worker.session.get(key).data() == nullptr,
            "wrong answer: a key was found that was never written");
  });
}

static void read_together(Worker& worker, uint64_t keys_per_call) {
  std::vector<KeyBuffer> buffers(keys_per_call, KeyBuffer(worker.data.config.key_size));
  std::vector<uint64_t> numbers(keys_per_call);
  std::vector<std::string_view> keys(keys_per_call), values(keys_per_call);
  worker.repeat(keys_per_call, [&](uint64_t) {
    for (size_t k = 0; k < keys_per_call; ++k) {
      numbers[k] = worker.pick();
      keys[k] = buffers[k](numbers[k]);
    }
    worker.session.get_many(keys, values);
    for (size_t k = 0; k < keys_per_call; ++k) {
      require(worker.data.values.matches(numbers[k], values[k]), kWrongValue);
    }
  });
}

void read_many(Worker& worker) { read_together(worker, kKeysPerCall); }
void read_some(Worker& worker) { read_together(worker, kFewKeysPerCall); }

void read_sequential(Worker& worker) { scan_repeatedly(worker, Direction::forward); }
void read_reverse(Worker& worker) { scan_repeatedly(worker, Direction::backward); }
void seek_random(Worker& worker) {
  seek_repeatedly(worker, Direction::forward, [&](uint64_t) { return worker.pick(); });
}
void seek_reverse(Worker& worker) {
  seek_repeatedly(worker, Direction::backward, [&](uint64_t) { return worker.pick(); });
}
void seek_ordered(Worker& worker) {
  seek_repeatedly(worker, Direction::forward, [&](uint64_t i) { return i % worker.data.config.num; });
}

}  // namespace lightning::bench
