// What scans of keyspaces and of transactions are made with.
#pragma once

#include <lightning/scan.h>

#include <new>
#include <string>
#include <string_view>

#include "engine/cursor_state.h"
#include "format/internal_key.h"

namespace lightning {

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
