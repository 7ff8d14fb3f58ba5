// The seeds of a program's target, as files.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "fuzz/target.h"

namespace lightning::fuzz {

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void write_seeds(const std::filesystem::path& folder) {
  kTarget.seeds([&](std::string_view name, std::string_view input) { write_file(folder / name, input); });
}

}  // namespace lightning::fuzz
