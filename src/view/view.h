// View: the immutable set of sources that reads go through: the active memtable, the sealed ones, the sorted
// runs.
//
// Invariants
//  I5  What a View names exists, is complete and does not change (the active memtable grows; a read LSN
//      bounds what of it counts).
//  I8  A newer source holds, for each key, only newer versions than an older one. Order, newest first:
//      active, sealed, runs.
// Thread safety: immutable, any threads.
// Ownership: counted. The engine publishes one by an atomic pointer; a reader inside an epoch may use it
// without a count and may take one with shared_from_this().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "format/range_map.h"
#include "format/source_cursor.h"
#include "log/segment.h"
#include "memtable/memtable.h"
#include "run/run_file.h"
#include "view/disjoint_cursor.h"
#include "view/durable_state.h"

namespace lightning {

/// A segment and the memtable over its bytes.
struct MemSource {
  std::shared_ptr<Segment> segment;
  std::shared_ptr<MemTable> table;
  uint64_t end_lsn = 0;          // no record at or behind it: the segment's end, or where recovery cut it
  uint64_t removals_before = 0;  // of keys, that commits had made when it began
  uint64_t begun_us = 0;         // nothing in it was written before, in microseconds since 1970; 0: not known

  uint64_t memory_bytes() const { return segment->memory_bytes() + table->index_bytes(); }
  /// Brings the order index up to every record below `lsn`; all of them are published.
  Status order_up_to(uint64_t lsn) const;
};

/// The keys that a piece answers for.
KeyRange range_of(const RunPiece& piece);

/// Disjoint run files in key order; the sources of settled data.
class SortedRun {
 public:
  SortedRun(SortedRunInfo info, std::vector<std::shared_ptr<const RunFile>> files);
  SortedRun(const SortedRun&) = delete;
  SortedRun& operator=(const SortedRun&) = delete;

  const SortedRunInfo& info() const { return info_; }
  const std::vector<std::shared_ptr<const RunFile>>& files() const { return files_; }
  /// What each file answers for; refers to this run.
  const std::vector<KeyRange>& ranges() const { return ranges_; }
  /// The file that answers for `key`, null if none does.
  const std::shared_ptr<const RunFile>* file_of(std::string_view key) const {
    return files_.size() == 1 && !bounded_ ? &files_[0] : search_file_of(key);
  }
  std::unique_ptr<SourceCursor> cursor(uint64_t read_lsn) const;
  /// The only file with keys that begin with `prefix`, where it answers for all of its keys; else null.
  const RunFile* only_file_with(std::string_view prefix) const;
  /// Its range removals. They are over keys of older sources alone: what they hid in its own files was left
  /// out when these were written.
  const RangeMap& removals() const { return removals_; }

  /// Reads above this LSN see all of the run; those at or below it ask shows(). 0 of most runs.
  uint64_t ingested_at() const { return ingested_at_; }
  /// Does a read at `read_lsn` see what is in `file`, an answer of file_of()?
  bool shows(const std::shared_ptr<const RunFile>* file, uint64_t read_lsn) const {
    const uint64_t ingested_at = info_.pieces[static_cast<size_t>(file - files_.data())].ingested_at;
    return ingested_at == 0 || ingested_at < read_lsn;
  }

 private:
  std::unique_ptr<SourceCursor> file_cursor(size_t file, uint64_t read_lsn) const;
  void collect_removals();
  const std::shared_ptr<const RunFile>* search_file_of(std::string_view key) const;
  bool answers(size_t file, std::string_view key) const;

  const SortedRunInfo info_;
  const std::vector<std::shared_ptr<const RunFile>> files_;
  std::vector<KeyRange> ranges_;  // into info_
  bool bounded_ = false;          // some piece has an interval narrower than its file
  uint64_t ingested_at_ = 0;      // the largest of the pieces
  RangeMap removals_;             // into info_ and the files
};

/// A range removal hides what the cursors from `first_hidden` on show of its keys.
struct CoverSource {
  const RangeRemovals* memory = nullptr;  // or
  const RangeMap* run = nullptr;
  size_t first_hidden = 0;
};

/// What a View is walked by.
struct ViewCursors {
  std::vector<std::unique_ptr<SourceCursor>> sources;  // newest first
  std::vector<CoverSource> covers;                     // newest first; in the View
};

class View : public std::enable_shared_from_this<View> {
 public:
  std::shared_ptr<const MemSource> active;               // null: read-only, or no segment could be made
  std::vector<std::shared_ptr<const MemSource>> sealed;  // newest first
  std::vector<std::shared_ptr<const SortedRun>> runs;    // newest first
  uint64_t sequence = 0;                                 // grows with each View of an engine
  /// May some source have range removals? Set before the first one is reserved, so that whoever can see it
  /// sees this.
  mutable std::atomic<bool> range_removals{false};

  /// Does a source have range removals that are installed?
  bool has_range_removals() const;
  /// The largest of the runs; a View is whole for reads above it.
  uint64_t ingested_at() const;

  /// One cursor a source, as of `read_lsn`; memtables brought up to it before.
  Result<ViewCursors> cursors(uint64_t read_lsn) const;
};

}  // namespace lightning
