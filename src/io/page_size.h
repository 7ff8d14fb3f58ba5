// Sizes of the memory pages of this machine.
#pragma once

#include <unistd.h>

#include <cstdint>

namespace lightning {

inline constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
/// More than any address space holds: sums of two sizes below it do not overflow.
inline constexpr uint64_t kMappingBytesMax = uint64_t{1} << 62;

inline uint64_t page_bytes() {
  static const uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace lightning
