// Damaged files: the right answer or exit code 3 with file and offset, whatever byte is hit.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/program.h"

namespace lightning {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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

TEST_F(CliDamage, VerifyIntegrityNamesWhatIsDamaged) {
  cli_ok({"load", db_, "-"}, "a\t1\nb\t2\n");
  cli_ok({"compact", db_});
  cli_ok({"put", db_, "c", "3"});
  const DirectoryImage before = directory_image(db_);
  EXPECT_NE(cli_ok({"verify-integrity", db_}).find("all is as it was written"), std::string::npos);
  const Json fine = Json::parse(cli_ok({"verify-integrity", db_, "--json"}));
  EXPECT_EQ(fine["ok"], true);
  EXPECT_EQ(fine["run_entries"], 2);
  EXPECT_EQ(fine["findings"].size(), 0u);
  EXPECT_EQ(directory_image(db_), before);
  write_file(fs::path(db_) / "notes", "somebody's");
  EXPECT_EQ(Json::parse(cli_ok({"verify-integrity", db_, "--json"}))["unknown_files"],
            Json::array({"notes"}));

  const fs::path run = files(".run")[0];
  with_damage(run, 40, [&] {
    const Outcome text = cli({"verify-integrity", db_});
    EXPECT_EQ(text.exit_code, 3);
    EXPECT_TRUE(names_corruption(text.err, run.filename().string())) << text.err;
    EXPECT_EQ(text.out.rfind("found  page checksum (" + run.filename().string() + " at 0)\n", 0), 0u)
        << text.out;
    const Outcome json = cli({"verify-integrity", db_, "--json"});
    EXPECT_EQ(json.exit_code, 3);
    const Json report = Json::parse(json.out);
    EXPECT_EQ(report["ok"], false);
    EXPECT_EQ(report["findings"][0]["file"], run.filename().string());
    EXPECT_EQ(report["findings"][0]["offset"], 0);
  });
  // SUPER is needed to open the database, and not to verify it.
  with_damage(fs::path(db_) / "SUPER", 100, [&] { EXPECT_EQ(cli({"verify-integrity", db_}).exit_code, 3); });
  EXPECT_EQ(cli({"verify-integrity", path("nothing")}).exit_code, 1);
  EXPECT_FALSE(fs::exists(path("nothing")));
}

TEST_F(CliDamage, RepairWritesWhatSurvives) {
  std::string lines;
  for (int i = 1000; i < 1500; ++i) lines += "key" + std::to_string(i) + "\t" + std::string(50, 'v') + "\n";
  cli_ok({"load", db_, "-"}, lines);
  cli_ok({"compact", db_});
  EXPECT_NE(cli_ok({"repair", db_, path("copy")}).find("500 entries written, nothing is lost"),
            std::string::npos);
  EXPECT_EQ(cli_ok({"scan", path("copy")}), lines);
  EXPECT_EQ(cli({"repair", db_, path("copy")}).exit_code, 5);  // something is there

  const fs::path run = files(".run")[0];
  with_damage(run, 4096 + 100, [&] {
    const DirectoryImage before = directory_image(db_);
    const Outcome outcome = cli({"repair", db_, path("repaired"), "--json"});
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_TRUE(names_corruption(outcome.err, run.filename().string())) << outcome.err;
    EXPECT_EQ(directory_image(db_), before);
    const Json report = Json::parse(outcome.out);
    EXPECT_EQ(report["complete"], false);
    ASSERT_EQ(report["lost"].size(), 1u);
    const Json& lost = report["lost"][0];
    EXPECT_EQ(lost["scope"], "keys");
    EXPECT_EQ(lost["offset"], 4096);
    // Just the keys of that page are gone.
    const std::string from = lost["from"], to = lost["to"];
    std::istringstream all(lines);
    std::string rest;
    for (std::string line; std::getline(all, line);) {
      const std::string key = line.substr(0, line.find('\t'));
      if (key < from || key >= to) rest += line + "\n";
    }
    EXPECT_EQ(cli_ok({"scan", path("repaired")}), rest);
    EXPECT_LT(rest.size(), lines.size());
    EXPECT_GT(rest.size(), lines.size() / 2);
    const Outcome text = cli({"repair", db_, path("text")});
    EXPECT_EQ(text.exit_code, 3);
    EXPECT_NE(text.out.find("lost  keys from \"key1"), std::string::npos) << text.out;
  });
}

}  // namespace
}  // namespace lightning
