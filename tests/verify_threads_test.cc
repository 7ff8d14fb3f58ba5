// verify() and copies beside writers, flushes, merges and segments that are used again, on real threads: no
// damage is ever imagined, no commit torn.
#include <lightning/database.h>

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "io/scratch_directory.h"

namespace lightning {
namespace {

constexpr int kWriters = 2;
constexpr int kWritesOfEach = 4000;
constexpr WriteOptions kProcess{.durability = Durability::process};

TEST(VerifyThreads, FindsNothingWhileTheDatabaseWorks) {
  ScratchDirectory scratch;
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.flush_interval_ms = 1;
  Result<Database> opened = Database::open(scratch.path("db"), options);
  ASSERT_TRUE(opened) << opened.status().to_string();
  Database& database = *opened;
  std::atomic<int> writing{kWriters};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      const std::string value(200, static_cast<char>('a' + writer));
      for (int i = 0; i < kWritesOfEach; ++i) {
        EXPECT_TRUE(database.put(std::to_string(i * 7919 % kWritesOfEach), value, kProcess).ok());
        if (i % 1000 == 999) {
          EXPECT_TRUE((writer == 0 ? database.sync() : database.compact()).ok());
        }
      }
      writing.fetch_sub(1);
    });
  }
  int rounds = 0;
  do {
    const Result<VerifyReport> report = database.verify();
    ASSERT_TRUE(report) << report.status().to_string();
    EXPECT_TRUE(report->ok()) << report->findings[0].what << " " << report->findings[0].file << " at "
                              << report->findings[0].offset;
    ++rounds;
  } while (writing.load() != 0 && !HasFailure());
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(rounds, 0);
  ASSERT_TRUE(database.close().ok());
  const Result<VerifyReport> closed = verify(scratch.path("db"));
  ASSERT_TRUE(closed);
  EXPECT_TRUE(closed->ok());
  EXPECT_EQ(closed->unknown_files, std::vector<std::string>());
}

// Each writer writes two keys at once: equal in every copy, and never behind what was acknowledged before.
void write_pairs(Database& database, int writer, std::atomic<int>& acknowledged, std::atomic<int>& writing) {
  const std::string name = std::to_string(writer);
  for (int i = 1; i <= kWritesOfEach; ++i) {
    WriteBatch batch;
    batch.put("one" + name, std::to_string(i));
    batch.put("filler" + std::to_string(i % 100), std::string(200, 'f'));
    batch.put("other" + name, std::to_string(i));
    EXPECT_TRUE(database.write(batch, kProcess).ok());
    acknowledged.store(i);
    if (i % 1000 == 999) {
      EXPECT_TRUE((writer == 0 ? database.flush() : database.compact()).ok());
    }
  }
  writing.fetch_sub(1);
}

void check_copy(const std::string& path, const Options& options, const int (&at_least)[kWriters]) {
  const Result<VerifyReport> verified = verify(path);
  ASSERT_TRUE(verified) << verified.status().to_string();
  EXPECT_TRUE(verified->ok()) << verified->findings[0].what << " " << verified->findings[0].file;
  Result<Database> copy = Database::open(path, options);
  ASSERT_TRUE(copy) << copy.status().to_string();
  for (int writer = 0; writer < kWriters; ++writer) {
    const Lookup one = copy->get("one" + std::to_string(writer));
    const Lookup other = copy->get("other" + std::to_string(writer));
    ASSERT_EQ(one ? one.value() : "0", other ? other.value() : "0");
    EXPECT_GE(one ? std::stoi(std::string(one.value())) : 0, at_least[writer]);
  }
}

TEST(CopyThreads, AreOfOneMomentWhileTheDatabaseWorks) {
  ScratchDirectory scratch;
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.flush_interval_ms = 1;
  Result<Database> opened = Database::open(scratch.path("db"), options);
  ASSERT_TRUE(opened) << opened.status().to_string();
  std::atomic<int> writing{kWriters};
  std::atomic<int> acknowledged[kWriters] = {};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&, writer] { write_pairs(*opened, writer, acknowledged[writer], writing); });
  for (int round = 0; writing.load() != 0 && round < 50 && !HasFailure(); ++round) {
    const int at_least[kWriters] = {acknowledged[0].load(), acknowledged[1].load()};
    const std::string path = scratch.path("copy" + std::to_string(round));
    const Result<CopyReport> report = round % 2 == 0 ? opened->checkpoint(path) : opened->backup(path);
    EXPECT_TRUE(report) << report.status().to_string();
    check_copy(path, options, at_least);
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(opened->close().ok());
  EXPECT_EQ(verify(scratch.path("db"))->unknown_files, std::vector<std::string>());
}

}  // namespace
}  // namespace lightning
