// CursorOverlay: what a transaction adds to the cursors over its database: its own writes in front of the
// View, and a note of what they have seen.
//
// Thread safety: one thread at a time, that of the transaction.
#pragma once

#include <lightning/status.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "view/view.h"

namespace lightning {

/// A stretch of keys that a cursor has walked since its last seek.
struct SeenStretch {
  static constexpr size_t kNone = SIZE_MAX;
  size_t number = kNone;  // given by the overlay
};

class CursorOverlay {
 public:
  virtual ~CursorOverlay() = default;
  /// ok until the transaction has ended.
  virtual Status usable() const = 0;
  /// Grows with each change of what lay_over() adds.
  virtual uint64_t sequence() const = 0;
  /// Puts the transaction's own writes in front; they are good until sequence() changes. Throws
  /// std::bad_alloc.
  virtual void lay_over(ViewCursors* view) = 0;
  /// The moment by which its cursors judge what has expired; 0: each its own.
  virtual uint64_t moment() = 0;
  /// A cursor came to `key`, or to none, and has seen all keys of [from, to); internal keys. Throws
  /// std::bad_alloc.
  virtual void saw(SeenStretch* stretch, std::string_view from, std::string_view to,
                   const std::string_view* key) = 0;
};

}  // namespace lightning
