#include "memtable/range_removals.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace lightning {
namespace {

constexpr uint64_t kBaseLsn = 4096;

/// Entries of range removals in the memory of a segment, without records around them.
class Entries {
 public:
  explicit Entries(size_t bytes) : bytes_(bytes), ranges_(bytes_.data(), kBaseLsn) {}

  uint64_t add(std::string_view from, std::string_view to) {
    ranges_.lock();
    const uint64_t at = end_;
    char* const entry = bytes_.data() + at;
    store<uint32_t>(entry - kEntryChainBytes, ranges_.head());
    put_log_entry(entry, EntryKind::remove_range, from, to);
    end_ = align_up(at + log_entry_size(from.size(), to.size()) + kEntryChainBytes, kLogAlignment);
    ranges_.install(static_cast<uint32_t>(at / kLogAlignment));
    ranges_.unlock();
    return kBaseLsn + at;
  }
  RangeRemovals& ranges() { return ranges_; }
  uint64_t end_lsn() const { return kBaseLsn + end_; }

 private:
  std::vector<char> bytes_;
  uint64_t end_ = 64;
  RangeRemovals ranges_;
};

struct Plain {
  std::string from;
  std::string to;
  uint64_t lsn;
};

std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(6 - digits.size(), '0') + digits;
}

uint64_t newest(const std::vector<Plain>& plain, std::string_view key, uint64_t read_lsn) {
  for (size_t i = plain.size(); i-- > 0;) {
    if (plain[i].lsn < read_lsn && plain[i].from <= key && key < plain[i].to) return plain[i].lsn;
  }
  return 0;
}

TEST(RangeRemovals, AnswersAtEveryLsnWhateverIsGathered) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    Entries entries(1 << 20);
    std::vector<Plain> plain;
    for (int step = 0; step < 400; ++step) {
      const uint64_t from = random() % 300;
      const std::string first = key_of(from),
                        behind = key_of(from + 1 + random() % (step % 7 == 0 ? 200 : 4));
      plain.push_back({first, behind, entries.add(first, behind)});
      if (random() % 3 == 0)
        entries.ranges().gather(random() % 4 == 0 ? plain.back().lsn : entries.end_lsn());
      const std::string key = key_of(random() % 310);
      const uint64_t read_lsn =
          random() % 2 == 0 ? entries.end_lsn() : plain[random() % plain.size()].lsn + 1;
      ASSERT_EQ(entries.ranges().newest(key, read_lsn), newest(plain, key, read_lsn)) << key;
      const Cover cover = entries.ranges().cover(key, read_lsn);
      ASSERT_TRUE(cover.reaches(key));
      for (int i = 0; i < 5; ++i) {
        const std::string other = key_of(random() % 510);
        if (!cover.reaches(other)) continue;
        ASSERT_EQ(newest(plain, other, read_lsn) != 0, cover.covered) << key << " " << other;
      }
    }
    std::vector<RangeRemoval> all;
    entries.ranges().list(entries.end_lsn(), &all);
    ASSERT_EQ(all.size(), plain.size());
  }
}

// Many over the same, nested and neighbouring ranges: what is asked stays small.
TEST(RangeRemovals, ManyTakeLittleMemory) {
  constexpr uint64_t kMany = 20'000;
  Entries entries(4 << 20);
  for (uint64_t i = 0; i < kMany; ++i) {
    entries.add(key_of(i), key_of(kMany));
    entries.ranges().gather(entries.end_lsn());
  }
  EXPECT_NE(entries.ranges().newest(key_of(kMany - 1), entries.end_lsn()), 0u);
  EXPECT_LT(entries.ranges().memory_bytes(), kMany * 160);
}

TEST(RangeRemovals, ReadersBesideWriters) {
  constexpr uint64_t kMany = 3000;
  Entries entries(1 << 20);
  std::atomic<uint64_t> published{0};
  std::thread writer([&] {
    for (uint64_t i = 0; i < kMany; ++i) {
      entries.add(key_of(i), key_of(i + 1));
      published.store(entries.end_lsn(), std::memory_order_release);
      entries.ranges().gather(entries.end_lsn());
    }
  });
  std::mt19937_64 random(9);
  uint64_t seen_before = 0;
  while (published.load(std::memory_order_acquire) < kBaseLsn + 64) std::this_thread::yield();
  while (seen_before + 1 < kMany) {
    const uint64_t read_lsn = published.load(std::memory_order_acquire);
    // Those that are seen are the first ones.
    while (seen_before + 1 < kMany && entries.ranges().newest(key_of(seen_before + 1), read_lsn) != 0)
      ++seen_before;
    const uint64_t at = random() % (seen_before + 1);
    ASSERT_NE(entries.ranges().newest(key_of(at), read_lsn), 0u) << at;
  }
  writer.join();
}

}  // namespace
}  // namespace lightning
