// Sieve: what a flush or merge writes of a key: nothing of a dropped keyspace, else the versions that
// somebody may read (retention.h). A version that has expired is a removal: so it is gone when the key's
// oldest source is at hand, and hides older versions where it is not.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "compaction/older_keys.h"
#include "compaction/retention.h"
#include "format/expiry.h"
#include "format/internal_key.h"
#include "view/merge_cursor.h"

namespace lightning {

class Sieve {
 public:
  /// `read_lsns`: the registered ones; `dropped`: ids of dropped keyspaces. Both ascend. What `judge` says
  /// has expired, no reader sees from now on.
  /// From `checked_from` on, the moment of the oldest transaction, it must be seen of every key that it was
  /// written: removals stay.
  Sieve(std::vector<uint64_t> read_lsns, std::vector<uint32_t> dropped, OlderKeys older, ExpiryJudge& judge,
        uint64_t checked_from = UINT64_MAX)
      : read_lsns_(std::move(read_lsns)),
        checked_from_(checked_from),
        dropped_(std::move(dropped)),
        older_(std::move(older)),
        judge_(judge) {}

  /// Of range removals of the same sources.
  RangeMap keep_ranges(const RangeMap& all) const { return retained_ranges(all, read_lsns_, older_); }
  const std::vector<uint64_t>& read_lsns() const { return read_lsns_; }

  /// Of the versions of `key`, range removals over it included, newest first, those to be written; valid
  /// until the next call. Keys ascend.
  std::span<Version> keep(std::string_view key, const std::vector<Version>& versions) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(key, &keyspace);
    if (!dropped_.empty() && std::binary_search(dropped_.begin(), dropped_.end(), keyspace)) return {};
    kept_ = versions;
    for (Version& version : kept_) {
      if (version.kind == EntryKind::put_expiring && judge_.has_expired(expiry_of(version.value)))
        version = {.lsn = version.lsn, .kind = EntryKind::remove, .value = {}};
    }
    const bool oldest = !older_.may_hold(key);
    [[maybe_unused]] const bool removed = kept_.front().kind == EntryKind::remove;  // by an invariant
    retain_versions(read_lsns_, oldest, &kept_, checked_from_);
    LIGHTNING_INVARIANT("I6", !kept_.empty() || (removed && (oldest || versions.front().of_range)));
    return kept_;
  }

 private:
  const std::vector<uint64_t> read_lsns_;
  const uint64_t checked_from_;
  const std::vector<uint32_t> dropped_;
  OlderKeys older_;
  ExpiryJudge& judge_;
  std::vector<Version> kept_;
};

}  // namespace lightning
