// Databases that earlier builds wrote, of each format version: this build reads them as they were, by
// recovery or without, verifies, repairs and goes on writing them.
#include <lightning/admin.h>
#include <lightning/database.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/hash.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

namespace fs = std::filesystem;

constexpr char kContents[] = "contents.txt";

/// A line of contents.txt for each entry.
std::string contents_of(Database& database) {
  std::vector<std::string> names = *database.keyspaces();
  names.insert(names.begin(), "");
  std::string text;
  for (const std::string& name : names) {
    Scan scan = name.empty() ? database.scan() : database.keyspace(name, false)->scan();
    for (const Entry& entry : scan) {
      const uint64_t hash = checksum(entry.value().data(), entry.value().size(), 0);
      text += name + "\t" + std::string(entry.key()) + "\t" + std::to_string(entry.value().size()) + "\t" +
              std::to_string(hash) + "\n";
    }
    EXPECT_TRUE(scan.status().ok()) << scan.status().to_string();
  }
  return text;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::map<std::string, std::string> files_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    files[entry.path().filename()] = read_file(entry.path());
  return files;
}

std::vector<fs::path> golden_databases() {
  std::vector<fs::path> found;
  for (const fs::directory_entry& version : fs::directory_iterator(LIGHTNING_GOLDEN)) {
    if (!version.is_directory()) continue;
    for (const fs::directory_entry& database : fs::directory_iterator(version))
      found.push_back(database.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

class Golden : public testing::TestWithParam<fs::path> {
 protected:
  Golden() : database_(scratch_.path("db")), contents_(read_file(GetParam() / kContents)) {
    fs::copy(GetParam(), database_);
    fs::remove(fs::path(database_) / kContents);
  }

  ScratchDirectory scratch_;
  const std::string database_;
  const std::string contents_;
};

TEST_P(Golden, IsReadWithoutAChange) {
  const std::map<std::string, std::string> before = files_of(database_);
  const Result<VerifyReport> report = verify(database_);
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->ok()) << report->findings[0].what;
  EXPECT_EQ(report->files, before.size());
  EXPECT_EQ(files_of(database_), before);
  Result<Database> database = Database::open(database_, {.create = false, .read_only = true});
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(contents_of(*database), contents_);
  EXPECT_TRUE(database->verify()->ok());
  ASSERT_TRUE(database->close().ok());
  std::map<std::string, std::string> after = files_of(database_);
  after.erase("LOCK");
  EXPECT_EQ(after, before);
}

TEST_P(Golden, IsRecoveredAndWritten) {
  Result<Database> database = Database::open(database_, {.create = false});
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(contents_of(*database), contents_);
  ASSERT_TRUE(database->put("~", "written by a later build").ok());
  ASSERT_TRUE(database->remove("~").ok());
  ASSERT_TRUE(database->compact().ok());
  EXPECT_EQ(contents_of(*database), contents_);
  ASSERT_TRUE(database->close().ok());
  EXPECT_TRUE(verify(database_)->ok());
  database = Database::open(database_);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(contents_of(*database), contents_);
}

TEST_P(Golden, IsRepaired) {
  const std::string into = scratch_.path("repaired");
  const Result<RepairReport> report = repair(database_, into);
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->complete());
  Result<Database> database = Database::open(into, {.create = false});
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(contents_of(*database), contents_);
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden, testing::ValuesIn(golden_databases()),
                         [](const testing::TestParamInfo<fs::path>& golden) {
                           std::string name = golden.param.parent_path().filename().string() + "_" +
                                              golden.param.filename().string();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace lightning
