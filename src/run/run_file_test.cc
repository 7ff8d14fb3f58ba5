#include "run/run_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "io/scratch_directory.h"
#include "run/run_ranges.h"
#include "run/run_test_support.h"
#include "testing/random.h"

namespace lightning {
namespace {

std::string random_bytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

/// Every key and some absent ones, by point reads in both forms, at several read LSNs.
void expect_reads(const RunFile& run, const RunModel& model, const std::vector<uint64_t>& read_lsns) {
  for (const uint64_t read_lsn : read_lsns) {
    for (const auto& [key, versions] : model) {
      const std::string expected = model_text(model, key, read_lsn);
      ASSERT_EQ(found_text(run, key, read_lsn), expected) << key.size();
      ASSERT_EQ(found_text(run, key, read_lsn, true), expected) << key.size();
      for (const std::string& near : {key + '\0', key.substr(0, key.size() - 1), "~" + key}) {
        if (near.empty()) continue;
        ASSERT_EQ(found_text(run, near, read_lsn), model_text(model, near, read_lsn));
        ASSERT_EQ(found_text(run, near, read_lsn, true), model_text(model, near, read_lsn));
      }
    }
  }
}

void expect_scan(const RunFile& run, const RunModel& model, uint64_t read_lsn) {
  const std::unique_ptr<SourceCursor> cursor = run.cursor(read_lsn);
  cursor->seek_first();
  for (const auto& [key, versions] : model) {
    const ModelVersion* version = visible_in(versions, read_lsn);
    if (version == nullptr) continue;
    ASSERT_TRUE(cursor->valid()) << cursor->status().to_string();
    ASSERT_EQ(cursor->key(), key);
    ASSERT_EQ(cursor->kind(), version->kind);
    std::vector<Version> all;
    cursor->collect_versions(&all);
    const Version& shown = all[static_cast<size_t>(version - versions.data())];
    const bool placed = shown.place.file != 0 && read_lsn == kReadAllLsn;
    ASSERT_EQ(cursor->value(), placed ? "" : version->value);
    ASSERT_EQ(all.size(), versions.size());
    for (size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(all[i].lsn, versions[i].lsn);
      ASSERT_EQ(all[i].kind, versions[i].kind);
      ASSERT_EQ(all[i].value_size(), versions[i].value.size());
      if (all[i].place.file != 0) continue;
      ASSERT_EQ(all[i].value, versions[i].value);
    }
    cursor->next();
  }
  ASSERT_FALSE(cursor->valid());
  ASSERT_TRUE(cursor->status().ok()) << cursor->status().to_string();
}

struct Form {
  Compression compression;
  bool point_index;
  uint64_t frames;  // of a page cache; 0: there is none
};
constexpr Form kForms[] = {{Compression::none, true, 0},  {Compression::none, false, 0},
                           {Compression::none, true, 3},  {Compression::none, false, 100},
                           {Compression::lz4, true, 3},   {Compression::zstd, true, 100},
                           {Compression::zstd, false, 2}, {Compression::lz4, false, 0}};

/// Writes the model in each form and reads it mapped and not.
void expect_round_trip(const RunModel& model, const std::vector<uint64_t>& read_lsns,
                       uint64_t value_separation = 1024, uint64_t large_bytes = UINT64_MAX) {
  for (const Form& form : kForms) {
    MemoryDirectory directory;
    Result<RunFileInfo> info = write_run(directory, model,
                                         {.value_separation = value_separation,
                                          .compression = form.compression,
                                          .point_index = form.point_index},
                                         kTestRunId, {}, large_bytes);
    ASSERT_TRUE(info.ok()) << info.status().to_string();
    ASSERT_EQ(info->entries, model.size());
    ASSERT_EQ(info->smallest, model.begin()->first);
    ASSERT_EQ(info->largest, model.rbegin()->first);
    ASSERT_EQ(info->size, directory.bytes(run_file_name(kTestRunId)).size());
    for (const bool mapped : {true, false}) {
      const std::shared_ptr<PageCache> cache = cache_of_frames(form.frames);
      Result<std::shared_ptr<const RunFile>> run =
          open_run(directory, *info, mapped, form.frames == 0 ? nullptr : cache.get());
      ASSERT_TRUE(run.ok()) << run.status().to_string();
      EXPECT_EQ((*run)->codec(), codec_id(form.compression));
      const Status verified = (*run)->verify();
      ASSERT_TRUE(verified.ok()) << verified.to_string();
      ASSERT_NO_FATAL_FAILURE(expect_reads(**run, model, read_lsns));
      for (const uint64_t read_lsn : read_lsns) ASSERT_NO_FATAL_FAILURE(expect_scan(**run, model, read_lsn));
    }
  }
}

// An entry that just fits into a leaf, or just does not, or does but for how its parts are aligned.
TEST(RunFile, EntriesAboutAsLongAsALeaf) {
  for (const uint64_t leaf_bytes : {kSmallLeafBytes, kLargeLeafBytes}) {
    for (uint64_t size = leaf_bytes - 64; size < leaf_bytes - 32; ++size) {
      RunModel model;
      for (int i = 0; i < 60; ++i)
        model["key" + std::to_string(100 + i)] = {
            put_of(std::string(leaf_bytes == kSmallLeafBytes ? 20 : 600, 'v'))};
      model[std::string(size, 'l')] = {put_of("vv")};
      model["m" + std::string(size - 4, 'l')] = {put_of("sixsix")};
      ASSERT_NO_FATAL_FAILURE(expect_round_trip(model, {kReadAllLsn})) << size;
    }
  }
}

TEST(RunFile, OneKey) {
  expect_round_trip({{std::string(1, '\0'), {put_of("")}}}, {1, kReadAllLsn});
  expect_round_trip({{"k", {removal()}}}, {1});
  expect_round_trip({{std::string(65'540, 'k'), {put_of("v")}}}, {1});
}

TEST(RunFile, ShortKeysAndValues) {
  RunModel model;
  for (int i = 0; i < 5000; ++i)
    model[std::string(1, '\0') + std::to_string(i)] = {put_of(std::to_string(i * i))};
  expect_round_trip(model, {1});
}

TEST(RunFile, OddSizes) {
  Random random(20);
  RunModel model;
  for (const size_t key_size : {1, 2, 127, 128, 4000, 4070, 16'000, 16'384, 40'000, 65'540}) {
    for (const size_t value_size : {0, 1, 127, 128, 1023, 1024, 1025, 4096, 70'000}) {
      model[random_bytes(random, key_size)] = {put_of(random_bytes(random, value_size))};
    }
  }
  expect_round_trip(model, {1});
  expect_round_trip(model, {1}, 0);
  expect_round_trip(model, {1}, 1 << 20);
}

// The first entries choose the size of all leaves; then come others.
TEST(RunFile, LargeEntriesAfterSmallAndTheOtherWay) {
  for (const bool small_first : {true, false}) {
    RunModel model;
    for (int i = 0; i < 400; ++i) {
      const bool small = (i < 200) == small_first;
      model["key" + std::to_string(1000 + i)] = {put_of(std::string(small ? 5 : 900, static_cast<char>(i)))};
    }
    expect_round_trip(model, {1});
  }
}

TEST(RunFile, LargeValues) {
  Random random(30);
  RunModel model;
  for (const size_t size : {1u << 20, 2u << 20, (2u << 20) + 1, 3u << 20, 8u << 20}) {
    model["big" + std::to_string(size)] = {put_of(random_bytes(random, size))};
    model["big" + std::to_string(size) + "small"] = {put_of("x")};
  }
  expect_round_trip(model, {1});
}

// Keys of several keyspaces, long shared prefixes, prefixes of one another.
TEST(RunFile, SharedPrefixes) {
  Random random(40);
  RunModel model;
  const std::string site =
      "https://www.example.org/a/rather/long/path/that/goes/on/and/on/beyond/what/a/fence/holds/";
  for (int i = 0; i < 2000; ++i) {
    const std::string number = std::to_string(random.below(100'000));
    model['\0' + site + number] = {put_of(number)};
    model['\0' + site + std::string(random.below(200), 'a')] = {put_of(number)};
    model['\1' + number] = {put_of("second keyspace")};
    model[std::string("\xfb\0\0\1\0", 5) + std::string(random.below(80), '\0') + number] = {
        put_of("long id")};
  }
  expect_round_trip(model, {1});
}

// Fences that would be tens of kilobytes each.
TEST(RunFile, HugeSharedPrefixes) {
  RunModel model;
  for (int i = 0; i < 60; ++i)
    model[std::string(65'000, 'p') + std::to_string(i)] = {put_of(std::to_string(i))};
  expect_round_trip(model, {1});
  model.clear();
  for (int i = 0; i < 3000; ++i)
    model[std::string(300, 'p') + std::to_string(i)] = {put_of(std::to_string(i))};
  expect_round_trip(model, {1});
}

TEST(RunFile, VersionsAreSeenByTheirReaders) {
  const RunModel model = {
      {"a", {put_of("only", 10)}},
      {"b", {put_of("third", 30), put_of("second", 20), put_of("first", 10)}},
      {"c", {removal(30), put_of("before", 20)}},
      {"d", {put_of("after", 30), removal(20)}},
      {"e", {put_of("new", 30), put_of("settled")}},
      {"f", {put_of("settled")}},
      {"g", {put_of(std::string(5000, 'x'), 30), put_of(std::string(3000, 'y'), 20), put_of("", 10)}},
  };
  struct Row {
    std::string key;
    uint64_t read_lsn;
    std::string found;
  };
  const std::vector<Row> rows = {
      {"a", 10, "absent"},
      {"a", 11, "=only@10"},
      {"b", 10, "absent"},
      {"b", 11, "=first@10"},
      {"b", 20, "=first@10"},
      {"b", 21, "=second@20"},
      {"b", 31, "=third@30"},
      {"b", kReadAllLsn, "=third@30"},
      {"c", 20, "absent"},
      {"c", 21, "=before@20"},
      {"c", 31, "removed@30"},
      {"d", 20, "absent"},
      {"d", 21, "removed@20"},
      {"d", 31, "=after@30"},
      {"e", 1, "=settled@0"},
      {"e", 30, "=settled@0"},
      {"e", 31, "=new@30"},
      {"f", 0, "=settled@0"},
      {"f", 1, "=settled@0"},
      {"g", 11, "=@10"},
      {"g", 30, "=" + std::string(3000, 'y') + "@20"},
      {"g", 40, "=" + std::string(5000, 'x') + "@30"},
  };
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->removals, 1u);
  for (const bool mapped : {true, false}) {
    Result<std::shared_ptr<const RunFile>> run = open_run(directory, *info, mapped);
    ASSERT_TRUE(run.ok());
    for (const Row& row : rows) EXPECT_EQ(found_text(**run, row.key, row.read_lsn), row.found) << row.key;
  }
  expect_round_trip(model, {0, 1, 10, 11, 20, 21, 30, 31, kReadAllLsn});
  expect_round_trip(model, {0, 1, 10, 11, 20, 21, 30, 31, kReadAllLsn}, 1024, 1000);
}

// An entry outgrows its leaf.
TEST(RunFile, ManyVersionsOfOneKey) {
  RunModel model;
  for (int i = 0; i < 50; ++i) model["k" + std::to_string(i)] = {put_of("v")};
  std::vector<ModelVersion>& versions = model["k25+"];
  for (uint64_t lsn = 3000; lsn > 0; lsn -= 3) {
    const std::string value(lsn % 7 == 0 ? 1500 : lsn % 90, static_cast<char>(lsn));
    versions.push_back(lsn % 11 == 0 ? removal(lsn) : put_of(value, lsn));
  }
  expect_round_trip(model, {1, 2, 3, 4, 5, 1500, 2997, 3001});
}

TEST(RunFile, RandomModels) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    RunModel model;
    const uint64_t keys = 1 + random.below(1500);
    const uint64_t value_max = 1 + random.below(random.chance(0.3) ? 3000 : 150);
    const uint64_t alphabet = 1 + random.below(random.chance(0.5) ? 2 : 255);
    for (uint64_t i = 0; i < keys; ++i) {
      std::string key;
      for (uint64_t size = 1 + random.below(24); size > 0; --size)
        key += static_cast<char>(random.below(alphabet));
      std::vector<ModelVersion> versions;
      uint64_t lsn = random.chance(0.8) ? kSettledLsn : 1 + random.below(1000);
      do {
        versions.push_back(random.chance(0.2) ? removal(lsn)
                                              : put_of(random_bytes(random, random.below(value_max)), lsn));
        lsn = lsn == 0 ? 0 : random.below(lsn);
      } while (lsn != 0 && random.chance(0.7));
      model[key] = versions;
    }
    ASSERT_NO_FATAL_FAILURE(expect_round_trip(model, {1, 500, kReadAllLsn}));
    if (seed % 5 == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_round_trip(model, {1, 500, kReadAllLsn}, 64, 900));
    }
  }
}

TEST(RunFile, CompressionMakesItSmaller) {
  RunModel model;
  for (int i = 0; i < 20'000; ++i) {
    const std::string number = std::to_string(100'000 + i);
    model[number] = {put_of("{\"name\": \"user " + number + "\", \"city\": \"Berlin\", \"age\": 42}")};
    if (i % 100 == 0) model[number].front().value += std::string(3000, static_cast<char>('a' + i % 26));
  }
  uint64_t plain_bytes = 0;
  for (const Compression compression : {Compression::none, Compression::lz4, Compression::zstd}) {
    MemoryDirectory directory;
    const RunFileInfo info = *write_run(directory, model, {.compression = compression});
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, true);
    EXPECT_EQ(run->compressed(), compression != Compression::none);
    if (compression == Compression::none) plain_bytes = info.size;
    if (compression == Compression::none) continue;
    EXPECT_LT(info.size, plain_bytes / 2);
    EXPECT_LT(run->packed_bytes(), run->unpacked_bytes() / 2);
    const uint64_t all = run->approximate_bytes("", "\xff");
    EXPECT_LE(all, info.size);
    EXPECT_NEAR(static_cast<double>(run->approximate_bytes("105000", "110000")), static_cast<double>(all) / 4,
                2.0 * kLargeLeafBytes);
  }
}

// What cannot be compressed takes hardly more than in a plain file.
TEST(RunFile, IncompressiblePagesStandAsTheyAre) {
  Random random(50);
  RunModel model;
  for (int i = 0; i < 1'000; ++i) model[random_bytes(random, 16)] = {put_of(random_bytes(random, 1000))};
  MemoryDirectory directory;
  const RunFileInfo info = *write_run(directory, model, {.compression = Compression::zstd});
  EXPECT_LT(info.size, info.raw_bytes * 110 / 100);
  const std::shared_ptr<const RunFile> run = *open_run(directory, info, true);
  EXPECT_TRUE(run->verify().ok());
  expect_reads(*run, model, {1});
}

// Inside an epoch only what the cache has is answered.
/// Forms of which leaves, at least, come from the page cache.
struct CachedForm {
  Compression compression;
  bool mapped;
  uint64_t value_bytes = 100;  // of most values
  uint64_t leaf_bytes() const {
    return compression == Compression::none && value_bytes == 100 ? kSmallLeafBytes : kLargeLeafBytes;
  }
};
constexpr CachedForm kCachedForms[] = {{Compression::lz4, true},
                                       {Compression::lz4, false},
                                       {Compression::none, false},
                                       {Compression::none, false, 700}};

TEST(RunFile, NobodyReadsInsideAnEpoch) {
  for (const CachedForm form : kCachedForms) {
    RunModel model;
    for (int i = 0; i < 5000; ++i)
      model["key" + std::to_string(10'000 + i)] = {
          put_of(std::string(i % 500 == 0 ? 1100 : form.value_bytes, 'v'))};
    MemoryDirectory directory;
    const RunFileInfo info =
        *write_run(directory, model, {.value_separation = 2048, .compression = form.compression});
    const std::shared_ptr<PageCache> cache = cache_of_frames(100);
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, form.mapped, cache.get());
    uint64_t away = 0;
    for (const std::string key : {"key10000", "key12345", "key12345", "key10001"}) {
      RunFile::Hit hit;
      for (bool read = false;; read = true) {
        const uint64_t misses = cache->counts().misses;
        EpochGuard epoch;
        const RunFile::Found found = run->find(key, hash_key(key), 1, &hit);
        EXPECT_EQ(cache->counts().misses, misses);
        EXPECT_TRUE(hit.status.ok());
        if (found == RunFile::Found::found) {
          EXPECT_EQ(hit.value, model.at(key).front().value);
          EXPECT_EQ(hit.owner != nullptr, hit.value.size() > kCopiedValueBytesMax);
          break;
        }
        ASSERT_EQ(found, RunFile::Found::away);
        ASSERT_FALSE(read);
        ++away;
        epoch.leave();
        EXPECT_EQ(run->find(key, hash_key(key), 1, &hit), RunFile::Found::found);
        EXPECT_EQ(hit.value, model.at(key).front().value);
      }
    }
    EXPECT_EQ(away, form.mapped ? 2u : 3u);  // for key10001 its leaf is there
    EXPECT_EQ(cache->counts().misses, form.mapped ? 2u : 5u);
    EXPECT_GT(cache->counts().hits, 0u);
    uint64_t leaf_bytes = 0;
    uint64_t index_bytes = 0;
    run->count_cached(&leaf_bytes, &index_bytes);
    EXPECT_EQ(leaf_bytes, 2 * form.leaf_bytes());
    EXPECT_EQ(index_bytes, form.mapped ? 0 : 3 * kUnitBytes);
    EXPECT_EQ(leaf_bytes + index_bytes, cache->counts().page_bytes);
  }
}

// A walk for a merge leaves the cache as it is.
TEST(RunFile, MergesPassTheCacheBy) {
  for (const CachedForm form : kCachedForms) {
    RunModel model;
    for (int i = 0; i < 5000; ++i)
      model["key" + std::to_string(10'000 + i)] = {put_of(std::string(form.value_bytes, 'v'))};
    MemoryDirectory directory;
    const RunFileInfo info = *write_run(directory, model, {.compression = form.compression});
    const std::shared_ptr<PageCache> cache = cache_of_frames(4);
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, form.mapped, cache.get());
    expect_scan(*run, model, kReadAllLsn);
    EXPECT_EQ(cache->counts().misses, 0u);
    EXPECT_TRUE(run->verify().ok());
    EXPECT_EQ(cache->counts().misses, 0u);
    for (const auto& [key, versions] : model) EXPECT_EQ(found_text(*run, key, 1), model_text(model, key, 1));
    EXPECT_GT(cache->counts().misses, 4u);
    EXPECT_GT(cache->counts().evictions, 0u);
  }
}

TEST(RunFile, MappedByTheSystem) {
  ScratchDirectory scratch;
  Result<std::unique_ptr<Directory>> directory = posix_env().files().open_directory(scratch.path(), false);
  ASSERT_TRUE(directory.ok());
  RunModel model;
  for (int i = 0; i < 50'000; ++i) model["key" + std::to_string(i)] = {put_of(std::string(60 + i % 50, 'v'))};
  model["large"] = {put_of(std::string(5 << 20, 'l'))};
  Result<RunFileInfo> info = write_run(**directory, model, {});
  ASSERT_TRUE(info.ok()) << info.status().to_string();
  for (const bool mapped : {true, false}) {
    if (mapped && !posix_env().guards_mappings()) continue;  // a build without mapped files
    Result<std::shared_ptr<const RunFile>> run = open_run(**directory, *info, mapped);
    ASSERT_TRUE(run.ok()) << run.status().to_string();
    EXPECT_EQ((*run)->mapped_bytes(), mapped ? info->size : 0);
    EXPECT_TRUE((*run)->verify().ok());
    expect_scan(**run, model, 1);
    EXPECT_EQ(found_text(**run, "key777", 1), model_text(model, "key777", 1));
  }
}

TEST(RunFile, SizeOnDisk) {
  RunModel model;
  for (int i = 0; i < 100'000; ++i) {
    char key[18];
    snprintf(key, sizeof(key), "%c%016d", 1, i);
    model[key] = {put_of(std::string(100, 'v'))};
  }
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  EXPECT_LT(info->size, info->raw_bytes * 107 / 100);
  // Nine entries, or ten, a small leaf; large leaves from there on.
  for (const uint64_t value_bytes : {370, 400, 410, 460, 1000}) {
    for (auto& [key, versions] : model) versions.front().value.assign(value_bytes, 'v');
    MemoryDirectory other;
    info = write_run(other, model, {});
    ASSERT_TRUE(info.ok());
    EXPECT_LT(info->size, info->raw_bytes * 112 / 100) << value_bytes;
    const std::vector<char>& bytes = other.bytes(run_file_name(kTestRunId));
    const auto* footer = reinterpret_cast<const Footer*>(bytes.data() + bytes.size() - kUnitBytes);
    EXPECT_EQ(footer->leaf_bytes, value_bytes <= 410 ? kSmallLeafBytes : kLargeLeafBytes) << value_bytes;
  }
}

// Few large values among small entries do not leave a page's rest unused each.
TEST(RunFile, GapsAreFilled) {
  RunModel model;
  for (int i = 0; i < 4000; ++i)
    model[std::to_string(10'000 + i)] = {put_of(std::string(i % 30 == 0 ? 1200 : 90, 'v'))};
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  EXPECT_LT(info->size, info->raw_bytes * 130 / 100);
}

TEST(RunFile, ApproximateBytes) {
  RunModel model;
  for (int i = 0; i < 20'000; ++i) model[std::to_string(100'000 + i)] = {put_of(std::string(100, 'v'))};
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info.ok());
  const std::shared_ptr<const RunFile> run = *open_run(directory, *info, true);
  const uint64_t all = run->approximate_bytes("", "\xff");
  EXPECT_GT(all, info->raw_bytes * 9 / 10);
  EXPECT_LE(all, info->size);
  EXPECT_NEAR(static_cast<double>(run->approximate_bytes("105000", "110000")), static_cast<double>(all) / 4,
              2.0 * kUnitBytes);
  EXPECT_EQ(run->approximate_bytes("11", "109999") + run->approximate_bytes("109999", "12"),
            run->approximate_bytes("11", "12"));
  EXPECT_EQ(run->approximate_bytes("2", "3"), 0u);
  EXPECT_EQ(run->approximate_bytes("11", "10"), 0u);
}

RangeMap some_ranges() {
  RangeMap ranges;
  ranges.append("b", "d", std::vector<uint64_t>{500, 400});
  ranges.append("d", "f", std::vector<uint64_t>{kSettledRangeLsn});
  ranges.append("x", "z", std::vector<uint64_t>{300});
  return ranges;
}

Result<RunFileInfo> write_ranges(Directory& directory, const std::vector<std::string>& keys,
                                 const RangeMap& ranges) {
  Result<std::unique_ptr<RunWriter>> writer = RunWriter::create(directory, kTestRunId, {});
  if (!writer) return writer.status();
  const Version version{.lsn = kSettledLsn, .kind = EntryKind::put, .value = "v"};
  for (const std::string& key : keys) {
    if (Status s = (*writer)->add(key, {&version, 1}); !s.ok()) return s;
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (Status s = (*writer)->add_range(ranges.from(i), ranges.to(i), ranges.lsns(i)); !s.ok()) return s;
  }
  return (*writer)->finish(100, 1000);
}

TEST(RunFile, KeepsRangeRemovalsBesideItsKeys) {
  for (const bool mapped : {true, false}) {
    MemoryDirectory directory;
    Result<RunFileInfo> info = write_ranges(directory, {"c", "m"}, some_ranges());
    ASSERT_TRUE(info.ok()) << info.status().to_string();
    EXPECT_EQ(info->range_removals, 3u);
    EXPECT_EQ(info->smallest, "b");
    EXPECT_EQ(info->largest, "z");
    EXPECT_TRUE(info->largest_excluded);
    EXPECT_FALSE(info->plain);
    Result<std::shared_ptr<const RunFile>> run = RunFile::open(directory, *info, mapped);
    ASSERT_TRUE(run.ok()) << run.status().to_string();
    EXPECT_TRUE((*run)->verify().ok()) << (*run)->verify().to_string();
    EXPECT_EQ((*run)->removals().newest("c", 450), 400u);
    EXPECT_EQ((*run)->removals().newest("c", 1000), 500u);
    EXPECT_EQ((*run)->removals().newest("e", 50), kSettledRangeLsn);
    EXPECT_EQ((*run)->removals().newest("z", 1000), 0u);
    // Its own keys are not hidden.
    EXPECT_EQ(found_text(**run, "c", 1000), "=v@0");
    RunFileInfo other = *info;
    other.largest_excluded = false;
    EXPECT_TRUE(RunFile::open(directory, other, mapped).status().is(StatusCode::corruption));
    other = *info;
    other.range_removals = 0;
    EXPECT_TRUE(RunFile::open(directory, other, mapped).status().is(StatusCode::corruption));
  }
}

TEST(RunFile, OfNothingButRangeRemovalsSaysTheFirstOneTwice) {
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_ranges(directory, {}, some_ranges());
  ASSERT_TRUE(info.ok()) << info.status().to_string();
  const std::shared_ptr<const RunFile> run = *RunFile::open(directory, *info, true);
  EXPECT_TRUE(run->verify().ok());
  EXPECT_EQ(found_text(*run, "b", 450), "removed@400");
  EXPECT_EQ(found_text(*run, "b", 400), "absent");
}

TEST(RunFile, DamagedRangeRemovalsAreCorruption) {
  MemoryDirectory directory;
  Result<RunFileInfo> info = write_ranges(directory, {"c", "m"}, some_ranges());
  ASSERT_TRUE(info.ok());
  std::vector<char>& bytes = directory.bytes(run_file_name(kTestRunId));
  const Footer footer = load<Footer>(bytes.data() + bytes.size() - kUnitBytes);
  for (uint64_t i = 0; i < footer.ranges_bytes; ++i) {
    char& byte = bytes[footer.ranges_offset + i];
    byte ^= 1;
    const Status status = RunFile::open(directory, *info, true).status();
    EXPECT_TRUE(status.is(StatusCode::corruption));
    EXPECT_EQ(status.offset(), footer.ranges_offset);
    byte ^= 1;
  }
  // What was opened before is found by verify().
  const std::shared_ptr<const RunFile> run = *RunFile::open(directory, *info, true);
  bytes[footer.ranges_offset + 3] ^= 1;
  EXPECT_TRUE(run->verify().is(StatusCode::corruption));
  bytes[footer.ranges_offset + 3] ^= 1;
  bytes[footer.ranges_offset + footer.ranges_bytes] = 1;
  EXPECT_TRUE(run->verify().is(StatusCode::corruption));
}

// Right checksums do not make a section right.
TEST(RunFile, MalformedRangeRemovalsAreRefused) {
  const auto loads = [](const std::string& section, uint64_t fragments) {
    Footer footer = {};
    footer.lsn_min = 100;
    footer.lsn_max = 1000;
    footer.ranges_bytes = section.size();
    footer.range_removals = fragments;
    auto bytes = std::make_unique<char[]>(section.size());
    std::copy(section.begin(), section.end(), bytes.get());
    RunRanges ranges;
    return ranges.load(std::move(bytes), footer);
  };
  const auto section = [](std::vector<std::pair<std::string, std::string>> bounds,
                          std::vector<uint64_t> lsns) {
    std::string text;
    for (const auto& [from, to] : bounds) put_range(from, to, lsns, &text);
    return text;
  };
  EXPECT_TRUE(loads(section({{"b", "c"}, {"d", "e"}}, {500}), 2));
  EXPECT_FALSE(loads(section({{"b", "c"}, {"d", "e"}}, {500}), 3));
  EXPECT_FALSE(loads(section({{"b", "d"}, {"c", "e"}}, {500}), 2));
  EXPECT_FALSE(loads(section({{"b", "b"}}, {500}), 1));
  EXPECT_FALSE(loads(section({{"", "b"}}, {500}), 1));
  EXPECT_FALSE(loads(section({{"b", "c"}}, {}), 1));
  EXPECT_FALSE(loads(section({{"b", "c"}}, {500, 500}), 1));
  EXPECT_FALSE(loads(section({{"b", "c"}}, {1000}), 1));
  EXPECT_FALSE(loads(section({{"b", "c"}}, {500, 2}), 1));
  EXPECT_TRUE(loads(section({{"b", "c"}}, {500, 1}), 1));
  const std::string whole = section({{"bbbb", "cccc"}}, {500, 400});
  for (size_t size = 1; size < whole.size(); ++size) EXPECT_FALSE(loads(whole.substr(0, size), 1)) << size;
}

}  // namespace
}  // namespace lightning
