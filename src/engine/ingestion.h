// Ingestion: what one ingestion works with (ingest.cc).
//
// Thread safety: one thread.
#pragma once

#include <lightning/ingest.h>

#include <cstdint>

#include "compaction/run_set_writer.h"
#include "engine/commit_check.h"

namespace lightning {

/// Entries whose expiry does not hang on the keyspace alone.
class ExpiringSource : public IngestSource {
 public:
  /// In microseconds since 1970; 0: never.
  virtual uint64_t expiry_us() const = 0;
};

struct Ingestion {
  uint32_t keyspace = 0;
  ExpiringSource& source;
  /// What it reads (CommitCheck::reads) must be as it was at its moment; the rest is not looked at.
  const CommitCheck* check = nullptr;
  uint64_t deadline = 0;
  RunSetWriter& writer;
  /// Nobody was first below, as far as was looked.
  uint64_t checked_upto = 0;
};

}  // namespace lightning
