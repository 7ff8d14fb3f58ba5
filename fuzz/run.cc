// Run: a run file of any bytes. What opens must answer without a fault; what verifies must give the same
// answers by point reads, staged point reads, and walks and seeks in both directions.
#include <algorithm>
#include <optional>

#include "fuzz/pages.h"
#include "fuzz/target.h"
#include "run/leaf_builder.h"
#include "run/leaf_page.h"
#include "run/run_format.h"
#include "run/run_ranges.h"
#include "run/run_test_support.h"
#include "run/stored_page.h"

namespace lightning::fuzz {
namespace {

constexpr uint64_t kReadLsn = 500;
constexpr uint64_t kPlacedValueSize = 200;

std::string placed_value() { return std::string(kPlacedValueSize, 'p'); }

/// The value file that runs may refer to, as place_value() makes it of that value.
const std::string& value_file_bytes() {
  static const std::string bytes = "?" + placed_value();
  return bytes;
}

bool inside(uint64_t offset, uint64_t size, uint64_t end) { return offset <= end && size <= end - offset; }

std::optional<Footer> footer_of(std::string_view file) {
  if (file.size() < kUnitBytes) return std::nullopt;
  return load<Footer>(file.data() + file.size() - kUnitBytes);
}

void add_ranges(const Footer& footer, std::string_view file, RunFileInfo* info) {
  info->range_removals = footer.range_removals;
  if (!inside(footer.ranges_offset, footer.ranges_bytes, file.size())) return;
  auto section = std::make_unique<char[]>(footer.ranges_bytes);
  std::copy_n(file.data() + footer.ranges_offset, footer.ranges_bytes, section.get());
  RunRanges ranges;
  if (footer.range_removals == 0 || !ranges.load(std::move(section), footer)) return;
  info->smallest = std::min<std::string>(info->smallest, std::string(ranges.map().from(0)));
  const std::string_view to = ranges.map().to(ranges.map().size() - 1);
  if (to <= info->largest) return;
  info->largest = to;
  info->largest_excluded = true;
}

/// What a manifest would say of the file, as far as the file says it itself.
RunFileInfo info_of(std::string_view file) {
  RunFileInfo info;
  info.id = kTestRunId;
  info.size = file.size();
  const std::optional<Footer> footer = footer_of(file);
  if (!footer) return info;
  info.footer_hash = footer->checksum;
  info.entries = footer->entries;
  info.removals = footer->removals;
  info.raw_bytes = footer->raw_bytes;
  info.value_bytes = footer->value_bytes;
  info.lsn_min = footer->lsn_min;
  info.lsn_max = footer->lsn_max;
  info.expiry = footer->expiry;
  if (!inside(footer->fences_offset, footer->fences_bytes, file.size()) ||
      footer->fences_bytes < sizeof(FencesHeader)) {
    return info;
  }
  const std::string_view section = file.substr(footer->fences_offset, footer->fences_bytes);
  const auto header = load<FencesHeader>(section.data());
  const uint64_t bounds = uint64_t{header.smallest_size} + header.largest_size;
  if (bounds > section.size()) return info;
  info.smallest = section.substr(section.size() - bounds, header.smallest_size);
  info.largest = section.substr(section.size() - header.largest_size);
  add_ranges(*footer, file, &info);
  return info;
}

struct Shown {
  std::string key;
  std::string text;  // as found_text() has it
};

std::string text_of(const SourceCursor& cursor, const Version& version) {
  const std::string lsn = "@" + std::to_string(version.lsn);
  return cursor.kind() == EntryKind::remove ? "removed" + lsn : "=" + std::string(cursor.value()) + lsn;
}

/// What the cursor is on. The version that it shows is the newest below the read LSN.
Shown shown(SourceCursor& cursor) {
  const std::string key(cursor.key());
  std::vector<Version> versions;
  cursor.collect_versions(&versions);
  for (const Version& version : versions) {
    if (version.lsn == kSettledLsn || version.lsn < kReadLsn) return {key, text_of(cursor, version)};
  }
  return {key, "nothing visible"};
}

/// Walks to the end; no longer than the file has entries.
std::vector<Shown> walk(const RunFile& run, bool forward) {
  const std::unique_ptr<SourceCursor> cursor = run.cursor(kReadLsn);
  std::vector<Shown> all;
  forward ? cursor->seek_first() : cursor->seek_last();
  for (uint64_t left = kFileBytesMax; cursor->valid(); --left) {
    expect(left > 0, "a walk that does not end");
    all.push_back(shown(*cursor));
    forward ? cursor->next() : cursor->prev();
  }
  if (!cursor->status().ok()) all.push_back({"", std::string(status_code_name(cursor->status().code()))});
  return all;
}

void check_seek(SourceCursor& cursor, std::string_view key, const Shown* expected, bool forward) {
  forward ? cursor.seek(key) : cursor.seek_for_prev(key);
  expect(cursor.status().ok() && cursor.valid() == (expected != nullptr), "a seek in a sound file");
  if (expected == nullptr) return;
  const Shown found = shown(cursor);
  expect(found.key == expected->key && found.text == expected->text, "a seek leads elsewhere");
}

/// All reads of a file that verified against one another.
void check_sound(const RunFile& run) {
  const std::vector<Shown> all = walk(run, true);
  std::vector<Shown> backward = walk(run, false);
  std::ranges::reverse(backward);
  expect(
      std::ranges::equal(all, backward,
                         [](const Shown& a, const Shown& b) { return a.key == b.key && a.text == b.text; }),
      "the walks differ");
  const std::unique_ptr<SourceCursor> cursor = run.cursor(kReadLsn);
  for (size_t i = 0; i < all.size(); ++i) {
    const Shown& here = all[i];
    const Shown* const next = i + 1 < all.size() ? &all[i + 1] : nullptr;
    expect(next == nullptr || here.key < next->key, "keys that do not ascend");
    expect(found_text(run, here.key, kReadLsn) == here.text, "find() and the walk differ");
    expect(found_text(run, here.key, kReadLsn, true) == here.text, "find_at() and the walk differ");
    check_seek(*cursor, here.key, &here, true);
    check_seek(*cursor, here.key, &here, false);
    const std::string behind = here.key + '\0';
    const bool there = next != nullptr && next->key == behind;
    check_seek(*cursor, behind, next, true);
    if (!there) check_seek(*cursor, behind, &here, false);
    expect(there || found_text(run, behind, kReadLsn) == "absent", "a key that is not there is found");
  }
  const RangeMap& removals = run.removals();
  for (size_t i = 0; i < removals.size(); ++i) {
    const std::string_view from = removals.from(i);
    expect(removals.find(from) == i && removals.newest(from, kReadAllLsn) == removals.lsns(i)[0],
           "a range removal is not found");
    const Cover cover = removals.cover(from, kReadLsn);
    expect(cover.reaches(from) && cover.covered == (removals.newest(from, kReadLsn) != 0), "a cover differs");
  }
}

/// Answers of a file that did not verify: any, but without a fault and in bounded time.
void read_damaged(const RunFile& run) {
  for (const bool forward : {true, false}) {
    for (const Shown& entry : walk(run, forward)) {
      found_text(run, entry.key, kReadLsn);
      found_text(run, entry.key + '\0', kReadLsn, true);
    }
  }
  run.approximate_bytes(run.info().smallest, run.info().largest);
}

enum class Way { mapped, read, pooled };

bool run_file(std::string_view file, Way way) {
  MemoryDirectory directory;
  expect((*directory.open(run_file_name(kTestRunId), OpenMode::create))->write(0, file).ok(),
         "write into memory");
  const std::string values = test_value_file_name(kTestValueFile);
  expect((*directory.open(values, OpenMode::create))->write(0, value_file_bytes()).ok(), "write into memory");
  const std::shared_ptr<PageCache> cache = cache_of_frames(2);
  const Result<std::shared_ptr<const RunFile>> opened =
      open_run(directory, info_of(file), way == Way::mapped, way != Way::read ? cache.get() : nullptr);
  const auto is_damage = [](const Status& status) {
    return status.is(StatusCode::corruption) || status.is(StatusCode::not_supported);
  };
  if (!opened) {
    expect(is_damage(opened.status()), "the kind of error of open()");
    return false;
  }
  if (Status status = (*opened)->verify(); !status.ok()) {
    expect(is_damage(status) && (status.file() == run_file_name(kTestRunId) || status.file() == values),
           "the kind of error of verify()");
    read_damaged(**opened);
    return false;
  }
  check_sound(**opened);
  return true;
}

bool run(std::string_view input) {
  const std::string file = unpack(input);
  const bool mapped = run_file(file, Way::mapped);
  expect(run_file(file, Way::read) == mapped,
         "a file is sound only when it is mapped, or only when it is not");
  expect(run_file(file, Way::pooled) == mapped,
         "a file is sound only when it is pooled, or only when it is not");
  return mapped;
}

/// Checksums from the values upwards; a part that leads out of the file stays as it is.
class Mender {
 public:
  Mender(std::string& file, Footer& footer) : file_(file), footer_(footer) {}

  void mend() {
    if (inside(footer_.values_offset, footer_.values_bytes, file_.size()))
      (void)values_.load({file_.data() + footer_.values_offset, footer_.values_bytes});
    mend_leaves();
    for (uint64_t at = footer_.index_offset;
         at < footer_.fences_offset && inside(at, kUnitBytes, file_.size()); at += kUnitBytes) {
      seal_page(file_.data() + at, kUnitBytes, kTestRunId, at / kUnitBytes);
    }
    if (inside(footer_.fences_offset, footer_.fences_bytes, file_.size())) {
      footer_.fences_checksum = checksum(file_.data() + footer_.fences_offset, footer_.fences_bytes,
                                         page_seed(footer_.file_id, footer_.fences_offset / kUnitBytes));
    }
    if (inside(footer_.ranges_offset, footer_.ranges_bytes, file_.size())) {
      footer_.ranges_checksum = checksum(file_.data() + footer_.ranges_offset, footer_.ranges_bytes,
                                         page_seed(footer_.file_id, footer_.ranges_offset / kUnitBytes));
      if (footer_.range_removals == 0) footer_.ranges_checksum = 0;
    }
    if (footer_.values_bytes != 0 && inside(footer_.values_offset, footer_.values_bytes, file_.size())) {
      footer_.values_checksum = checksum(file_.data() + footer_.values_offset, footer_.values_bytes,
                                         page_seed(footer_.file_id, footer_.values_offset / kUnitBytes));
    }
    if (footer_.table_bytes != 0 && inside(footer_.table_offset, footer_.table_bytes, file_.size())) {
      footer_.table_checksum = checksum(file_.data() + footer_.table_offset, footer_.table_bytes,
                                        page_seed(footer_.file_id, footer_.table_offset / kUnitBytes));
    }
    footer_.checksum = checksum(&footer_, offsetof(Footer, checksum), page_seed(kTestRunId, kFooterSeed));
  }

 private:
  void mend_leaves() {
    const uint64_t fences = footer_.fences_offset;
    if (!inside(fences, sizeof(FencesHeader), file_.size())) return;
    const uint64_t leaves = load<FencesHeader>(file_.data() + fences).leaves;
    if (leaves > kFileBytesMax / kUnitBytes) return;
    const uint64_t pages = fences + sizeof(FencesHeader) + fence_blocks(leaves) * 8 + leaves * 12 + 4;
    if (!inside(pages, leaves * 2, file_.size())) return;
    uint64_t hash = 0;
    for (uint64_t leaf = 0; leaf < leaves; ++leaf) {
      const uint64_t number = load<uint16_t>(file_.data() + pages + leaf * 2);
      uint64_t offset = number * kUnitBytes;
      if (!(has_page_table(footer_) ? mend_stored(number, &offset) : mend_leaf(number))) return;
      hash = add_leaf_hash(hash, file_.data() + offset);
    }
    footer_.leaves_hash = hash;
  }

  /// Of a file with a page table: what stands there, its checksum anew. Values in it are left as they are.
  bool mend_stored(uint64_t number, uint64_t* offset) {
    const uint64_t place = footer_.table_offset + number / PageTable::kStep * sizeof(uint64_t);
    if (!inside(footer_.table_offset, footer_.table_bytes, file_.size()) ||
        !inside(place, sizeof(uint64_t), footer_.table_offset + footer_.table_bytes)) {
      return false;
    }
    const uint64_t item = load<uint64_t>(file_.data() + place);
    *offset = table_offset(item);
    const uint64_t bytes = table_bytes(item);
    if (bytes < sizeof(PageHeader) || !inside(*offset, bytes, file_.size())) return false;
    seal_page(file_.data() + *offset, bytes, kTestRunId, number);
    return true;
  }

  bool mend_leaf(uint64_t number) {
    const uint64_t offset = number * kUnitBytes;
    if (!inside(offset, sizeof(PageHeader), file_.size())) return false;
    char* const page = file_.data() + offset;
    const auto header = load<PageHeader>(page);
    const uint64_t size = header.kind == PageKind::jumbo ? header.units * kUnitBytes : footer_.leaf_bytes;
    if (size < kUnitBytes || !inside(offset, size, file_.size())) return false;
    LeafPage leaf;
    if (leaf.parse(page, size)) {
      for (uint32_t slot = 0; slot < leaf.count(); ++slot) mend_entry(leaf, slot);
    }
    seal_page(page, size, kTestRunId, number);
    return true;
  }

  void mend_entry(const LeafPage& leaf, uint32_t slot) {
    LeafEntry entry;
    if (!leaf.entry(slot, &entry)) return;
    if ((entry.flags & kEntryVersioned) == 0) {
      return mend_value({kSettledLsn, entry.flags, entry.value_size, entry.body});
    }
    VersionReader versions(entry.body);
    LeafVersion version;
    while (versions.ok() && versions.left() > 0 && versions.next(&version)) mend_value(version);
  }

  void mend_value(const LeafVersion& version) {
    if (!version.outside()) return;
    ValueRef ref = version.ref();
    if ((ref.offset & kInValueFile) != 0) return mend_placed_value(version, ref);
    if (!inside(ref.offset, version.value_size, file_.size())) return;
    ref.checksum =
        checksum(file_.data() + ref.offset, version.value_size, value_seed(kTestRunId, ref.offset));
    store(const_cast<char*>(version.bytes.data()), ref);
  }

  void mend_placed_value(const LeafVersion& version, ValueRef ref) {
    const uint64_t index = ref.offset & ~kInValueFile;
    if (index >= values_.size()) return;
    const ValuePlace place = values_.place(index);
    if (!inside(place.offset, place.size, value_file_bytes().size())) return;
    ref.checksum = checksum(value_file_bytes().data() + place.offset, place.size,
                            value_file_seed(place.file, place.offset));
    store(const_cast<char*>(version.bytes.data()), ref);
  }

  std::string& file_;
  Footer& footer_;
  ValueList values_;
};

void mend(std::string* input) {
  std::string file = unpack(*input);
  std::optional<Footer> footer = footer_of(file);
  if (!footer) return;
  Mender(file, *footer).mend();
  store(file.data() + file.size() - kUnitBytes, *footer);
  *input = pack(file);
}

std::string bytes_of(const RunModel& model, const RunWriterOptions& options, const RangeMap& ranges = {},
                     uint64_t large_bytes = UINT64_MAX) {
  MemoryDirectory directory;
  expect(write_run(directory, model, options, kTestRunId, ranges, large_bytes).ok(), "write_run");
  const std::vector<char>& bytes = directory.bytes(run_file_name(kTestRunId));
  return {bytes.data(), bytes.size()};
}

void seeds(const SeedSink& sink) {
  RunModel model;
  for (int i = 0; i < 4; ++i) model["key" + std::to_string(i)] = {put_of("value" + std::to_string(i))};
  sink("plain", pack(bytes_of(model, {})));
  sink("without-index", pack(bytes_of(model, {.point_index = false})));
  RangeMap ranges;
  ranges.append("key1", "key3", std::vector<uint64_t>{700, 400});
  ranges.append("key3", "l", std::vector<uint64_t>{kSettledRangeLsn});
  ranges.append("x", "z", std::vector<uint64_t>{300});
  sink("range-removals", pack(bytes_of(model, {}, ranges)));
  sink("range-removals-alone", pack(bytes_of({}, {}, ranges)));
  model["gone"] = {removal()};
  model["versions"] = {put_of("third", 900), put_of("second", 20), removal(10)};
  sink("versions", pack(bytes_of(model, {})));
  model["outside"] = {put_of(std::string(70, 'o'))};
  model["both"] = {put_of(std::string(80, 'n'), 30), put_of("inside", 20), put_of(std::string(70, 'o'))};
  sink("outside", pack(bytes_of(model, {.value_separation = 64})));
  model["expiring"] = {expiring(1000, "soon")};
  model["expiring-outside"] = {expiring(3000, std::string(70, 'o'))};
  model["expiring-versions"] = {expiring(2000, "third", 900), put_of("second", 20), expiring(500, "", 10)};
  sink("expiring", pack(bytes_of(model, {.value_separation = 64})));

  model["placed"] = {put_of(placed_value(), 40), put_of("before", 30)};
  sink("value-file", pack(bytes_of(model, {.value_separation = 64}, {}, kPlacedValueSize)));
  sink("value-file-and-ranges", pack(bytes_of(model, {.value_separation = 64}, ranges, kPlacedValueSize)));

  sink("lz4", pack(bytes_of(model, {.value_separation = 150, .compression = Compression::lz4})));
  sink("zstd", pack(bytes_of(model, {.value_separation = 150, .compression = Compression::zstd})));

  RunModel several;
  for (int i = 0; i < 150; ++i) several["prefix/" + std::to_string(100 + i)] = {put_of(std::string(60, 'v'))};
  sink("leaves", pack(bytes_of(several, {})));
  sink("leaves-lz4", pack(bytes_of(several, {.compression = Compression::lz4, .point_index = false})));
  RunModel large;
  for (int i = 0; i < 40; ++i)
    large[std::string(70, 'p') + std::to_string(10 + i)] = {put_of(std::string(500, 'v'))};
  sink("large-leaves", pack(bytes_of(large, {})));
  RunModel jumbo = {{"zjumbo", {}}};
  for (uint64_t lsn = 9; lsn > 0; --lsn) jumbo["zjumbo"].push_back(put_of(std::string(900, 'j'), lsn * 100));
  sink("jumbo", pack(bytes_of(jumbo, {})));
  for (uint64_t lsn = 990; lsn > 970; --lsn) jumbo["zlz4"].push_back(put_of(std::string(900, 'j'), lsn));
  sink("jumbo-lz4", pack(bytes_of(jumbo, {.compression = Compression::lz4})));
}

}  // namespace

const Target kTarget = {.run = run, .mend = mend, .seeds = seeds};

}  // namespace lightning::fuzz
