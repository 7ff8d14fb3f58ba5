// Retention: which versions of a key a flush or merge keeps (I6).
//
// A version v is dropped if the next newer version w of its key is at hand and no registered read LSN S has v
// < S <= w; a removal only when the inputs contain the oldest source for its key and no older version stays.
// A version that every possible reader sees loses its LSN (it is settled). A range removal over the key
// counts as a removal of it; where no older version stays it goes, since the range itself is written beside
// the keys, unless nothing older is under it. Thread safety: a pure function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compaction/older_keys.h"
#include "format/range_map.h"
#include "format/version.h"

namespace lightning {

/// Reduces `versions` (of one key, newest first, LSNs falling) to those that must be kept. `read_lsns`: the
/// registered ones, ascending; every later reader reads above all versions. `oldest`: nothing older exists in
/// any other source.
/// A removal at or above `checked_from` stays in any case.
void retain_versions(std::span<const uint64_t> read_lsns, bool oldest, std::vector<Version>* versions,
                     uint64_t checked_from = UINT64_MAX);

/// What a flush or merge writes of its range removals: those that are over keys that `older` may hold, with
/// the LSNs that somebody needs, settled ones without. Refers to the bytes of `all`.
RangeMap retained_ranges(const RangeMap& all, std::span<const uint64_t> read_lsns, const OlderKeys& older);

}  // namespace lightning
