// StateRemains: what SUPER and manifests still say of a database, whatever is damaged.
//
// Certain: SUPER names a manifest that is whole, as every open demands. Otherwise the state is the longest
// beginning of a manifest that verifies, and what came after it is not known; or nothing but the identity.
// Thread safety: a function; the result is a value.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <vector>

#include "io/env.h"
#include "view/durable_state.h"

namespace lightning {

struct StateRemains {
  bool certain = false;
  bool known = false;  // `state` has more than an identity and a floor
  DurableState state;
  uint64_t manifest_id = 0;     // that `state` comes from, 0 if from none
  uint64_t manifest_bytes = 0;  // that count
  std::vector<Status> damage;   // each with its file
};

/// Fails only where the directory cannot be read or is of a later version; `not_found` when it holds no
/// database.
Result<StateRemains> read_state_remains(Directory& directory, const std::vector<FileInfo>& files);

}  // namespace lightning
