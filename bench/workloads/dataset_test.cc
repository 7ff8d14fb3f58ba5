#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <vector>

#include "bench/workloads/key.h"
#include "bench/workloads/random.h"
#include "bench/workloads/value_pool.h"

namespace lightning::bench {
namespace {

std::string printed(uint64_t number, size_t key_size) {
  std::string text(key_size + 1, '\0');
  std::snprintf(text.data(), text.size(), "%0*llu", static_cast<int>(key_size),
                static_cast<unsigned long long>(number));
  text.resize(key_size);
  return text;
}

TEST(KeyTest, IsWhatPrintfPrints) {
  std::vector<uint64_t> numbers = {0, 9, 10, 99, 12'345'678, 99'999'999};
  for (uint64_t i = 0; i < 100'000; ++i) numbers.push_back(mix(i) % 100'000'000);
  for (const size_t key_size : {8, 11, 16, 17, 64}) {
    KeyBuffer key(key_size);
    for (const uint64_t number : numbers) ASSERT_EQ(key(number), printed(number, key_size));
  }
}

TEST(KeyTest, HasSixteenDigits) {
  KeyBuffer key(16);
  for (uint64_t i = 0; i < 100'000; ++i) {
    const uint64_t number = mix(i) % 10'000'000'000'000'000;
    ASSERT_EQ(key(number), printed(number, 16));
  }
  EXPECT_EQ(key(9'999'999'999'999'999), "9999999999999999");
}

TEST(KeyTest, AMissingKeyLiesBetweenTwoThatExist) {
  for (const size_t key_size : {8, 16, 32}) {
    KeyBuffer missing(key_size);
    for (const uint64_t number : {0, 41, 99, 999'999}) {
      EXPECT_GT(missing.missing(number), printed(number, key_size));
      EXPECT_LT(missing.missing(number), printed(number + 1, key_size));
    }
  }
}

TEST(PermutationTest, EveryNumberComesOnce) {
  for (const uint64_t size : {1, 2, 3, 7, 8, 9, 1000, 1023, 1024, 1025, 65'537}) {
    const Permutation order(size, 42);
    std::vector<bool> seen(size);
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t number = order(i);
      ASSERT_LT(number, size);
      ASSERT_FALSE(seen[number]) << size;
      seen[number] = true;
    }
  }
}

// An order that ascends in long stretches would make a random fill a sequential one.
TEST(PermutationTest, LooksRandom) {
  constexpr uint64_t kSize = 1'000'000;
  const Permutation order(kSize, 1), other(kSize, 2);
  uint64_t ascending = 0, near = 0, equal = 0;
  std::set<int64_t> steps;
  for (uint64_t i = 0; i + 1 < kSize; ++i) {
    const auto step = static_cast<int64_t>(order(i + 1)) - static_cast<int64_t>(order(i));
    ascending += step > 0;
    near += std::abs(step) < static_cast<int64_t>(kSize / 100);
    equal += order(i) == other(i);
    if (steps.size() < 10'000) steps.insert(step);
  }
  EXPECT_NEAR(static_cast<double>(ascending) / kSize, 0.5, 0.02);
  EXPECT_NEAR(static_cast<double>(near) / kSize, 0.02, 0.01);
  EXPECT_LT(equal, kSize / 1000);
  EXPECT_EQ(steps.size(), 10'000u);
}

TEST(ValuePoolTest, AValueIsKnownByItsNumberAndGeneration) {
  for (const size_t value_size : {8, 100, 300'000}) {
    const ValuePool values(value_size, 0.5, 5);
    for (uint64_t number = 0; number < 1'000; ++number) {
      ASSERT_EQ(values(number).size(), value_size);
      EXPECT_TRUE(values.matches(number, values(number, 0)));
      EXPECT_TRUE(values.matches(number, values(number, 1)));
      EXPECT_NE(values(number, 0), values(number, 1));
      EXPECT_FALSE(values.matches(number, values(number).substr(1)));
      EXPECT_FALSE(values.matches(number, {}));
      EXPECT_FALSE(values.matches(number, values(number + 1)));
    }
  }
}

}  // namespace
}  // namespace lightning::bench
