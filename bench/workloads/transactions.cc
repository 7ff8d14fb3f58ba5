#include "bench/workloads/transactions.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <thread>
#include <vector>

#include "bench/fail.h"
#include "bench/workloads/zipf.h"

namespace lightning::bench {
namespace {

constexpr int64_t kAtFirst = 1'000;
constexpr uint64_t kAccountsMax = 100'000;
constexpr size_t kDigits = 20;  // in front of filler up to the size of a value

int64_t number_of(std::string_view value) {
  int64_t number = 0;
  std::from_chars(value.data(), value.data() + std::min(kDigits, value.size()), number);
  return number;
}

void set_number(int64_t number, size_t size, std::string* value) {
  value->assign(std::max(size, kDigits), '.');
  std::to_chars(value->data(), value->data() + kDigits, number);
}

/// `each(session, random, key buffers)` for every transaction of every thread.
template <typename Each>
void race(const Course& course, Result& result, Each&& each) {
  const Config& config = course.data.config;
  std::vector<Histogram> latencies(config.threads);
  const auto run = [&](unsigned thread) {
    const std::unique_ptr<Session> session = course.engine.session();
    Random random(config.seed * 1000 + thread);
    KeyBuffer first(config.key_size), second(config.key_size);
    const uint64_t begin = config.num * thread / config.threads;
    const uint64_t end = config.num * (thread + 1) / config.threads;
    constexpr uint64_t kSampleEvery = 16;
    for (uint64_t i = begin; i < end; ++i) {
      if (i % kSampleEvery != 0) {
        each(*session, random, first, second);
        continue;
      }
      const Clock::time_point start = Clock::now();
      each(*session, random, first, second);
      latencies[thread].add(nanoseconds_between(start, Clock::now()));
    }
  };
  const Clock::time_point start = Clock::now();
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < config.threads; ++thread) threads.emplace_back(run, thread);
  for (std::thread& thread : threads) thread.join();
  result.operations = config.num;
  result.seconds = static_cast<double>(nanoseconds_between(start, Clock::now())) / 1e9;
  Histogram latency;
  for (const Histogram& one : latencies) latency.merge(one);
  result.set_latency(latency);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void transaction_cost(const Course& course, Result& result) {
  constexpr size_t kGets = 10;
  constexpr uint64_t kSlices = 50;
  const Config& config = course.data.config;
  const uint64_t accounts = std::max<uint64_t>(kGets, std::min(config.num, kAccountsMax));
  KeyBuffer key(config.key_size);
  std::vector<KeyBuffer> buffers(kGets, KeyBuffer(config.key_size));
  std::vector<std::string_view> keys(kGets), values(kGets);
  Random random(config.seed);
  const std::unique_ptr<Session> session = course.engine.session();
  for (uint64_t i = 0; i < accounts; ++i) session->put(key(i), course.data.values(i));
  course.engine.settle();
  const auto time_slice = [&](uint64_t operations, auto&& operation) {
    const Clock::time_point start = Clock::now();
    for (uint64_t i = 0; i < operations; ++i) operation(random.below(accounts));
    return static_cast<double>(nanoseconds_between(start, Clock::now())) / static_cast<double>(operations);
  };
  const auto get = [&](bool in_transaction) {
    return [&, in_transaction](uint64_t first) {
      for (size_t k = 0; k < kGets; ++k) keys[k] = buffers[k]((first + k * k * 7'919) % accounts);
      if (in_transaction) return session->get_in_transaction(keys, values);
      for (const std::string_view one : keys) require(session->get(one).data() != nullptr, "a key is absent");
    };
  };
  const uint64_t puts = std::max<uint64_t>(config.num / kSlices, 1), gets = std::max<uint64_t>(puts / 4, 1);
  std::vector<double> put_ns, transaction_ns, put_ratio, get_ratio;
  for (uint64_t slice = 0; slice < kSlices; ++slice) {
    put_ns.push_back(time_slice(puts, [&](uint64_t i) { session->put(key(i), course.data.values(i)); }));
    transaction_ns.push_back(
        time_slice(puts, [&](uint64_t i) { session->put_in_transaction(key(i), course.data.values(i)); }));
    put_ratio.push_back(transaction_ns.back() / put_ns.back());
    const double plain_ns = time_slice(gets, get(false));
    get_ratio.push_back(time_slice(gets, get(true)) / plain_ns);
  }
  result.operations = puts * kSlices;
  result.seconds = median(transaction_ns) * static_cast<double>(result.operations) / 1e9;
  result.figures["put_ns"] = median(put_ns);
  result.figures["transaction_put_ns"] = median(transaction_ns);
  result.figures["put_ratio"] = median(put_ratio);
  result.figures["get10_ratio"] = median(get_ratio);
}

void bank(const Course& course, Result& result) {
  const Config& config = course.data.config;
  const uint64_t accounts = std::max<uint64_t>(2, std::min(config.num, kAccountsMax));
  KeyBuffer key(config.key_size);
  std::string value;
  set_number(kAtFirst, config.value_size, &value);
  const std::unique_ptr<Session> session = course.engine.session();
  for (uint64_t i = 0; i < accounts; ++i) session->put(key(i), value);
  course.engine.settle();
  race(course, result, [&](Session& mine, Random& random, KeyBuffer& first, KeyBuffer& second) {
    const uint64_t a = random.below(accounts), b = (a + 1 + random.below(accounts - 1)) % accounts;
    const bool to_larger = random.next() % 2 == 0;
    const std::string_view keys[] = {first(std::min(a, b)), second(std::max(a, b))};
    mine.transact(keys, [&](std::span<const std::string_view> seen, std::span<std::string> next) {
      set_number(number_of(seen[0]) + (to_larger ? -1 : 1), config.value_size, &next[0]);
      set_number(number_of(seen[1]) + (to_larger ? 1 : -1), config.value_size, &next[1]);
    });
  });
  int64_t sum = 0;
  for (uint64_t i = 0; i < accounts; ++i) sum += number_of(session->get(key(i)));
  require(sum == kAtFirst * static_cast<int64_t>(accounts), "wrong answer: money was made or lost");
}

void ycsb_t(const Course& course, Result& result) {
  const Config& config = course.data.config;
  const uint64_t accounts = std::max<uint64_t>(Session::kTransactionKeys, std::min(config.num, kAccountsMax));
  const Permutation spread(accounts, config.seed);
  const Zipf zipf(accounts);
  KeyBuffer key(config.key_size);
  std::string value;
  set_number(0, config.value_size, &value);
  const std::unique_ptr<Session> session = course.engine.session();
  for (uint64_t i = 0; i < accounts; ++i) session->put(key(i), value);
  course.engine.settle();
  race(course, result, [&](Session& mine, Random& random, KeyBuffer&, KeyBuffer&) {
    std::set<uint64_t> numbers;
    while (numbers.size() < Session::kTransactionKeys) numbers.insert(spread(zipf(random)));
    std::vector<KeyBuffer> buffers(numbers.size(), KeyBuffer(config.key_size));
    std::vector<std::string_view> keys;
    for (const uint64_t number : numbers) keys.push_back(buffers[keys.size()](number));
    mine.transact(keys, [&](std::span<const std::string_view> seen, std::span<std::string> next) {
      for (size_t i = 0; i < seen.size(); ++i)
        set_number(number_of(seen[i]) + 1, config.value_size, &next[i]);
    });
  });
  uint64_t sum = 0;
  for (uint64_t i = 0; i < accounts; ++i) sum += static_cast<uint64_t>(number_of(session->get(key(i))));
  require(sum == config.num * Session::kTransactionKeys, "wrong answer: a change of a transaction was lost");
}

void counter(const Course& course, Result& result) {
  const Config& config = course.data.config;
  KeyBuffer key(config.key_size);
  std::string value;
  set_number(0, config.value_size, &value);
  const std::unique_ptr<Session> session = course.engine.session();
  session->put(key(0), value);
  race(course, result, [&](Session& mine, Random&, KeyBuffer& first, KeyBuffer&) {
    const std::string_view keys[] = {first(0)};
    mine.transact(keys, [&](std::span<const std::string_view> seen, std::span<std::string> next) {
      set_number(number_of(seen[0]) + 1, config.value_size, &next[0]);
    });
  });
  require(number_of(session->get(key(0))) == static_cast<int64_t>(config.num),
          "wrong answer: an addition was lost");
}

}  // namespace lightning::bench
