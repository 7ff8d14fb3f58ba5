// OlderKeys: may a source that is older than those of a flush or merge hold a key? Only where none may, a
// removal is dropped (I6).
//
// Thread safety: one thread. What the ranges refer to must outlive it.
// Costs: a step along each older run for all of its files together, and a comparison or two a question.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "view/disjoint_cursor.h"

namespace lightning {

class OlderKeys {
 public:
  /// The ranges of one older run: ascending, disjoint.
  void add(std::vector<KeyRange> ranges) { runs_.push_back({.ranges = std::move(ranges), .at = 0}); }

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
