// Sieve: what a flush or merge writes of a key: nothing of a dropped keyspace, else the versions that
// somebody may read (retention.h).
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
#include "format/internal_key.h"

namespace lightning {

class Sieve {
 public:
  /// `read_lsns`: the registered ones; `dropped`: ids of dropped keyspaces. Both ascend.
  Sieve(std::vector<uint64_t> read_lsns, std::vector<uint32_t> dropped, OlderKeys older)
      : read_lsns_(std::move(read_lsns)), dropped_(std::move(dropped)), older_(std::move(older)) {}

  /// Of the versions of `key`, newest first, those to be written; valid until the next call. Keys ascend.
  std::span<Version> keep(std::string_view key, const std::vector<Version>& versions) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(key, &keyspace);
    if (!dropped_.empty() && std::binary_search(dropped_.begin(), dropped_.end(), keyspace)) return {};
    kept_ = versions;
    const bool oldest = !older_.may_hold(key);
    retain_versions(read_lsns_, oldest, &kept_);
    LIGHTNING_INVARIANT("I6", !kept_.empty() || (oldest && versions.front().kind == EntryKind::remove));
    return kept_;
  }

 private:
  const std::vector<uint64_t> read_lsns_;
  const std::vector<uint32_t> dropped_;
  OlderKeys older_;
  std::vector<Version> kept_;
};

}  // namespace lightning
