#include "run/run_file.h"

#include <algorithm>
#include <new>

#include "base/epoch.h"
#include "run/fences.h"
#include "run/leaf_page.h"
#include "run/page_batch.h"
#include "run/run_cursor.h"
#include "run/run_index.h"
#include "run/run_pages.h"
#include "run/run_ranges.h"

namespace lightning {

namespace {

/// Of a locator: the page was just read for it, which counts as its use.
constexpr uint64_t kJustRead = uint64_t{1} << 32;

Status damaged(const std::string& name, std::string_view what, uint64_t offset) {
  return Status(StatusCode::corruption, what, name, offset);
}

Status read_exactly(File& file, const std::string& name, uint64_t offset, char* to, uint64_t size) {
  Result<uint64_t> read = file.read(offset, to, size);
  if (!read) return read.status();
  return *read == size ? Status() : damaged(name, "the file is cut", offset + *read);
}

/// Sizes that contradict one another would lead out of the file.
bool footer_is_sound(const Footer& footer, uint64_t size) {
  const uint64_t sections_end = size - kUnitBytes;
  const bool has_index = (footer.features & kFeaturePointIndex) != 0;
  const uint64_t pages = has_index ? index_pages(footer.index_buckets) : 0;
  return footer.file_bytes == size && size % kUnitBytes == 0 &&
         (footer.leaf_bytes == kSmallLeafBytes || footer.leaf_bytes == kLargeLeafBytes) &&
         footer.leaves_end >= kUnitBytes && footer.leaves_end % kUnitBytes == 0 &&
         footer.leaves_end <= footer.index_offset && footer.index_offset % kUnitBytes == 0 &&
         footer.index_offset <= footer.fences_offset && footer.fences_offset % kUnitBytes == 0 &&
         footer.index_buckets <= UINT32_MAX && has_index == (footer.index_buckets != 0) &&
         pages == (footer.fences_offset - footer.index_offset) / kUnitBytes &&
         footer.fences_offset <= sections_end && footer.fences_bytes <= sections_end - footer.fences_offset &&
         ranges_are_sound(footer, sections_end) && values_are_sound(footer, sections_end) &&
         table_is_sound(footer, sections_end);
}

Status read_footer(File& file, const std::string& name, const RunFileInfo& info, Footer* footer) {
  Result<uint64_t> size = file.size();
  if (!size) return size.status();
  if (*size != info.size || *size < kUnitBytes) return damaged(name, "the file's size", Status::kWholeFile);
  const uint64_t offset = *size - kUnitBytes;
  if (Status s = read_exactly(file, name, offset, reinterpret_cast<char*>(footer), sizeof(Footer)); !s.ok())
    return s;
  if (footer->magic != kRunMagic) return damaged(name, "footer magic", offset);
  const uint64_t sum = checksum(footer, offsetof(Footer, checksum), page_seed(info.id, kFooterSeed));
  if (sum != footer->checksum) return damaged(name, "footer checksum", offset);
  if (sum != info.footer_hash) return damaged(name, "not the file that the manifest names", offset);
  if (footer->format_version > kRunFormatVersion || (footer->features & ~kKnownFeatures) != 0) {
    return Status(StatusCode::not_supported, "written by a later version of Lightning DB", name, offset);
  }
  return footer_is_sound(*footer, *size) ? Status() : damaged(name, "footer", offset);
}

Status read_fences(File& file, const std::string& name, const Footer& footer, Fences* fences) {
  std::unique_ptr<char[]> section(new char[footer.fences_bytes]);
  if (Status s = read_exactly(file, name, footer.fences_offset, section.get(), footer.fences_bytes); !s.ok())
    return s;
  const uint64_t seed = page_seed(footer.file_id, footer.fences_offset / kUnitBytes);
  if (checksum(section.get(), footer.fences_bytes, seed) != footer.fences_checksum) {
    return damaged(name, "fences checksum", footer.fences_offset);
  }
  const uint64_t numbers_end = has_page_table(footer) ? footer.pages_end : footer.leaves_end;
  if (!fences->load(std::move(section), footer.fences_bytes, numbers_end) ||
      fences->leaves() != footer.leaves) {
    return damaged(name, "fences", footer.fences_offset);
  }
  return Status();
}

Status read_table(File& file, const std::string& name, const Footer& footer, const Fences& fences,
                  PageTable* table) {
  if (!has_page_table(footer)) return {};
  std::string section(footer.table_bytes, '\0');
  if (Status s = read_exactly(file, name, footer.table_offset, section.data(), section.size()); !s.ok())
    return s;
  const uint64_t seed = page_seed(footer.file_id, footer.table_offset / kUnitBytes);
  if (checksum(section.data(), section.size(), seed) != footer.table_checksum) {
    return damaged(name, "page table checksum", footer.table_offset);
  }
  bool sound = table->load(section, footer.leaves_end) && table->pages() == fences.leaves();
  for (uint32_t leaf = 0; sound && leaf < fences.leaves(); ++leaf) sound = table->has(fences.page(leaf));
  return sound ? Status() : damaged(name, "page table", footer.table_offset);
}

Status read_ranges(File& file, const std::string& name, const Footer& footer, RunRanges* ranges) {
  if (footer.range_removals == 0) return Status();
  std::unique_ptr<char[]> section(new char[footer.ranges_bytes]);
  if (Status s = read_exactly(file, name, footer.ranges_offset, section.get(), footer.ranges_bytes); !s.ok())
    return s;
  const uint64_t seed = page_seed(footer.file_id, footer.ranges_offset / kUnitBytes);
  if (checksum(section.get(), footer.ranges_bytes, seed) != footer.ranges_checksum) {
    return damaged(name, "range removals checksum", footer.ranges_offset);
  }
  return ranges->load(std::move(section), footer) ? Status()
                                                  : damaged(name, "range removals", footer.ranges_offset);
}

/// Do the keys of the file and its range removals begin and end where the manifest says?
bool spans(const RunFileInfo& info, const Fences& fences, const RangeMap& removals) {
  if (removals.size() != info.range_removals) return false;
  std::string_view smallest = fences.smallest();
  std::string_view largest = fences.largest();
  bool excluded = false;
  if (!removals.empty()) {
    smallest = std::min(smallest, removals.from(0));
    const std::string_view end = removals.to(removals.size() - 1);
    excluded = end > largest;
    largest = std::max(largest, end);
  }
  return smallest == info.smallest && largest == info.largest && excluded == info.largest_excluded;
}

Status read_values(File& file, const std::string& name, const Footer& footer, ValueFiles* files,
                   ValueList* values) {
  if (footer.values_bytes == 0) return Status();
  std::string section(footer.values_bytes, '\0');
  if (Status s = read_exactly(file, name, footer.values_offset, section.data(), section.size()); !s.ok())
    return s;
  const uint64_t seed = page_seed(footer.file_id, footer.values_offset / kUnitBytes);
  if (checksum(section.data(), section.size(), seed) != footer.values_checksum) {
    return damaged(name, "value list checksum", footer.values_offset);
  }
  if (!values->load(section) || values->value_bytes() != footer.value_bytes) {
    return damaged(name, "value list", footer.values_offset);
  }
  if (files == nullptr) return Status(StatusCode::invalid_argument, "values in value files", name, 0);
  return values->open(*files);
}

/// Is hardly anything beside the leaves? Values outside of them are in the system's cache alone.
bool mostly_leaves(const Footer& footer, const PageTable& table) {
  const uint64_t leaves = table.size() != 0 ? table.stored_bytes() : footer.leaves * footer.leaf_bytes;
  return leaves >= footer.leaves_end / 4 * 3;
}

}  // namespace

RunFile::RunFile() = default;
RunFile::~RunFile() = default;

const RangeMap& RunFile::removals() const { return ranges_->map(); }

Result<std::shared_ptr<const RunFile>> RunFile::open(Directory& directory, const RunFileInfo& info,
                                                     bool mapped, ValueFiles* values, PageCache* cache,
                                                     bool directly) try {
  const std::string name = run_file_name(info.id);
  Result<std::unique_ptr<File>> file = directory.open(name, OpenMode::read);
  if (!file) {
    return file.status().is(StatusCode::not_found) ? damaged(name, "the file is missing", Status::kWholeFile)
                                                   : file.status();
  }
  std::shared_ptr<RunFile> run(new RunFile());
  run->info_ = info;
  run->directly_ = directly;
  run->footer_ = std::make_unique<Footer>();
  if (Status s = read_footer(**file, name, info, run->footer_.get()); !s.ok()) return s;
  run->locator_offset_bits_ = locator_offset_bits(run->footer_->leaf_bytes);
  run->fences_ = std::make_unique<Fences>();
  if (Status s = read_fences(**file, name, *run->footer_, run->fences_.get()); !s.ok()) return s;
  run->ranges_ = std::make_unique<RunRanges>();
  if (Status s = read_ranges(**file, name, *run->footer_, run->ranges_.get()); !s.ok()) return s;
  if (!spans(info, *run->fences_, run->removals())) {
    return damaged(name, "key range", run->footer_->fences_offset);
  }
  if (Status s = read_values(**file, name, *run->footer_, values, &run->values_); !s.ok()) return s;
  if (run->values_.value_bytes() != info.value_bytes) {
    return damaged(name, "bytes in value files", run->footer_->values_offset);
  }
  if (Status s = read_table(**file, name, *run->footer_, *run->fences_, &run->table_); !s.ok()) return s;
  if (directly && !mapped && mostly_leaves(*run->footer_, run->table_)) (*file)->read_directly();
  Result<std::unique_ptr<RunPages>> pages =
      RunPages::create(*std::move(file), name, *run->footer_, run->values_, run->table_, mapped, cache);
  if (!pages) return pages.status();
  run->pages_ = *std::move(pages);
  return std::shared_ptr<const RunFile>(std::move(run));
} catch (const std::bad_alloc&) {
  return Status(StatusCode::out_of_memory, "to open a run file");
}

uint64_t RunFile::memory_bytes() const {
  return sizeof(*this) + info_.smallest.capacity() + info_.largest.capacity() + sizeof(Footer) +
         pages_->memory_bytes() + fences_->memory_bytes() + ranges_->memory_bytes() + values_.memory_bytes() +
         table_.memory_bytes();
}

uint64_t RunFile::fence_bytes() const { return fences_->memory_bytes(); }

uint64_t RunFile::mapped_bytes() const { return pages_->mapped_bytes(); }

bool RunFile::mapped() const { return pages_->mapped(); }

void RunFile::count_cached(uint64_t* leaf_bytes, uint64_t* index_bytes) const {
  pages_->count_cached(leaf_bytes, index_bytes);
}

uint8_t RunFile::codec() const { return static_cast<uint8_t>(footer_->codec); }

uint64_t RunFile::unpacked_bytes() const { return footer_->pages_end; }

Status RunFile::faulted() const { return pages_->faulted() ? pages_->fault() : Status(); }

// Point reads. A page that had to be read is kept by the hit that it is read for.

namespace {

RunFile::Found fail(RunFile::Hit* hit, Status status) {
  hit->status = std::move(status);
  return RunFile::Found::error;
}

}  // namespace

void RunFile::prefetch(uint64_t hash) const {
  const uint64_t buckets = footer_->index_buckets;
  if (buckets != 0) pages_->prefetch_bucket(first_bucket(hash, buckets));
}

RunFile::Found RunFile::absent(Hit* hit) const {
  return pages_->faulted() ? fail(hit, pages_->fault()) : Found::absent;
}

namespace {

// What a leaf does not hold at hand is away, and no error.
RunFile::Found not_read(const RunFile::Hit& hit) {
  return hit.status.ok() ? RunFile::Found::away : RunFile::Found::error;
}

}  // namespace

// A value in a page that is not the mapping's outlives it: a long one by a copy of its own.
RunFile::Found RunFile::keep_value(Hit* hit) const {
  if (hit->value.size() <= kCopiedValueBytesMax) return Found::found;
  try {
    std::shared_ptr<char[]> copy(new char[hit->value.size()]);
    std::copy(hit->value.begin(), hit->value.end(), copy.get());
    hit->value = {copy.get(), hit->value.size()};
    hit->owner = std::move(copy);
    return Found::found;
  } catch (const std::bad_alloc&) {
    return fail(hit, Status(StatusCode::out_of_memory, "a value"));
  }
}

// The version of a key's entry that the read sees.
inline RunFile::Found RunFile::read_entry(const LeafEntry& entry, const RunPages::Page& page,
                                          uint64_t read_lsn, Hit* hit) const {
  LeafVersion version;
  const Visible visible = visible_version(entry, read_lsn, &version);
  if (visible == Visible::none) return absent(hit);
  if (visible == Visible::damage) {
    return fail(hit, pages_->corruption("entry", pages_->offset_of(page, entry.suffix.data())));
  }
  hit->kind = version.kind();
  hit->lsn = version.lsn;
  hit->value = version.bytes;
  if (version.outside()) {
    const ValueRef ref = version.ref();
    if (!pages_->maps_leaves()) hit->owner.reset();  // of the page
    if (!pages_->value(ref, version.value_size, &hit->value, &hit->owner, &hit->status))
      return not_read(*hit);
  }
  if (pages_->faulted()) return fail(hit, pages_->fault());
  return !pages_->maps_leaves() && !version.outside() ? keep_value(hit) : Found::found;
}

inline RunFile::Found RunFile::read_at(uint64_t locator, std::string_view key, uint64_t read_lsn, Hit* hit,
                                       bool* same_key, RunPages::Use use) const {
  *same_key = false;
  const uint64_t page_number = locator_page(locator, locator_offset_bits_);
  const uint64_t offset = locator_offset(locator, locator_offset_bits_);
  RunPages::Page page;
  if (!pages_->leaf(page_number, &page, &hit->owner, &hit->status, use)) return not_read(*hit);
  LeafPage leaf;
  LeafEntry entry;
  if (!leaf.parse(page.data, page.size) || !leaf.entry_at(offset, &entry)) {
    return fail(hit, pages_->corruption("entry", pages_->offset_of(page, page.data + offset)));
  }
  if (!leaf.matches(entry, key)) return Found::absent;
  *same_key = true;
  return read_entry(entry, page, read_lsn, hit);
}

// What nearly every locator leads to: a page that was verified before, the key, and one version beside it.
// False, and nothing said, where anything is otherwise.
inline bool RunFile::read_plain(uint64_t locator, std::string_view key, Hit* hit) const {
  const char* page = pages_->verified_leaf(locator_page(locator, locator_offset_bits_));
  LeafPage leaf;
  LeafEntry entry;
  if (page == nullptr || !leaf.parse(page, pages_->leaf_bytes()) ||
      !leaf.entry_at(locator_offset(locator, locator_offset_bits_), &entry) || !leaf.matches(entry, key) ||
      (entry.flags & ~kEntryKindMask) != 0) [[unlikely]] {
    return false;
  }
  hit->kind = entry.kind();
  hit->lsn = kSettledLsn;
  hit->value = entry.body;
  return !pages_->faulted();
}

RunFile::Found RunFile::find(std::string_view key, uint64_t hash, uint64_t read_lsn, Hit* hit) const {
  if (hit->owner != nullptr) [[unlikely]]
    hit->owner.reset();
  const uint64_t buckets = footer_->index_buckets;
  const char* bucket = buckets != 0 ? pages_->verified_bucket(first_bucket(hash, buckets)) : nullptr;
  if (bucket != nullptr) [[likely]] {
    const uint16_t print = fingerprint(hash);
    if (const uint32_t locator = BucketMatches(bucket, print).next(); locator != 0) {
      if (read_plain(locator, key, hit)) [[likely]]
        return Found::found;
    } else if (!bucket_overflowed(bucket, print)) {
      return absent(hit);
    }
  }
  return find_anywhere(key, hash, read_lsn, hit);
}

RunFile::Found RunFile::find_anywhere(std::string_view key, uint64_t hash, uint64_t read_lsn,
                                      Hit* hit) const {
  const uint64_t buckets = footer_->index_buckets;
  if (buckets == 0) {
    // Fences may have to ask several leaves.
    return !pages_->maps_leaves() && inside_epoch() ? Found::away : find_in_order(key, read_lsn, hit);
  }
  const uint16_t print = fingerprint(hash);
  uint64_t number = first_bucket(hash, buckets);
  for (bool second = false;; second = true) {
    RunBucket copy;
    const char* bucket = pages_->bucket(number, &copy, &hit->status);
    if (bucket == nullptr) return not_read(*hit);
    BucketMatches matches(bucket, print);
    while (const uint32_t locator = matches.next()) {
      bool same_key;
      const Found found = read_at(locator, key, read_lsn, hit, &same_key);
      if (same_key || found >= Found::error) return found;
    }
    if (second || !bucket_overflowed(bucket, print)) return absent(hit);
    number = second_bucket(hash, buckets);
  }
}

RunFile::Found RunFile::find_in_order(std::string_view key, uint64_t read_lsn, Hit* hit) const {
  uint32_t number;
  if (Status s = find_leaf(key, &number); !s.ok()) return fail(hit, std::move(s));
  RunPages::Page page;
  if (!pages_->leaf(fences_->page(number), &page, &hit->owner, &hit->status)) return Found::error;
  LeafPage leaf;
  LeafEntry entry;
  bool exact = false;
  int64_t slot = -1;
  if (leaf.parse(page.data, page.size)) slot = leaf.lower_bound(key, &exact);
  if (slot < 0 || (exact && !leaf.entry(static_cast<uint32_t>(slot), &entry))) {
    return fail(hit, pages_->corruption("leaf", pages_->offset_of(page, page.data)));
  }
  return exact ? read_entry(entry, page, read_lsn, hit) : absent(hit);
}

uint64_t RunFile::locate(uint64_t hash) const {
  const uint64_t buckets = footer_->index_buckets;
  if (buckets == 0 || !pages_->mapped()) return kUnknownPlace;
  const uint16_t print = fingerprint(hash);
  uint64_t number = first_bucket(hash, buckets);
  for (bool second = false;; second = true) {
    RunBucket copy;
    Status status;
    const char* bucket = pages_->bucket(number, &copy, &status);
    if (bucket == nullptr) return kUnknownPlace;  // find() says what is wrong
    if (const uint32_t locator = BucketMatches(bucket, print).next(); locator != 0) {
      if (pages_->compressed()) return locator;
      const uint64_t leaf = locator_page(locator, locator_offset_bits_) * kUnitBytes;
      const uint64_t entry = leaf + locator_offset(locator, locator_offset_bits_);
      pages_->prefetch(leaf);
      pages_->prefetch(entry);
      pages_->prefetch(entry + 64);
      return locator;
    }
    if (second || !bucket_overflowed(bucket, print)) break;
    number = second_bucket(hash, buckets);
  }
  return pages_->faulted() ? kUnknownPlace : kNotHere;
}

bool RunFile::want(uint64_t hash, PageBatch* batch) const {
  const uint64_t buckets = footer_->index_buckets;
  return buckets != 0 && pages_->want_bucket(first_bucket(hash, buckets), batch);
}

uint64_t RunFile::locate_in(uint64_t hash, bool comes, PageBatch* leaves) const {
  const uint64_t buckets = footer_->index_buckets;
  if (buckets == 0 || !pages_->pooled()) return kUnknownPlace;
  const uint16_t print = fingerprint(hash);
  uint64_t number = first_bucket(hash, buckets);
  auto use = comes ? RunPages::Use::pass : RunPages::Use::keep;
  for (bool second = false;; second = true) {
    RunBucket copy;
    Status status;
    const char* bucket = pages_->bucket(number, &copy, &status, use);
    if (bucket == nullptr) return kUnknownPlace;  // find() says what is wrong
    if (const uint32_t locator = BucketMatches(bucket, print).next(); locator != 0) {
      const bool read = pages_->want_leaf(locator_page(locator, locator_offset_bits_), leaves);
      return read ? locator | kJustRead : locator;
    }
    if (second || !bucket_overflowed(bucket, print)) return kNotHere;
    number = second_bucket(hash, buckets);
    use = RunPages::Use::keep;
  }
}

RunFile::Found RunFile::read_just_read(uint64_t locator, std::string_view key, uint64_t read_lsn, Hit* hit,
                                       bool* same_key) const {
  return read_at(locator & (kJustRead - 1), key, read_lsn, hit, same_key, RunPages::Use::pass);
}

RunFile::Found RunFile::find_at(uint64_t locator, std::string_view key, uint64_t hash, uint64_t read_lsn,
                                Hit* hit) const {
  if (locator == kNotHere) return Found::absent;
  if (locator != kUnknownPlace) {
    if (hit->owner != nullptr) hit->owner.reset();
    bool same_key;
    const Found found = locator < kJustRead ? read_at(locator, key, read_lsn, hit, &same_key)
                                            : read_just_read(locator, key, read_lsn, hit, &same_key);
    if (same_key || found >= Found::error) return found;
  }
  return find(key, hash, read_lsn, hit);
}

// Ordered reads.

namespace {

class FirstKeys final : public LeafKeys {
 public:
  FirstKeys(const RunPages& pages, const Fences& fences) : pages_(pages), fences_(fences) {}

  Status compare_first_key(uint32_t number, std::string_view key, int* order) const override {
    RunPages::Page page;
    RunPages::Owner owner;
    Status status;
    if (!pages_.leaf(fences_.page(number), &page, &owner, &status)) return status;
    LeafPage leaf;
    LeafEntry entry;
    if (!leaf.parse(page.data, page.size) || !leaf.entry(0, &entry)) {
      return pages_.corruption("leaf", pages_.offset_of(page, page.data));
    }
    const std::string_view prefix = leaf.prefix();
    *order = prefix.compare(key.substr(0, prefix.size()));
    if (*order == 0) *order = entry.suffix.compare(key.substr(prefix.size()));
    return status;
  }

 private:
  const RunPages& pages_;
  const Fences& fences_;
};

}  // namespace

Status RunFile::find_leaf(std::string_view key, uint32_t* leaf) const {
  return fences_->find(key, FirstKeys(*pages_, *fences_), leaf);
}

void RunFile::prefetch_seek(std::string_view key) const {
  uint32_t leaf;
  if (pages_->mapped() && !pages_->compressed() && find_leaf(key, &leaf).ok())
    RunCursor::prefetch_leaf(*pages_, fences_->page(leaf));
}

std::unique_ptr<SourceCursor> RunFile::cursor(uint64_t read_lsn) const {
  return std::unique_ptr<SourceCursor>(new (std::nothrow) RunCursor(*this, read_lsn));
}

uint64_t RunFile::bytes_before(std::string_view key) const {
  if (key <= fences_->smallest()) return 0;
  uint32_t leaf;
  if (key > fences_->largest() || !find_leaf(key, &leaf).ok()) return footer_->leaves_end;
  return pages_->leaf_offset(fences_->page(leaf));
}

uint64_t RunFile::approximate_bytes(std::string_view from, std::string_view to) const {
  const uint64_t start = bytes_before(from);
  const uint64_t end = bytes_before(to);
  return end > start ? end - start : 0;
}

uint64_t RunFile::approximate_value_bytes(std::string_view from, std::string_view to) const {
  if (values_.size() == 0) return 0;
  const double share =
      static_cast<double>(approximate_bytes(from, to)) / static_cast<double>(footer_->leaves_end);
  return static_cast<uint64_t>(share * static_cast<double>(values_.value_bytes()));
}

}  // namespace lightning
