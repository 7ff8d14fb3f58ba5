// A guarded shared mapping of a POSIX file.
//
// A writable region shares the descriptor with the file that it was made of: the guard reads through it. One
// that is only read needs none. Either may outlive the file object. Not inherited by a forked child.
// Thread safety: populate(), drop() and faulted() from any thread; the bytes are the caller's to synchronise.
#pragma once

#include <memory>
#include <string>

#include "io/env.h"
#include "io/file_handle.h"

namespace lightning {

/// Maps [offset, offset + size) of `file`, called `name` in errors. Errors: invalid_argument when `offset` is
/// no multiple of the page size or `size` is 0, not_supported, out_of_memory, io_error.
Result<std::unique_ptr<MappedRegion>> map_posix_file(std::shared_ptr<const FileHandle> file,
                                                     const std::string& name, uint64_t offset, uint64_t size,
                                                     MapMode mode);

}  // namespace lightning
