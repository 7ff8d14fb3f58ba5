// What the machine allows at best, to be set beside what the engine takes: dependent loads for a lookup, a
// copy for what moves bytes.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace lightning::micro {

/// Cache lines of `bytes` in one random cycle: each load needs the one before.
class Chase {
 public:
  explicit Chase(uint64_t bytes) : lines_(std::max<uint64_t>(bytes / sizeof(Line), 2)) {
    std::vector<uint32_t> order(lines_.size());
    std::iota(order.begin(), order.end(), 0u);
    std::mt19937_64 random(1);
    std::shuffle(order.begin(), order.end(), random);
    for (size_t i = 0; i < order.size(); ++i) lines_[order[i]].next = order[(i + 1) % order.size()];
  }
  /// Follows `steps` of them.
  void follow(unsigned steps) {
    for (unsigned i = 0; i < steps; ++i) at_ = lines_[at_].next;
  }
  uint32_t at() const { return at_; }

 private:
  struct alignas(64) Line {
    uint32_t next;
  };
  std::vector<Line> lines_;
  uint32_t at_ = 0;
};

/// The keys of a benchmark: 16 decimal digits.
inline std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(16 - digits.size(), '0') + digits;
}

/// Every number below `count` once, in random order.
inline std::vector<uint32_t> shuffled(uint32_t count) {
  std::vector<uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0u);
  std::mt19937_64 random(2);
  std::shuffle(numbers.begin(), numbers.end(), random);
  return numbers;
}

}  // namespace lightning::micro
