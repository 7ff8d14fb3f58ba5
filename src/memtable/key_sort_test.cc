#include "memtable/key_sort.h"

#include <gtest/gtest.h>

#include "memtable/memtable_test_util.h"

namespace lightning {
namespace {

class SortedKeys : public testing::TestWithParam<KeyMaker::Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, SortedKeys, testing::ValuesIn(KeyMaker::kShapes));

/// The last name of each key, in the order of the keys.
std::vector<uint32_t> plainly_sorted(const LogBuffer& log, const std::vector<uint32_t>& names) {
  std::map<std::string_view, uint32_t> newest;
  for (const uint32_t name : names) {
    uint32_t& kept = newest[log.table().entry(name).key];
    kept = std::max(kept, name);
  }
  std::vector<uint32_t> sorted;
  for (const auto& [key, name] : newest) sorted.push_back(name);
  return sorted;
}

TEST_P(SortedKeys, AsByAPlainSort) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto log = LogBuffer::create(64 << 20, 0);
    ASSERT_NE(log, nullptr);
    const KeyMaker make_key(GetParam(), 1 + random() % 20'000);
    const size_t count = random() % (seed % 4 == 0 ? 10'000 : 1'200);
    for (size_t i = 0; i < count; ++i) {
      const std::string key = make_key(random);
      if (!log->fits(key, "v")) break;
      ASSERT_NE(log->append(EntryKind::put, key, "v"), 0u);
    }
    std::vector<uint32_t> names;
    log->collect(0, log->published(), &names);
    if (seed % 2 == 0) std::shuffle(names.begin(), names.end(), random);
    const std::vector<uint32_t> expected = plainly_sorted(*log, names);
    sort_by_key(log->table().data(), &names);
    ASSERT_EQ(names, expected);
  }
}

TEST_P(SortedKeys, ArraysFindAndMergeThem) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto log = LogBuffer::create(32 << 20, 0);
    ASSERT_NE(log, nullptr);
    const KeyMaker make_key(GetParam(), 1 + random() % 10'000);
    const size_t count = 2 + random() % (seed % 4 == 0 ? 9'000 : 300);
    for (size_t i = 0; i < count; ++i) {
      const std::string key = make_key(random);
      if (!log->fits(key, "v")) break;
      ASSERT_NE(log->append(EntryKind::put, key, "v"), 0u);
    }
    std::vector<uint32_t> names;
    log->collect(0, log->published(), &names);
    const auto cut = names.begin() + 1 + static_cast<ptrdiff_t>(random() % (names.size() - 1));
    const char* data = log->table().data();
    const auto older = SortedArray::sort(data, {names.begin(), cut});
    const auto newer = SortedArray::sort(data, {cut, names.end()});
    const auto both = SortedArray::merge(*older, *newer);

    const std::vector<uint32_t> expected = plainly_sorted(*log, names);
    ASSERT_EQ(both->size(), expected.size());
    for (uint32_t i = 0; i < both->size(); ++i) ASSERT_EQ(both->name(i), expected[i]) << i;

    for (int i = 0; i < 500; ++i) {
      const std::string key = i % 2 == 0 ? make_key(random) : std::string(both->key(random() % both->size()));
      const auto bound = std::partition_point(expected.begin(), expected.end(), [&](uint32_t name) {
        return log->table().entry(name).key < key;
      });
      ASSERT_EQ(both->lower_bound(key), bound - expected.begin());
    }
    EXPECT_EQ(both->lower_bound(""), 0u);
    EXPECT_EQ(both->lower_bound("\xff\xff"), both->size());
  }
}

TEST(KeyOrder, IsThatOfBytes) {
  const uint64_t seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 200'000; ++i) {
    std::string a(random() % 20, 'x');
    std::string b = a;
    b.resize(random() % 20, 'x');
    if (!b.empty() && i % 3 != 0) b[random() % b.size()] = static_cast<char>(random());
    const int order = a.compare(b);
    ASSERT_EQ(compare_keys(a, b), order < 0 ? -1 : order > 0) << i;
    size_t shared = 0;
    while (shared < std::min(a.size(), b.size()) && a[shared] == b[shared]) ++shared;
    ASSERT_EQ(shared_prefix(a, b), shared) << i;
  }
}

}  // namespace
}  // namespace lightning
