#include <gtest/gtest.h>

#include <thread>

#include "run/run_test_support.h"
#include "testing/random.h"

namespace lightning {
namespace {

// All readers meet pages that nobody verified yet.
TEST(RunThreads, ReadersShareAFile) {
  RunModel model;
  for (int i = 0; i < 4000; ++i) model["key" + std::to_string(i)] = {put_of("value" + std::to_string(i))};
  MemoryDirectory directory;
  const RunFileInfo info = *write_run(directory, model, {});
  for (const uint64_t frames : {UINT64_MAX, uint64_t{0}, uint64_t{3}, uint64_t{100}}) {
    const bool mapped = frames == UINT64_MAX;
    const std::shared_ptr<PageCache> cache = cache_of_frames(mapped ? 0 : frames);
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, mapped, cache.get());
    std::vector<std::thread> readers;
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      readers.emplace_back([&, seed] {
        Random random(seed);
        const std::unique_ptr<SourceCursor> cursor = run->cursor(1);
        for (int i = 0; i < 1000; ++i) {
          const std::string key = "key" + std::to_string(random.below(5000));
          EXPECT_EQ(found_text(*run, key, 1, i % 2 == 0), model_text(model, key, 1));
          cursor->seek(key);
          const auto at = model.lower_bound(key);
          ASSERT_EQ(cursor->valid(), at != model.end());
          EXPECT_TRUE(!cursor->valid() || cursor->key() == at->first);
        }
        EXPECT_TRUE(seed != 1 || run->verify().ok());
      });
    }
    for (std::thread& reader : readers) reader.join();
  }
}

}  // namespace
}  // namespace lightning
