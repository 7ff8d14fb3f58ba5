// Histogram: how often which duration was seen, at a relative precision of 1/64, in 30 KB whatever the range.
//
// Durations below 64 ns have a bucket each; above, every power of two is divided into 64 buckets (the layout
// of HdrHistogram with six significant bits).
//
// Thread safety: one thread at a time; threads keep their own and merge.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace lightning::bench {

class Histogram {
 public:
  void add(uint64_t nanoseconds) {
    ++counts_[bucket_of(nanoseconds)];
    ++count_;
    if (nanoseconds > max_) max_ = nanoseconds;
  }
  void merge(const Histogram& other);

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  // The middle of the bucket up to which `percent` (0 to 100) of all durations lie; 0 if there are none.
  uint64_t percentile(double percent) const;

 private:
  static constexpr unsigned kPrecisionBits = 6;
  static constexpr uint64_t kPerOctave = uint64_t{1} << kPrecisionBits;
  static constexpr size_t kBuckets = (64 - kPrecisionBits + 1) * kPerOctave;

  static size_t bucket_of(uint64_t value) {
    if (value < kPerOctave) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kPrecisionBits - 1;
    return shift * kPerOctave + (value >> shift);
  }
  static uint64_t middle_of(size_t bucket);

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace lightning::bench
