#include "bench/workloads/ycsb.h"

#include <mutex>
#include <set>

#include "bench/fail.h"

namespace lightning::bench {
namespace {

constexpr const char* kWrongValue = "wrong answer: a key that was written is absent or has another value";
constexpr uint64_t kInsertEvery = 20;
constexpr uint64_t kScanEntriesMax = 100;

void get(Worker& worker, uint64_t number) {
  require(worker.data.values.matches(number, worker.session.get(worker.key(number))), kWrongValue);
}
void update(Worker& worker, uint64_t number) {
  worker.session.put(worker.key(number), worker.data.values(number, 1));
}

/// The number of a key that was there from the start; the frequent ones are spread over all.
uint64_t spread(Worker& worker) {
  // Of a single entry Zipf knows two ranks.
  return worker.data.order(worker.data.zipf(worker.random) % worker.data.config.num);
}

template <typename Change>
void gets_and_changes(Worker& worker, uint64_t percent_of_gets, Change&& change) {
  worker.repeat([&](uint64_t) {
    const uint64_t number = spread(worker);
    worker.random.below(100) < percent_of_gets ? get(worker, number) : change(number);
  });
}

/// Is operation `i` an insert? The same for every engine and number of threads.
bool is_insert(const Config& config, uint64_t i) {
  return reduce(mix(config.seed * 31 + i), kInsertEvery) == 0;
}

uint64_t inserts_below(const Config& config, uint64_t end) {
  uint64_t inserts = 0;
  for (uint64_t i = 0; i < end; ++i) inserts += is_insert(config, i) ? 1 : 0;
  return inserts;
}

/// Gives out the numbers of new keys, and knows below which one all of them are there.
class Inserts {
 public:
  explicit Inserts(uint64_t first) : next_(first), there_(first) {}

  uint64_t begin() {
    const std::lock_guard lock(mutex_);
    under_way_.insert(next_);
    return next_++;
  }
  void end(uint64_t number) {
    const std::lock_guard lock(mutex_);
    under_way_.erase(number);
    there_.store(under_way_.empty() ? next_ : *under_way_.begin(), std::memory_order_release);
  }
  uint64_t there() const { return there_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  uint64_t next_;
  std::set<uint64_t> under_way_;
  std::atomic<uint64_t> there_;
};

/// One for all workers of the process: a child runs one workload that inserts.
Inserts& inserts_of(const Worker& worker) {
  static Inserts inserts(worker.data.config.num);
  return inserts;
}

template <typename Read>
void reads_and_inserts(Worker& worker, Read&& read) {
  Inserts& inserts = inserts_of(worker);
  worker.repeat([&](uint64_t i) {
    if (!is_insert(worker.data.config, i)) return read(inserts.there());
    const uint64_t number = inserts.begin();
    worker.session.put(worker.key(number), worker.data.values(number));
    inserts.end(number);
  });
}

Tally with_inserts(const Dataset& data, uint64_t operations) {
  return data.expect(data.config.num + inserts_below(data.config, operations), 0,
                     [](uint64_t i) { return i; });
}

}  // namespace

void ycsb_a(Worker& worker) {
  gets_and_changes(worker, 50, [&](uint64_t number) { update(worker, number); });
}
void ycsb_b(Worker& worker) {
  gets_and_changes(worker, 95, [&](uint64_t number) { update(worker, number); });
}
void ycsb_c(Worker& worker) {
  gets_and_changes(worker, 100, [](uint64_t) {});
}

void ycsb_d(Worker& worker) {
  reads_and_inserts(worker, [&](uint64_t there) {
    get(worker, there - 1 - std::min(worker.data.zipf(worker.random), there - 1));
  });
}

void ycsb_e(Worker& worker) {
  reads_and_inserts(worker, [&](uint64_t there) {
    const uint64_t number = spread(worker);
    const uint64_t length = 1 + worker.random.below(kScanEntriesMax);
    const Tally found =
        worker.session.seek(worker.key(number), Direction::forward, static_cast<unsigned>(length - 1));
    // Others insert meanwhile.
    require(found.entries >= std::min(length, there - number) && found.entries <= length,
            "wrong answer: a scan found another number of entries than were written");
  });
}

void ycsb_f(Worker& worker) {
  gets_and_changes(worker, 50, [&](uint64_t number) {
    get(worker, number);
    update(worker, number);
  });
}

uint64_t ycsb_scans(const Config& config) { return std::max<uint64_t>(config.num / 10, 1); }

Tally leaves_inserted(const Dataset& data) { return with_inserts(data, data.config.num); }
Tally leaves_inserted_scans(const Dataset& data) { return with_inserts(data, ycsb_scans(data.config)); }

}  // namespace lightning::bench
