// No exception crosses the API: the standard library's out-of-memory becomes a Status.
#pragma once

#include <lightning/status.h>

#include <memory>
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

/// advance() of what a public scan holds, or false; one that got no memory is gone, and its scan says so.
template <typename State>
bool advance_or_drop(std::unique_ptr<State>* state) {
  if (*state == nullptr) return false;
  try {
    return (*state)->advance();
  } catch (const std::bad_alloc&) {
    *state = nullptr;
    return false;
  }
}

}  // namespace lightning
