// DisjointCursor: the files of one sorted run as one source; opens a file when the walk comes to it.
//
// Invariants: ranges ascend and do not overlap; a file shows no key outside of its range; at most one file is open.
// Thread safety: one thread at a time. Ownership: owns the open file's cursor; `ranges` and what `open` reads must
// outlive it.
// Costs: a seek is a binary search over the ranges and the seek in one file.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "format/source_cursor.h"

namespace lightning {

/// Internal keys, inclusive.
struct KeyRange {
  std::string_view smallest;
  std::string_view largest;
};

class DisjointCursor final : public SourceCursor {
 public:
  /// A cursor over file number `file`; null when memory is short. A file that cannot be read shows in its status().
  using Open = std::function<std::unique_ptr<SourceCursor>(size_t file)>;

  DisjointCursor(std::span<const KeyRange> ranges, Open open);

  void seek_first() override;
  void seek_last() override;
  void seek(std::string_view key) override;
  void seek_for_prev(std::string_view key) override;
  void next() override;
  void prev() override;
  void collect_versions(std::vector<Version>* versions) override;

 private:
  bool open(size_t file);
  void settle_forward();
  void settle_backward();
  void show();

  const std::span<const KeyRange> ranges_;
  const Open open_;
  size_t file_ = 0;  // the one of cursor_
  std::unique_ptr<SourceCursor> cursor_;
};

}  // namespace lightning
