// What a verb reads by lines: a file, or standard input.
#pragma once

#include <lightning/status.h>

#include <fstream>
#include <istream>
#include <string>

namespace lightning::cli {

/// `file`, opened for `path`; standard input for "-". A read of it that fails leaves it bad(), and says by
/// input_error() why.
Result<std::istream*> open_input(const std::string& path, std::ifstream* file);
Status input_error(const std::string& path);

}  // namespace lightning::cli
