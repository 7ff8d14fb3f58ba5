#include "io/machine_limits.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "io/file_handle.h"
#include "io/posix_status.h"

namespace lightning {

namespace {

constexpr size_t kTextBytesMax = 4096;
constexpr std::string_view kGroups = "/sys/fs/cgroup";

std::string text_of(const std::string& path) {
  const FileHandle file(retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  std::string text(kTextBytesMax, '\0');
  const ssize_t count =
      file.valid() ? retry_interrupted([&] { return read(file.get(), text.data(), text.size()); }) : -1;
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

// "max" is no number, and no limit.
uint64_t number_in(const std::string& path) {
  const std::string text = text_of(path);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? number : UINT64_MAX;
}

// The least of the group and those that it is in. In a container the path may be of the host, of which no
// file is there; then that of the root is the container's own.
uint64_t limit_of_group(const std::string& root, std::string_view group, const std::string& file) {
  uint64_t limit = UINT64_MAX;
  for (;;) {
    while (group.ends_with('/')) group.remove_suffix(1);
    limit = std::min(limit, number_in(root + std::string(group) + "/" + file));
    if (group.empty()) return limit;
    const size_t slash = group.rfind('/');
    group = group.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
}

}  // namespace

uint64_t machine_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  uint64_t limit = pages > 0 && page_bytes > 0
                       ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes)
                       : UINT64_MAX;
  const std::string groups = text_of("/proc/self/cgroup");  // lines "number:controllers:path"
  for (std::string_view rest = groups; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (controllers.empty()) {
      limit = std::min(limit, limit_of_group(std::string(kGroups), path, "memory.max"));
    } else if (controllers == "memory") {
      limit =
          std::min(limit, limit_of_group(std::string(kGroups) + "/memory", path, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

uint64_t machine_open_files_max() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

size_t machine_processors() {
  cpu_set_t allowed;
  // Of a machine with more than fit into the set nothing is said: the count is of all that are there.
  const long count = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed)
                                                                          : sysconf(_SC_NPROCESSORS_ONLN);
  return static_cast<size_t>(std::max(count, 1L));
}

}  // namespace lightning
