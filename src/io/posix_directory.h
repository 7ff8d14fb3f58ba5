// Directories of a POSIX system, held open by a descriptor.
//
// Names are single components and never followed through symbolic links; only regular files are opened.
// Directories are made with mode 0700, files with 0600. Thread safety: any threads.
#pragma once

#include "io/env.h"

namespace lightning {

class PosixFileSystem final : public FileSystem {
 public:
  /// Errors besides the system's: not_found, invalid_argument where something else than a directory bears the
  /// path.
  Result<std::unique_ptr<Directory>> open_directory(const std::string& path, bool create) override;
};

}  // namespace lightning
