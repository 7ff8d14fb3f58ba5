// The lock by which one opener keeps others out of a directory.
//
// Two parts. Between processes an open file description lock (fcntl F_OFD_SETLK) on byte 0 of the lock file:
// it ends with its process, however that ends. Within the process a registry by device and inode, which works
// also where the file system has no locks. Each holder besides locks the byte kPidBase + <its process id> for
// reading: from the place of that lock another opener learns who holds byte 0, and nothing is ever written
// into the file, so that readers of a read-only directory take part.
//
// Invariants
//  D1  The file that is locked is the one that bears the name: a lock on a file that was removed meanwhile is
//  not taken. D2  A forked child holds no lock: its copies of the descriptors are closed as it is born, else
//  it would keep the lock
//      for as long as it lives.
// Thread safety: any thread.
#pragma once

#include <memory>
#include <string>

#include "io/env.h"

namespace lightning {

/// Locks the file `name` of the open directory `directory`, called `path` in errors. Makes the file if it is
/// missing. Errors: busy with the holder's process id, io_error, not_supported (no locks on this file
/// system).
Result<std::unique_ptr<DirectoryLock>> lock_directory(int directory, const std::string& path,
                                                      const std::string& name, LockMode mode);

}  // namespace lightning
