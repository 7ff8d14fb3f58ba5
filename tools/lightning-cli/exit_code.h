// What lightning-cli tells its caller by its exit code.
#pragma once

#include <lightning/status.h>

namespace lightning::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitNotFound = 1,    // the key, keyspace or database does not exist
  kExitUsage = 2,       // the command line or the input asks for the impossible
  kExitCorruption = 3,  // bytes on disk are not what was written
  kExitBusy = 4,        // another process holds the database
  kExitIo = 5,          // the system refused, or anything else went wrong
  kExitConflict = 6,    // a transaction was not the first, or found something else than it expects
};

ExitCode exit_code(const Status& status);

}  // namespace lightning::cli
