// AllocationScript: which allocations of the program are refused: operator new and, of the library,
// malloc() and mmap() (the linker's --wrap in CMakeLists.txt). Those under an AllocationTruce
// (testing/allocation_truce.h) are neither counted nor refused.
//
// Thread safety: for the threads of one simulation, of which one runs at a time.
#pragma once

#include <cstdint>

namespace lightning {

struct AllocationScript {
  uint64_t after = 0;  // so many pass
  uint64_t times = 0;  // then so many are refused; kForever
  uint64_t refused = 0;
};

extern AllocationScript g_allocation_script;

}  // namespace lightning
