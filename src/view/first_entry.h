// find_first(): the first entry of a View whose key begins with a prefix, by one seek in each source and no
// cursor that outlives the call.
//
// What is not plain is `unclear`, and left to a cursor: a removal that comes first, range removals, a run of
// which the reader sees a part.
// Costs: over one run a search of its fences and one leaf, without memory; memtables are brought up to the
// read LSN.
// Thread safety: any threads. The View is protected by the caller, through an epoch or a count.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "view/view.h"

namespace lightning {

/// away: the answer may wait for something, and the caller is inside an epoch; outside it gets one.
enum class First : uint8_t { none, found, error, away, unclear };

class FirstEntry {
 public:
  std::string_view key() const { return {long_.empty() ? inline_ : long_.data(), size_}; }
  /// When it expires; 0: never.
  uint64_t expiry_us() const { return expiry_us_; }
  const Status& status() const { return status_; }

 private:
  friend class FirstFinder;

  Status status_;
  EntryKind kind_ = EntryKind::put;
  uint64_t expiry_us_ = 0;
  size_t size_ = 0;
  char inline_[120];
  std::string long_;
};

/// `prefix` is the beginning of internal keys. Throws std::bad_alloc.
First find_first(const View& view, std::string_view prefix, uint64_t read_lsn, FirstEntry* first);

}  // namespace lightning
