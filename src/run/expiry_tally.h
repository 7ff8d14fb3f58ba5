// ExpiryTally: gathers when the keys of a run file expire, for its RunExpiry.
//
// Thread safety: one thread.
// Costs: eight bytes a key that expires, nothing where none does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "run/run_file_info.h"

namespace lightning {

class ExpiryTally {
 public:
  void add(uint64_t expiry_us) { expiries_.push_back(expiry_us); }

  /// `entries`: how many keys the file has in all.
  RunExpiry sums(uint64_t entries) {
    if (expiries_.empty()) return {};
    return {.expiring = expiries_.size(),
            .first_us = *std::min_element(expiries_.begin(), expiries_.end()),
            .quarter_us = when((entries + 3) / 4),
            .half_us = when((entries + 1) / 2)};
  }

 private:
  /// When so many keys have expired.
  uint64_t when(uint64_t count) {
    if (count > expiries_.size()) return 0;
    const auto last = expiries_.begin() + static_cast<ptrdiff_t>(count) - 1;
    std::nth_element(expiries_.begin(), last, expiries_.end());
    return *last;
  }

  std::vector<uint64_t> expiries_;
};

}  // namespace lightning
