// Cursor: a position among the keys of one keyspace as of one moment; steps in both directions.
//
// It reads at the LSN at which it was made (or its snapshot's), however long it lives, unless it is older
// than Options::max_snapshot_age_ms: then it is released and answers snapshot_too_old. It pins versions,
// never the log. One that stands still keeps at most the file or memtable that holds its entry: after a
// second in which it made no step the background takes the rest.
// Thread safety: one thread at a time. Holds the database's core; after close() every move ends with status
// `closed`.
#pragma once

#include <lightning/export.h>
#include <lightning/status.h>

#include <memory>
#include <string_view>

namespace lightning {

class CursorState;

class LIGHTNING_EXPORT Cursor {
 public:
  Cursor();
  explicit Cursor(std::unique_ptr<CursorState> state);
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  ~Cursor();

  void seek_first();
  void seek_last();
  /// To the first key at or after `key`.
  void seek(std::string_view key);
  /// To the last key at or before `key`.
  void seek_for_prev(std::string_view key);
  /// One step; only while valid().
  void next();
  void prev();

  /// Is it on an entry? False behind either end, before the first seek, and after an error (see status()).
  bool valid() const;
  /// Views that die at the next move.
  std::string_view key() const;
  std::string_view value() const;
  /// When the entry expires, in milliseconds since 1970; 0 = never. Only while valid().
  uint64_t expiry_ms() const;
  const Status& status() const;

 private:
  std::unique_ptr<CursorState> state_;
  bool refused_memory_ = false;  // it has no state for that reason
};

}  // namespace lightning
