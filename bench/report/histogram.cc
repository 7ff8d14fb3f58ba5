#include "bench/report/histogram.h"

#include <algorithm>
#include <cmath>

namespace lightning::bench {

void Histogram::merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::percentile(double percent) const {
  if (count_ == 0) return 0;
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(percent * count_ / 100)));
  uint64_t seen = 0;
  size_t bucket = 0;
  while (bucket + 1 < kBuckets && (seen += counts_[bucket]) < rank) ++bucket;
  return middle_of(bucket);
}

uint64_t Histogram::middle_of(size_t bucket) {
  if (bucket < 2 * kPerOctave) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket / kPerOctave) - 1;
  return ((bucket - shift * kPerOctave) << shift) + (uint64_t{1} << shift) / 2;
}

}  // namespace lightning::bench
