// Numbers of which few come often: rank r of [0, count) with a probability of about 1 / (r + 1)^0.99, as YCSB
// draws them.
//
// Source: J. Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994); the skew is
// YCSB's. The sum of all weights is that of the first thousand and an integral for the others, to 1e-6.
//
// Thread safety: immutable.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bench/workloads/random.h"

namespace lightning::bench {

class Zipf {
 public:
  explicit Zipf(uint64_t count)
      : count_(std::max<uint64_t>(count, 2)),
        sum_(sum_to(count_)),
        eta_((1 - std::pow(2.0 / static_cast<double>(count_), 1 - kSkew)) / (1 - sum_to(2) / sum_)) {}

  /// A rank below `count`; 0 is the most frequent one.
  uint64_t operator()(Random& random) const {
    const double u = static_cast<double>(random.next() >> 11) * 0x1p-53;
    const double part = u * sum_;
    if (part < 1) return 0;
    if (part < 1 + std::pow(0.5, kSkew)) return 1;
    const double rank = static_cast<double>(count_) * std::pow(eta_ * u - eta_ + 1, 1 / (1 - kSkew));
    return std::min(static_cast<uint64_t>(rank), count_ - 1);
  }

  /// Of the weights of the ranks below `count`.
  static double sum_to(uint64_t count) {
    double sum = 0;
    const uint64_t exact = std::min(count, kExact);
    for (uint64_t i = 1; i <= exact; ++i) sum += std::pow(static_cast<double>(i), -kSkew);
    if (count == exact) return sum;
    // Euler and Maclaurin, to the first correction.
    const auto from = static_cast<double>(exact), to = static_cast<double>(count);
    return sum + (std::pow(to, 1 - kSkew) - std::pow(from, 1 - kSkew)) / (1 - kSkew) +
           (std::pow(to, -kSkew) - std::pow(from, -kSkew)) / 2;
  }

 private:
  static constexpr double kSkew = 0.99;
  static constexpr uint64_t kExact = 1'000;

  uint64_t count_;
  double sum_;
  double eta_;
};

}  // namespace lightning::bench
