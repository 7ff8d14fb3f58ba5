// RunWriter: writes a run file (run/run_format.h) from ascending keys, each once with all its versions.
//
// Bytes leave in aligned pieces, mostly of 2 MiB, so that file systems with large folios keep and map the
// file in huge pages. Large values stream through while the leaf that refers to them is still in memory; per
// key sixteen bytes (hash and locator) are held until finish() builds the point index, and eight where it has
// an expiry: a file ends at four million keys.
//
// Thread safety: externally synchronised.
// Ownership: keys and values are copied during add(). A file that was not finished is closed, not removed.
// Errors: the first one sticks; every later call returns it.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "format/version.h"
#include "io/env.h"
#include "run/expiry_tally.h"
#include "run/fences.h"
#include "run/leaf_builder.h"
#include "run/page_table.h"
#include "run/run_file_info.h"
#include "run/run_index.h"
#include "run/run_output.h"
#include "run/stored_page.h"
#include "run/value_list.h"

namespace lightning {

struct RunWriterOptions {
  /// Values longer than this stand outside the leaves; at most 64 KiB (more means 64 KiB).
  uint64_t value_separation = 1024;
  /// full() from about this size on; a single key may exceed it. More than 256 MiB means 256 MiB.
  uint64_t file_bytes_max = 256u << 20;
  /// Bytes leave in pieces of this size: a power of two from 64 KiB on.
  uint64_t piece_bytes = RunOutput::kPieceBytes;
  /// A codec that this build has; with one, leaves have 16 KiB and a page table leads to them.
  Compression compression = Compression::none;
  uint64_t compression_level = 0;
  /// Without a point index point reads descend by fences and leaf heads: for files whose index would be the
  /// memory.
  bool point_index = true;
};

class RunWriter {
 public:
  /// Creates run_file_name(id), which must not exist.
  static Result<std::unique_ptr<RunWriter>> create(Directory& directory, uint64_t id,
                                                   const RunWriterOptions& options);
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  /// `versions`: newest first, at least one, LSNs falling; one of kSettledLsn, which may only be the last, is
  /// seen by every reader. `invalid_argument` when keys do not ascend or the file is full.
  Status add(std::string_view internal_key, std::span<const Version> versions);
  /// Fragments of range removals, as in RangeMap: ascending, LSNs falling. At any time before finish().
  Status add_range(std::string_view from, std::string_view to, std::span<const uint64_t> lsns);
  /// No further key fits: finish this file and begin another. Never true of a file without keys.
  bool full() const;
  /// Keys so far.
  uint64_t entries() const { return info_.entries; }
  /// About the size that the file would have if it were finished now.
  uint64_t file_bytes() const;
  /// Own memory, about.
  uint64_t memory_bytes() const {
    return output_.memory_bytes() + index_.memory_bytes() + fences_.file_bytes() + ranges_.capacity() +
           table_.file_bytes() + (packer_ == nullptr ? 0 : packer_->memory_bytes());
  }
  /// Writes point index, fences, range removals, value list and footer and syncs the file (not its
  /// directory). At least one key or range removal must have been added.
  Result<RunFileInfo> finish(uint64_t lsn_min, uint64_t lsn_max);

 private:
  /// An entry behind its key, ready for a leaf.
  struct Body {
    uint8_t flags = 0;
    uint32_t value_size = 0;
    std::string_view bytes;
  };

  RunWriter(std::unique_ptr<File> file, uint64_t id, const RunWriterOptions& options);

  Status check(std::string_view key, std::span<const Version> versions) const;
  Status add_checked(std::string_view key, std::span<const Version> versions);
  bool outside(const Version& version) const {
    return version.place.file != 0 || version.value.size() > value_separation_;
  }
  /// Outside of the leaves, and in this file.
  bool stands_here(const Version& version) const { return outside(version) && version.place.file == 0; }
  Status encode(std::span<const Version> versions, uint64_t* values_at, Body* body);
  Status put_outside(const Version& version, uint64_t* values_at, char* to);
  Status add_to_leaf(std::string_view key, const Body& body);
  Status add_before_values(std::string_view key, std::span<const Version> versions);
  Status write_leaf();
  Status write_page(uint64_t page_number);
  Status write_packed(uint64_t page_number);
  void choose_leaf_bytes(uint64_t next_bytes);
  uint64_t leaf_room() const { return leaf_bytes_ == 0 ? kLargeLeafBytes : leaf_bytes_; }
  uint64_t jumbo_bytes(uint64_t key_size, uint32_t value_size, uint64_t body_size) const;
  uint64_t leaf_units() const;
  uint64_t next_leaf_start() const;
  Status add_first_removal();
  Status write_ranges(Footer* footer);
  Status write_value_list(Footer* footer);
  Status write_page_table(Footer* footer);
  Result<RunFileInfo> write_sections(uint64_t lsn_min, uint64_t lsn_max);

  const uint64_t value_separation_;
  const uint64_t file_bytes_max_;
  const bool wants_index_;
  RunOutput output_;
  LeafBuilder leaf_;
  RunIndexBuilder index_;
  FencesBuilder fences_;
  ValueListBuilder values_;
  std::unique_ptr<PagePacker> packer_;  // of a compressed file
  PageTableBuilder table_;              // of it, as the next two
  uint64_t pages_end_ = 0;              // where the next leaf would stand by its number
  std::string page_;
  uint64_t leaf_bytes_ = 0;  // 0: not yet known
  uint64_t leaves_hash_ = 0;
  std::string body_bytes_;  // of entries that are not a plain value
  std::string last_key_;    // of the last leaf that was written
  ExpiryTally expiries_;
  std::string ranges_;      // the section of range removals
  std::string first_from_;  // of the first of them
  uint64_t first_lsn_ = 0;  // its oldest one
  std::string last_to_;     // of the last of them
  RunFileInfo info_;
  Status failed_;
};

}  // namespace lightning
