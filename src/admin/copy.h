// Copies of a database: checkpoint, backup, restore.
//
//   1. Into an empty directory, which nobody else can open then, goes SUPER.new: it is no database, and
//      what stands in it is never taken for one.
//   2. A CopyMoment of the database (engine/copy_moment.h) says what is copied: the log's bytes in memory
//      below an LSN, run files and value files. Its writers, flushes and merges go on.
//   3. The records of each memtable are verified and written as a segment of the same number and salt that
//      ends where they do; nothing is ever appended to it. Then the memory is given back.
//   4. Value files and run files get a second name (checkpoint), or are copied, and every checksum in the
//      copy is verified. Of a value file that is copied, what no run refers to becomes a hole.
//   5. All is synced; StateStore::create() writes the manifest and names SUPER: now it is a database.
//
// A restore opens the backup without changing it and copies it in the same way; what of it is not copied
// (SUPER, manifest, segments) is verified before.
//
// Invariants
//  K1  Nothing is written into the database that is copied. Files that two databases share are written by
//      neither: a run file never changes, no hole is punched into a value file that has two names, and both
//      are removed by their names alone.
//  K2  The copy has the same identity and another incarnation; its counters are beyond all that it names.
//  K3  An error leaves an empty directory, as far as files can be removed, and no database.
// Thread safety: functions; any number of copies at once.
#pragma once

#include <lightning/admin.h>

#include <string>

#include "engine/engine.h"
#include "io/env.h"

namespace lightning {

enum class CopyKind { checkpoint, backup };

Result<CopyReport> copy_database(Engine& engine, const std::string& into, const BackupOptions& options,
                                 CopyKind kind);
Result<CopyReport> restore_in(Env& env, const std::string& backup, const std::string& into,
                              const BackupOptions& options);

}  // namespace lightning
