// XXH3-64 compiled for AVX2, in an object file of its own that defines no weak symbol; call only where
// available.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lightning {

bool checksum_avx2_available();
uint64_t checksum_avx2(const void* data, size_t size, uint64_t seed);

}  // namespace lightning
