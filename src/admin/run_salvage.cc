#include "admin/run_salvage.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "format/internal_key.h"
#include "log/segment.h"
#include "run/page_table.h"
#include "run/stored_page.h"

namespace lightning {

namespace {

/// A search for pages reads no byte more often than this on average, whatever lengths the bytes pretend.
constexpr uint64_t kReadsOfEachByte = 4;
constexpr uint64_t kSearchBytes = 64 << 10;

/// The least key above `key`.
std::string behind(std::string_view key) { return std::string(key) + '\0'; }

}  // namespace

RunSalvage::RunSalvage(Directory& directory, const RunPiece& piece, DamageEvents events)
    : name_(run_file_name(piece.file.id)),
      value_files_(directory, segment_file_name, false),
      events_(std::move(events)),
      named_(true),
      size_named_(piece.file.size),
      piece_(piece) {
  if (open_file(directory)) prepare();
}

RunSalvage::RunSalvage(Directory& directory, uint64_t id, DamageEvents events)
    : name_(run_file_name(id)),
      value_files_(directory, segment_file_name, false),
      events_(std::move(events)),
      named_(false),
      size_named_(0) {
  piece_.file.id = id;
  if (open_file(directory)) prepare();
}

Status RunSalvage::damaged(std::string_view what, uint64_t offset) const {
  return Status(StatusCode::corruption, what, name_, offset);
}

bool RunSalvage::open_file(Directory& directory) {
  Result<std::unique_ptr<File>> file = directory.open(name_, OpenMode::read);
  Status status = file.status();
  if (file) {
    Result<uint64_t> size = (*file)->size();
    status = size.status();
    if (size) {
      file_ = *std::move(file);
      size_ = *size;
      return true;
    }
  }
  if (status.is(StatusCode::not_found)) status = damaged("the file is missing", Status::kWholeFile);
  events_.damage(status);
  begin_gap(status);
  return false;
}

void RunSalvage::prepare() {
  const FooterKind kind = read_footer();
  if (kind == FooterKind::of_another) {
    const Status status = damaged("not the file that the manifest names", Status::kWholeFile);
    events_.damage(status);
    begin_gap(status);
    file_ = nullptr;
    return;
  }
  if (kind == FooterKind::damaged) {
    events_.damage(damaged("footer", size_named_ > kUnitBytes ? size_named_ - kUnitBytes : 0));
    if (!named_) {
      file_ = nullptr;  // perhaps never finished; whatever was in it was somewhere else, too
      finished_ = true;
      return;
    }
  }
  if (kind == FooterKind::whole && !read_fences()) events_.damage(damaged("fences", footer_->fences_offset));
  const bool ranges_lost = footer_ ? !read_ranges() : piece_.file.range_removals != 0;
  if (ranges_lost) {
    const Status status = damaged("range removals are lost: what they removed may come back",
                                  footer_ ? footer_->ranges_offset : Status::kWholeFile);
    events_.damage(status);
    tell_lost(status, piece_.file.smallest, piece_.file.largest.empty() ? "" : behind(piece_.file.largest));
  }
  if (pages_.empty()) find_pages();
  if (footer_ && footer_->values_bytes != 0) {
    const uint64_t offset = footer_->values_offset;
    const std::string section = read_value_list(offset, footer_->values_bytes);
    const uint64_t sum =
        checksum(section.data(), section.size(), page_seed(piece_.file.id, offset / kUnitBytes));
    if (!value_list_.load(section) || sum != footer_->values_checksum)
      events_.damage(damaged("value list", offset));
  } else if (!footer_ && piece_.file.value_bytes != 0) {
    find_value_list();
  }
}

std::string RunSalvage::read_value_list(uint64_t offset, uint64_t bytes) const {
  std::string section(bytes, '\0');
  if (!read(offset, bytes, section.data())) section.clear();
  return section;
}

// Without the footer: before that, and before the page table, if there is one. It says how long it is and how
// many bytes it names; what a wrong one named would not verify.
void RunSalvage::find_value_list() {
  constexpr uint64_t kReadings = 4;  // of the whole file: bytes that only look like a list are read, too
  uint64_t budget = kReadings * size_;
  const uint64_t end = std::min(size_named_, size_) / kUnitBytes * kUnitBytes;
  for (uint64_t offset = end; offset >= 2 * kUnitBytes;) {
    offset -= kUnitBytes;
    ValueListHeader header;
    if (!read(offset, sizeof(header), reinterpret_cast<char*>(&header))) return;
    const uint64_t bytes = value_list_bytes(header);
    if (align_up(offset + bytes, kUnitBytes) + kUnitBytes > size_named_ || bytes > budget) continue;
    budget -= bytes;
    const std::string section = read_value_list(offset, bytes);
    ValueList found;
    if (!found.load(section) || found.value_bytes() != piece_.file.value_bytes) continue;
    (void)value_list_.load(section);
    return;
  }
}

bool RunSalvage::removes(std::string_view key) const {
  if (key < piece_.from || (!piece_.to.empty() && key >= piece_.to)) return false;
  return ranges_.map().newest(key, kReadAllLsn) != 0;
}

bool RunSalvage::read_ranges() {
  if (footer_->range_removals == 0) return true;
  if (!ranges_are_sound(*footer_, footer_->file_bytes - kUnitBytes)) return false;
  std::unique_ptr<char[]> section(new char[footer_->ranges_bytes]);
  if (!read(footer_->ranges_offset, footer_->ranges_bytes, section.get())) return false;
  const uint64_t seed = page_seed(piece_.file.id, footer_->ranges_offset / kUnitBytes);
  if (checksum(section.get(), footer_->ranges_bytes, seed) != footer_->ranges_checksum) return false;
  RunRanges ranges;
  if (!ranges.load(std::move(section), *footer_)) return false;
  ranges_ = std::move(ranges);
  return true;
}

RunSalvage::FooterKind RunSalvage::read_footer() {
  const uint64_t size = named_ ? size_named_ : size_;
  if (size < kUnitBytes || size > size_) return FooterKind::damaged;
  Footer footer;
  if (!read(size - kUnitBytes, kUnitBytes, reinterpret_cast<char*>(&footer))) return FooterKind::damaged;
  const uint64_t sum = checksum(&footer, offsetof(Footer, checksum), page_seed(piece_.file.id, kFooterSeed));
  if (footer.magic != kRunMagic || sum != footer.checksum) return FooterKind::damaged;
  if (named_ && sum != piece_.file.footer_hash) return FooterKind::of_another;
  if (footer.file_bytes != size || footer.leaves_end > size || footer.fences_offset > size ||
      footer.fences_bytes > size - footer.fences_offset || footer.values_offset > size ||
      footer.values_bytes > size - footer.values_offset) {
    return FooterKind::damaged;
  }
  footer_ = footer;
  if (!named_) piece_.file.entries = footer.entries;
  return FooterKind::whole;
}

bool RunSalvage::read_fences() {
  std::unique_ptr<char[]> section(new char[footer_->fences_bytes]);
  if (!read(footer_->fences_offset, footer_->fences_bytes, section.get())) return false;
  const uint64_t seed = page_seed(piece_.file.id, footer_->fences_offset / kUnitBytes);
  if (checksum(section.get(), footer_->fences_bytes, seed) != footer_->fences_checksum) return false;
  Fences fences;
  const uint64_t numbers_end = has_page_table(*footer_) ? footer_->pages_end : footer_->leaves_end;
  if (!fences.load(std::move(section), footer_->fences_bytes, numbers_end)) return false;
  if (!named_) {
    piece_.file.smallest = fences.smallest();
    piece_.file.largest = fences.largest();
  }
  if (has_page_table(*footer_)) {
    if (!read_table(fences)) events_.damage(damaged("page table", footer_->table_offset));
    return true;
  }
  for (uint32_t leaf = 0; leaf < fences.leaves(); ++leaf) pages_.push_back(plain_page(fences.page(leaf)));
  return true;
}

bool RunSalvage::read_table(const Fences& fences) {
  if (!table_is_sound(*footer_, footer_->file_bytes - kUnitBytes)) return false;
  std::string section(footer_->table_bytes, '\0');
  if (!read(footer_->table_offset, section.size(), section.data())) return false;
  const uint64_t seed = page_seed(piece_.file.id, footer_->table_offset / kUnitBytes);
  PageTable table;
  if (checksum(section.data(), section.size(), seed) != footer_->table_checksum ||
      !table.load(section, footer_->leaves_end)) {
    return false;
  }
  for (uint32_t leaf = 0; leaf < fences.leaves(); ++leaf) {
    const uint64_t number = fences.page(leaf);
    if (table.has(number)) pages_.push_back({table.offset(number), number});
  }
  return true;
}

bool RunSalvage::read(uint64_t offset, uint64_t size, char* to) const {
  const Result<uint64_t> got = file_->read(offset, to, size);
  return got.ok() && *got == size;
}

// A leaf or jumbo page that verifies there, into page_.
bool RunSalvage::read_page(const PageAt& at) {
  const uint64_t offset = at.offset;
  page_status_ = Status();
  PageHeader first;
  if (offset >= size_ || size_ - offset < sizeof(first)) return false;
  if (!read(offset, sizeof(first), reinterpret_cast<char*>(&first))) return false;
  page_stored_ = first.stored != 0;
  if (page_stored_) return read_stored(at);
  if (size_ - offset < kUnitBytes) return false;
  page_.resize(kUnitBytes);
  if (!read(offset, kUnitBytes, page_.data())) return false;
  const auto header = load<PageHeader>(page_.data());
  const uint64_t bytes = header.units * kUnitBytes;
  const bool leaf = header.kind == PageKind::leaf && (bytes == kSmallLeafBytes || bytes == kLargeLeafBytes);
  const bool jumbo = header.kind == PageKind::jumbo && bytes > kSmallLeafBytes && bytes <= kJumboBytesMax;
  if (!(leaf || jumbo) || bytes > size_ - offset || bytes > verify_budget_) return false;
  verify_budget_ -= bytes;
  page_.resize(bytes);
  if (bytes > kUnitBytes && !read(offset + kUnitBytes, bytes - kUnitBytes, page_.data() + kUnitBytes))
    return false;
  return checksum(page_.data() + 8, bytes - 8, page_seed(piece_.file.id, at.number)) ==
         load<uint64_t>(page_.data());
}

bool RunSalvage::read_stored(const PageAt& at) {
  char header[sizeof(PageHeader)];
  if (!read(at.offset, sizeof(header), header)) return false;
  uint64_t number;
  uint64_t bytes;
  if (!StoredPage::looks_so(header, &number, &bytes) || number != at.number || bytes > size_ - at.offset ||
      bytes > verify_budget_) {
    return false;
  }
  verify_budget_ -= bytes;
  stored_.resize(bytes);
  if (!read(at.offset, bytes, stored_.data())) return false;
  StoredPage stored;
  page_status_ = StoredPage::parse(stored_, piece_.file.id, number, kJumboBytesMax, &stored);
  if (!page_status_.ok()) return false;
  page_.resize(stored.size);
  page_status_ = stored.unpack(page_.data());
  return page_status_.ok();
}

void RunSalvage::find_pages() {
  verify_budget_ = size_ * kReadsOfEachByte;
  for (uint64_t unit = 0; unit < size_ / kUnitBytes;) {
    const bool found = read_page(plain_page(unit)) && !page_stored_;
    if (found) pages_.push_back(plain_page(unit));
    unit += found ? page_.size() / kUnitBytes : 1;
  }
  if (pages_.empty()) find_stored_pages();
}

// A file is compressed or not as a whole.
void RunSalvage::find_stored_pages() {
  std::vector<char> piece(kSearchBytes + sizeof(PageHeader));
  uint64_t done = 0;  // behind the last page that was found
  for (uint64_t begin = 0; begin + sizeof(PageHeader) <= size_; begin += kSearchBytes) {
    const uint64_t bytes = std::min<uint64_t>(piece.size(), size_ - begin);
    if (!read(begin, bytes, piece.data())) continue;
    for (uint64_t at = 0; at < kSearchBytes && at + sizeof(PageHeader) <= bytes; at += kValueAlignment) {
      PageAt found{.offset = begin + at};
      uint64_t stored_bytes;
      if (found.offset < done || !StoredPage::looks_so(piece.data() + at, &found.number, &stored_bytes) ||
          !read_page(found)) {
        continue;
      }
      pages_.push_back(found);
      done = found.offset + stored_bytes;
    }
  }
}

void RunSalvage::begin_gap(const Status& why) {
  if (gap_) return;
  gap_ = why;
  gap_from_ = last_key_.empty() ? piece_.file.smallest : behind(last_key_);
}

void RunSalvage::end_gap(std::string to) {
  if (!gap_) return;
  tell_lost(*gap_, std::move(gap_from_), std::move(to));
  gap_.reset();
}

// What lies outside of the piece is answered for by another source.
void RunSalvage::tell_lost(const Status& why, std::string from, std::string to) {
  told_lost_ = true;
  if (from < piece_.from) from = piece_.from;
  if (!piece_.to.empty() && (to.empty() || to > piece_.to)) to = piece_.to;
  if (to.empty() || from < to) events_.lost(why, std::move(from), std::move(to));
}

void RunSalvage::enter(const PageAt& at) {
  slot_ = 0;
  count_ = 0;
  page_now_ = at;
  verify_budget_ = UINT64_MAX;
  if (read_page(at) && leaf_.parse(page_.data(), page_.size())) {
    count_ = leaf_.count();
    return;
  }
  const Status status = page_status_.is(StatusCode::not_supported)
                            ? Status(page_status_.code(), page_status_.message(), name_, at.offset)
                            : damaged("a page does not verify", at.offset);
  events_.damage(status);
  begin_gap(status);
}

bool RunSalvage::next() {
  lost_ = Status();
  while (!finished_) {
    if (slot_ < count_) {
      if (take(slot_++)) return true;
    } else if (file_ != nullptr && page_at_ < pages_.size()) {
      enter(pages_[page_at_++]);
    } else {
      finish();
    }
  }
  return false;
}

void RunSalvage::finish() {
  finished_ = true;
  const std::string end = piece_.file.largest.empty() ? "" : behind(piece_.file.largest);
  end_gap(end);
  if (told_lost_ || entries_ == piece_.file.entries) return;
  const Status status = damaged("keys are missing", Status::kWholeFile);
  events_.damage(status);
  tell_lost(status, piece_.file.smallest, end);
}

bool RunSalvage::take(uint32_t slot) {
  const uint64_t offset = page_now_.offset + (page_stored_ ? 0 : leaf_.slot_offset(slot));
  LeafEntry entry;
  key_bytes_.assign(leaf_.prefix());
  const bool sound = leaf_.entry(slot, &entry);
  if (sound) key_bytes_.append(entry.suffix);
  if (!sound || key_bytes_.size() > kInternalKeyBytesMax || (entries_ > 0 && key_bytes_ <= last_key_)) {
    const Status status = damaged("entry", offset);
    events_.damage(status);
    begin_gap(status);
    return false;
  }
  end_gap(key_bytes_);
  ++entries_;
  last_key_ = key_bytes_;
  key_ = key_bytes_;
  if (key_ < piece_.from || (!piece_.to.empty() && key_ >= piece_.to)) return false;
  LeafVersion newest{kSettledLsn, entry.flags, entry.value_size, entry.body};
  bool whole = true;
  if ((entry.flags & kEntryVersioned) != 0) {
    VersionReader versions(entry.body);
    whole = versions.ok() && versions.next(&newest);
  }
  kind_ = newest.kind();
  lost_ = whole ? take_value(newest, offset) : damaged("a value does not verify", offset);
  return true;
}

Status RunSalvage::take_value(const LeafVersion& version, uint64_t entry_offset) {
  value_ = version.bytes;
  if (!version.outside()) return {};
  const ValueRef ref = version.ref();
  if ((ref.offset & kInValueFile) != 0) return take_from_value_file(version, entry_offset);
  const Status lost = damaged("a value does not verify", entry_offset);
  if ((ref.offset & kCompressedValue) != 0) {
    const bool whole = unpack_value(ref, version.value_size);
    value_ = value_bytes_;
    return whole ? Status() : lost;
  }
  if (ref.offset > size_ || version.value_size > size_ - ref.offset) return lost;
  value_bytes_.resize(version.value_size);
  value_ = value_bytes_;
  const bool whole = read(ref.offset, version.value_size, value_bytes_.data()) &&
                     checksum(value_bytes_.data(), value_bytes_.size(),
                              value_seed(piece_.file.id, ref.offset)) == ref.checksum;
  return whole ? Status() : lost;
}

bool RunSalvage::unpack_value(const ValueRef& ref, uint64_t size) {
  const uint64_t offset = ref.offset & ~kCompressedValue;
  char header[sizeof(ValueHeader)];
  if (offset > size_ || sizeof(header) > size_ - offset || !read(offset, sizeof(header), header))
    return false;
  const uint64_t bytes = StoredValue::stored_bytes(header, size);
  if (bytes == 0 || bytes > size_ - offset) return false;
  stored_.resize(bytes);
  StoredValue stored;
  if (!read(offset, bytes, stored_.data()) ||
      checksum(stored_.data(), bytes, value_seed(piece_.file.id, offset)) != ref.checksum ||
      !StoredValue::parse(stored_, &stored).ok()) {
    return false;
  }
  value_bytes_.resize(size);
  return stored.codec->decompress(stored.payload, value_bytes_.data(), size).ok();
}

Status RunSalvage::take_from_value_file(const LeafVersion& version, uint64_t entry_offset) {
  const uint64_t index = version.ref().offset & ~kInValueFile;
  if (index >= value_list_.size() || value_list_.place(index).size != version.value_size)
    return damaged("the value list does not lead to a value", entry_offset);
  const ValuePlace place = value_list_.place(index);
  if (value_file_ == nullptr || value_file_->number() != place.file) {
    Result<std::shared_ptr<const ValueFile>> file = value_files_.open(place.file);
    if (!file) return file.status();
    value_file_ = *std::move(file);
  }
  Status status;
  std::string_view value;
  std::shared_ptr<const void> owner;
  if (!value_file_->read(place.offset, place.size, version.ref().checksum, &value, &owner, &status))
    return status;
  value_bytes_.assign(value);
  value_ = value_bytes_;
  return {};
}

}  // namespace lightning
