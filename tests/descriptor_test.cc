// A database of many run files needs few descriptors: a mapped run keeps none.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <filesystem>
#include <string>

#include <lightning/database.h>
#include <lightning/ingest.h>

#include "io/scratch_directory.h"
#include "tests/entries_source.h"

namespace lightning {
namespace {

constexpr uint64_t kRunFiles = 320;
// SUPER, manifest, LOCK, directory, and a segment of the log for each memtable, one ahead and one kept.
constexpr uint64_t kDescriptorsMax = 40;

uint64_t open_descriptors() {
  return static_cast<uint64_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// While it lives the process may open only so many descriptors more.
class FewDescriptors {
 public:
  explicit FewDescriptors(uint64_t more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = open_descriptors() + more;
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

std::string key_of(uint64_t file, uint64_t number) {
  return "k" + std::to_string(10'000 + file) + std::to_string(10 + number);
}

void ingest_all(Database& db) {
  for (uint64_t file = 0; file < kRunFiles; ++file) {
    EntriesSource::Entries entries;
    for (uint64_t i = 0; i < 10; ++i) entries.emplace_back(key_of(file, i), std::string(100, 'v'));
    EntriesSource source(entries);
    const Result<IngestReport> report = db.ingest(source);
    ASSERT_TRUE(report) << report.status().to_string();
  }
}

TEST(Descriptors, ManyRunFilesNeedFew) {
  ScratchDirectory scratch;
  const Options options{.durability = Durability::process, .write_buffer_size = 64 * KiB};
  const uint64_t before = open_descriptors();
  {
    Result<Database> made = Database::open(scratch.path("db"), options);
    ASSERT_TRUE(made) << made.status().to_string();
    ingest_all(*made);
    EXPECT_LE(open_descriptors(), before + kDescriptorsMax);
    ASSERT_GE(made->stats()->run_files, kRunFiles * 9 / 10);
    ASSERT_TRUE(made->close().ok());
  }
  const FewDescriptors few(kDescriptorsMax);
  Result<Database> db = Database::open(scratch.path("db"), options);
  ASSERT_TRUE(db) << db.status().to_string();
  ASSERT_GE(db->stats()->run_files, kRunFiles * 9 / 10);
  for (uint64_t file = 0; file < kRunFiles; ++file) ASSERT_TRUE(db->get(key_of(file, 3)));
  uint64_t entries = 0;
  ASSERT_TRUE(for_each(db->scan(), [&](auto, auto) { ++entries; }).ok());
  EXPECT_EQ(entries, kRunFiles * 10);
  for (uint64_t i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(db->put(key_of(i % kRunFiles, i % 10), std::string(200, 'w')).ok());
    if (i % 1000 != 0) continue;
    ASSERT_TRUE(db->flush().ok());  // else as many memtables as the background is behind have a segment
  }
  ASSERT_TRUE(db->compact().ok());
  EXPECT_LE(open_descriptors(), before + kDescriptorsMax);
  EXPECT_EQ(db->get(key_of(7, 7)).value(), std::string(200, 'w'));
  ASSERT_TRUE(db->close().ok());
}

}  // namespace
}  // namespace lightning
