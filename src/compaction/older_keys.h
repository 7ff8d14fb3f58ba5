// OlderKeys: may a source that is older than those of a flush or merge hold a key? Only where none may, a
// removal or range removal is dropped (I6).
//
// Thread safety: one thread. What the ranges refer to must outlive it.
// Costs: a step along each older run for all of its files together, and a comparison or two a question.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "view/disjoint_cursor.h"

namespace lightning {

class OlderKeys {
 public:
  /// The ranges of one older run: ascending, disjoint.
  void add(std::vector<KeyRange> ranges) { runs_.push_back({.ranges = std::move(ranges), .at = 0}); }

  /// Any of [from, to)? In any order.
  bool may_hold_any(std::string_view from, std::string_view to) const {
    return std::any_of(runs_.begin(), runs_.end(), [&](const Run& run) {
      const auto at = std::partition_point(run.ranges.begin(), run.ranges.end(),
                                           [&](const KeyRange& range) { return range.ends_before(from); });
      return at != run.ranges.end() && at->smallest < to;
    });
  }

  /// Keys ascend from question to question.
  bool may_hold(std::string_view key) {
    bool may = false;
    for (Run& run : runs_) {
      while (run.at < run.ranges.size() && run.ranges[run.at].ends_before(key)) ++run.at;
      may = may || (run.at < run.ranges.size() && run.ranges[run.at].smallest <= key);
    }
    return may;
  }

 private:
  struct Run {
    std::vector<KeyRange> ranges;
    size_t at;  // the first that does not end before the last key asked for
  };
  std::vector<Run> runs_;
};

}  // namespace lightning
