#include "base/hash_avx2.h"

#if defined(__x86_64__)
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

namespace lightning {

#if defined(__x86_64__)
bool checksum_avx2_available() { return __builtin_cpu_supports("avx2") != 0; }
uint64_t checksum_avx2(const void* data, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(data, size, seed);
}
#else
bool checksum_avx2_available() { return false; }
uint64_t checksum_avx2(const void*, size_t, uint64_t) { return 0; }
#endif

}  // namespace lightning
