#include <lightning/status.h>
#include <unistd.h>

#include <cstdlib>

namespace lightning::status_detail {

void stop_on_error(const Status& status) {
  const std::string line = "lightning: the value of a failed Result was read: " + status.to_string() + "\n";
  const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  (void)written;
  std::abort();
}

}  // namespace lightning::status_detail
