// What tests of files of the system begin with.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "io/env.h"

namespace lightning {

inline std::unique_ptr<Directory> open_directory(const std::string& path) {
  Result<std::unique_ptr<Directory>> directory = posix_env().files().open_directory(path, false);
  EXPECT_TRUE(directory) << directory.status().to_string();
  return *std::move(directory);
}

inline std::unique_ptr<File> create_file(Directory& directory, const std::string& name) {
  Result<std::unique_ptr<File>> file = directory.open(name, OpenMode::create);
  EXPECT_TRUE(file) << file.status().to_string();
  return *std::move(file);
}

}  // namespace lightning
