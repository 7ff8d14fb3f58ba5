// EmptyDirectory: where a database is to be made: made if it was not there, and nobody else can use it
// meanwhile.
//
// Thread safety: one thread.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string>

#include "io/env.h"

namespace lightning {

struct EmptyDirectory {
  std::unique_ptr<Directory> directory;
  std::unique_ptr<DirectoryLock> lock;

  /// `already_exists` when it holds more than what a creation leaves that failed at once: LOCK and SUPER.new.
  static Result<EmptyDirectory> open(Env& env, const std::string& path);
};

}  // namespace lightning
