// From errno to Status, and the loop around system calls that a signal may interrupt.
//
// Thread safety: any thread.
#pragma once

#include <lightning/status.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

namespace lightning {

/// "cannot <verb>: <what the system says>" about `file`. ENOSPC, EDQUOT: no_space; ENOENT: not_found; EEXIST:
/// already_exists; ENOMEM: out_of_memory; EOPNOTSUPP, ENOSYS, EXDEV: not_supported; all others: io_error.
Status status_of_errno(int error, std::string_view verb, std::string_view file,
                       uint64_t offset = Status::kWholeFile);

/// Calls `call` again while it answers -1 with EINTR.
template <typename Call>
auto retry_interrupted(Call call) {
  decltype(call()) answer;
  do {
    answer = call();
  } while (answer == -1 && errno == EINTR);
  return answer;
}

}  // namespace lightning
