// Values of the benchmark: slices of one pool of bytes, made before any clock runs, small enough for the
// second-level cache. The value of a key in a generation is computed, not stored, so that whatever is read
// can be checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/adapters/engine.h"
#include "bench/config.h"
#include "bench/workloads/random.h"

namespace lightning::bench {

inline constexpr size_t kValueSizeMin = 8;

class ValuePool {
 public:
  /// `compressed`: to which part, in (0, 1], values compress, about.
  ValuePool(size_t value_size, double compressed, uint64_t seed) : value_size_(value_size), seed_(mix(seed)) {
    Random random(seed);
    const auto piece_bytes = static_cast<size_t>(static_cast<double>(kPieceBytes) / compressed);
    while (bytes_.size() < value_size + kPoolBytes) {
      std::string piece;
      for (size_t i = 0; i < kPieceBytes; ++i) piece += static_cast<char>(random.next());
      for (size_t i = 0; i < piece_bytes; ++i) bytes_ += piece[i % kPieceBytes];
    }
  }

  // `generation` 0 is what a database is filled with, 1 what overwrites it.
  std::string_view operator()(uint64_t number, unsigned generation = 0) const {
    return {bytes_.data() + reduce(mix(seed_ ^ (number * 2 + generation)), kPoolBytes), value_size_};
  }

  // Is it the value of `number`, of either generation? Looks at the size and at eight bytes.
  bool matches(uint64_t number, std::string_view value) const {
    if (value.size() != value_size_ || value.data() == nullptr) return false;
    const uint64_t word = load_word(value.data());
    return word == load_word((*this)(number, 0).data()) || word == load_word((*this)(number, 1).data());
  }

 private:
  static constexpr size_t kPoolBytes = 256 * 1024;
  static constexpr size_t kPieceBytes = 50;

  std::string bytes_;
  size_t value_size_;
  uint64_t seed_;
};

}  // namespace lightning::bench
