// One writer, and scanners that catch up with what is published and check that they see exactly that.
#include <gtest/gtest.h>

#include <thread>

#include "memtable/memtable_test_util.h"

namespace lightning {
namespace {

constexpr uint32_t kKeys = 512;

std::string key_of(uint32_t n) { return "\2key" + std::to_string(1'000'000 + n); }

/// A walk as of the first `entries` entries shows exactly those.
void check_walk(LogBuffer* log, const std::vector<std::atomic<uint64_t>>& lsns, uint32_t entries,
                bool backward) {
  const uint64_t read_lsn = lsns[entries - 1].load() + 1;
  const uint64_t position = log->published();
  ASSERT_TRUE(log->catch_up(position).ok());
  ASSERT_GE(log->table().order_index().ordered_position(), position);
  std::map<std::string, uint32_t> expected;
  for (uint32_t i = 0; i < lsns.size(); ++i) {
    const uint64_t lsn = lsns[i].load();
    if (lsn == 0 || lsn >= read_lsn) break;
    expected[key_of(i * 7'919 % kKeys)] = i;
  }
  std::map<std::string, uint32_t> shown;
  const auto cursor = log->table().cursor(read_lsn);
  std::string last;
  for (backward ? cursor->seek_last() : cursor->seek_first(); cursor->valid();
       backward ? cursor->prev() : cursor->next()) {
    if (!last.empty()) {
      ASSERT_TRUE(backward ? cursor->key() < last : cursor->key() > last);
    }
    last = cursor->key();
    shown[last] = static_cast<uint32_t>(std::stoul(std::string(cursor->value())));
  }
  ASSERT_EQ(shown, expected);
}

TEST(OrderIndexThreads, EachScanShowsExactlyWhatIsBelowItsLsn) {
  constexpr uint32_t kEntries = 20'000;
  const auto log = LogBuffer::create(4 << 20, 1 << 20);
  ASSERT_NE(log, nullptr);
  std::vector<std::atomic<uint64_t>> lsns(kEntries);
  std::atomic<uint32_t> written{0};
  std::atomic<int> scans{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (uint32_t i = 0; i < kEntries; ++i) {
      lsns[i] = log->append(EntryKind::put, key_of(i * 7'919 % kKeys), std::to_string(i));
      written = i + 1;
      while (scans.load() < static_cast<int>(i / 100)) std::this_thread::yield();
    }
  });
  for (int scanner = 0; scanner < 2; ++scanner) {
    threads.emplace_back([&, scanner] {
      std::mt19937_64 random(scanner);
      for (uint32_t seen = 0; seen < kEntries;) {
        seen = written;
        if (seen == 0) continue;
        const uint32_t entries = random() % 2 == 0 ? seen : 1 + static_cast<uint32_t>(random() % seen);
        check_walk(log.get(), lsns, entries, random() % 2 == 0);
        if (random() % 16 == 0) {
          EXPECT_TRUE(log->table().order_index().settle().ok());
        }
        ++scans;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  check_walk(log.get(), lsns, kEntries, false);
}

}  // namespace
}  // namespace lightning
