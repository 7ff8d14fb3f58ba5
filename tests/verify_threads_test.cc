// verify() beside writers, flushes, merges and segments that are used again, on real threads: no damage is
// ever imagined.
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

}  // namespace
}  // namespace lightning
