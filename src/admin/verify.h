// verify(): reads every byte of every file of a database and compares what is said twice.
//
// Each byte is under a checksum that is verified, or has to be zero and is compared, or is one that nothing
// reads: what a log segment holds behind its last record while it has no recorded end, and inside an end
// record's range; the mirror of `published` in a segment's header, which is a hint; what a manifest holds
// behind the bytes that SUPER names. These are counted as unused.
//
// Beside the database at work: SUPER and manifest are read between two commits; files that the state names
// are read by name, and a finding about one counts only if the state names it still, for what a flush or
// merge replaces goes away; the log is read as far as it was durable when the walk began.
// Thread safety: functions.
#pragma once

#include <lightning/admin.h>

#include <memory>
#include <string>

#include "engine/engine.h"
#include "io/env.h"

namespace lightning {

Result<VerifyReport> verify_in(Env& env, const std::string& directory, const VerifyOptions& options);
enum class VerifyScope {
  everything,
  all_but_runs,  // run files are taken for what the state says
};
/// A directory that its caller keeps others from writing in.
Result<VerifyReport> verify_directory(Env& env, Directory& directory, const VerifyOptions& options,
                                      VerifyScope scope = VerifyScope::everything);
/// Its indexes are held against the data, too: those whose functions it has.
Result<VerifyReport> verify_open(Engine& engine, const VerifyOptions& options);

/// Keeps writers out, and makes no file for it.
Result<std::unique_ptr<DirectoryLock>> lock_as_reader(Directory& directory);

}  // namespace lightning
