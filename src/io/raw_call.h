// raw_call: system calls past the function of the C library, which there may be none of, or a sanitizer's.
//
// Thread safety: that of the call; in signal handlers too.
#pragma once

#include <unistd.h>

namespace lightning {

/// As syscall(2), but each argument is a whole word: of a shorter one that goes by the stack the rest could
/// be anything, and the system looks at it.
template <typename... Arguments>
long raw_call(long number, Arguments... arguments) {
  const auto word = [](auto argument) { return (long)argument; };  // NOLINT: of numbers and of pointers
  return syscall(number, word(arguments)...);
}

}  // namespace lightning
