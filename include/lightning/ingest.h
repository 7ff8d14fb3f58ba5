// Ingestion: sorted entries become files of the database without passing through its log.
//
// Thread safety: a source is asked by the calling thread alone.
#pragma once

#include <lightning/export.h>
#include <lightning/status.h>

#include <cstdint>
#include <string_view>

namespace lightning {

/// Entries in strictly ascending bytewise order of their keys; Keyspace::ingest() asks for each once.
class LIGHTNING_EXPORT IngestSource {
 public:
  IngestSource() = default;
  IngestSource(const IngestSource&) = delete;
  IngestSource& operator=(const IngestSource&) = delete;
  virtual ~IngestSource();

  /// Goes to the next entry, at first to the first one. False: there is none, or status() says what went
  /// wrong. May use the database, but not close it: that waits for the ingestion.
  virtual bool next() = 0;
  /// Of the entry; good until next().
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  /// ok at the end; an error ends the ingestion with just this.
  virtual Status status() const { return {}; }
};

struct IngestReport {
  uint64_t entries = 0;
  uint64_t bytes = 0;  // of the files that were written
  uint64_t files = 0;
};

}  // namespace lightning
