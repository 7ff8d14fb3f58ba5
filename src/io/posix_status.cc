#include "io/posix_status.h"

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

Status status_of_errno(int error, std::string_view verb, std::string_view file, uint64_t offset) {
  const char* reason = strerrordesc_np(error);
  std::string message = "cannot ";
  message.append(verb).append(": ");
  message.append(reason != nullptr ? std::string(reason) : "error " + std::to_string(error));
  return Status(code_of_errno(error), message, file, offset);
}

}  // namespace lightning
