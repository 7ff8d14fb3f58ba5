#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash_avx2.h"

namespace lightning {

namespace {
// Below this size XXH3 has no vector loop.
constexpr size_t kVectorBytesMin = 240;
const bool kHaveAvx2 = checksum_avx2_available();
}  // namespace

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t checksum(const void* data, size_t size, uint64_t seed) {
  if (size > kVectorBytesMin && kHaveAvx2) return checksum_avx2(data, size, seed);
  return XXH3_64bits_withSeed(data, size, seed);
}

}  // namespace lightning
