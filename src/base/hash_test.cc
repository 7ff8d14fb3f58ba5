#include "base/hash.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <string>

#include "base/hash_avx2.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace lightning {
namespace {

std::string random_bytes(std::mt19937_64& random, size_t size) {
  std::string bytes(size, ' ');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(Hash, OfKeysIsAFormatConstant) {
  EXPECT_EQ(hash_bytes("", 0), 0x2d06800538d394c2u);
  EXPECT_EQ(hash_bytes("a", 0), 0xe6c632b61e964e1fu);
  EXPECT_EQ(hash_bytes("lightning", 0), XXH3_64bits("lightning", 9));
}

TEST(Hash, ChecksumIsTheSameByEveryPath) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937_64 random(seed);
  const std::string bytes = random_bytes(random, 70'000);
  for (size_t size = 0; size <= bytes.size(); size += size < 600 ? 1 : 977) {
    const uint64_t where = random();
    const size_t start = random() % (bytes.size() - size + 1);
    const uint64_t plain = XXH3_64bits_withSeed(bytes.data() + start, size, where);
    ASSERT_EQ(checksum(bytes.data() + start, size, where), plain) << size;
    if (!checksum_avx2_available()) continue;
    ASSERT_EQ(checksum_avx2(bytes.data() + start, size, where), plain) << size;
  }
}

TEST(Hash, ChecksumDependsOnSeedAndEveryByte) {
  std::mt19937_64 random(1);
  for (size_t size : {1, 16, 100, 240, 241, 4096}) {
    std::string bytes = random_bytes(random, size);
    const uint64_t whole = checksum(bytes.data(), size, 7);
    EXPECT_NE(checksum(bytes.data(), size, 8), whole);
    for (char& byte : bytes) {
      byte ^= 1;
      EXPECT_NE(checksum(bytes.data(), size, 7), whole);
      byte ^= 1;
    }
  }
}

TEST(Hash, MixSeedKnowsTheOrderOfItsArguments) {
  EXPECT_NE(mix_seed(1, 2), mix_seed(2, 1));
  EXPECT_NE(mix_seed(0, 0), 0u);
}

}  // namespace
}  // namespace lightning
