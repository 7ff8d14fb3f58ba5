// No exception crosses the API: the standard library's out-of-memory becomes a Status.
#pragma once

#include <lightning/status.h>

#include <new>
#include <stdexcept>
#include <utility>

namespace lightning {

/// Calls `fn`, whose result can be made of a Status.
template <typename Fn>
auto guarded(Fn&& fn) -> decltype(fn()) {
  try {
    return std::forward<Fn>(fn)();
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "the system refused memory");
  } catch (const std::length_error&) {
    return Status(StatusCode::out_of_memory, "a size that no memory can hold");
  }
}

}  // namespace lightning
