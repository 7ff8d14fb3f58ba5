// Running a program and keeping what it said; a directory for the files of a test.
//
// Thread safety: none.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lightning {

struct Outcome {
  int exit_code = -1;  // -1: it was killed by a signal
  std::string out;
  std::string err;
};

/// Runs `program` (searched in PATH) with `arguments`, `input` on standard input.
Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::string& input = {});

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);

/// Each file of a directory: its bytes and when it was changed last.
using DirectoryImage = std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>>;
DirectoryImage directory_image(const std::filesystem::path& directory);

/// A test of lightning-cli in a directory of its own.
class CliTest : public testing::Test {
 protected:
  CliTest();
  ~CliTest() override;

  Outcome cli(const std::vector<std::string>& arguments, const std::string& input = {}) const {
    return run_program(LIGHTNING_CLI, arguments, input);
  }
  /// Runs a verb that must succeed and say nothing on standard error; its output.
  std::string cli_ok(const std::vector<std::string>& arguments, const std::string& input = {}) const;
  /// Through bash, where $CLI is the program and $DB the database.
  Outcome shell(const std::string& script) const;
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }

  std::filesystem::path scratch_;
  std::string db_;  // a path at which nothing is yet
};

}  // namespace lightning
