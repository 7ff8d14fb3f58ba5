// Whatever happens to a run file's bytes: a right answer or `corruption`.

#include <gtest/gtest.h>

#include "run/leaf_builder.h"
#include "run/run_format.h"
#include "run/run_test_support.h"
#include "testing/random.h"

namespace lightning {
namespace {

/// Values of this size stand in a value file.
constexpr uint64_t kLargeBytes = 1200;

/// A file of few pages with one of each: plain, removed, outside, in a value file, versioned, jumbo.
RunModel small_model() {
  RunModel model;
  for (int i = 0; i < 4; ++i) model["key" + std::to_string(i)] = {put_of("value" + std::to_string(i))};
  model["gone"] = {removal()};
  model["outside"] = {put_of(std::string(1100, 'o'))};
  model["placed"] = {put_of(std::string(1200, 'p'))};
  model["versions"] = {put_of("second", 20), put_of(std::string(1030, 'f'), 10),
                       put_of(std::string(1300, 'e'), 5)};
  model["zjumbo"] = {put_of(std::string(900, 'j'), 90), put_of(std::string(900, 'i'), 80),
                     put_of(std::string(900, 'h'), 70), put_of(std::string(900, 'g'), 60),
                     put_of(std::string(900, 'f'), 50)};
  return model;
}

std::string walk(SourceCursor& cursor, bool forward) {
  std::string seen;
  forward ? cursor.seek_first() : cursor.seek_last();
  while (cursor.valid()) {
    seen.append(cursor.key()).append("=").append(cursor.value()).append(";");
    forward ? cursor.next() : cursor.prev();
  }
  return seen;
}

/// What the file answers is right or `corruption`; true when nothing was noticed.
bool expect_right_or_corruption(const RunFile& run, const RunModel& model) {
  bool noticed = false;
  std::string forward, backward;
  for (const auto& [key, versions] : model) {
    const std::string found = found_text(run, key, kReadAllLsn);
    const std::string entry = key + "=" + versions.front().value + ";";
    forward += entry;
    backward.insert(0, entry);
    if (found == model_text(model, key, kReadAllLsn)) continue;
    EXPECT_EQ(found, "corruption") << key;
    noticed = true;
  }
  for (const std::string absent : {"a", "key1x", "zz"}) {
    const std::string found = found_text(run, absent, kReadAllLsn);
    noticed |= found != "absent";
    EXPECT_TRUE(found == "absent" || found == "corruption") << found;
  }
  for (const bool is_forward : {true, false}) {
    const std::string& expected = is_forward ? forward : backward;
    const std::unique_ptr<SourceCursor> cursor = run.cursor(kReadAllLsn - 1);
    const std::string seen = walk(*cursor, is_forward);
    if (seen == expected && cursor->status().ok()) continue;
    EXPECT_EQ(cursor->status().code(), StatusCode::corruption);
    EXPECT_TRUE(expected.starts_with(seen));
    noticed = true;
  }
  return !noticed;
}

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kBitStep = 7;  // ten times slower
#else
constexpr size_t kBitStep = 1;
#endif

// Two pages of a file in each other's places: calls `check()` for each pair.
template <typename Bytes, typename Check>
void for_each_swap(const Bytes& intact, Bytes& bytes, Check&& check) {
  for (size_t a = 0; a < intact.size() / kUnitBytes; ++a) {
    for (size_t b = 0; b < a; ++b) {
      SCOPED_TRACE(std::to_string(a) + " " + std::to_string(b));
      bytes = intact;
      std::swap_ranges(bytes.begin() + a * kUnitBytes, bytes.begin() + (a + 1) * kUnitBytes,
                       bytes.begin() + b * kUnitBytes);
      check();
    }
  }
}

class RunDamage : public testing::Test {
 protected:
  explicit RunDamage(RunModel model = small_model(), Compression compression = Compression::none)
      : model_(std::move(model)), compression_(compression) {}
  void SetUp() override {
    Result<RunFileInfo> info =
        write_run(directory_, model_, {.compression = compression_}, kTestRunId, {}, kLargeBytes);
    ASSERT_TRUE(info.ok());
    info_ = *info;
    intact_ = bytes();
  }
  std::vector<char>& bytes() { return directory_.bytes(run_file_name(kTestRunId)); }

  enum class Way { mapped, read, pooled };

  /// Opens, reads, verifies; true when nothing was noticed.
  bool check(Way way, bool verifies = true) {
    const std::shared_ptr<PageCache> cache = cache_of_frames(10);
    Result<std::shared_ptr<const RunFile>> run =
        open_run(directory_, info_, way == Way::mapped, way == Way::pooled ? cache.get() : nullptr);
    if (!run) {
      EXPECT_EQ(run.status().code(), StatusCode::corruption) << run.status().to_string();
      EXPECT_EQ(run.status().file(), run_file_name(kTestRunId));
      return false;
    }
    const bool unnoticed = expect_right_or_corruption(**run, model_);
    const Status verified = verifies ? (*run)->verify() : Status();
    EXPECT_TRUE(verified.ok() || verified.is(StatusCode::corruption)) << verified.to_string();
    EXPECT_TRUE(unnoticed || !verifies || !verified.ok());  // verify() finds whatever reads find
    return unnoticed && verified.ok();
  }

  /// How many go unnoticed. Reads of mapped and unmapped files share all but the fetch, so they take turns.
  size_t flip_every_bit() {
    size_t unnoticed = 0;
    for (size_t bit = 0; bit < intact_.size() * 8 && !HasFailure(); bit += kBitStep) {
      char& byte = bytes()[bit / 8];
      byte = static_cast<char>(byte ^ (1 << bit % 8));
      constexpr Way kWays[] = {Way::read, Way::mapped, Way::pooled, Way::mapped};
      unnoticed += check(kWays[(bit + bit / 8) % 4], bit % 8 == 0) ? 1 : 0;
      EXPECT_FALSE(HasFailure()) << "bit " << bit;
      byte = intact_[bit / 8];
    }
    return unnoticed;
  }

  const RunModel model_;
  const Compression compression_;
  MemoryDirectory directory_;
  RunFileInfo info_;
  std::vector<char> intact_;
};

TEST_F(RunDamage, IntactFileHasOneOfEach) {
  for (const Way way : {Way::mapped, Way::read, Way::pooled}) EXPECT_TRUE(check(way));
  EXPECT_EQ(intact_.size(),
            8 * kUnitBytes);  // values, leaf, two of the jumbo page, index, fences, list, footer
}

TEST_F(RunDamage, EveryBit) {
  const size_t unnoticed = flip_every_bit();
  // Only what lies in gaps between values and pages, and behind the fences.
  EXPECT_LT(unnoticed, intact_.size() * 8 / 2);
}

/// The same with leaves, a jumbo page, and values outside that are compressed, and one that cannot be.
class PackedDamage : public RunDamage {
 protected:
  PackedDamage() : RunDamage(packed_model(), Compression::lz4) {}

 public:
  static RunModel packed_model() {
    RunModel model = small_model();
    Random random(1);
    std::string noise(1150, '\0');
    for (char& byte : noise) byte = static_cast<char>(random.next());
    model["noise"] = {put_of(noise)};
    for (uint64_t lsn = 20; lsn > 0; --lsn) model["zzjumbo"].push_back(put_of(noise.substr(0, 900), lsn));
    return model;
  }
};

TEST_F(PackedDamage, EveryBit) {
  for (const Way way : {Way::mapped, Way::read, Way::pooled}) EXPECT_TRUE(check(way));
  EXPECT_LT(flip_every_bit(), intact_.size() * 8 / 2);
}

TEST_F(PackedDamage, EveryTruncation) {
  for (size_t size = 0; size < intact_.size(); size += kBitStep) {
    bytes().assign(intact_.begin(), intact_.begin() + size);
    EXPECT_FALSE(check(size % 3 == 0 ? Way::mapped : size % 3 == 1 ? Way::read : Way::pooled));
  }
}

TEST_F(PackedDamage, PagesInEachOthersPlaces) {
  for_each_swap(intact_, bytes(), [&] { EXPECT_FALSE(check(Way::mapped) || check(Way::pooled)); });
}

// What came into the cache was verified: later damage of the file does not reach it.
TEST_F(PackedDamage, TheCacheHoldsWhatWasVerified) {
  const std::shared_ptr<PageCache> cache = cache_of_frames(10);
  const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, true, cache.get());
  EXPECT_EQ(found_text(*run, "key1", 1), model_text(model_, "key1", 1));
  const auto* footer = reinterpret_cast<const Footer*>(intact_.data() + intact_.size() - kUnitBytes);
  const uint64_t leaf = table_offset(load<uint64_t>(intact_.data() + footer->table_offset));
  std::fill_n(bytes().begin() + static_cast<ptrdiff_t>(leaf), 64, '\xff');
  EXPECT_EQ(found_text(*run, "key1", 1), model_text(model_, "key1", 1));
  EXPECT_TRUE(run->verify().is(StatusCode::corruption));  // it reads the file
  const std::shared_ptr<const RunFile> again = *open_run(directory_, info_, true, cache.get());
  EXPECT_EQ(found_text(*again, "key1", 1), "corruption");
}

TEST_F(PackedDamage, FaultsOfTheMappingAreErrors) {
  const std::shared_ptr<PageCache> cache = cache_of_frames(10);
  const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, true, cache.get());
  directory_.set_faulted(true);
  EXPECT_EQ(found_text(*run, "key1", 1), "io_error");
  EXPECT_EQ(found_text(*run, "absent", 1, true), "io_error");
  EXPECT_EQ(cache->counts().pages, 0u);  // nothing that was read since is believed
}

// Who does not know the dense form of leaves has to refuse the file.
TEST_F(PackedDamage, AFileSaysThatLeavesAreDense) {
  const auto* footer = reinterpret_cast<const Footer*>(intact_.data() + intact_.size() - kUnitBytes);
  EXPECT_NE(footer->features & kFeatureDenseLeaves, 0u);
  const uint64_t item = load<uint64_t>(intact_.data() + footer->table_offset);
  EXPECT_NE(load<PageHeader>(intact_.data() + table_offset(item)).dense, 0u);
}

// The codec of a page, though its checksum is right.
TEST_F(PackedDamage, AnUnknownCodecIsClear) {
  const auto* footer = reinterpret_cast<const Footer*>(intact_.data() + intact_.size() - kUnitBytes);
  const uint64_t item = load<uint64_t>(intact_.data() + footer->table_offset);
  char* const page = bytes().data() + table_offset(item);
  page[offsetof(PageHeader, codec)] = 9;
  seal_page(page, table_bytes(item), kTestRunId, 0);
  EXPECT_EQ(found_text(**open_run(directory_, info_, true), "key1", 1), "not_supported");
  const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, false);
  const std::unique_ptr<SourceCursor> walk = run->cursor(1);
  walk->seek_first();
  EXPECT_FALSE(walk->valid());
  EXPECT_TRUE(walk->status().is(StatusCode::not_supported));
  EXPECT_EQ(walk->status().file(), run_file_name(kTestRunId));
}

// What a value file holds between its values means nothing.
TEST_F(RunDamage, EveryByteOfTheValueFile) {
  const std::string name = test_value_file_name(kTestValueFile);
  const std::vector<char> whole = directory_.bytes(name);
  ASSERT_EQ(whole.size(), 1201u + 1301u);
  for (const bool mapped : {true, false}) {
    const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, mapped);
    for (size_t at = 0; at < whole.size(); ++at) {
      char& byte = directory_.bytes(name)[at];
      byte = static_cast<char>(byte ^ 1);
      const bool first = at < 1201;
      RunFile::Hit hit;
      const std::string key = first ? "placed" : "versions";
      const bool meant = at != 0 && at != 1201;
      ASSERT_EQ(run->find(key, hash_key(key), 7, &hit), meant ? RunFile::Found::error : RunFile::Found::found)
          << at;
      if (meant) {
        ASSERT_EQ(hit.status.code(), StatusCode::corruption);
        ASSERT_EQ(hit.status.file(), name);
        ASSERT_EQ(hit.status.offset(), first ? 1u : 1202u);
      }
      ASSERT_EQ(run->verify().ok(), !meant);
      byte = whole[at];
    }
  }
  directory_.bytes(name).resize(1500);
  EXPECT_EQ(found_text(**open_run(directory_, info_, false), "versions", 7), "corruption");
  EXPECT_EQ(found_text(**open_run(directory_, info_, true), "versions", 7), "corruption");
  EXPECT_EQ(found_text(**open_run(directory_, info_, true), "versions", 17),
            model_text(model_, "versions", 17));
  ASSERT_TRUE(directory_.remove(name).ok());
  const Status missing = open_run(directory_, info_, true).status();
  EXPECT_EQ(missing.code(), StatusCode::corruption);
  EXPECT_EQ(missing.file(), name);
}

TEST_F(RunDamage, EveryTruncation) {
  for (size_t size = 0; size < intact_.size(); ++size) {
    bytes().assign(intact_.begin(), intact_.begin() + size);
    for (const Way way : {Way::mapped, Way::read, Way::pooled}) EXPECT_FALSE(check(way));
  }
  bytes() = intact_;
  bytes().push_back('\0');
  EXPECT_FALSE(check(Way::mapped));
}

TEST_F(RunDamage, TruncationWhileOpen) {
  for (const bool pooled : {false, true}) {
    bytes() = intact_;
    const std::shared_ptr<PageCache> cache = cache_of_frames(pooled ? 1 : 0);
    const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, false, cache.get());
    for (size_t size = 0; size < intact_.size(); size += 100) {
      bytes().assign(intact_.begin(), intact_.begin() + static_cast<ptrdiff_t>(size));
      expect_right_or_corruption(*run, model_);
      ASSERT_FALSE(HasFailure()) << size;
    }
  }
}

// What is wrong with one leaf or page of the index is no other's business, and stays out of the cache.
TEST(PooledDamage, OfOnePageTakesNoOtherAlong) {
  RunModel model;
  for (int i = 0; i < 2000; ++i) model["key" + std::to_string(10'000 + i)] = {put_of(std::string(50, 'v'))};
  MemoryDirectory directory;
  const RunFileInfo info = *write_run(directory, model, {});
  std::vector<char>& bytes = directory.bytes(run_file_name(kTestRunId));
  const std::vector<char> intact = bytes;
  const auto* footer = reinterpret_cast<const Footer*>(intact.data() + intact.size() - kUnitBytes);
  ASSERT_EQ(footer->leaf_bytes, kSmallLeafBytes);
  ASSERT_GT(index_pages(footer->index_buckets), 2u);
  for (const uint64_t offset : {kUnitBytes, footer->index_offset + kUnitBytes}) {
    bytes = intact;
    bytes[offset + 100] ^= 1;
    const std::shared_ptr<PageCache> cache = cache_of_frames(100);
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, false, cache.get());
    uint64_t damaged = 0;
    for (int round = 0; round < 2; ++round) {
      for (const auto& [key, versions] : model) {
        RunFile::Hit hit;
        if (run->find(key, hash_key(key), 1, &hit) == RunFile::Found::found) {
          EXPECT_EQ(hit.value, versions.front().value);
          continue;
        }
        ++damaged;
        EXPECT_TRUE(hit.status.is(StatusCode::corruption));
        EXPECT_EQ(hit.status.file(), run_file_name(kTestRunId));
        EXPECT_EQ(hit.status.offset(), offset);
      }
      EXPECT_LT(damaged, model.size());  // in both rounds
    }
    EXPECT_GT(damaged, 0u);
    const uint64_t pages = (footer->leaves_end + footer->fences_offset - footer->index_offset) / kUnitBytes;
    EXPECT_EQ(cache->counts().pages, pages - 1);
    EXPECT_GE(cache->counts().misses, pages - 1 + damaged);
    // Damage of the way to the disk leaves nothing behind.
    bytes = intact;
    for (const auto& [key, versions] : model) EXPECT_EQ(found_text(*run, key, 1), model_text(model, key, 1));
  }
}

TEST_F(RunDamage, PagesInEachOthersPlaces) {
  for_each_swap(intact_, bytes(), [&] { EXPECT_FALSE(check(Way::mapped) || check(Way::pooled)); });
}

TEST_F(RunDamage, AnotherRunsBytes) {
  RunModel other = model_;
  other["key1"] = {put_of("eulav1")};
  Result<RunFileInfo> info = write_run(directory_, other, {}, kTestRunId + 1, {}, kLargeBytes);
  ASSERT_TRUE(info.ok());
  ASSERT_EQ(info->size, info_.size);
  bytes() = directory_.bytes(run_file_name(kTestRunId + 1));
  EXPECT_FALSE(check(Way::mapped));
  // The same id, but not the file that the manifest names.
  ASSERT_TRUE(directory_.remove(run_file_name(kTestRunId)).ok());
  ASSERT_TRUE(write_run(directory_, other, {}, kTestRunId, {}, kLargeBytes).ok());
  EXPECT_FALSE(check(Way::mapped));
}

TEST_F(RunDamage, MissingFile) {
  ASSERT_TRUE(directory_.remove(run_file_name(kTestRunId)).ok());
  EXPECT_FALSE(check(Way::mapped));
}

// What changes after it was verified may go unnoticed (a stated limit), but nothing outside the file is
// touched: a sanitizer sees it.
TEST_F(RunDamage, ChangesAfterVerification) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    bytes() = intact_;
    const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, true);
    ASSERT_TRUE(run->verify().ok());
    for (uint64_t changes = 1 + random.below(200); changes > 0; --changes) {
      bytes()[random.below(intact_.size())] = static_cast<char>(random.chance(0.5) ? random.next() : 0xff);
    }
    for (const auto& [key, versions] : model_) {
      found_text(*run, key, kReadAllLsn);
      found_text(*run, key, 15, true);
      const std::unique_ptr<SourceCursor> cursor = run->cursor(15);
      cursor->seek(key);
      std::vector<Version> all;
      if (cursor->valid()) cursor->collect_versions(&all);
    }
    for (const bool forward : {true, false}) {
      const std::unique_ptr<SourceCursor> cursor = run->cursor(15);
      walk(*cursor, forward);
    }
  }
}

TEST_F(RunDamage, FaultsOfTheMappingAreErrors) {
  const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, true);
  const std::unique_ptr<SourceCursor> cursor = run->cursor(kReadAllLsn - 1);
  cursor->seek_first();
  ASSERT_TRUE(cursor->valid());
  EXPECT_TRUE(run->faulted().ok());
  directory_.set_faulted(true);
  EXPECT_EQ(found_text(*run, "key1", 1), "io_error");
  EXPECT_EQ(found_text(*run, "key1", 1, true), "io_error");
  EXPECT_EQ(found_text(*run, "absent", 1), "io_error");
  EXPECT_EQ(found_text(*run, "absent", 1, true), "io_error");
  cursor->next();
  EXPECT_FALSE(cursor->valid());
  EXPECT_EQ(cursor->status().code(), StatusCode::io_error);
  EXPECT_EQ(run->verify().code(), StatusCode::io_error);
  EXPECT_EQ(run->faulted().code(), StatusCode::io_error);
}

// Pages that were read and verified before, and then became zeros, as the guard of mappings has it.
void expect_errors_of_lost_pages(const RunFile& run, const RunModel& model, std::vector<char>& bytes,
                                 MemoryDirectory& directory) {
  const std::vector<char> intact = bytes;
  for (const auto& [key, versions] : model) {
    for (const ModelVersion& version : versions) (void)found_text(run, key, version.lsn + 1);
  }
  for (size_t page = 0; page < intact.size() / kUnitBytes; ++page) {
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(page * kUnitBytes), kUnitBytes, '\0');
    directory.set_faulted(true);
    for (const auto& [key, versions] : model) {
      for (const bool staged : {false, true}) {
        for (const ModelVersion& version : versions)
          EXPECT_EQ(found_text(run, key, version.lsn + 1, staged), "io_error") << page << " " << key;
      }
    }
    const std::unique_ptr<SourceCursor> cursor = run.cursor(kReadAllLsn - 1);
    for (const bool forward : {true, false}) {
      forward ? cursor->seek_first() : cursor->seek_last();
      EXPECT_FALSE(cursor->valid()) << page;
      EXPECT_EQ(cursor->status().code(), StatusCode::io_error) << page << cursor->status().to_string();
    }
    std::ranges::copy(intact, bytes.begin());
    directory.set_faulted(false);
  }
}

TEST_F(RunDamage, LostPages) {
  const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, true);
  expect_errors_of_lost_pages(*run, model_, bytes(), directory_);
}

TEST_F(PackedDamage, LostPages) {
  const std::shared_ptr<const RunFile> run = *open_run(directory_, info_, true);
  expect_errors_of_lost_pages(*run, model_, bytes(), directory_);
}

TEST_F(RunDamage, LaterFormats) {
  const auto change_footer = [this](auto change) {
    bytes() = intact_;
    auto* footer = reinterpret_cast<Footer*>(bytes().data() + bytes().size() - kUnitBytes);
    change(footer);
    footer->checksum = checksum(footer, offsetof(Footer, checksum), page_seed(kTestRunId, kFooterSeed));
    info_.footer_hash = footer->checksum;
    return open_run(directory_, info_, true).status();
  };
  EXPECT_EQ(change_footer([](Footer* footer) { footer->format_version = 2; }).code(),
            StatusCode::not_supported);
  EXPECT_EQ(change_footer([](Footer* footer) { footer->features |= 1ull << 40; }).code(),
            StatusCode::not_supported);
  // A footer that contradicts itself, though its checksum is right.
  EXPECT_EQ(change_footer([](Footer* footer) { footer->leaf_bytes = 8192; }).code(), StatusCode::corruption);
  EXPECT_EQ(change_footer([](Footer* footer) { footer->leaves_end = 1ull << 40; }).code(),
            StatusCode::corruption);
  EXPECT_EQ(change_footer([](Footer* footer) { footer->index_buckets = 64; }).code(), StatusCode::corruption);
  EXPECT_EQ(change_footer([](Footer* footer) { footer->fences_bytes = 1ull << 62; }).code(),
            StatusCode::corruption);
  EXPECT_EQ(change_footer([](Footer* footer) { footer->leaves += 1; }).code(), StatusCode::corruption);
  EXPECT_EQ(change_footer([](Footer* footer) { footer->features |= kFeatureDenseLeaves; }).code(),
            StatusCode::corruption);
}

// verify() compares what is said twice, also where all checksums are right.
TEST_F(RunDamage, VerifyComparesIndexAndLeaves) {
  const auto* footer = reinterpret_cast<const Footer*>(intact_.data() + intact_.size() - kUnitBytes);
  const uint64_t page_number = footer->index_offset / kUnitBytes;
  char* page = bytes().data() + footer->index_offset;
  for (uint64_t bucket = 0; bucket < footer->index_buckets; ++bucket) {
    page[kIndexHeaderBytes + bucket * sizeof(RunBucket)] ^= 1;  // a fingerprint
  }
  seal_page(page, kUnitBytes, kTestRunId, page_number);
  const Status verified = (*open_run(directory_, info_, true))->verify();
  EXPECT_EQ(verified.code(), StatusCode::corruption);
}

/// What sections and the footer say, changed word by word, with checksums that fit: what is opened may answer
/// anything, but touches nothing outside the file (a sanitizer sees it) and asks for no memory beyond it.
class ForgedRun : public RunDamage {
 protected:
  explicit ForgedRun(RunModel model = small_model(), Compression compression = Compression::none)
      : RunDamage(std::move(model), compression) {}

  Footer& footer() { return *reinterpret_cast<Footer*>(bytes().data() + intact_.size() - kUnitBytes); }
  void seal(uint64_t offset, uint64_t size, uint64_t* sum) {
    if (size != 0) *sum = checksum(bytes().data() + offset, size, page_seed(kTestRunId, offset / kUnitBytes));
  }
  /// With `sections` the checksums of these, too.
  void seal_all(bool sections) {
    Footer& end = footer();
    if (sections) {
      seal(end.fences_offset, end.fences_bytes, &end.fences_checksum);
      seal(end.ranges_offset, end.ranges_bytes, &end.ranges_checksum);
      seal(end.values_offset, end.values_bytes, &end.values_checksum);
      seal(end.table_offset, end.table_bytes, &end.table_checksum);
    }
    end.checksum = checksum(&end, offsetof(Footer, checksum), page_seed(kTestRunId, kFooterSeed));
    info_.footer_hash = end.checksum;
  }

  void open_and_read() {
    Result<std::shared_ptr<const RunFile>> run = open_run(directory_, info_, false);
    if (!run) {
      const Status& status = run.status();
      EXPECT_TRUE(status.is(StatusCode::corruption) || status.is(StatusCode::not_supported))
          << status.to_string();
      ++refused_;
      return;
    }
    for (const auto& [key, versions] : model_) found_text(**run, key, kReadAllLsn);
    for (const bool forward : {true, false}) walk(*(*run)->cursor(15), forward);
    (void)(*run)->verify();
  }

  /// Each word of [offset, offset + size), of four bytes and of eight.
  void forge(uint64_t offset, uint64_t size, bool section) {
    for (uint64_t at = offset; at + sizeof(uint64_t) <= offset + size; at += sizeof(uint32_t)) {
      const uint64_t word = load<uint64_t>(intact_.data() + at);
      for (const uint64_t hostile :
           {uint64_t{0}, uint64_t{1}, word + 1, word - 1, word + kUnitBytes, word - kUnitBytes, word << 1,
            word ^ uint64_t{1} << 31, word ^ uint64_t{1} << 32, word ^ uint64_t{1} << 63, UINT64_MAX,
            uint64_t{UINT32_MAX}, word | ~uint64_t{UINT32_MAX}}) {
        SCOPED_TRACE("word at " + std::to_string(at) + " becomes " + std::to_string(hostile));
        bytes() = intact_;
        store(bytes().data() + at, hostile);
        seal_all(section);
        open_and_read();
        if (HasFailure()) return;
      }
    }
  }

  void forge_all() {
    const Footer intact = footer();
    forge(intact_.size() - kUnitBytes + offsetof(Footer, leaf_bytes),
          offsetof(Footer, reserved) - offsetof(Footer, leaf_bytes), false);
    for (const auto& [offset, size] : {std::pair(intact.fences_offset, intact.fences_bytes),
                                       {intact.ranges_offset, intact.ranges_bytes},
                                       {intact.values_offset, intact.values_bytes},
                                       {intact.table_offset, intact.table_bytes}}) {
      forge(offset, size, true);
    }
    EXPECT_GT(refused_, 400u);
  }

  uint64_t refused_ = 0;
};

TEST_F(ForgedRun, TouchesNothingOutside) { forge_all(); }

class ForgedPackedRun : public ForgedRun {
 protected:
  ForgedPackedRun() : ForgedRun(PackedDamage::packed_model(), Compression::lz4) {}
};

TEST_F(ForgedPackedRun, TouchesNothingOutside) { forge_all(); }

class ForgedRangesRun : public ForgedRun {
 protected:
  void SetUp() override {
    const std::vector<RangeRemoval> removals = {{"b", "d", 30}, {"c", "e", 20}, {"key1", "key2", 40}};
    const std::vector<uint64_t> readers = {25};
    Result<RunFileInfo> info =
        write_run(directory_, model_, {}, kTestRunId, RangeMap::of(removals, readers), kLargeBytes);
    ASSERT_TRUE(info.ok());
    info_ = *info;
    intact_ = bytes();
  }
};

TEST_F(ForgedRangesRun, TouchesNothingOutside) { forge_all(); }

}  // namespace
}  // namespace lightning
