// RepairOutput: the database that a repair writes: run files first, then one commit that names them all.
//
// Until that commit the directory holds an empty database, whatever happens.
// Thread safety: one thread. Throws std::bad_alloc.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "admin/empty_directory.h"
#include "engine/catalogue.h"
#include "io/env.h"
#include "run/run_writer.h"
#include "view/durable_state.h"
#include "view/state_store.h"

namespace lightning {

class RepairOutput {
 public:
  /// Makes a database in `path`; `already_exists` when something is there.
  static Result<std::unique_ptr<RepairOutput>> create(Env& env, const std::string& path,
                                                      uint64_t value_separation);

  /// Keys ascend; those of the catalogue are left to finish().
  Status add(std::string_view internal_key, EntryKind kind, std::string_view value);
  /// Of prepared transactions, by their keys in the catalogue, which ascend; an empty one is left out.
  struct PreparedRecords {
    std::vector<std::string> keys;
    std::vector<std::string> records;
  };
  struct Rest {
    const std::map<uint32_t, std::string>& names;  // of the keyspaces
    std::map<uint32_t, uint64_t> default_ttls;
    Catalogue::Compressions compressions;
    const PreparedRecords& prepared;
    std::vector<IndexRecord> indexes;  // by keyspace and name; without entries
    int64_t time_us = 0;               // the largest that the damaged database recorded
  };
  /// Writes the catalogue and makes all of it the database.
  Status finish(const Rest& rest);

  Directory& directory() { return *into_.directory; }

 private:
  explicit RepairOutput(uint64_t value_separation) : value_separation_(value_separation) {}
  Status end_file();
  /// What was written since the last call, as a sorted run.
  Status end_run();

  const uint64_t value_separation_;
  EmptyDirectory into_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<RunWriter> writer_;
  SortedRunInfo run_;
  std::vector<SortedRunInfo> runs_;
};

}  // namespace lightning
