// The one moment of which several reads outside of transactions are.
//
// Thread safety: function.
#pragma once

#include <lightning/snapshot.h>

#include "engine/snapshot_state.h"
#include "index/index_scan.h"

namespace lightning {

/// Makes `place` read as of `moment`, which is taken now, or shares what the caller's snapshot stands for:
/// the caller may destroy that while the reads go on. `moment` must outlive them.
inline Status fix_moment(IndexPlace* place, Snapshot* moment) {
  if (place->options.snapshot != nullptr) {
    *moment = *place->options.snapshot;
  } else {
    Result<std::shared_ptr<const SnapshotState>> state = place->engine->snapshot(place->options.level);
    if (!state) return state.status();
    *moment = Snapshot(*std::move(state));
  }
  place->options.snapshot = moment;
  return {};
}

}  // namespace lightning
