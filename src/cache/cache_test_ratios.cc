#include "cache/cache_test_ratios.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "cache/reference_policies.h"
#include "testing/random.h"

namespace lightning {

namespace {

constexpr uint32_t kPages = 10'000;
constexpr uint32_t kPercents[] = {1, 2, 5, 10, 20, 50};
constexpr uint32_t kScanEvery = 5'000;
constexpr uint32_t kScanPages = 2'500;
constexpr uint32_t kShiftEvery = 20'000;
constexpr uint32_t kShiftPages = 1'000;

using Trace = std::vector<uint32_t>;

/// Ranks, the first one the most frequent.
class Zipf {
 public:
  Zipf(double exponent, uint64_t seed) : random_(seed) {
    double sum = 0;
    for (uint32_t rank = 1; rank <= kPages; ++rank) {
      sum += 1 / std::pow(rank, exponent);
      sums_.push_back(sum);
    }
  }
  uint32_t next() {
    const double drawn = static_cast<double>(random_.next() >> 11) * 0x1.0p-53 * sums_.back();
    return static_cast<uint32_t>(std::lower_bound(sums_.begin(), sums_.end(), drawn) - sums_.begin());
  }

 private:
  Random random_;
  std::vector<double> sums_;
};

Trace zipf_trace(double exponent, uint32_t accesses) {
  Zipf zipf(exponent, 1);
  Trace trace(accesses);
  std::generate(trace.begin(), trace.end(), [&] { return zipf.next(); });
  return trace;
}

// Between reads of hot pages, scans over others.
Trace scan_trace(uint32_t accesses) {
  Zipf zipf(0.9, 2);
  Random random(3);
  Trace trace;
  while (trace.size() < accesses) {
    for (uint32_t i = 0; i < kScanEvery; ++i) trace.push_back(zipf.next());
    const auto from = static_cast<uint32_t>(random.below(kPages));
    for (uint32_t i = 0; i < kScanPages; ++i) trace.push_back(kPages + (from + i) % kPages);
  }
  trace.resize(accesses);
  return trace;
}

Trace loop_trace(uint32_t accesses) {
  Trace trace(accesses);
  for (uint32_t i = 0; i < accesses; ++i) trace[i] = i % kPages;
  return trace;
}

// What is hot moves on a tenth of the pages from time to time.
Trace shifting_trace(uint32_t accesses) {
  Zipf zipf(0.9, 4);
  Trace trace(accesses);
  for (uint32_t i = 0; i < accesses; ++i) trace[i] = (zipf.next() + i / kShiftEvery * kShiftPages) % kPages;
  return trace;
}

double ratio_of(CacheModel&& model, const Trace& trace) {
  const auto hits =
      std::count_if(trace.begin(), trace.end(), [&](uint32_t page) { return model.access(page); });
  return 100.0 * static_cast<double>(hits) / static_cast<double>(trace.size());
}

}  // namespace

double HitRatios::best() const { return *std::max_element(ratios.begin(), ratios.end()); }

std::vector<HitRatios> hit_ratios(uint32_t accesses) {
  const std::pair<const char*, Trace> traces[] = {
      {"zipf 0.7", zipf_trace(0.7, accesses)}, {"zipf 0.9", zipf_trace(0.9, accesses)},
      {"zipf 1.1", zipf_trace(1.1, accesses)}, {"zipf 0.9 and scans", scan_trace(accesses)},
      {"loop", loop_trace(accesses)},          {"shifting hot set", shifting_trace(accesses)}};
  std::vector<HitRatios> all;
  for (const auto& [name, trace] : traces) {
    for (const uint32_t percent : kPercents) {
      const uint32_t frames = kPages * percent / 100;
      all.push_back({.trace = name,
                     .percent = percent,
                     .ratios = {ratio_of(ArcClockModel(frames), trace), ratio_of(LruModel(frames), trace),
                                ratio_of(ClockModel(frames), trace), ratio_of(S3FifoModel(frames), trace),
                                ratio_of(SieveModel(frames), trace)}});
    }
  }
  return all;
}

}  // namespace lightning
