#include "tools/lightning-cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace lightning::cli {

namespace {
constexpr size_t kBufferBytes = 64 * 1024;
}  // namespace

bool Output::write(std::string_view text) {
  if (error_ != 0) return false;
  buffer_.append(text);
  return buffer_.size() < kBufferBytes || drain();
}

Status Output::finish() {
  drain();
  if (error_ == 0 || error_ == EPIPE) return {};
  return Status(StatusCode::io_error, std::string("standard output: ") + std::strerror(error_));
}

bool Output::drain() {
  std::string_view left = buffer_;
  while (error_ == 0 && !left.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, left.data(), left.size());
    if (written >= 0) {
      left.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  buffer_.clear();
  return error_ == 0;
}

void guard_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest free number is `stream`. Opened the wrong way round, so that its use still fails.
    if (::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) ::_exit(5);
  }
}

}  // namespace lightning::cli
