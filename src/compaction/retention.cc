#include "compaction/retention.h"

#include <algorithm>

namespace lightning {

void retain_versions(std::span<const uint64_t> read_lsns, bool oldest, std::vector<Version>* versions,
                     uint64_t checked_from) {
  size_t kept = 0;
  uint64_t newer = UINT64_MAX;  // LSN of the next newer version
  for (const Version& version : *versions) {
    // Is there an S with version.lsn < S <= newer? The newest version always has later readers.
    const auto reader = std::upper_bound(read_lsns.begin(), read_lsns.end(), version.lsn);
    const bool seen = newer == UINT64_MAX || (reader != read_lsns.end() && *reader <= newer);
    newer = std::min(newer, version.lsn);
    if (seen) (*versions)[kept++] = version;
  }
  versions->resize(kept);
  while (!versions->empty() && versions->back().kind == EntryKind::remove &&
         (oldest || versions->back().of_range) && versions->back().lsn < checked_from) {
    versions->pop_back();
  }
  const uint64_t settled_below = read_lsns.empty() ? UINT64_MAX : read_lsns.front();
  for (Version& version : *versions) {
    if (version.lsn < settled_below) version.lsn = kSettledLsn;
  }
}

RangeMap retained_ranges(const RangeMap& all, std::span<const uint64_t> read_lsns, const OlderKeys& older) {
  const uint64_t settled_below = read_lsns.empty() ? UINT64_MAX : read_lsns.front();
  RangeMap kept;
  std::vector<uint64_t> lsns;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!older.may_hold_any(all.from(i), all.to(i))) continue;
    lsns.assign(all.lsns(i).begin(), all.lsns(i).end());
    retain_range_lsns(read_lsns, &lsns);
    for (uint64_t& lsn : lsns) lsn = lsn < settled_below ? kSettledRangeLsn : lsn;
    kept.append(all.from(i), all.to(i), lsns);
  }
  return kept;
}

}  // namespace lightning
