// What scans of keyspaces and of transactions are made with.
#pragma once

#include <lightning/scan.h>

#include <new>
#include <string>
#include <string_view>

#include "engine/cursor_state.h"

namespace lightning {

/// The first key behind every key that begins with `prefix`; empty when there is none.
inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

/// The scan that `make` makes, or one that says that it got no memory.
template <typename Fn>
Scan make_scan(Fn&& make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    return Scan(nullptr, {}, {}, false);
  }
}

}  // namespace lightning
