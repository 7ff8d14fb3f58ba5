#include "log/segment.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "format/file_number.h"

namespace lightning {

namespace {

constexpr uint64_t kBlockBytes = 4096;
// A file read in recovery is never larger than the largest commit allows.
constexpr uint64_t kCapacityMax = kRecordLengthMax + kEndRecordBytesMin + kBlockBytes;
constexpr size_t kNumberDigits = 10;
// Ids are random, and two of them differ in about half of their bits.
constexpr int kDamagedIdBits = 8;

Status damaged(uint64_t number, std::string_view what, uint64_t offset) {
  return Status(StatusCode::corruption, what, segment_file_name(number), offset);
}

bool header_verifies(const char* page) {
  return load<uint64_t>(page) == kSegmentMagic &&
         load<uint64_t>(page + kSegmentHeaderChecked) ==
             checksum(page, kSegmentHeaderChecked, kSegmentHeaderSeed);
}

}  // namespace

std::string segment_file_name(uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < kNumberDigits) digits.insert(0, kNumberDigits - digits.size(), '0');
  return digits + ".log";
}

bool parse_segment_file_name(const std::string& name, uint64_t* number) {
  if (name.size() < kNumberDigits + 4 || name.size() > 24 || !name.ends_with(".log")) return false;
  uint64_t value = 0;
  for (const char c : std::string_view(name).substr(0, name.size() - 4)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  *number = value;
  return value != 0 && value <= kFileNumberMax && segment_file_name(value) == name;
}

Result<std::shared_ptr<Segment>> Segment::create(Directory& directory, const SegmentIdentity& identity,
                                                 SegmentFileKind wanted, std::unique_ptr<File> recycled) {
  std::shared_ptr<Segment> segment(new Segment);
  segment->identity_ = identity;
  Result<PageMemory> memory = PageMemory::map(identity.capacity);
  if (!memory) return memory.status();
  segment->memory_ = *std::move(memory);
  segment->file_ = std::move(recycled);
  if (segment->file_ == nullptr) {
    Result<std::unique_ptr<File>> file = directory.open(segment->file_name(), OpenMode::create);
    if (!file) return file.status();
    segment->file_ = *std::move(file);
  }
  const uint64_t file_bytes = kSegmentHeaderBytes + identity.capacity;
  // Both kinds reserve where they can: a disk that is full shows when a segment is made, and never in the
  // middle of one.
  const Status allocated = segment->file_->allocate(file_bytes);
  if (!allocated.ok() && !allocated.is(StatusCode::not_supported)) return allocated;
  if (wanted == SegmentFileKind::mapped && allocated.ok()) {
    Result<std::unique_ptr<MappedRegion>> mapping = segment->file_->map(0, file_bytes, MapMode::write);
    if (!mapping) return mapping.status();
    segment->mapping_ = *std::move(mapping);
    segment->kind_ = SegmentFileKind::mapped;
  }
  if (Status status = segment->file_->write(0, header_page(identity)); !status.ok()) return status;
  if (Status status = segment->file_->sync(); !status.ok()) return status;
  return segment;
}

std::string Segment::header_page(const SegmentIdentity& identity) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  char* const page = bytes.data();
  store<uint64_t>(page, kSegmentMagic);
  store<uint32_t>(page + 8, kSegmentFormatVersion);
  store<uint64_t>(page + 16, identity.number);
  store<uint64_t>(page + 24, identity.base_lsn);
  store<uint64_t>(page + 32, identity.capacity);
  store<uint64_t>(page + 40, identity.salt);
  store<uint64_t>(page + 48, identity.database_id);
  store<uint64_t>(page + 56, identity.incarnation);
  store<uint64_t>(page + 64, identity.page_cache_id);
  store<uint64_t>(page + kSegmentHeaderChecked, checksum(page, kSegmentHeaderChecked, kSegmentHeaderSeed));
  return bytes;
}

bool Segment::parse_header(const char* page, SegmentIdentity* identity) {
  if (!header_verifies(page)) return false;
  *identity = {.number = load<uint64_t>(page + 16),
               .base_lsn = load<uint64_t>(page + 24),
               .capacity = load<uint64_t>(page + 32),
               .salt = load<uint64_t>(page + 40),
               .database_id = load<uint64_t>(page + 48),
               .incarnation = load<uint64_t>(page + 56),
               .page_cache_id = load<uint64_t>(page + 64)};
  return identity->capacity >= kEndRecordBytesMin && identity->capacity <= kCapacityMax &&
         identity->capacity % kLogAlignment == 0 && identity->base_lsn % kLogAlignment == 0 &&
         identity->base_lsn + identity->capacity > identity->base_lsn;
}

Result<std::shared_ptr<Segment>> Segment::open(Directory& directory, uint64_t number, bool writable) {
  std::shared_ptr<Segment> segment(new Segment);
  Result<std::unique_ptr<File>> file =
      directory.open(segment_file_name(number), writable ? OpenMode::read_write : OpenMode::read);
  if (!file) return file.status();
  segment->file_ = *std::move(file);
  if (Status status = read_header(*segment->file_, number, &segment->identity_, &segment->loaded_mirror_);
      !status.ok()) {
    return status;
  }
  if (Status status = segment->load_data(); !status.ok()) return status;
  return segment;
}

Status Segment::read_header(File& file, uint64_t number, SegmentIdentity* identity, uint64_t* mirror) {
  char page[kSegmentHeaderBytes];
  Result<uint64_t> got = file.read(0, page, sizeof(page));
  if (!got) return got.status();
  if (*got < sizeof(page)) return damaged(number, "log segment shorter than its header", *got);
  if (header_verifies(page) && load<uint32_t>(page + 8) > kSegmentFormatVersion) {
    return Status(StatusCode::not_supported, "log segment of a newer format", segment_file_name(number), 8);
  }
  if (!parse_header(page, identity)) return damaged(number, "log segment header", 0);
  if (identity->number != number) return damaged(number, "log segment under another's name", 16);
  *mirror = load<uint64_t>(page + kSegmentMirrorOffset);
  return {};
}

Status Segment::load_data() {
  Result<uint64_t> size = file_->size();
  if (!size) return size.status();
  const uint64_t data_bytes = std::min(*size - kSegmentHeaderBytes, capacity());
  Result<PageMemory> memory = PageMemory::map(std::max(data_bytes, kBlockBytes));
  if (!memory) return memory.status();
  memory_ = *std::move(memory);
  Result<uint64_t> got = file_->read(kSegmentHeaderBytes, memory_.data(), data_bytes);
  if (!got) return got.status();
  tail_.store(capacity(), std::memory_order_relaxed);
  return {};
}

Result<std::shared_ptr<Segment>> Segment::open_headless(Directory& directory,
                                                        const SegmentIdentity& expected) {
  std::shared_ptr<Segment> segment(new Segment);
  Result<std::unique_ptr<File>> file = directory.open(segment_file_name(expected.number), OpenMode::read);
  if (!file) return file.status();
  segment->file_ = *std::move(file);
  char page[kSegmentHeaderBytes];
  Result<uint64_t> got = segment->file_->read(0, page, sizeof(page));
  if (!got) return got.status();
  if (*got < sizeof(page)) return damaged(expected.number, "log segment shorter than its header", *got);
  if (std::popcount(load<uint64_t>(page + 48) ^ expected.database_id) > kDamagedIdBits)
    return damaged(expected.number, "log segment header", 0);
  Result<uint64_t> size = segment->file_->size();
  if (!size) return size.status();
  segment->identity_ = expected;
  segment->identity_.capacity = std::min((*size - kSegmentHeaderBytes) & ~(kLogAlignment - 1), kCapacityMax);
  if (Status status = segment->load_data(); !status.ok()) return status;
  segment->identity_.salt = load<uint64_t>(segment->data()) ^ expected.base_lsn;
  return segment;
}

uint64_t Segment::first_stray_byte(const char* header_page) {
  for (uint64_t at = kSegmentHeaderChecked + 8; at < kSegmentHeaderBytes; ++at) {
    if (at == kSegmentMirrorOffset) at += 8;
    if (header_page[at] != 0) return at;
  }
  return kSegmentHeaderBytes;
}

Segment::Reserved Segment::reserve(uint64_t length, uint64_t* lsn) {
  const uint64_t position = tail_.fetch_add(length, std::memory_order_seq_cst);
  *lsn = identity_.base_lsn + position;
  if (position > record_bytes_max()) return Reserved::beyond;
  if (position + length > record_bytes_max()) return Reserved::crossed;
  return Reserved::here;
}

void Segment::complete(uint64_t lsn, uint32_t bytes) {
  char* record = at(lsn);
  LIGHTNING_INVARIANT("I1", record_length_of(record) >= bytes && lsn + bytes <= end_lsn());
  if (mapping_ != nullptr) {
    char* copy = mapping_->data() + kSegmentHeaderBytes + (lsn - base_lsn());
    std::memcpy(copy + 8, record + 8, bytes - 8);
    INTERLEAVE("commit.copied");
    store_mark(copy, lsn, salt(), std::memory_order_release);
  }
  INTERLEAVE("commit.before_mark");
  // Partner: marked() in Log; sequentially consistent by the exchange that follows on `published`.
  store_mark(record, lsn, salt(), std::memory_order_release);
}

void Segment::mirror_published(uint64_t lsn) {
  if (mapping_ == nullptr) return;
  auto* word = reinterpret_cast<uint64_t*>(mapping_->data() + kSegmentMirrorOffset);
  std::atomic_ref<uint64_t>(*word).store(lsn, std::memory_order_relaxed);
}

void Segment::populate(uint64_t from, uint64_t to) {
  to = std::min(to, capacity());
  memory_.populate(from, to - std::min(from, to));
  MutexLock lock(populate_mutex_);
  if (mapping_ == nullptr || from >= to) return;
  // A failure shows again where it matters: a fault of the store itself is noted by the guard.
  (void)mapping_->populate(kSegmentHeaderBytes + from, to - from);
}

Status Segment::write_out(uint64_t from_lsn, uint64_t to_lsn) {
  return file_->write(kSegmentHeaderBytes + (from_lsn - base_lsn()), {at(from_lsn), to_lsn - from_lsn});
}

Status Segment::sync() {
  if (faulted()) return Status(StatusCode::io_error, "a mapped page of the log was lost", file_name(), 0);
  if (Status status = file_->sync(); !status.ok()) return status;
  if (faulted()) return Status(StatusCode::io_error, "a mapped page of the log was lost", file_name(), 0);
  return {};
}

Status Segment::rewrite(uint64_t from_lsn, uint64_t to_lsn) {
  if (to_lsn > from_lsn) {
    const char* bytes = at(from_lsn);
    const uint64_t offset = kSegmentHeaderBytes + (from_lsn - base_lsn());
    if (Status status = file_->write(offset, {bytes, to_lsn - from_lsn}); !status.ok()) return status;
  }
  const uint64_t used_bytes = to_lsn - base_lsn();
  const std::string zeros(64 * 1024, '\0');
  for (uint64_t at = used_bytes; at < loaded_bytes();) {
    const uint64_t piece = std::min<uint64_t>(zeros.size(), loaded_bytes() - at);
    if (Status status = file_->write(kSegmentHeaderBytes + at, {zeros.data(), piece}); !status.ok())
      return status;
    at += piece;
  }
  return file_->sync();
}

Status Segment::cut(uint64_t lsn) {
  drop_mapping();
  if (Status status = file_->truncate(kSegmentHeaderBytes + (lsn - base_lsn())); !status.ok()) return status;
  return file_->sync();
}

}  // namespace lightning
