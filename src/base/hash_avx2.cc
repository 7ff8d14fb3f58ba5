#include "base/hash_avx2.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

namespace lightning {

#if defined(__x86_64__)
bool checksum_avx2_available() { return __builtin_cpu_supports("avx2") != 0; }
uint64_t checksum_avx2(const void* data, size_t size, uint64_t seed) {
  const uint64_t sum = XXH3_64bits_withSeed(data, size, seed);
  // g++ 12 puts none into the function that it makes of the long hash. Without it every later change between
  // SSE and AVX instructions in this thread (that is, each memcpy) costs some 80 ns on processors since Ice
  // Lake.
  _mm256_zeroupper();
  return sum;
}
#else
bool checksum_avx2_available() { return false; }
uint64_t checksum_avx2(const void*, size_t, uint64_t) { return 0; }
#endif

}  // namespace lightning
