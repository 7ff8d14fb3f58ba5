#include "format/internal_key.h"

#include <gtest/gtest.h>

namespace lightning {
namespace {

TEST(InternalKey, HashesTheSameWithAndWithoutItsPrefix) {
  for (const uint32_t id : {0u, 2u, 239u, 240u, 4'000'000'000u}) {
    for (size_t size : {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 119, 120, 300, 65'535}) {
      std::string key(size, ' ');
      for (size_t i = 0; i < size; ++i) key[i] = static_cast<char>(i * 7 + size);
      const InternalKey internal(id, key);
      ASSERT_TRUE(internal.ok());
      uint32_t parsed = 0;
      ASSERT_EQ(internal.view().substr(parse_keyspace_prefix(internal.view(), &parsed)), key);
      EXPECT_EQ(parsed, id);
      EXPECT_EQ(hash_key(internal.view()), hash_key(id, key));
    }
  }
}

// Stored in run files: a change is a change of format.
TEST(InternalKey, HashIsAFormatConstant) {
  EXPECT_EQ(hash_key(kDefaultKeyspaceId, "user:1"), 0x3b577afd7fed9501u);
  EXPECT_EQ(hash_key(240, "user:1"), 0x139235fadf5f1c38u);
  EXPECT_NE(hash_key(2, ""), hash_key(3, ""));
}

}  // namespace
}  // namespace lightning
