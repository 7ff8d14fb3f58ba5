// Damaged files: the right answer or exit code 3 with file and offset, whatever byte is hit.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/cli/program.h"

namespace lightning {
namespace {

namespace fs = std::filesystem;

// "lightning-cli: corruption: what (file at offset)" and a line end.
bool names_corruption(const std::string& message, const std::string& file) {
  const std::string begin = "lightning-cli: corruption: ", middle = " (" + file + " at ", end = ")\n";
  const size_t offset = message.find(middle) + middle.size();
  return message.starts_with(begin) && message.ends_with(end) && message.find(middle) != std::string::npos &&
         message.find_first_not_of("0123456789", offset) == message.size() - end.size() &&
         message.size() - end.size() > offset;
}

class CliDamage : public CliTest {
 protected:
  // Files of the database whose names end with `suffix`.
  std::vector<fs::path> files(const std::string& suffix) const {
    std::vector<fs::path> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(db_)) {
      if (entry.path().string().ends_with(suffix)) found.push_back(entry.path());
    }
    return found;
  }

  // Flips a bit at `offset` of `file` for as long as `read` takes.
  template <typename Fn>
  void with_damage(const fs::path& file, size_t offset, Fn&& read) {
    const std::string bytes = read_file(file);
    std::string damaged = bytes;
    damaged[offset] = static_cast<char>(damaged[offset] ^ 0x10);
    write_file(file, damaged);
    read();
    write_file(file, bytes);
  }
};

TEST_F(CliDamage, ARunIsRightOrCorrupt) {
  std::string lines;
  for (int i = 10'000; i < 13'000; ++i)
    lines += "key" + std::to_string(i) + "\tvalue of " + std::to_string(i) + "\n";
  cli_ok({"load", db_, "-"}, lines);
  cli_ok({"compact", db_});
  ASSERT_EQ(files(".run").size(), 1u);
  const fs::path run = files(".run")[0];
  const size_t size = fs::file_size(run);

  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::string name = run.filename().string();
  size_t corrupt = 0;
  for (int round = 0; round < 60; ++round) {
    const size_t offset = round == 0 ? 100 : random() % size;
    with_damage(run, offset, [&] {
      const Outcome scan = cli({"scan", db_});
      const bool right = scan.exit_code == 0 && scan.out == lines && scan.err.empty();
      const bool named = scan.exit_code == 3 && names_corruption(scan.err, name);
      EXPECT_TRUE(right || named) << "offset " << offset << ": exit code " << scan.exit_code << ", "
                                  << scan.err;
      EXPECT_EQ(lines.rfind(scan.out, 0), 0u) << "offset " << offset << ": a wrong entry was printed";
      corrupt += named;
      const Outcome get = cli({"get", db_, "key12345"});
      EXPECT_TRUE(get.exit_code == 3 || (get.exit_code == 0 && get.out == "value of 12345\n"))
          << "offset " << offset << ": exit code " << get.exit_code << ", " << get.err;
      EXPECT_TRUE(get.exit_code == 0 || names_corruption(get.err, name)) << get.err;
    });
  }
  EXPECT_GT(corrupt, 10u);
  EXPECT_EQ(cli_ok({"scan", db_}), lines);
}

TEST_F(CliDamage, AManifestIsRightOrCorrupt) {
  cli_ok({"put", db_, "k", "v"});
  for (const std::string suffix : {"SUPER", ".manifest"}) {
    ASSERT_EQ(files(suffix).size(), 1u) << suffix;
    const fs::path file = files(suffix)[0];
    const size_t size = fs::file_size(file), step = suffix == "SUPER" ? 509 : 13;
    for (size_t offset = 0; offset < size; offset += step) {
      with_damage(file, offset, [&] {
        const Outcome get = cli({"get", db_, "k"});
        EXPECT_TRUE(get.exit_code == 3 || (get.exit_code == 0 && get.out == "v\n"))
            << suffix << " at " << offset << ": exit code " << get.exit_code << ", " << get.err;
      });
    }
  }
}

TEST_F(CliDamage, AMissingFileIsCorruption) {
  cli_ok({"put", db_, "k", "v"});
  cli_ok({"compact", db_});
  ASSERT_EQ(files(".run").size(), 1u);
  const fs::path run = files(".run")[0];
  fs::rename(run, path("away"));
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"get", db_, "k"}, {"put", db_, "k", "w"}}) {
    const Outcome outcome = cli(arguments);
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find(run.filename().string()), std::string::npos) << outcome.err;
  }
  fs::rename(path("away"), run);
  EXPECT_EQ(cli_ok({"get", db_, "k"}), "v\n");
}

}  // namespace
}  // namespace lightning
