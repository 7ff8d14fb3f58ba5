#include "io/posix_status.h"

#include <cstdio>
#include <cstring>

namespace lightning {

namespace {

StatusCode code_of_errno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return StatusCode::no_space;
    case ENOENT:
      return StatusCode::not_found;
    case EEXIST:
      return StatusCode::already_exists;
    case ENOMEM:
      return StatusCode::out_of_memory;
    case EOPNOTSUPP:
    case ENOSYS:
    case EXDEV:
      return StatusCode::not_supported;
    default:
      return StatusCode::io_error;
  }
}

}  // namespace

// Asks for no memory beyond the Status's own, which does without: a failure of a sync must not become an
// exception, which says that nothing was tried.
Status status_of_errno(int error, std::string_view verb, std::string_view file, uint64_t offset) {
  char message[160];
  const char* const reason = strerrordesc_np(error);
  const int verb_size = static_cast<int>(verb.size());
  if (reason != nullptr) {
    std::snprintf(message, sizeof(message), "cannot %.*s: %s", verb_size, verb.data(), reason);
  } else {
    std::snprintf(message, sizeof(message), "cannot %.*s: error %d", verb_size, verb.data(), error);
  }
  return Status(code_of_errno(error), message, file, offset);
}

}  // namespace lightning
