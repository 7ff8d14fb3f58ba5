// In place of the mappings of files, and of the guard for their faults, in a build without them.
#include "io/mapping_guard.h"
#include "io/posix_mapping.h"

namespace lightning {

bool mapping_guard_in_force() { return false; }

Result<std::unique_ptr<MappedRegion>> map_posix_file(std::shared_ptr<const FileHandle>,
                                                     const std::string& name, uint64_t offset, uint64_t,
                                                     MapMode) {
  return Status(StatusCode::not_supported, "a build without mapped files", name, offset);
}

}  // namespace lightning
