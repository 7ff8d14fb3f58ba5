#include "tools/lightning-cli/input.h"

#include <cerrno>
#include <cstring>
#include <iostream>

namespace lightning::cli {

Result<std::istream*> open_input(const std::string& path, std::ifstream* file) {
  std::ios::sync_with_stdio(false);  // else what cannot be read is the end
  errno = 0;
  if (path == "-") return &std::cin;
  file->open(path, std::ios::binary);
  if (!file->is_open()) return input_error(path);
  return file;
}

Status input_error(const std::string& path) {
  return Status(StatusCode::io_error, std::strerror(errno), path == "-" ? "standard input" : path,
                Status::kWholeFile);
}

}  // namespace lightning::cli
