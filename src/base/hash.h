// The two hashes of Lightning DB, both XXH3-64 (Y. Collet, xxHash).
//
// hash_bytes() spreads keys over point indexes (format/internal_key.h). checksum() guards bytes on
// disk and is always seeded with where the bytes belong, so that right bytes at a wrong place do not verify.
// Long inputs take an AVX2 path where the processor has it; the value is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lightning {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed);
uint64_t checksum(const void* data, size_t size, uint64_t seed);

/// Combines two seeds into one, order matters (a splitmix64 step, S. Vigna).
inline uint64_t mix_seed(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15ull + b * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace lightning
