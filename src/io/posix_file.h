// A regular file of a POSIX system.
//
// Transfers are continued until they are whole; a call that a signal interrupted is made again. Errors carry
// the file's name and, for transfers, the offset. Thread safety: any threads.
#pragma once

#include <memory>
#include <string>

#include "io/env.h"
#include "io/file_handle.h"

namespace lightning {

/// `name` is what errors call the file.
std::unique_ptr<File> make_posix_file(FileHandle handle, std::string name);

}  // namespace lightning
