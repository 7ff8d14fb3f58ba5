// RunWriter: writes one run file (run/run_format.h) from keys in ascending order, each key once with all its
// versions.
//
// Bytes leave in aligned pieces of 2 MiB, so that file systems with large folios keep and map the file in
// huge pages. Large values stream through while the leaf that refers to them is still in memory; per key
// sixteen bytes (hash and locator) are held until finish() builds the point index. Thread safety: externally
// synchronised. Ownership: keys and values are copied during add(). A file that was not finished is closed,
// not removed. Errors: the first one sticks; every later call returns it.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <span>
#include <string_view>

#include "format/version.h"
#include "io/env.h"
#include "run/run_file_info.h"

namespace lightning {

struct RunWriterOptions {
  /// Values longer than this stand outside the leaves; at most 64 KiB (more means 64 KiB).
  uint64_t value_separation = 1024;
  /// full() from about this size on; a single key may exceed it. More than 256 MiB means 256 MiB.
  uint64_t file_bytes_max = 256u << 20;
  /// Without a point index point reads descend by fences and leaf heads: for pooled files whose index would
  /// be the memory.
  bool point_index = true;
};

class RunWriter {
 public:
  /// Creates run_file_name(id), which must not exist.
  static Result<std::unique_ptr<RunWriter>> create(Directory& directory, uint64_t id,
                                                   const RunWriterOptions& options);
  virtual ~RunWriter() = default;

  /// `versions`: newest first, at least one, LSNs falling; LSNs that are kSettledLsn are not stored.
  /// `invalid_argument` when keys do not ascend or the file is full.
  virtual Status add(std::string_view internal_key, std::span<const Version> versions) = 0;
  /// No further key fits: finish this file and begin another. Never true of a file without keys.
  virtual bool full() const = 0;
  /// Keys so far.
  virtual uint64_t entries() const = 0;
  /// About the size that the file would have if it were finished now.
  virtual uint64_t file_bytes() const = 0;
  /// Writes point index, fences and footer and syncs the file (not its directory). At least one key must have
  /// been added.
  virtual Result<RunFileInfo> finish(uint64_t lsn_min, uint64_t lsn_max) = 0;
};

}  // namespace lightning
