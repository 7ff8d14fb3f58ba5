#include "run/stored_page.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "run/leaf_builder.h"

namespace lightning {

namespace {

/// What is not smaller by such a part is stored as it is.
constexpr uint64_t kGainDivisor = 16;
/// No codec makes more of a byte.
constexpr uint64_t kInflationMax = 32 << 10;
constexpr uint64_t kInflationFree = 128 << 10;
// Below it the header takes what the codec gains.
constexpr uint64_t kPackedValueBytesMin = 128;

Status damaged(std::string_view what) { return Status(StatusCode::corruption, what); }

bool may_inflate(uint64_t payload, uint64_t size) {
  return size <= kInflationFree || size / kInflationMax <= payload;
}

uint64_t room_for(uint64_t size) { return size - size / kGainDivisor; }

}  // namespace

Status StoredPage::parse(std::string_view bytes, uint64_t file_id, uint64_t page_number, uint64_t size_max,
                         StoredPage* page) {
  if (bytes.size() < sizeof(PageHeader)) return damaged("page header");
  const uint64_t sum = checksum(bytes.data() + 8, bytes.size() - 8, page_seed(file_id, page_number));
  page->header = load<PageHeader>(bytes.data());
  const PageHeader& header = page->header;
  if (sum != header.checksum) return damaged("page checksum");
  page->size = header.units * kUnitBytes;
  const bool leaf = header.kind == PageKind::leaf && page->size == kLargeLeafBytes;
  const bool jumbo =
      header.kind == PageKind::jumbo && page->size > kLargeLeafBytes && page->size <= kJumboBytesMax;
  if (!(leaf || jumbo) || page->size > size_max || header.number != page_number ||
      align_up(sizeof(header) + uint64_t{header.stored}, kValueAlignment) != bytes.size() ||
      !may_inflate(header.stored, page->size)) {
    return damaged("page header");
  }
  Result<const Codec*> codec = codec_of(header.codec);
  if (!codec) return codec.status();
  const bool plain_dense = header.dense == 0 || header.codec != kCodecNone || header.dense == header.stored;
  if (header.dense > (leaf ? kDenseLeafBytesMax : 0) || !plain_dense) return damaged("page header");
  page->codec = *codec;
  page->payload = bytes.substr(sizeof(header), header.stored);
  return {};
}

bool StoredPage::looks_so(const char* at, uint64_t* page_number, uint64_t* stored_bytes) {
  const auto header = load<PageHeader>(at);
  const bool leaf = header.kind == PageKind::leaf && header.units == kLargeLeafBytes / kUnitBytes;
  const bool jumbo = header.kind == PageKind::jumbo && header.units > kLargeLeafBytes / kUnitBytes;
  *page_number = header.number;
  *stored_bytes = align_up(sizeof(header) + uint64_t{header.stored}, kValueAlignment);
  return (leaf || jumbo) && header.stored != 0 && header.count != 0 &&
         header.dense <= (leaf ? kDenseLeafBytesMax : 0) &&
         header.number % (kLargeLeafBytes / kUnitBytes) == 0 && header.number < kLeafStartMax / kUnitBytes;
}

Status StoredPage::unpack(char* to) const {
  if (header.dense != 0) return unpack_dense(to);
  store(to, header);
  char* const begin = to + sizeof(header);
  const uint64_t room = size - sizeof(header);
  if (codec->id() != kCodecNone) return codec->decompress(payload, begin, room);
  if (payload.size() > room) return damaged("page header");
  std::copy(payload.begin(), payload.end(), begin);
  std::memset(begin + payload.size(), 0, room - payload.size());
  return {};
}

Status StoredPage::unpack_dense(char* to) const {
  char bytes[kDenseLeafBytesMax];
  std::string_view dense = payload;
  if (codec->id() != kCodecNone) {
    if (Status s = codec->decompress(payload, bytes, header.dense); !s.ok()) return s;
    dense = {bytes, header.dense};
  }
  return restore_leaf(header, dense, to) ? Status() : damaged("dense leaf");
}

uint64_t StoredValue::stored_bytes(const char* at, uint64_t size) {
  const auto header = load<ValueHeader>(at);
  return header.stored == 0 || !may_inflate(header.stored, size) ? 0 : sizeof(header) + header.stored;
}

Status StoredValue::parse(std::string_view bytes, StoredValue* value) {
  const auto header = load<ValueHeader>(bytes.data());
  Result<const Codec*> codec = codec_of(header.codec);
  if (!codec) return codec.status();
  value->codec = *codec;
  value->payload = bytes.substr(sizeof(header));
  return {};
}

PagePacker::PagePacker(const Codec& codec, uint64_t level)
    : codec_(codec), compressor_(codec.compressor(level)) {
  if (compressor_ == nullptr) throw std::bad_alloc();
}

std::string_view PagePacker::pack(const char* page, uint64_t size, uint64_t file_id, uint64_t page_number) {
  auto header = load<PageHeader>(page);
  std::string_view whole;
  if (header.kind == PageKind::leaf && size == kLargeLeafBytes) whole = dense_.of(page);
  header.dense = static_cast<uint32_t>(whole.size());
  if (whole.empty()) whole = {page + sizeof(header), size - sizeof(header)};
  const uint64_t room = room_for(whole.size());
  bytes_.resize(align_up(size, kValueAlignment));
  uint64_t stored = compressor_->compress(whole, bytes_.data() + sizeof(header), room);
  header.codec = stored != 0 ? codec_.id() : kCodecNone;
  if (stored == 0) {
    stored = header.dense != 0 ? header.dense : whole.find_last_not_of('\0') + 1;
    std::copy_n(whole.begin(), stored, bytes_.data() + sizeof(header));
  }
  header.stored = static_cast<uint32_t>(stored);
  header.number = static_cast<uint32_t>(page_number);
  store(bytes_.data(), header);
  const uint64_t end = sizeof(header) + stored;
  bytes_.resize(align_up(end, kValueAlignment));
  std::memset(bytes_.data() + end, 0, bytes_.size() - end);
  seal_page(bytes_.data(), bytes_.size(), file_id, page_number);
  return bytes_;
}

std::string_view PagePacker::pack_value(std::string_view value) {
  if (value.size() < kPackedValueBytesMin) return {};
  bytes_.resize(sizeof(ValueHeader) + value.size());
  const uint64_t stored =
      compressor_->compress(value, bytes_.data() + sizeof(ValueHeader), room_for(value.size()));
  if (stored == 0) return {};
  store(bytes_.data(),
        ValueHeader{.stored = static_cast<uint32_t>(stored), .codec = codec_.id(), .reserved = {}});
  bytes_.resize(sizeof(ValueHeader) + stored);
  return bytes_;
}

}  // namespace lightning
