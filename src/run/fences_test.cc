#include "run/fences.h"

#include <gtest/gtest.h>

#include <set>

#include "testing/random.h"

namespace lightning {
namespace {

class KeysInMemory final : public LeafKeys {
 public:
  explicit KeysInMemory(const std::vector<std::string>& keys) : keys_(keys) {}
  Status compare_first_key(uint32_t leaf, std::string_view key, int* order) const override {
    *order = std::string_view(keys_[leaf]).compare(key);
    return Status();
  }

 private:
  const std::vector<std::string>& keys_;
};

class UnreadableKeys final : public LeafKeys {
 public:
  Status compare_first_key(uint32_t, std::string_view, int*) const override {
    return Status(StatusCode::corruption, "leaf");
  }
};

std::string encode(const std::vector<std::string>& first_keys, const std::vector<std::string>& last_keys) {
  FencesBuilder builder;
  for (size_t i = 0; i < first_keys.size(); ++i) {
    builder.add(i, first_keys[i], i == 0 ? std::string() : last_keys[i - 1]);
  }
  return builder.encode(first_keys.front(), last_keys.back());
}

bool load(Fences& fences, const std::string& section) {
  std::unique_ptr<char[]> bytes(new char[section.size()]);
  std::copy(section.begin(), section.end(), bytes.get());
  return fences.load(std::move(bytes), section.size(), kLeafStartMax);
}

/// Leaves of random sizes over sorted keys; every key, and keys between, must lead to the leaf that a search
/// in the keys themselves gives.
void expect_right_leaves(const std::set<std::string>& key_set, Random& random) {
  const std::vector<std::string> keys(key_set.begin(), key_set.end());
  std::vector<std::string> first_keys, last_keys;
  for (size_t at = 0; at < keys.size();) {
    const size_t size = std::min<size_t>(1 + random.below(4), keys.size() - at);
    first_keys.push_back(keys[at]);
    last_keys.push_back(keys[at + size - 1]);
    at += size;
  }
  Fences fences;
  ASSERT_TRUE(load(fences, encode(first_keys, last_keys)));
  ASSERT_EQ(fences.leaves(), first_keys.size());
  ASSERT_TRUE(fences.heads_agree());
  const KeysInMemory leaf_keys(first_keys);
  for (const std::string& key : keys) {
    std::string near = key.substr(0, random.below(key.size() + 1)) + static_cast<char>(random.next());
    for (const std::string& asked : {key, key + '\0', near}) {
      uint32_t leaf;
      ASSERT_TRUE(fences.find(asked, leaf_keys, &leaf).ok());
      // Right is the leaf of the last key <= asked, or, between two leaves, either.
      ASSERT_TRUE(leaf == 0 || last_keys[leaf - 1] < asked);
      ASSERT_TRUE(leaf + 1 == first_keys.size() || first_keys[leaf + 1] > asked);
    }
  }
}

// What is said twice: each bit of heads and prefixes.
TEST(Fences, HeadsThatDisagreeAreNoticed) {
  std::vector<std::string> keys;
  for (int i = 100; i < 230; ++i) keys.push_back("some/prefix/" + std::to_string(i) + "/and/more");
  const std::string section = encode(keys, keys);
  const size_t heads = sizeof(FencesHeader),
               heads_end = heads + (fence_blocks(keys.size()) + keys.size()) * 8;
  const size_t prefixes = heads_end + (keys.size() + 1) * 4 + keys.size() * 2;
  for (size_t at = offsetof(FencesHeader, prefix_size); at < prefixes + fence_blocks(keys.size()); ++at) {
    const bool is_head = at >= heads && at < heads_end;
    if (!is_head && at < prefixes && at != offsetof(FencesHeader, prefix_size)) continue;
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = section;
      damaged[at] = static_cast<char>(damaged[at] ^ 1 << bit);
      Fences fences;
      ASSERT_TRUE(load(fences, damaged)) << at;
      EXPECT_FALSE(fences.heads_agree()) << "byte " << at << ", bit " << bit;
    }
  }
}

TEST(Fences, LeadToTheLeaf) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<std::string> prefixes;
    for (uint64_t i = 1 + random.below(5); i > 0; --i) {
      prefixes.push_back(std::string(random.below(100), static_cast<char>('a' + random.below(3))));
    }
    const uint64_t alphabet = 1 + random.below(random.chance(0.5) ? 3 : 256);
    std::set<std::string> keys;
    for (uint64_t i = 1 + random.below(3000); i > 0; --i) {
      std::string key = prefixes[random.below(prefixes.size())];
      for (uint64_t size = 1 + random.below(20); size > 0; --size)
        key += static_cast<char>(random.below(alphabet));
      keys.insert(key);
    }
    ASSERT_NO_FATAL_FAILURE(expect_right_leaves(keys, random));
  }
}

TEST(Fences, BoundTheirMemory) {
  std::vector<std::string> first_keys, last_keys;
  for (int i = 0; i < 1000; ++i) {
    first_keys.push_back(std::string(65'000, 'x') + std::to_string(10'000 + i) + "a");
    last_keys.push_back(std::string(65'000, 'x') + std::to_string(10'000 + i) + "b");
  }
  Fences fences;
  ASSERT_TRUE(load(fences, encode(first_keys, last_keys)));
  EXPECT_LT(fences.memory_bytes(), 1000 * (64 + 15) + 3 * 65'100u);
  uint32_t leaf;
  ASSERT_TRUE(fences.find(last_keys[500], KeysInMemory(first_keys), &leaf).ok());
  EXPECT_EQ(leaf, 500u);
  EXPECT_EQ(fences.find(last_keys[500], UnreadableKeys(), &leaf).code(), StatusCode::corruption);
}

// A section whose checksum is right may still be malformed: nothing outside it is read.
TEST(Fences, MalformedSections) {
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) keys.push_back("key" + std::to_string(1000 + i));
  const std::string intact = encode(keys, keys);
  const KeysInMemory leaf_keys(keys);
  for (size_t size = 0; size < intact.size(); ++size) {
    Fences fences;
    EXPECT_FALSE(load(fences, intact.substr(0, size))) << size;
  }
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    std::string section = intact;
    for (uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
      section[random.below(random.chance(0.3) ? 16 : section.size())] = static_cast<char>(random.next());
    }
    Fences fences;
    if (!load(fences, section)) continue;
    for (const std::string& key : keys) {
      uint32_t leaf;
      ASSERT_TRUE(!fences.find(key, leaf_keys, &leaf).ok() || leaf < fences.leaves()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace lightning
