// Opening a database with a given Env, for tests: what Database::open and Database::create do with
// posix_env().
#pragma once

#include <lightning/database.h>

#include <string>

#include "engine/engine.h"
#include "io/env.h"

namespace lightning {

/// `large_value_bytes`: what kLargeValueBytes is of other databases.
Result<Database> open_in(Env& env, const std::string& directory, const Options& options, OpenKind kind,
                         uint64_t large_value_bytes = kLargeValueBytes);

}  // namespace lightning
