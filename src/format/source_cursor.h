// SourceCursor: an ordered walk over one source (a memtable, a run) as of one read LSN; the merge cursor
// combines them.
//
// It shows each key of the source once, with the newest version below the read LSN; keys without such a
// version are skipped, removals are shown (kind()). Keys are internal keys.
// Invariants: key() and value() stay valid until the next move. When valid() is false, status() says whether
// an end was reached (ok) or an error met.
// Thread safety: one thread at a time. The source is kept alive by whoever made the cursor.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "format/version.h"

namespace lightning {

class SourceCursor {
 public:
  virtual ~SourceCursor() = default;

  virtual void seek_first() = 0;
  virtual void seek_last() = 0;
  /// To the first key >= `key`.
  virtual void seek(std::string_view key) = 0;
  /// To the last key <= `key`.
  virtual void seek_for_prev(std::string_view key) = 0;
  /// Only while valid(). Either may follow the other.
  virtual void next() = 0;
  virtual void prev() = 0;
  /// Appends every version of the present key, newest first, whatever the read LSN. Views stay valid until
  /// the next move. Of a value in a value file it says where that stands, and does not read it.
  virtual void collect_versions(std::vector<Version>* versions) = 0;

  /// What keeps the bytes of key() and value() alive beside this cursor, and how much it keeps.
  struct Pin {
    std::shared_ptr<const void> owner;
    uint64_t bytes = 0;
  };
  /// Only while valid(). Never fails.
  virtual Pin pin() const = 0;

  bool valid() const { return valid_; }
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  EntryKind kind() const { return kind_; }
  const Status& status() const { return status_; }

 protected:
  bool valid_ = false;
  EntryKind kind_ = EntryKind::put;
  std::string_view key_;
  std::string_view value_;
  Status status_;
};

}  // namespace lightning
