#include "run/page_batch.h"

#include <gtest/gtest.h>

#include "run/run_test_support.h"

namespace lightning {
namespace {

constexpr size_t kKeys = 4000;
std::string key_of(size_t i) { return "key" + std::to_string(100'000 + i); }
std::string value_of(size_t i) { return std::string(50 + i % 200, static_cast<char>('a' + i % 26)); }

/// A pooled file, with and without compression.
class PageBatches : public testing::TestWithParam<Compression> {
 protected:
  PageBatches() {
    for (size_t i = 0; i < kKeys; ++i) model_[key_of(i)] = {put_of(value_of(i))};
    RunWriterOptions options;
    options.compression = GetParam();
    info_ = *write_run(directory_, model_, options);
  }
  void open(uint64_t frames) {
    run_.reset();
    cache_ = cache_of_frames(frames);
    run_ = *open_run(directory_, info_, false, cache_.get());
    reads_ = directory_.reads();
    batches_ = directory_.batches();
  }
  /// All stages for `count` keys, each `step` behind the one before; what the answers say.
  std::vector<RunFile::Found> find(size_t first, size_t count, size_t step) {
    std::vector<uint64_t> locators(count);
    std::vector<char> comes(count);
    PageBatch leaves;
    {
      PageBatch buckets;
      for (size_t i = 0; i < count; ++i) comes[i] = run_->want(hash_of(first + i * step), &buckets);
      buckets.read();
      for (size_t i = 0; i < count; ++i)
        locators[i] = run_->locate_in(hash_of(first + i * step), comes[i] != 0, &leaves);
    }
    leaves.read();
    reads_before_finds_ = directory_.reads();
    std::vector<RunFile::Found> found;
    for (size_t i = 0; i < count; ++i) {
      const size_t number = first + i * step;
      RunFile::Hit hit;
      found.push_back(run_->find_at(locators[i], key_of(number), hash_of(number), kReadAllLsn, &hit));
      if (found.back() == RunFile::Found::found) {
        EXPECT_EQ(hit.value, value_of(number));
      }
      if (found.back() == RunFile::Found::error) {
        EXPECT_TRUE(hit.status.is(StatusCode::corruption)) << hit.status.to_string();
        EXPECT_EQ(hit.status.file(), run_file_name(info_.id));
      }
    }
    return found;
  }
  static uint64_t hash_of(size_t i) { return hash_key(key_of(i)); }
  uint64_t reads() const { return directory_.reads() - reads_; }
  uint64_t batches() const { return directory_.batches() - batches_; }

  MemoryDirectory directory_;
  RunModel model_;
  RunFileInfo info_;
  std::shared_ptr<PageCache> cache_;
  std::shared_ptr<const RunFile> run_;
  uint64_t reads_ = 0;
  uint64_t batches_ = 0;
  uint64_t reads_before_finds_ = 0;
};

std::vector<RunFile::Found> all(size_t count, RunFile::Found found) { return std::vector(count, found); }

TEST_P(PageBatches, ReadWhatIsMissingAtOnceAndOnce) {
  open(1000);
  EXPECT_EQ(find(0, PageBatch::kReads, 100), all(PageBatch::kReads, RunFile::Found::found));
  EXPECT_EQ(batches(), 2u);  // of the point index, of leaves
  EXPECT_EQ(directory_.reads(), reads_before_finds_);
  EXPECT_GT(reads(), 10u);
  const uint64_t pages = cache_->counts().pages;
  EXPECT_EQ(reads(), pages);
  EXPECT_EQ(cache_->counts().misses, pages);
  EXPECT_EQ(cache_->counts().reads[0].pages, pages);
  // What came for this read is not hit by it; a second bucket may be.
  EXPECT_LE(cache_->counts().hits, PageBatch::kReads / 8);

  const uint64_t so_far = reads();
  EXPECT_EQ(find(0, PageBatch::kReads, 100), all(PageBatch::kReads, RunFile::Found::found));
  EXPECT_EQ(reads(), so_far);
  EXPECT_EQ(batches(), 2u);
  EXPECT_GE(cache_->counts().hits, 2 * PageBatch::kReads);
}

TEST_P(PageBatches, KnowWhatIsNotThere) {
  open(1000);
  const auto absent = find(kKeys, 30, 1);
  EXPECT_EQ(absent, all(30, RunFile::Found::absent));
  EXPECT_LE(batches(), 2u);
}

// As many as an eighth of the memory has; the others are read when they are asked for.
TEST_P(PageBatches, TakeFewFramesOfFew) {
  for (const uint64_t frames : {0, 1, 2, 7, 8, 16, 40}) {
    open(frames);
    for (size_t first = 0; first < 100; first += 10)
      EXPECT_EQ(find(first, 20, 150), all(20, RunFile::Found::found)) << frames;
    EXPECT_EQ(batches() != 0, frames >= 2);  // of small ones at least
    EXPECT_LE(cache_->counts().page_bytes, cache_->capacity_bytes());
  }
}

// Others pin every frame: pages go into other memory, and nothing waits.
TEST_P(PageBatches, GoOnWhereNoFrameIsToBeHad) {
  open(16);
  std::vector<uint32_t> taken;
  for (uint32_t frame = cache_->take(FrameSize::large); frame != PageCache::kNoFrame;
       frame = cache_->take(FrameSize::large))
    taken.push_back(frame);
  EXPECT_EQ(taken.size(), 16u);
  EXPECT_EQ(find(0, 20, 150), all(20, RunFile::Found::found));
  for (const uint32_t frame : taken) cache_->give_back(frame);
  EXPECT_EQ(find(0, 20, 150), all(20, RunFile::Found::found));
}

// What is wanted and not read leaves nothing behind.
TEST_P(PageBatches, GiveBackWhatWasNotRead) {
  open(80);
  for (int round = 0; round < 50; ++round) {
    PageBatch batch;
    for (size_t i = 0; i < 20; ++i) EXPECT_TRUE(run_->want(hash_of(i * 7), &batch));
  }
  EXPECT_EQ(reads(), 0u);
  std::vector<uint32_t> taken;
  for (uint32_t frame = cache_->take(FrameSize::large); frame != PageCache::kNoFrame;
       frame = cache_->take(FrameSize::large))
    taken.push_back(frame);
  EXPECT_EQ(taken.size(), 80u);
  for (const uint32_t frame : taken) cache_->give_back(frame);
}

// A damaged page is its keys' alone, and says what is wrong as ever.
TEST_P(PageBatches, DamageIsThePagesOwn) {
  std::vector<char>& bytes = directory_.bytes(run_file_name(info_.id));
  bytes[20'000] ^= 1;
  open(1000);
  const auto found = find(0, PageBatch::kReads, 100);
  EXPECT_EQ(std::count(found.begin(), found.end(), RunFile::Found::error) +
                std::count(found.begin(), found.end(), RunFile::Found::found),
            static_cast<ptrdiff_t>(PageBatch::kReads));
  size_t errors = 0;
  for (size_t i = 0; i < kKeys; ++i) {
    const std::string text = found_text(*run_, key_of(i), kReadAllLsn, true);
    if (text == "corruption") {
      ++errors;
    } else {
      EXPECT_EQ(text, model_text(model_, key_of(i), kReadAllLsn));
    }
  }
  EXPECT_GT(errors, 5u);
  EXPECT_LT(errors, kKeys / 4);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, PageBatches, testing::Values(Compression::none, Compression::lz4));

}  // namespace
}  // namespace lightning
