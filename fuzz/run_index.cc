// Run index: buckets of any bytes against a plain search of them, and an index built of any hashes.
//
// An input is u8 number of buckets, then these buckets (64 bytes each); what is left are keys of five bytes:
// two that choose the hash's upper half, so that keys crowd together, two of fingerprint, one of locator.
#include "run/run_index.h"

#include <algorithm>
#include <vector>

#include "base/coding.h"
#include "fuzz/target.h"
#include "run/run_test_support.h"
#include "testing/random.h"

namespace lightning::fuzz {
namespace {

constexpr uint64_t kKeysMax = 4000;

std::vector<uint32_t> plain_search(const char* bucket, uint16_t print) {
  std::vector<uint32_t> found;
  const auto copy = load<RunBucket>(bucket);
  for (uint32_t slot = 0; slot < kRunBucketSlots; ++slot) {
    uint32_t locator = 0;
    for (uint32_t bit = 0; bit < kLocatorBits; ++bit) {
      const uint32_t at = slot * kLocatorBits + bit;
      locator |= static_cast<uint32_t>(copy.locators[at / 8] >> at % 8 & 1) << bit;
    }
    expect(locator == BucketMatches::bucket_locator(bucket, slot), "bucket_locator()");
    if (copy.fingerprints[slot] == print && locator != 0) found.push_back(locator);
  }
  return found;
}

void check_bucket(const char* bucket, uint16_t print) {
  std::vector<uint32_t> expected = plain_search(bucket, print), found;
  BucketMatches matches(bucket, print);
  while (const uint32_t locator = matches.next()) {
    found.push_back(locator);
    expect(found.size() <= kRunBucketSlots, "more matches than slots");
  }
  std::ranges::sort(expected);
  std::ranges::sort(found);
  expect(found == expected, "the matches of a bucket");
}

void check_buckets(std::string_view bytes) {
  for (; bytes.size() >= sizeof(RunBucket); bytes.remove_prefix(sizeof(RunBucket))) {
    const std::unique_ptr<char[]> bucket(new char[sizeof(RunBucket)]);
    bytes.copy(bucket.get(), sizeof(RunBucket));
    for (uint32_t slot = 0; slot < kRunBucketSlots; ++slot) {
      const auto print = load<uint16_t>(bucket.get() + slot * 2);
      check_bucket(bucket.get(), print);
      check_bucket(bucket.get(), static_cast<uint16_t>(print ^ 0x8000));
      check_bucket(bucket.get(), static_cast<uint16_t>(print + 1));
    }
  }
}

struct Key {
  uint64_t hash;
  uint32_t locator;
};

/// Does a reader that follows the rules of the format come across the key's locator?
bool finds(const std::string& pages, uint64_t buckets, const Key& key) {
  const uint16_t print = fingerprint(key.hash);
  for (const uint64_t number : {first_bucket(key.hash, buckets), second_bucket(key.hash, buckets)}) {
    expect(number < buckets, "a bucket beyond the last");
    const char* const bucket = pages.data() + number / kBucketsPerPage * kUnitBytes + kIndexHeaderBytes +
                               number % kBucketsPerPage * sizeof(RunBucket);
    BucketMatches matches(bucket, print);
    while (const uint32_t locator = matches.next()) {
      if (locator == key.locator) return true;
    }
    if (!bucket_overflowed(bucket, print)) return false;
  }
  return false;
}

bool check_built(const std::vector<Key>& keys) {
  RunIndexBuilder builder;
  for (const Key& key : keys) builder.add(key.hash, key.locator);
  if (!builder.place_all()) return false;  // too many of one hash: such a file goes without
  MemoryDirectory directory;
  RunOutput output(*directory.open("index", OpenMode::create));
  expect(output.start().ok() && builder.write(output, 7).ok() && output.finish().ok(), "write into memory");
  const std::vector<char>& bytes = directory.bytes("index");
  const std::string pages(bytes.data(), bytes.size());
  expect(pages.size() >= index_pages(builder.buckets()) * kUnitBytes, "the size of an index");
  for (const Key& key : keys) expect(finds(pages, builder.buckets(), key), "a key is not found in its index");
  return true;
}

bool run(std::string_view input) {
  Bytes bytes(input);
  const size_t buckets = bytes.byte();
  check_buckets(bytes.take(buckets * sizeof(RunBucket)));
  std::vector<Key> keys;
  while (!bytes.done() && keys.size() < kKeysMax) {
    const uint64_t upper = bytes.word(), print = bytes.word();
    const uint32_t locator = 1 + bytes.byte() + 256 * static_cast<uint32_t>(keys.size());
    keys.push_back(
        {upper << 48 | (upper * 0x9e37 & 0xffff) << 16 | print, locator & ((1u << kLocatorBits) - 1)});
  }
  return keys.empty() || check_built(keys);
}

void seeds(const SeedSink& sink) {
  std::string keys;
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    for (int byte = 0; byte < 5; ++byte) keys.push_back(static_cast<char>(random.next()));
  }
  sink("keys", '\0' + keys);
  std::string crowd;
  for (int i = 0; i < 30; ++i) crowd.append("\1\1", 2).append(1, static_cast<char>(i)).append("\0\0", 2);
  sink("crowd", '\0' + crowd);
  RunModel model;
  for (int i = 0; i < 60; ++i) model["key" + std::to_string(i)] = {put_of("v")};
  MemoryDirectory directory;
  expect(write_run(directory, model, {}).ok(), "write_run");
  const std::vector<char>& bytes = directory.bytes(run_file_name(kTestRunId));
  const auto footer = load<Footer>(bytes.data() + bytes.size() - kUnitBytes);
  const std::string_view page(bytes.data() + footer.index_offset, kUnitBytes);
  const auto buckets = static_cast<char>(footer.index_buckets);
  sink("buckets",
       buckets + std::string(page.substr(kIndexHeaderBytes, footer.index_buckets * sizeof(RunBucket))));
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
