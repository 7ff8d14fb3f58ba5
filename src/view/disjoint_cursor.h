// DisjointCursor: the files of one sorted run as one source; opens a file when the walk comes to it.
//
// A merge may have left only a part of a file to answer for: such a file's range is `clipped`, and keys
// outside of it are not shown.
//
// Invariants: ranges ascend and do not overlap; a file that is not clipped has no key outside of its range;
// at most one file is open.
// Thread safety: one thread at a time.
// Ownership: owns the open file's cursor; `ranges` and what `open` reads must outlive it.
// Costs: a seek is a binary search over the ranges and the seek in one file; a step in a clipped file
// compares the key with the bounds.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "format/source_cursor.h"

namespace lightning {

/// The internal keys that a file answers for.
struct KeyRange {
  std::string_view smallest;
  std::string_view largest;
  bool largest_excluded = false;
  bool clipped = false;

  bool ends_before(std::string_view key) const { return largest_excluded ? largest <= key : largest < key; }
};

class DisjointCursor final : public SourceCursor {
 public:
  /// A cursor over file number `file`; null when memory is short. A file that cannot be read shows in its
  /// status().
  using Open = std::function<std::unique_ptr<SourceCursor>(size_t file)>;

  DisjointCursor(std::span<const KeyRange> ranges, Open open);

  void seek_first() override;
  void seek_last() override;
  void seek(std::string_view key) override;
  void seek_for_prev(std::string_view key) override;
  void next() override;
  void prev() override;
  void collect_versions(std::vector<Version>* versions) override;
  Pin pin() const override { return cursor_->pin(); }

 private:
  const KeyRange& range() const { return ranges_[file_]; }
  bool open(size_t file);
  /// To the first or last key of the range of the open file.
  void enter_forward();
  void enter_backward();
  /// From where the open file's cursor stands to the first key that is to be shown, in this file or a later
  /// one.
  void settle_forward();
  void settle_backward();
  bool used_up() const;
  void show();

  const std::span<const KeyRange> ranges_;
  const Open open_;
  size_t file_ = 0;  // the one of cursor_
  std::unique_ptr<SourceCursor> cursor_;
};

}  // namespace lightning
