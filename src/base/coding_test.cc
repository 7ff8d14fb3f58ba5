#include "base/coding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace lightning {
namespace {

template <typename T>
void expect_round_trip(T value) {
  char bytes[kVarint64BytesMax];
  const char* const end = put_varint(bytes, value);
  ASSERT_EQ(end - bytes, varint_size(value)) << value;
  T read = 0;
  ASSERT_EQ(get_varint(bytes, end, &read), end) << value;
  ASSERT_EQ(read, value);
  for (const char* cut = bytes; cut < end; ++cut) ASSERT_EQ(get_varint(bytes, cut, &read), nullptr) << value;
}

TEST(Varint, RoundTripsAroundEveryPowerOfTwo) {
  for (int bit = 0; bit < 64; ++bit) {
    for (int near = -1; near <= 1; ++near) {
      const uint64_t value = (uint64_t{1} << bit) + static_cast<uint64_t>(near);
      expect_round_trip<uint64_t>(value);
      expect_round_trip<uint32_t>(static_cast<uint32_t>(value));
    }
  }
  EXPECT_EQ(varint_size(UINT32_MAX), kVarint32BytesMax);
  EXPECT_EQ(varint_size(UINT64_MAX), kVarint64BytesMax);
}

TEST(Varint, RefusesWhatDoesNotFit) {
  char bytes[kVarint64BytesMax + 1];
  const char* end = put_varint(bytes, uint64_t{UINT32_MAX} + 1);
  uint32_t narrow = 0;
  EXPECT_EQ(get_varint(bytes, end, &narrow), nullptr);

  std::fill(bytes, bytes + sizeof(bytes), static_cast<char>(0xff));
  uint64_t wide = 0;
  EXPECT_EQ(get_varint(bytes, bytes + sizeof(bytes), &wide), nullptr);
  EXPECT_EQ(get_varint(bytes, bytes + sizeof(bytes), &narrow), nullptr);
  bytes[9] = 0x02;  // the tenth byte has room for one bit
  EXPECT_EQ(get_varint(bytes, bytes + 10, &wide), nullptr);
  bytes[9] = 0x01;
  EXPECT_EQ(get_varint(bytes, bytes + 10, &wide), bytes + 10);
  EXPECT_EQ(wide, UINT64_MAX);
}

TEST(Fixed, LoadsWhatWasStoredAtAnyAlignment) {
  char bytes[16] = {};
  for (int at = 0; at < 8; ++at) {
    store<uint64_t>(bytes + at, 0x0102030405060708u);
    EXPECT_EQ(load<uint64_t>(bytes + at), 0x0102030405060708u);
    EXPECT_EQ(bytes[at], 8);  // little-endian
  }
}

TEST(AlignUp, RoundsToTheNextMultiple) {
  EXPECT_EQ(align_up(0, 8), 0u);
  EXPECT_EQ(align_up(1, 8), 8u);
  EXPECT_EQ(align_up(8, 8), 8u);
  EXPECT_EQ(align_up(4097, 4096), 8192u);
}

TEST(KeyHead, OrdersAsTheBytesDo) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  std::vector<std::string> keys = {
      "", std::string(1, '\0'), "a", "ab", std::string("a\0", 2), "\xff", "\x7f", "abcdefgh"};
  for (int i = 0; i < 200; ++i) {
    std::string key(random() % 20, ' ');
    for (char& byte : key) byte = static_cast<char>(random() % 4 * 85);
    keys.push_back(key);
  }
  for (const std::string& a : keys) {
    for (const std::string& b : keys) {
      const uint64_t head_a = key_head(a.data(), a.size());
      const uint64_t head_b = key_head(b.data(), b.size());
      ASSERT_TRUE(a.compare(b) >= 0 || head_a <= head_b);
      ASSERT_TRUE(head_a >= head_b || a.compare(b) < 0);
      const Uint128 long_a = key_head_128(a.data(), a.size());
      const Uint128 long_b = key_head_128(b.data(), b.size());
      ASSERT_TRUE(a.compare(b) >= 0 || long_a <= long_b);
      ASSERT_TRUE(long_a >= long_b || a.compare(b) < 0);
      ASSERT_TRUE(long_a >> 64 == head_a);
    }
  }
}

}  // namespace
}  // namespace lightning
