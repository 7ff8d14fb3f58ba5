// verify and repair: does each byte on disk say what was written, and what survives where it does not; copies
// of databases.
//
//   lightning::Result<lightning::VerifyReport> report = lightning::verify("./mydb");
//   if (report && !report->ok()) lightning::repair("./mydb", "./mydb.repaired");
//
// Database::verify() does the same to an open database. docs/verify-and-repair.md has the whole story,
// docs/backup-and-restore.md that of copies: Database::checkpoint(), Database::backup() and restore().
// Thread safety: functions; reports are values.
#pragma once

#include <lightning/export.h>
#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

/// How far a verify or repair has come.
struct AdminProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  std::string_view file;  // at hand; dies with the call
};

/// Something on disk that is not what was written.
struct Finding {
  std::string file;
  uint64_t offset = 0;  // in bytes; Status::kWholeFile where the file as a whole is meant
  std::string what;
  StatusCode code = StatusCode::corruption;  // or io_error, where it cannot be read
};

struct VerifyOptions {
  std::function<void(const AdminProgress&)> on_progress;
};

struct VerifyReport {
  static constexpr uint64_t kFindingsMax = 1000;

  uint64_t files = 0;
  uint64_t bytes = 0;         // of these files
  uint64_t unused_bytes = 0;  // of these, in log segments and the manifest, that nothing reads
  uint64_t run_entries = 0;   // keys in runs
  uint64_t log_records = 0;
  uint64_t index_entries = 0;  // that were held against the data, both ways
  uint64_t finding_count = 0;
  std::vector<Finding> findings;            // the first kFindingsMax of them
  std::vector<std::string> unknown_files;   // in the directory, none of the database's; no findings
  std::vector<std::string> unread_indexes;  // not ready, or of a function that is not registered
  std::vector<std::string> unread_files;    // not looked into, since no state says what they should hold

  bool ok() const { return finding_count == 0; }
};

/// Reads every byte of the database in `directory`, which nobody may have open for writing, and changes none.
/// What is damaged stands in the report; an error means that it could not be made: `not_found` (no database),
/// `busy`, `not_supported` (of a later version).
LIGHTNING_EXPORT Result<VerifyReport> verify(const std::string& directory, const VerifyOptions& options = {});

/// Which keys a damaged place may have held.
enum class LostScope : uint8_t {
  keys,             // those of `keyspace` from `from` to `to`
  named_keyspaces,  // those of every keyspace but the default one; the names themselves, too
  everything,       // any key of any keyspace
};

/// Keys that may be missing from a repaired database, or hold an older value, or be back after a removal,
/// since their newest version was damaged.
struct LIGHTNING_EXPORT LostRange {
  std::string file;
  uint64_t offset = 0;
  std::string reason;
  LostScope scope = LostScope::keys;
  std::string keyspace;           // "": the default one
  std::string from;               // inclusive
  std::optional<std::string> to;  // exclusive; without it there is no end

  bool contains(std::string_view of_keyspace, std::string_view key) const;
};

struct RepairOptions {
  /// As Options::value_separation of the database that is written.
  uint64_t value_separation = 1024;
  std::function<void(const AdminProgress&)> on_progress;
};

struct RepairReport {
  uint64_t entries = 0;    // in the repaired database
  uint64_t raw_bytes = 0;  // of their keys and values
  uint64_t runs_read = 0;
  uint64_t log_records = 0;  // taken, each whole
  std::vector<LostRange> lost;
  std::vector<Finding> findings;                 // the damage that was met, in the order in which it was
  std::vector<std::string> left_out;             // files of the database that could not be used
  std::vector<std::string> recovered_keyspaces;  // whose name was lost: what they are called instead

  /// Everything that was ever acknowledged as durable is there.
  bool complete() const { return lost.empty(); }
};

/// Writes what survives of the database in `from` into a database made in `into`, which must be empty or not
/// exist. Not a byte of `from` is changed. The database in `into` is empty until all of it is there at once.
/// A commit that is still in the log is taken whole or not at all.
LIGHTNING_EXPORT Result<RepairReport> repair(const std::string& from, const std::string& into,
                                             const RepairOptions& options = {});

struct BackupOptions {
  /// Called often, from the calling thread. Must not close the database: that waits for the copy.
  std::function<void(const AdminProgress&)> on_progress;
  /// Asked often; once it says true the copy ends with `cancelled` and is removed. Empty: never.
  std::function<bool()> cancelled;
};

/// What a checkpoint, backup or restore made.
struct CopyReport {
  uint64_t lsn = 0;    // every commit below it is in the copy, and no other
  uint64_t files = 0;  // runs, value files and log segments
  uint64_t bytes = 0;  // of these files, holes included
  uint64_t linked_files = 0;
  uint64_t linked_bytes = 0;
  uint64_t run_entries = 0;  // keys in runs
  uint64_t log_records = 0;
};

/// Makes in `into`, which must be empty or not exist, a database that holds what the one in `backup` holds:
/// any copy, or any database that nobody has open for writing. Every byte of it is verified, and none
/// changed: `corruption` with file and offset where it is damaged. `not_found`: there is no database. Other
/// errors: Database::backup().
LIGHTNING_EXPORT Result<CopyReport> restore(const std::string& backup, const std::string& into,
                                            const BackupOptions& options = {});

}  // namespace lightning
