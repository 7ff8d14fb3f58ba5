// RunSetWriter: ascending keys into run files, one after the other, each cut at about a size, and between
// keyspaces of different codecs; range removals go into the files between whose first keys they lie, in parts
// where that must be.
//
// Thread safety: one thread.
// Ownership: the files go with it, unless commit() was called: then when nothing durable can name them.
// Costs: memory of one file's writer (run_writer.h).
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compaction/codec_choice.h"
#include "format/range_map.h"
#include "io/env.h"
#include "run/run_writer.h"
#include "view/state_store.h"

namespace lightning {

class RunSetWriter {
 public:
  /// The versions to come are of the log range [lsn_min, lsn_max). `codecs` says how files are compressed,
  /// not `options`.
  RunSetWriter(Directory& directory, StateStore& store, const RunWriterOptions& options, CodecChoice codecs,
               uint64_t lsn_min, uint64_t lsn_max)
      : directory_(directory),
        store_(store),
        options_(options),
        codecs_(std::move(codecs)),
        lsn_min_(lsn_min),
        lsn_max_(lsn_max) {}
  ~RunSetWriter();
  RunSetWriter(const RunSetWriter&) = delete;
  RunSetWriter& operator=(const RunSetWriter&) = delete;

  /// Those of all keys to come, which lie between `from` and `to`, empty bounds being none; what they refer
  /// to must stay until finish().
  void set_ranges(RangeMap ranges, std::string_view from = {}, std::string_view to = {}) {
    ranges_ = std::move(ranges);
    range_at_ = ranges_.find(from);
    range_from_ = from;
    range_to_ = to;
  }
  /// RunFileInfo::since_us of all files.
  void set_since(uint64_t time_us) { since_us_ = time_us; }
  /// Does the next key begin another file?
  bool full() const { return writer_ != nullptr && writer_->full(); }
  Status add(std::string_view key, std::span<const Version> versions);
  /// Writes the range removals below `end` (all, if it is empty), finishes and syncs the file in hand, if
  /// there is one.
  Status finish(std::string_view end);
  /// Takes the files of another one over, whose keys are above all here; both are finished.
  void append(RunSetWriter&& other);
  /// Commits a state that names the files. If that fails they go, unless the durable state may name them.
  Status commit(const std::function<void(DurableState&)>& edit);
  /// May the durable state name the files?
  bool kept() const { return kept_; }

  const std::vector<RunFileInfo>& files() const { return files_; }
  uint64_t bytes() const { return bytes_; }
  /// Own memory, about.
  uint64_t memory_bytes() const { return writer_ == nullptr ? 0 : writer_->memory_bytes(); }

 private:
  Status begin(std::string_view key);
  bool is_other_codec(std::string_view key);
  Status add_ranges(std::string_view end);

  Directory& directory_;
  StateStore& store_;
  const RunWriterOptions options_;
  const CodecChoice codecs_;
  const uint64_t lsn_min_;
  const uint64_t lsn_max_;
  uint64_t since_us_ = 0;
  RangeMap ranges_;
  size_t range_at_ = 0;     // the first of ranges_ that is not yet written
  std::string range_from_;  // of it, nothing below this
  std::string range_to_;    // and of none anything from here on
  std::unique_ptr<RunWriter> writer_;
  Compression codec_ = Compression::none;  // of the file in hand
  std::string keyspace_;                   // the prefix of a key that goes into it
  std::vector<uint64_t> begun_;            // ids of files, finished or not
  std::vector<RunFileInfo> files_;
  uint64_t bytes_ = 0;
  bool kept_ = false;
};

}  // namespace lightning
