// lookup: the only point-read path. Asks the sources of a View, newest first; the first that has the key
// answers.
//
// Costs: one probe per source, no ordered structure. A read of the latest state loads `published` only when a
// memtable has an entry of the key: that line is the one that every put writes. While the View has range
// removals each source's are asked, too.
// Thread safety: any threads. The View is protected by the caller, through an epoch or a count.
#pragma once

#include <span>
#include <string_view>

#include "log/log.h"
#include "view/view.h"

namespace lightning {

/// Of which moment a read is.
class ReadPoint {
 public:
  /// Every commit that is published when the read asks.
  static ReadPoint latest(const Log& log) { return ReadPoint(&log, 0); }
  /// Every commit below `lsn`.
  static ReadPoint at(uint64_t lsn) { return ReadPoint(nullptr, lsn); }

  uint64_t lsn() const { return log_ != nullptr ? log_->published() : lsn_; }
  /// What a run is asked with: all it holds is older than any `latest` read, but for one that was ingested
  /// just now (SortedRun::shows()).
  uint64_t run_lsn() const { return log_ != nullptr ? kReadAllLsn : lsn_; }

 private:
  ReadPoint(const Log* log, uint64_t lsn) : log_(log), lsn_(lsn) {}
  const Log* log_;
  uint64_t lsn_;
};

/// away: a page must be read for the answer, and the caller is inside an epoch; outside it gets one.
enum class Found { absent, found, error, away };

/// Of a value longer than kCopiedValueBytesMax, `owner` keeps the bytes; shorter ones have none in memory.
using Hit = RunFile::Hit;

// Parts of lookup(): of a View with range removals; of one without; of one that is a single run.
Found lookup_below_ranges(const View& view, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit);
Found lookup_in_all(const View& view, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit);
Found lookup_in_run(const SortedRun& run, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit);

/// Finds `key` (an internal key; hash = hash_key(key)). A removal is absent; an entry with an expiry is
/// found, whatever the time (hit->kind says so). For the hottest caller, whose part it becomes.
[[gnu::always_inline]] inline Found lookup(const View& view, std::string_view key, uint64_t hash,
                                           const ReadPoint& point, Hit* hit) {
  if (view.range_removals.load(std::memory_order_relaxed)) [[unlikely]]
    return lookup_below_ranges(view, key, hash, point, hit);
  if (view.active != nullptr || !view.sealed.empty() || view.runs.size() != 1)
    return lookup_in_all(view, key, hash, point, hit);
  return lookup_in_run(*view.runs[0], key, hash, point, hit);
}
/// The same for others.
Found lookup_apart(const View& view, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit);

/// One key of lookup_many().
struct ManyKey {
  std::string_view key;
  uint64_t hash = 0;
  Found found = Found::absent;
  Hit hit;

  // Between the stages.
  bool done = false;
  uint64_t locator = 0;
};

/// The same for many keys as of one LSN, in stages that overlap their cache misses. Not in an epoch. False
/// when some read failed: its hit.status says how.
bool lookup_many(const View& view, std::span<ManyKey> keys, uint64_t read_lsn);

}  // namespace lightning
