#include <gtest/gtest.h>

#include "run/run_test_support.h"
#include "testing/random.h"

namespace lightning {
namespace {

TEST(ReadAhead, SeeksAreNoSteps) {
  constexpr uint64_t kFar = 500'000;
  constexpr uint64_t kPage = 4096;
  ReadAhead ahead(false);
  for (uint64_t i = 0; i < 8; ++i) {
    ahead.seek(false);
    ahead.step(i * kFar, kPage);
    EXPECT_FALSE(ahead.goes_on()) << i;
  }
  for (uint64_t i = 0; i < 4; ++i) {  // one that leads to the next page is
    ahead.seek(false);
    ahead.step(8 * kFar + i * kPage, kPage);
  }
  EXPECT_TRUE(ahead.goes_on());
}

/// What a read at one LSN sees, in order.
std::map<std::string, ModelVersion> seen_by(const RunModel& model, uint64_t read_lsn) {
  std::map<std::string, ModelVersion> seen;
  for (const auto& [key, versions] : model) {
    if (const ModelVersion* version = visible_in(versions, read_lsn)) seen[key] = *version;
  }
  return seen;
}

/// A cursor beside an iterator of a std::map, moved alike.
class CursorPair {
 public:
  using Seen = std::map<std::string, ModelVersion>;
  CursorPair(const RunFile& run, const Seen& seen, uint64_t read_lsn)
      : cursor_(run.cursor(read_lsn)), seen_(seen), at_(seen.end()) {}

  void seek_first() {
    cursor_->seek_first();
    at_ = seen_.begin();
  }
  void seek_last() {
    cursor_->seek_last();
    at_ = before(seen_.end());
  }
  void seek(const std::string& key) {
    cursor_->seek(key);
    at_ = seen_.lower_bound(key);
  }
  void seek_for_prev(const std::string& key) {
    cursor_->seek_for_prev(key);
    at_ = before(seen_.upper_bound(key));
  }
  void next() {
    cursor_->next();
    ++at_;
  }
  void prev() {
    cursor_->prev();
    at_ = before(at_);
  }
  bool valid() const { return at_ != seen_.end(); }
  const std::string& key() const { return at_->first; }

  void expect_same() const {
    ASSERT_TRUE(cursor_->status().ok()) << cursor_->status().to_string();
    ASSERT_EQ(cursor_->valid(), valid());
    if (!valid()) return;
    ASSERT_EQ(cursor_->key(), at_->first);
    ASSERT_EQ(cursor_->value(), at_->second.value);
    ASSERT_EQ(cursor_->kind(), at_->second.kind);
  }

 private:
  Seen::const_iterator before(Seen::const_iterator at) const {
    return at == seen_.begin() ? seen_.end() : std::prev(at);
  }

  std::unique_ptr<SourceCursor> cursor_;
  const Seen& seen_;
  Seen::const_iterator at_;
};

RunModel random_model(Random& random) {
  RunModel model;
  const uint64_t keys = 1 + random.below(3000);
  const std::string prefix(random.below(120), 'p');
  const uint64_t alphabet = 2 + random.below(8);
  const uint64_t value_size = random.chance(0.2) ? 1100 : 1 + random.below(300);
  for (uint64_t i = 0; i < keys; ++i) {
    std::string key = random.chance(0.9) ? prefix : "q";
    for (uint64_t size = 1 + random.below(12); size > 0; --size)
      key += static_cast<char>('a' + random.below(alphabet));
    std::vector<ModelVersion> versions;
    uint64_t lsn = random.chance(0.7) ? kSettledLsn : 1 + random.below(99);
    versions.push_back(random.chance(0.1) ? removal(lsn)
                                          : put_of(std::string(random.below(value_size), 'v'), lsn));
    if (lsn > 1 && random.chance(0.5)) versions.push_back(put_of(key, random.below(lsn)));
    model[key] = versions;
  }
  return model;
}

TEST(RunCursor, MovesAsAMapDoes) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const RunModel model = random_model(random);
    MemoryDirectory directory;
    Result<RunFileInfo> info = write_run(directory, model, {});
    ASSERT_TRUE(info.ok());
    const std::shared_ptr<PageCache> cache = cache_of_frames(seed % 6);
    const std::shared_ptr<const RunFile> run = *open_run(directory, *info, seed % 3 != 0, cache.get());
    const uint64_t read_lsn = seed % 2 == 0 ? kReadAllLsn : 1 + random.below(99);
    const std::map<std::string, ModelVersion> seen = seen_by(model, read_lsn);
    std::vector<std::string> keys;
    for (const auto& [key, versions] : model) keys.push_back(key);
    CursorPair pair(*run, seen, read_lsn);
    for (int step = 0; step < 4000; ++step) {
      std::string key = keys[random.below(keys.size())];
      if (random.chance(0.3)) key += static_cast<char>(random.below(256));
      if (random.chance(0.3)) key.resize(random.below(key.size() + 1));
      if (random.chance(0.05)) key += '\xff';
      switch (random.below(pair.valid() ? 14 : 4)) {
        case 0:
          pair.seek(key);
          break;
        case 1:
          pair.seek_for_prev(key);
          break;
        case 2:
          pair.seek_first();
          break;
        case 3:
          pair.seek_last();
          break;
        default:
          // Stretches in one direction, turns in between.
          if (step / 20 % 2 == 0 || random.chance(0.1)) {
            pair.next();
          } else {
            pair.prev();
          }
      }
      ASSERT_NO_FATAL_FAILURE(pair.expect_same()) << "step " << step;
    }
  }
}

TEST(RunCursor, WholeWalksInBothDirections) {
  Random random(99);
  const RunModel model = random_model(random);
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  const std::shared_ptr<const RunFile> run = *open_run(directory, *info, true);
  for (const uint64_t read_lsn : {uint64_t{1}, uint64_t{50}, kReadAllLsn}) {
    const std::map<std::string, ModelVersion> seen = seen_by(model, read_lsn);
    CursorPair pair(*run, seen, read_lsn);
    for (pair.seek_first(); pair.valid(); pair.next()) ASSERT_NO_FATAL_FAILURE(pair.expect_same());
    pair.expect_same();
    for (pair.seek_last(); pair.valid(); pair.prev()) ASSERT_NO_FATAL_FAILURE(pair.expect_same());
    pair.expect_same();
  }
}

// A long walk reads long stretches in either direction, a short one what it needs; neither takes the cache
// over.
void expect_reads_ahead(uint64_t value_bytes, Compression compression) {
  constexpr int kKeys = 30'000;
  RunModel model;
  for (int i = 0; i < kKeys; ++i)
    model["key" + std::to_string(100'000 + i)] = {put_of(std::string(value_bytes, 'v'))};
  MemoryDirectory directory;
  const RunFileInfo info = *write_run(directory, model, {.compression = compression});
  const uint64_t stored = directory.bytes(run_file_name(kTestRunId)).size();
  const std::shared_ptr<PageCache> cache = cache_of_frames(100);
  const std::shared_ptr<const RunFile> run = *open_run(directory, info, false, cache.get());
  for (const uint64_t read_lsn : {uint64_t{1}, kReadAllLsn}) {
    const std::map<std::string, ModelVersion> seen = seen_by(model, read_lsn);
    for (const bool forward : {true, false}) {
      const uint64_t before = directory.reads();
      const uint64_t misses = cache->counts().misses;
      CursorPair pair(*run, seen, read_lsn);
      for (forward ? pair.seek_first() : pair.seek_last(); pair.valid(); forward ? pair.next() : pair.prev())
        ASSERT_NO_FATAL_FAILURE(pair.expect_same());
      const uint64_t stretch = read_lsn == kReadAllLsn ? ReadAhead::kMergeBytes : ReadAhead::kScanBytesMax;
      EXPECT_LE(directory.reads() - before, stored * 5 / 4 / stretch + 8);
      EXPECT_LE(cache->counts().misses - misses, read_lsn == kReadAllLsn ? 0u : 3u);
    }
    CursorPair pair(*run, seen, read_lsn);
    Random random(1);
    for (int i = 0; i < 100; ++i) {
      const uint64_t before = directory.reads();
      const std::string key = "key" + std::to_string(100'000 + random.below(kKeys));
      const bool forward = random.chance(0.5);
      forward ? pair.seek(key) : pair.seek_for_prev(key);
      for (int step = 0; step < 10 && pair.valid(); ++step) forward ? pair.next() : pair.prev();
      pair.expect_same();
      const bool near = read_lsn != kReadAllLsn && value_bytes == 300 && compression == Compression::none;
      EXPECT_LE(directory.reads() - before, near ? 1u : 2u);
    }
  }
  EXPECT_GT(cache->counts().misses, 50u);  // of the seeks of a reader
}

TEST(RunCursor, ReadsAhead) {
  for (const uint64_t value_bytes : {300, 500}) {  // in small leaves, and in large ones
    for (const Compression compression : {Compression::none, Compression::lz4})
      ASSERT_NO_FATAL_FAILURE(expect_reads_ahead(value_bytes, compression)) << value_bytes;
  }
}

// Fences that end inside the prefix that all keys share: the search reads first keys of leaves.
TEST(RunCursor, SeeksAmongKeysBeyondTheirFences) {
  RunModel model;
  for (int i = 0; i < 3000; ++i)
    model[std::string(200, 'p') + std::to_string(10'000 + 2 * i)] = {put_of("v")};
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  const std::map<std::string, ModelVersion> seen = seen_by(model, 1);
  for (const bool mapped : {true, false}) {
    const std::shared_ptr<const RunFile> run = *open_run(directory, *info, mapped);
    CursorPair pair(*run, seen, 1);
    for (int i = -1; i < 6001; ++i) {
      const std::string key = std::string(200, 'p') + std::to_string(10'000 + i);
      run->prefetch_seek(key);
      pair.seek(key);
      ASSERT_NO_FATAL_FAILURE(pair.expect_same()) << i;
      pair.seek_for_prev(key);
      ASSERT_NO_FATAL_FAILURE(pair.expect_same()) << i;
    }
  }
}

// Nothing comes behind a head of ff bytes, of entries and of fences.
TEST(RunCursor, SeeksAmongTheLastHeadsThereAre) {
  RunModel model;
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(10'000 + 2 * i);
    model[(i % 2 == 0 ? std::string(4, '\xff') : std::string(20, '\xff')) + number] = {put_of("v")};
    if (i < 100) model[std::to_string(i)] = {put_of("v")};
  }
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  const std::shared_ptr<const RunFile> run = *open_run(directory, *info, true);
  const std::map<std::string, ModelVersion> seen = seen_by(model, 1);
  CursorPair pair(*run, seen, 1);
  for (const auto& [key, version] : seen) {
    for (const std::string& wanted : {key, key + '\0', key + '\xff'}) {
      pair.seek(wanted);
      ASSERT_NO_FATAL_FAILURE(pair.expect_same());
      pair.seek_for_prev(wanted);
      ASSERT_NO_FATAL_FAILURE(pair.expect_same());
    }
  }
}

TEST(RunCursor, AllVersionsHidden) {
  RunModel model;
  for (int i = 0; i < 1000; ++i) model[std::to_string(i)] = {put_of("v", 50)};
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  const std::shared_ptr<const RunFile> run = *open_run(directory, *info, true);
  const std::unique_ptr<SourceCursor> cursor = run->cursor(50);
  cursor->seek_first();
  EXPECT_FALSE(cursor->valid());
  cursor->seek_last();
  EXPECT_FALSE(cursor->valid());
  cursor->seek("5");
  EXPECT_FALSE(cursor->valid());
  EXPECT_TRUE(cursor->status().ok());
}

}  // namespace
}  // namespace lightning
