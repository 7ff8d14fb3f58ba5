// Indexes of a database that was repaired, copied, or damaged where its entries are.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "io/scratch_directory.h"
#include "tests/index_agreement.h"

namespace lightning {
namespace {

class IndexCopies : public testing::Test {
 protected:
  IndexCopies() {
    Result<Database> opened = open(path("db"));
    EXPECT_TRUE(opened) << opened.status().to_string();
    db_ = *std::move(opened);
    for (const IndexDefinition& definition : {agreement_by_head(), agreement_by_key()}) {
      EXPECT_TRUE(db_.create_index(definition).ok());
      EXPECT_TRUE(db_.wait_for_index(definition.name).ok());
    }
    Result<Keyspace> second = db_.keyspace("second");
    EXPECT_TRUE(second->create_index(agreement_by_head()).ok());
    EXPECT_TRUE(second->wait_for_index("by_head").ok());
    for (int i = 0; i < 500; ++i) {
      EXPECT_TRUE(db_.put("k" + std::to_string(i), std::to_string(i % 9) + std::string(100, 'v')).ok());
      EXPECT_TRUE(second->put("s" + std::to_string(i), std::to_string(i % 7)).ok());
    }
    for (int i = 0; i < 500; i += 3) EXPECT_TRUE(db_.remove("k" + std::to_string(i)).ok());
  }
  static Result<Database> open(const std::string& directory) {
    Options options;
    options.durability = Durability::process;
    options.write_buffer_size = 64 * KiB;
    return Database::open(directory, options);
  }
  std::string path(const std::string& name) const { return scratch_.path() + "/" + name; }
  static void expect_agreement(const std::string& directory, uint64_t entries) {
    Result<Database> opened = open(directory);
    ASSERT_TRUE(opened) << opened.status().to_string();
    Result<Keyspace> second = opened->keyspace("second", false);
    ASSERT_TRUE(second);
    for (const char* name : {"by_head", "by_key"}) {
      ASSERT_EQ(opened->wait_for_index(name).to_string(), "ok");
      EXPECT_EQ(*opened->index(name).count("", ""), 333u);
    }
    ASSERT_EQ(second->wait_for_index("by_head").to_string(), "ok");
    const std::vector<Keyspace> keyspaces = {*opened, *second};
    for (const Keyspace& keyspace : keyspaces) {
      Status status;
      EXPECT_EQ(index_disagreement(keyspace, {}, &status), "");
      EXPECT_EQ(status.to_string(), "ok");
    }
    const Result<VerifyReport> report = opened->verify();
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->ok());
    EXPECT_EQ(report->index_entries, entries);
  }

  ScratchDirectory scratch_;
  Database db_;
};

TEST_F(IndexCopies, HoldTheSame) {
  ASSERT_TRUE(db_.backup(path("backup")).ok());
  ASSERT_TRUE(restore(path("backup"), path("restored")).ok());
  expect_agreement(path("backup"), 333 + 333 + 500);
  expect_agreement(path("restored"), 333 + 333 + 500);
}

TEST_F(IndexCopies, RepairedAreBuiltAnew) {
  ASSERT_TRUE(db_.flush().ok());
  ASSERT_TRUE(db_.put("k1", "9 is new").ok());
  ASSERT_TRUE(db_.close().ok());
  const Result<RepairReport> report = repair(path("db"), path("repaired"));
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->complete());
  EXPECT_TRUE(report->recovered_keyspaces.empty());
  EXPECT_EQ(report->entries, 333u + 500u);  // no entries of indexes
  expect_agreement(path("repaired"), 333 + 333 + 500);
}

}  // namespace
}  // namespace lightning
