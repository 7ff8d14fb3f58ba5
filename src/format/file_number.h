// What the numbers in the names of a database's files may be.
#pragma once

#include <cstdint>

namespace lightning {

/// No file of ours has a higher number: what counts files never overflows, whatever stands in a directory.
inline constexpr uint64_t kFileNumberMax = uint64_t{1} << 62;

}  // namespace lightning
