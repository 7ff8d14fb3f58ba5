#include "run/run_index.h"

#include <gtest/gtest.h>

#include "run/run_test_support.h"
#include "testing/random.h"

namespace lightning {
namespace {

/// The locators that the written pages give for a hash.
std::vector<uint32_t> locators_of(const std::vector<char>& pages, uint64_t buckets, uint64_t hash) {
  std::vector<uint32_t> locators;
  for (const uint64_t number : {first_bucket(hash, buckets), second_bucket(hash, buckets)}) {
    const char* bucket = pages.data() + number / kBucketsPerPage * kUnitBytes + kIndexHeaderBytes +
                         number % kBucketsPerPage * sizeof(RunBucket);
    BucketMatches matches(bucket, fingerprint(hash));
    while (const uint32_t locator = matches.next()) locators.push_back(locator);
    if (!bucket_overflowed(bucket, fingerprint(hash))) break;
  }
  return locators;
}

/// Builds an index of the hashes, whose locators are their places from 1 on, and looks each up.
void expect_all_found(const std::vector<uint64_t>& hashes, uint64_t* buckets) {
  RunIndexBuilder builder;
  for (size_t i = 0; i < hashes.size(); ++i) builder.add(hashes[i], static_cast<uint32_t>(i + 1));
  ASSERT_TRUE(builder.place_all());
  *buckets = builder.buckets();
  MemoryDirectory directory;
  RunOutput output(*directory.open("index", OpenMode::create));
  ASSERT_TRUE(output.start().ok());
  ASSERT_TRUE(builder.write(output, 1).ok());
  ASSERT_TRUE(output.finish().ok());
  const std::vector<char>& pages = directory.bytes("index");
  ASSERT_EQ(pages.size(), index_pages(*buckets) * kUnitBytes);
  for (size_t i = 0; i < hashes.size(); ++i) {
    const std::vector<uint32_t> found = locators_of(pages, *buckets, hashes[i]);
    ASSERT_NE(std::find(found.begin(), found.end(), i + 1), found.end()) << i;
  }
}

TEST(RunIndex, EveryKeyIsFoundAtAnySize) {
  for (const size_t count : {1, 2, 9, 10, 11, 12, 13, 25, 100, 680, 681, 10'000, 200'000}) {
    Random random(count);
    std::vector<uint64_t> hashes(count);
    for (uint64_t& hash : hashes) hash = random.next();
    uint64_t buckets;
    ASSERT_NO_FATAL_FAILURE(expect_all_found(hashes, &buckets)) << count;
    EXPECT_LE(buckets, count * 10 / (12 * 9) + 1);  // at load 0.9 without growing
  }
}

// Up to the slots of two buckets one hash may come.
TEST(RunIndex, EqualHashes) {
  std::vector<uint64_t> hashes(24, 0x123456789abcdef0);
  for (uint64_t i = 0; i < 1000; ++i) hashes.push_back(mix_seed(i, 1));
  uint64_t buckets;
  expect_all_found(hashes, &buckets);
  hashes.push_back(hashes[0]);
  RunIndexBuilder builder;
  for (const uint64_t hash : hashes) builder.add(hash, 1);
  EXPECT_FALSE(builder.place_all());
}

// Many keys of few first buckets: second buckets, moves and growth.
TEST(RunIndex, CrowdedBuckets) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<uint64_t> hashes(5000);
    for (uint64_t& hash : hashes) {
      hash = random.next();
      if (random.chance(0.35)) hash >>= 2;  // the first quarter of the buckets
    }
    uint64_t buckets;
    ASSERT_NO_FATAL_FAILURE(expect_all_found(hashes, &buckets));
  }
}

TEST(RunIndex, AbsentHashesSeldomTouchASecondBucket) {
  Random random(5);
  RunIndexBuilder builder;
  for (int i = 0; i < 100'000; ++i) builder.add(random.next(), 1);
  ASSERT_TRUE(builder.place_all());
  MemoryDirectory directory;
  RunOutput output(*directory.open("index", OpenMode::create));
  ASSERT_TRUE(output.start().ok() && builder.write(output, 1).ok() && output.finish().ok());
  const std::vector<char>& pages = directory.bytes("index");
  int second = 0;
  int matches = 0;
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t hash = random.next();
    const uint64_t number = first_bucket(hash, builder.buckets());
    const char* bucket = pages.data() + number / kBucketsPerPage * kUnitBytes + kIndexHeaderBytes +
                         number % kBucketsPerPage * sizeof(RunBucket);
    second += bucket_overflowed(bucket, fingerprint(hash)) ? 1 : 0;
    matches += BucketMatches(bucket, fingerprint(hash)).next() != 0 ? 1 : 0;
  }
  EXPECT_LT(second, 20'000);
  EXPECT_LT(matches, 60);
}

TEST(RunIndex, LocatorsNameEveryPlace) {
  for (const uint64_t leaf_bytes : {kSmallLeafBytes, kLargeLeafBytes}) {
    const uint32_t bits = locator_offset_bits(leaf_bytes);
    for (uint64_t start = 0; start < kLeafStartMax; start += leaf_bytes) {
      for (const uint64_t offset : {uint64_t{40}, leaf_bytes - 4}) {
        const uint32_t locator = make_locator(start / kUnitBytes, offset, leaf_bytes);
        ASSERT_LT(locator, 1u << kLocatorBits);
        ASSERT_EQ(locator_page(locator, bits), start / kUnitBytes);
        ASSERT_EQ(locator_offset(locator, bits), offset);
      }
    }
  }
}

}  // namespace
}  // namespace lightning
