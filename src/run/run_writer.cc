#include "run/run_writer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"
#include "format/expiry.h"
#include "format/internal_key.h"
#include "run/run_ranges.h"

namespace lightning {

namespace {

constexpr uint64_t kValueSeparationMax = 64u << 10;
constexpr uint64_t kKeysMax = 4u << 20;  // of a file: bounds what finish() needs to 150 MB
constexpr int kVersionHeaderBytesMax = kVarint64BytesMax + 1 + kVarint32BytesMax;

Status out_of_memory() { return Status(StatusCode::out_of_memory, "to write a run file"); }

}  // namespace

RunWriter::RunWriter(std::unique_ptr<File> file, uint64_t id, const RunWriterOptions& options)
    : value_separation_(std::min(options.value_separation, kValueSeparationMax)),
      file_bytes_max_(std::min(options.file_bytes_max, kLeafStartMax)),
      wants_index_(options.point_index),
      output_(std::move(file), options.piece_bytes) {
  info_.id = id;
  info_.plain = true;
}

Result<std::unique_ptr<RunWriter>> RunWriter::create(Directory& directory, uint64_t id,
                                                     const RunWriterOptions& options) try {
  Result<std::unique_ptr<File>> file = directory.open(run_file_name(id), OpenMode::create);
  if (!file) return file.status();
  std::unique_ptr<RunWriter> writer(new RunWriter(*std::move(file), id, options));
  if (options.compression != Compression::none) {
    Result<const Codec*> codec = codec_of(codec_id(options.compression));
    if (!codec) return codec.status();
    writer->packer_ =
        std::make_unique<PagePacker>(**codec, std::min(options.compression_level, (*codec)->level_max()));
    writer->leaf_bytes_ = kLargeLeafBytes;
  }
  if (Status s = writer->output_.start(); !s.ok()) return s;
  return writer;
} catch (const std::bad_alloc&) {
  return out_of_memory();
}

uint64_t RunWriter::next_leaf_start() const {
  return packer_ != nullptr ? pages_end_ : align_up(output_.end(), leaf_room());
}

bool RunWriter::full() const {
  if (info_.entries == 0) return false;
  // The leaf in hand, and one that the next key may begin.
  return next_leaf_start() + 2 * kLargeLeafBytes > kLeafStartMax || file_bytes() >= file_bytes_max_ ||
         info_.entries >= kKeysMax;
}

uint64_t RunWriter::file_bytes() const {
  return output_.end() + leaf_.size() + (wants_index_ ? index_.file_bytes() : 0) + fences_.file_bytes() +
         ranges_.size() + values_.file_bytes() + table_.file_bytes() + kUnitBytes;
}

Status RunWriter::check(std::string_view key, std::span<const Version> versions) const {
  if (key.empty() || key.size() > kInternalKeyBytesMax) {
    return Status(StatusCode::invalid_argument, "the size of a key");
  }
  if (info_.entries > 0 && key <= (leaf_.empty() ? std::string_view(last_key_) : leaf_.last_key())) {
    return Status(StatusCode::invalid_argument, "keys of a run file must ascend");
  }
  if (full()) return Status(StatusCode::invalid_argument, "the run file is full");
  if (versions.empty()) return Status(StatusCode::invalid_argument, "a key without a version");
  for (size_t i = 0; i < versions.size(); ++i) {
    const auto kind = static_cast<uint8_t>(versions[i].kind);
    const uint64_t size = versions[i].value_size();
    if (size > kRunValueBytesMax || !known_entry_kind(kind, size))
      return Status(StatusCode::invalid_argument, "the size of a value");
    if (i > 0 && versions[i].lsn >= versions[i - 1].lsn) {
      return Status(StatusCode::invalid_argument, "a key's versions must stand newest first");
    }
  }
  return Status();
}

Status RunWriter::add(std::string_view key, std::span<const Version> versions) {
  if (!failed_.ok()) return failed_;
  try {
    failed_ = check(key, versions);
    if (failed_.ok()) failed_ = add_checked(key, versions);
  } catch (const std::bad_alloc&) {
    failed_ = out_of_memory();
  }
  return failed_;
}

Status RunWriter::add_checked(std::string_view key, std::span<const Version> versions) {
  uint64_t outside_bytes = 0;
  for (const Version& version : versions) {
    info_.raw_bytes += version.value_size();
    if (stands_here(version)) outside_bytes += align_up(version.value.size(), kValueAlignment);
    if (&version != versions.data()) info_.old_bytes += version.value_size();
  }
  if (versions.size() > 1 && versions.front().kind == EntryKind::remove) info_.old_bytes += key.size();
  info_.raw_bytes += key.size();
  info_.entries += 1;
  info_.removals += versions.front().kind == EntryKind::remove ? 1 : 0;
  if (versions.front().kind == EntryKind::put_expiring) expiries_.add(expiry_of(versions.front().value));
  if (info_.entries == 1) info_.smallest = key;

  // Values stand before their leaf, unless that would push it beyond what a locator reaches.
  if (packer_ == nullptr && output_.end() + outside_bytes + 3 * kLargeLeafBytes > kLeafStartMax)
    return add_before_values(key, versions);
  Body body;
  if (Status s = encode(versions, nullptr, &body); !s.ok()) return s;
  return add_to_leaf(key, body);
}

// Writes the leaf of a key at once and its values behind it.
Status RunWriter::add_before_values(std::string_view key, std::span<const Version> versions) {
  uint64_t anywhere = 0;
  Body body;
  const uint64_t listed = values_.values();
  if (Status s = encode(versions, &anywhere, &body); !s.ok()) return s;  // for its size
  values_.drop_from(listed);
  if (leaf_bytes_ == 0) choose_leaf_bytes(leaf_.size_with(key, body.value_size, body.bytes.size()));
  if (!leaf_.empty() && leaf_.size_with(key, body.value_size, body.bytes.size()) > leaf_bytes_) {
    if (Status s = write_leaf(); !s.ok()) return s;
  }
  const bool jumbo = leaf_.size_with(key, body.value_size, body.bytes.size()) > leaf_bytes_;
  const uint64_t page_bytes =
      jumbo ? jumbo_bytes(key.size(), body.value_size, body.bytes.size()) : leaf_bytes_;
  uint64_t values_at = next_leaf_start() + page_bytes;
  if (Status s = encode(versions, &values_at, &body); !s.ok()) return s;
  leaf_.add(key, hash_key(key), body.flags, body.value_size, body.bytes);
  if (Status s = write_leaf(); !s.ok()) return s;
  for (const Version& version : versions) {
    if (!stands_here(version)) continue;
    if (Status s = output_.align(kValueAlignment); !s.ok()) return s;
    if (Status s = output_.append(version.value); !s.ok()) return s;
  }
  return Status();
}

// Writes the ValueRef of a value that goes to *values_at (moved on) or, without that, into the file now.
Status RunWriter::put_outside(const Version& version, uint64_t* values_at, char* to) {
  ValueRef ref;
  uint64_t compressed = 0;
  if (version.place.file != 0) {
    store(to,
          ValueRef{.offset = kInValueFile | values_.add(version.place), .checksum = version.place.checksum});
    return Status();
  }
  std::string_view value = version.value;
  if (packer_ != nullptr) {
    if (const std::string_view packed = packer_->pack_value(value); !packed.empty()) {
      value = packed;
      compressed = kCompressedValue;
    }
  }
  if (values_at != nullptr) {
    ref.offset = *values_at;
    *values_at = align_up(*values_at + value.size(), kValueAlignment);
  } else {
    Result<uint64_t> placed = output_.place(value);
    if (!placed) return placed.status();
    ref.offset = *placed;
  }
  ref.checksum = checksum(value.data(), value.size(), value_seed(info_.id, ref.offset));
  ref.offset |= compressed;
  store(to, ref);
  return Status();
}

Status RunWriter::encode(std::span<const Version> versions, uint64_t* values_at, Body* body) {
  const Version& newest = versions.front();
  body->flags = static_cast<uint8_t>(newest.kind);
  body->value_size = static_cast<uint32_t>(newest.value_size());
  body->bytes = newest.value;
  if (versions.size() == 1 && newest.lsn == kSettledLsn) {
    if (!outside(newest)) return Status();
    body->flags |= kEntryOutside;
    body_bytes_.resize(sizeof(ValueRef));
    body->bytes = body_bytes_;
    return put_outside(newest, values_at, body_bytes_.data());
  }
  uint64_t size_max = kVarint32BytesMax;
  for (const Version& version : versions) {
    size_max += kVersionHeaderBytesMax + (outside(version) ? sizeof(ValueRef) : version.value.size());
  }
  info_.plain = false;
  if (size_max > kJumboBytesMax / 2)
    return Status(StatusCode::invalid_argument, "too many versions of one key");
  body_bytes_.resize(size_max);
  char* at = put_varint(body_bytes_.data(), versions.size());
  for (const Version& version : versions) {
    at = put_varint(at, version.lsn);
    *at++ = static_cast<char>(static_cast<uint8_t>(version.kind) | (outside(version) ? kEntryOutside : 0));
    at = put_varint(at, version.value_size());
  }
  for (const Version& version : versions) {
    if (outside(version)) {
      if (Status s = put_outside(version, values_at, at); !s.ok()) return s;
      at += sizeof(ValueRef);
    } else {
      at = std::copy(version.value.begin(), version.value.end(), at);
    }
  }
  body->flags = static_cast<uint8_t>(newest.kind) | kEntryVersioned;
  body->bytes = {body_bytes_.data(), static_cast<size_t>(at - body_bytes_.data())};
  body->value_size = static_cast<uint32_t>(body->bytes.size());
  return Status();
}

// By the entries in hand; `next_bytes` is the size of the next if there are none.
void RunWriter::choose_leaf_bytes(uint64_t next_bytes) {
  const uint64_t average = leaf_.empty() ? next_bytes : leaf_.size() / leaf_.entries().size();
  leaf_bytes_ = average < kLargeLeafEntryBytes ? kSmallLeafBytes : kLargeLeafBytes;
}

Status RunWriter::add_to_leaf(std::string_view key, const Body& body) {
  uint64_t size = leaf_.size_with(key, body.value_size, body.bytes.size());
  if (leaf_bytes_ == 0 && size > kSmallLeafBytes) choose_leaf_bytes(size);
  if (size > leaf_room() && !leaf_.empty()) {
    if (Status s = write_leaf(); !s.ok()) return s;
    size = leaf_.size_with(key, body.value_size, body.bytes.size());
  }
  leaf_.add(key, hash_key(key), body.flags, body.value_size, body.bytes);
  return size > leaf_room() ? write_leaf() : Status();
}

// Writes the leaf in hand, or the jumbo page of its one entry, and tells index and fences of it.
Status RunWriter::write_leaf() {
  if (leaf_bytes_ == 0) choose_leaf_bytes(0);
  if (packer_ == nullptr) {
    if (Status s = output_.align(leaf_bytes_); !s.ok()) return s;
  }
  const uint64_t page_number = next_leaf_start() / kUnitBytes;
  fences_.add(page_number, leaf_.first_key(), last_key_);
  if (Status s = packer_ == nullptr ? write_page(page_number) : write_packed(page_number); !s.ok()) return s;
  if (wants_index_) {
    for (const LeafBuilder::Entry& entry : leaf_.entries()) {
      index_.add(entry.hash, make_locator(page_number, entry.page_offset, leaf_bytes_));
    }
  }
  last_key_ = leaf_.last_key();
  leaf_.clear();
  return Status();
}

// Of a jumbo page: without a prefix its entry may need no more than a leaf has; it is larger all the same.
uint64_t RunWriter::jumbo_bytes(uint64_t key_size, uint32_t value_size, uint64_t body_size) const {
  const uint64_t size = LeafBuilder::jumbo_size(key_size, value_size, body_size);
  return std::max(align_up(size, kUnitBytes), leaf_bytes_ + kUnitBytes);
}

// Of the leaf in hand, or of its jumbo page.
uint64_t RunWriter::leaf_units() const {
  if (leaf_.size() <= leaf_bytes_) return leaf_bytes_ / kUnitBytes;
  const LeafBuilder::Entry& entry = leaf_.entries().front();
  return jumbo_bytes(entry.key_size, entry.value_size, entry.body_size) / kUnitBytes;
}

Status RunWriter::write_page(uint64_t page_number) {
  const auto units = static_cast<uint32_t>(leaf_units());
  if (leaf_.size() <= leaf_bytes_) {
    Result<char*> page = output_.page(leaf_bytes_);
    if (!page) return page.status();
    leaf_.build(*page, PageKind::leaf, units, info_.id, page_number);
    leaves_hash_ = add_leaf_hash(leaves_hash_, *page);
    return {};
  }
  std::string page(units * kUnitBytes, '\0');
  leaf_.build(page.data(), PageKind::jumbo, units, info_.id, page_number);
  leaves_hash_ = add_leaf_hash(leaves_hash_, page.data());
  return output_.append(page);
}

Status RunWriter::write_packed(uint64_t page_number) {
  const PageKind kind = leaf_.size() <= leaf_bytes_ ? PageKind::leaf : PageKind::jumbo;
  const auto units = static_cast<uint32_t>(leaf_units());
  page_.assign(units * kUnitBytes, '\0');
  leaf_.build(page_.data(), kind, units, info_.id, page_number);
  const std::string_view packed = packer_->pack(page_.data(), page_.size(), info_.id, page_number);
  LIGHTNING_INVARIANT(
      "what a builder built has a dense form",
      kind == PageKind::jumbo || leaf_.entries().size() == 1 || load<PageHeader>(packed.data()).dense != 0);
  leaves_hash_ = add_leaf_hash(leaves_hash_, packed.data());
  if (Status s = output_.align(kValueAlignment); !s.ok()) return s;
  table_.add(page_number, output_.end(), packed.size());
  pages_end_ += align_up(page_.size(), leaf_bytes_);
  return output_.append(packed);
}

Status RunWriter::add_range(std::string_view from, std::string_view to, std::span<const uint64_t> lsns) {
  if (!failed_.ok()) return failed_;
  if (from >= to || lsns.empty() || (info_.range_removals != 0 && from < last_to_)) {
    return Status(StatusCode::invalid_argument, "range removals of a run file must ascend");
  }
  try {
    put_range(from, to, lsns, &ranges_);
    if (info_.range_removals == 0) {
      first_from_ = from;
      first_lsn_ = lsns.back();
    }
    last_to_ = to;
    info_.range_removals += 1;
    info_.plain = false;
  } catch (const std::bad_alloc&) {
    failed_ = out_of_memory();
  }
  return failed_;
}

// What a range removal says of its first key, said once more, so that there is a leaf.
Status RunWriter::add_first_removal() {
  const uint64_t lsn = first_lsn_ == kSettledRangeLsn ? kSettledLsn : first_lsn_;
  const Version removal{.lsn = lsn, .kind = EntryKind::remove, .value = {}};
  return add(first_from_, {&removal, 1});
}

Status RunWriter::write_ranges(Footer* footer) {
  if (info_.range_removals == 0) return {};
  footer->features |= kFeatureRangeRemovals;
  footer->ranges_offset = output_.end();
  footer->ranges_bytes = ranges_.size();
  footer->ranges_checksum =
      checksum(ranges_.data(), ranges_.size(), page_seed(info_.id, output_.end() / kUnitBytes));
  footer->range_removals = info_.range_removals;
  info_.smallest = std::min(info_.smallest, first_from_);
  if (last_to_ > info_.largest) {
    info_.largest = last_to_;
    info_.largest_excluded = true;
  }
  if (Status s = output_.append(ranges_); !s.ok()) return s;
  return output_.align(kUnitBytes);
}

Status RunWriter::write_value_list(Footer* footer) {
  if (values_.values() == 0) return {};
  const std::string list = values_.encode();
  footer->features |= kFeatureValueList;
  footer->values_offset = output_.end();
  footer->values_bytes = list.size();
  footer->values_checksum =
      checksum(list.data(), list.size(), page_seed(info_.id, output_.end() / kUnitBytes));
  footer->value_bytes = info_.value_bytes = values_.value_bytes();
  if (Status s = output_.append(list); !s.ok()) return s;
  return output_.align(kUnitBytes);
}

Status RunWriter::write_page_table(Footer* footer) {
  if (packer_ == nullptr) return {};
  const std::string table = table_.encode();
  footer->features |= kFeaturePageTable | kFeatureDenseLeaves;
  footer->table_offset = output_.end();
  footer->table_bytes = table.size();
  footer->table_checksum =
      checksum(table.data(), table.size(), page_seed(info_.id, output_.end() / kUnitBytes));
  footer->pages_end = pages_end_;
  footer->codec = packer_->codec_id();
  if (Status s = output_.append(table); !s.ok()) return s;
  return output_.align(kUnitBytes);
}

Result<RunFileInfo> RunWriter::finish(uint64_t lsn_min, uint64_t lsn_max) {
  if (!failed_.ok()) return failed_;
  if (info_.entries == 0 && info_.range_removals == 0)
    return Status(StatusCode::invalid_argument, "a run file without keys");
  if (info_.entries == 0) {
    if (Status s = add_first_removal(); !s.ok()) return s;
  }
  try {
    Result<RunFileInfo> info = write_sections(lsn_min, lsn_max);
    failed_ = info ? Status(StatusCode::invalid_argument, "the run file is finished") : info.status();
    return info;
  } catch (const std::bad_alloc&) {
    failed_ = out_of_memory();
    return failed_;
  }
}

Result<RunFileInfo> RunWriter::write_sections(uint64_t lsn_min, uint64_t lsn_max) {
  if (!leaf_.empty()) {
    if (Status s = write_leaf(); !s.ok()) return s;
  }
  if (Status s = output_.align(kUnitBytes); !s.ok()) return s;
  Footer footer = {};
  footer.leaves_end = output_.end();
  footer.index_offset = output_.end();
  if (wants_index_ && index_.place_all()) {
    footer.features |= kFeaturePointIndex;
    footer.index_buckets = index_.buckets();
    if (Status s = index_.write(output_, info_.id); !s.ok()) return s;
  }
  const std::string fences = fences_.encode(info_.smallest, last_key_);
  footer.fences_offset = output_.end();
  footer.fences_bytes = fences.size();
  footer.fences_checksum =
      checksum(fences.data(), fences.size(), page_seed(info_.id, output_.end() / kUnitBytes));
  if (Status s = output_.append(fences); !s.ok()) return s;
  if (Status s = output_.align(kUnitBytes); !s.ok()) return s;
  info_.largest = last_key_;
  if (Status s = write_ranges(&footer); !s.ok()) return s;
  if (Status s = write_value_list(&footer); !s.ok()) return s;
  if (Status s = write_page_table(&footer); !s.ok()) return s;

  info_.size = output_.end() + kUnitBytes;
  info_.lsn_min = lsn_min;
  info_.lsn_max = lsn_max;
  info_.expiry = expiries_.sums(info_.entries);
  footer.magic = kRunMagic;
  footer.format_version = kRunFormatVersion;
  footer.leaf_bytes = static_cast<uint32_t>(leaf_bytes_);
  footer.file_id = info_.id;
  footer.file_bytes = info_.size;
  footer.leaves = fences_.leaves();
  footer.leaves_hash = leaves_hash_;
  footer.entries = info_.entries;
  footer.removals = info_.removals;
  footer.raw_bytes = info_.raw_bytes;
  footer.lsn_min = lsn_min;
  footer.lsn_max = lsn_max;
  footer.expiry = info_.expiry;
  footer.checksum = checksum(&footer, offsetof(Footer, checksum), page_seed(info_.id, kFooterSeed));
  info_.footer_hash = footer.checksum;
  if (Status s = output_.append({reinterpret_cast<const char*>(&footer), sizeof(footer)}); !s.ok()) return s;
  if (Status s = output_.finish(); !s.ok()) return s;
  return info_;
}

}  // namespace lightning
