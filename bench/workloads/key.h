// Keys of the benchmark: a number as decimal digits, padded with zeros to the key size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace lightning::bench {

inline constexpr size_t kKeySizeMin = 8;
inline constexpr size_t kKeySizeMax = 4096;
inline constexpr size_t kKeyDigits = 16;

// The eight decimal digits of `number` (below 10^8), as they stand in memory: halves, then pairs, then
// digits, each step for all parts of the word at once. Little-endian.
constexpr uint64_t eight_digits(uint32_t number) {
  uint64_t fours = number / 10'000 + (uint64_t{number % 10'000} << 32);
  uint64_t hundreds = (fours * 10'486 >> 20) & 0x7f'0000'007f;
  uint64_t twos = hundreds + ((fours - hundreds * 100) << 16);
  uint64_t tens = (twos * 103 >> 10) & 0x000f'000f'000f'000f;
  return tens + ((twos - tens * 10) << 8) + 0x3030'3030'3030'3030;
}

// One key, rewritten in place. `%0*llu` in a few nanoseconds, the same for every engine.
class KeyBuffer {
 public:
  explicit KeyBuffer(size_t key_size) : bytes_(kKeyDigits + key_size, '0'), key_size_(key_size) {
    bytes_ += '.';
  }

  // Valid until the next call. `number` has at most `key_size` and at most 16 digits.
  std::string_view operator()(uint64_t number) {
    write(number);
    return {bytes_.data() + kKeyDigits, key_size_};
  }

  // A key that is never written, between the keys of `number` and `number` + 1.
  std::string_view missing(uint64_t number) {
    write(number);
    return {bytes_.data() + kKeyDigits, key_size_ + 1};
  }

 private:
  void write(uint64_t number) {
    const uint64_t halves[2] = {eight_digits(static_cast<uint32_t>(number / 100'000'000)),
                                eight_digits(static_cast<uint32_t>(number % 100'000'000))};
    std::memcpy(bytes_.data() + key_size_, halves, kKeyDigits);
  }

  std::string bytes_;  // room for the digits that a short key has not; the key; what makes it a missing one
  size_t key_size_;
};

}  // namespace lightning::bench
