// Cheap deterministic randomness: numbers, and an order in which every number of a range comes exactly once.
#pragma once

#include <bit>
#include <cstdint>

namespace lightning::bench {

// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
constexpr uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// `hash` brought into [0, bound) by its upper bits (Lemire, 2016).
constexpr uint64_t reduce(uint64_t hash, uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * bound) >> 64);
}

// SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(mix(seed)) {}
  uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15); }
  uint64_t below(uint64_t bound) { return reduce(next(), bound); }

 private:
  uint64_t state_;
};

// A pseudo-random bijection of [0, size): two rounds of odd multiplication and folding over the next power of
// two, walked until the result falls into the range (at most twice on average). No table, so that a large
// fill does not read memory of its own, and any part of it can be computed by any thread.
class Permutation {
 public:
  Permutation(uint64_t size, uint64_t seed)
      : size_(size),
        fold_(static_cast<unsigned>(std::bit_width(size - 1) + 1) / 2),
        mask_(std::bit_ceil(size) - 1),
        offset_(mix(seed) & mask_) {}

  uint64_t operator()(uint64_t i) const {
    do {
      i = (i + offset_) & mask_;
      i = (i * 0x9e3779b97f4a7c15) & mask_;
      i ^= i >> fold_;
      i = (i * 0xbf58476d1ce4e5b9) & mask_;
      i ^= i >> fold_;
    } while (i >= size_);
    return i;
  }

 private:
  uint64_t size_;
  unsigned fold_;
  uint64_t mask_;
  uint64_t offset_;
};

}  // namespace lightning::bench
