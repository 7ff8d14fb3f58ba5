// Comparison of short rows of numbers, several at a time where the processor can.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstdint>

#include "base/coding.h"

namespace lightning {

/// Bit i: the i-th of twelve 16-bit numbers in a row is `wanted`.
inline uint32_t equal_among_twelve(const char* numbers, uint16_t wanted) {
#if defined(__SSE2__)
  const __m128i sought = _mm_set1_epi16(static_cast<int16_t>(wanted));
  const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers));
  const __m128i last = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(numbers + 16));
  const __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(first, sought), _mm_cmpeq_epi16(last, sought));
  return static_cast<uint32_t>(_mm_movemask_epi8(equal)) & 0xfff;
#else
  uint32_t equal = 0;
  for (uint32_t i = 0; i < 12; ++i) equal |= uint32_t{load<uint16_t>(numbers + i * 2) == wanted} << i;
  return equal;
#endif
}

}  // namespace lightning
