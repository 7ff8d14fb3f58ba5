#include "run/run_pages.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/epoch.h"
#include "run/stored_page.h"

namespace lightning {

namespace {

bool is_kept(RunPages::Use use) { return use == RunPages::Use::keep || use == RunPages::Use::scan; }

// Pages that a long walk comes by are not kept.
RunPages::Use use_of_walk(RunPages::Use use, const ReadAhead* ahead) {
  return use == RunPages::Use::scan && ahead != nullptr && ahead->goes_on() ? RunPages::Use::pass : use;
}

}  // namespace

Result<std::unique_ptr<RunPages>> RunPages::create(std::unique_ptr<File> file, std::string name,
                                                   const Footer& footer, const ValueList& values,
                                                   const PageTable& table, bool mapped, PageCache* cache) {
  std::unique_ptr<RunPages> pages(new RunPages(std::move(file), std::move(name), footer, values, table));
  // A leaf that starts below has its whole size before leaves_end.
  if (!pages->compressed_) {
    const uint64_t last = (footer.leaves_end - footer.leaf_bytes) / kUnitBytes;
    pages->leaf_units_end_ = std::min(last + 1, kLeafStartMax / kUnitBytes);
  }
  pages->leaf_bytes_ = footer.leaf_bytes;
  pages->index_start_ = footer.index_offset / kUnitBytes;
  if (cache != nullptr && (pages->compressed_ || !mapped)) {
    const uint64_t leaf_units = footer.leaf_bytes / kUnitBytes;
    const uint64_t leaf_places = (pages->leaf_units_end_ + leaf_units - 1) / leaf_units;
    pages->leaf_places_ = pages->compressed_ ? table.size() : static_cast<uint32_t>(leaf_places);
    const uint64_t index_places = mapped ? 0 : (footer.fences_offset - footer.index_offset) / kUnitBytes;
    const bool large = frame_size(footer.leaf_bytes) == FrameSize::large;
    Result<std::unique_ptr<PageCache::Table>> cached =
        cache->table(large ? pages->leaf_places_ : 0,
                     static_cast<uint32_t>(large ? index_places : pages->leaf_places_ + index_places));
    if (!cached) return cached.status();
    pages->cached_ = *std::move(cached);
    pages->cache_ = cache->shared_from_this();
  }
  if (!mapped) return pages;
  Result<std::unique_ptr<MappedRegion>> region = pages->file_->map(0, footer.file_bytes, MapMode::read);
  if (!region) return region.status();
  pages->region_ = *std::move(region);
  pages->map_ = pages->region_->data();
  pages->file_.reset();
  pages->bits_.reset(new std::atomic<uint64_t>[pages->bit_words()]());
  pages->bits_end_ = footer.file_bytes / kUnitBytes;
  return pages;
}

void RunPages::distrust() const {
  for (uint64_t word = 0; word < bit_words(); ++word) bits_[word].store(0, std::memory_order_relaxed);
}

Status RunPages::fault() const {
  return Status(StatusCode::io_error, "a mapped page could not be read", name_, Status::kWholeFile);
}

bool RunPages::fetch(uint64_t offset, uint64_t size, Page* page, Owner* owner, Status* status) const {
  *page = {nullptr, size, offset / kUnitBytes};
  if (map_ != nullptr) {
    page->data = map_ + offset;
    return true;
  }
  std::shared_ptr<char[]> bytes;
  try {
    bytes.reset(new char[size]);
  } catch (const std::bad_alloc&) {
    *status = Status(StatusCode::out_of_memory, "a buffer to read a run file");
    return false;
  }
  Result<uint64_t> read = file_->read(offset, bytes.get(), size);
  if (!read) {
    *status = read.status();
    return false;
  }
  if (*read != size) {
    *status = corruption("the file is cut", offset + *read);
    return false;
  }
  page->data = bytes.get();
  *owner = std::move(bytes);
  return true;
}

bool RunPages::verify(const Page& page, Status* status) const {
  if (verified(page.number)) return true;
  const uint64_t sum = checksum(page.data + 8, page.size - 8, page_seed(footer_.file_id, page.number));
  if (sum != load<uint64_t>(page.data)) {
    *status = corruption("page checksum", page.number * kUnitBytes);
    return false;
  }
  if (map_ != nullptr) mark_verified(page.number);
  return true;
}

bool RunPages::fetch_leaf(uint64_t offset, uint64_t size, ReadAhead* ahead, Page* page, Owner* owner,
                          Status* status) const {
  if (ahead == nullptr || map_ != nullptr) return fetch(offset, size, page, owner, status);
  try {
    *page = {ahead->fetch(*file_, footer_.leaves_end, owner), size, offset / kUnitBytes};
  } catch (const std::bad_alloc&) {
    *status = Status(StatusCode::out_of_memory, "a buffer to read a run file");
    return false;
  }
  return page->data != nullptr || fetch(offset, size, page, owner, status);
}

bool RunPages::load_leaf(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use,
                         ReadAhead* ahead) const {
  if (compressed_) return load_packed(page_number, page, owner, status, use, ahead);
  const uint64_t offset = page_number * kUnitBytes;
  if (page_number >= leaf_units_end_ || page_number % (footer_.leaf_bytes / kUnitBytes) != 0) {
    *status = corruption("a leaf's place", offset);
    return false;
  }
  if (ahead != nullptr) ahead->step(offset, footer_.leaf_bytes);
  if (pooled() && use != Use::reread) {
    try {
      if (pooled_leaf(page_number, page, owner, use_of_walk(use, ahead), ahead)) return true;
    } catch (const std::bad_alloc&) {
      *status = Status(StatusCode::out_of_memory, "a page of a run file");
      return false;
    }
    if (inside_epoch()) return false;
  }
  if (!fetch_leaf(offset, footer_.leaf_bytes, ahead, page, owner, status)) return false;
  note_read(use, footer_.leaf_bytes);
  const auto header = load<PageHeader>(page->data);
  const uint64_t size = header.units * kUnitBytes;
  if (header.kind == PageKind::jumbo && size > footer_.leaf_bytes && size <= footer_.leaves_end - offset) {
    if (!fetch(offset, size, page, owner, status)) return false;
  } else if (header.kind != PageKind::leaf || size != footer_.leaf_bytes) {
    *status = corruption("page header", offset);
    return false;
  }
  return verify(*page, status);
}

bool RunPages::load_packed(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use,
                           ReadAhead* ahead) const {
  if (!table_.has(page_number)) {
    *status = corruption("a leaf's place", footer_.table_offset);
    return false;
  }
  const auto place = static_cast<uint32_t>(page_number / PageTable::kStep);
  if (inside_epoch()) {
    const char* const data = cached_ == nullptr ? nullptr : cached_->find(place);
    *page = {data, leaf_bytes_, page_number};
    return data != nullptr;
  }
  if (ahead != nullptr) ahead->step(table_.offset(page_number), table_.bytes(page_number));
  try {
    if (cached_ != nullptr && use != Use::reread) {
      PageCache::Pin pin = cached_->pin(place, is_kept(use));
      if (pin.data() != nullptr) {
        *page = {pin.data(), leaf_bytes_, page_number};
        *owner = std::make_shared<PageCache::Pin>(std::move(pin));
        return true;
      }
    }
    return read_packed(page_number, page, owner, status, use, ahead);
  } catch (const std::bad_alloc&) {
    *status = Status(StatusCode::out_of_memory, "a page of a run file");
    return false;
  }
}

// Into a frame, if one is to be had and the page is to be kept.
bool RunPages::read_packed(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use,
                           ReadAhead* ahead) const {
  const uint64_t offset = table_.offset(page_number);
  Page stored;
  Owner stored_owner;
  if (!fetch_leaf(offset, table_.bytes(page_number), ahead, &stored, &stored_owner, status)) return false;
  note_read(use, stored.size);
  StoredPage packed;
  Status good = StoredPage::parse({stored.data, stored.size}, footer_.file_id, page_number,
                                  footer_.pages_end - page_number * kUnitBytes, &packed);
  if (!good.ok()) {
    *status = placed(good, offset);
    return false;
  }
  const bool keep =
      is_kept(use_of_walk(use, ahead)) && cached_ != nullptr && packed.header.kind == PageKind::leaf;
  const uint32_t frame = keep ? cache_->take(FrameSize::large) : PageCache::kNoFrame;
  if (frame == PageCache::kNoFrame) {
    std::shared_ptr<char[]> bytes(new char[packed.size]);
    good = packed.unpack(bytes.get());
    *page = {bytes.get(), packed.size, page_number};
    *owner = std::move(bytes);
  } else {
    good = packed.unpack(cache_->frame_data(frame));
    if (faulted()) good = fault();  // the bytes may have become others after they were verified
    if (good.ok()) {
      PageCache::Pin pin = cached_->insert(static_cast<uint32_t>(page_number / PageTable::kStep), frame);
      *page = {pin.data(), packed.size, page_number};
      *owner = std::make_shared<PageCache::Pin>(std::move(pin));
    } else {
      cache_->give_back(frame);
    }
  }
  if (!good.ok()) *status = placed(good, offset);
  return good.ok();
}

Status RunPages::placed(const Status& status, uint64_t offset) const {
  if (status.is(StatusCode::corruption) && faulted()) return fault();
  return status.is(StatusCode::out_of_memory) ? status
                                              : Status(status.code(), status.message(), name_, offset);
}

void RunPages::note_read(Use use, uint64_t bytes) const {
  if (cache_ == nullptr || !is_kept(use)) return;
  cache_->note_read(use == Use::scan ? PageCache::Reader::scan : PageCache::Reader::point, bytes);
}

// Pooled files ----------------------------------------------------------------------------------------------

RunPages::Pooled RunPages::leaf_of(uint64_t page_number) const {
  return {.place = static_cast<uint32_t>(page_number * kUnitBytes / leaf_bytes_),
          .kind = PageKind::leaf,
          .number = page_number,
          .bytes = leaf_bytes_};
}

RunPages::Pooled RunPages::index_page_of(uint64_t page_number) const {
  return {.place = leaf_places_ + static_cast<uint32_t>(page_number - index_start_),
          .kind = PageKind::index,
          .number = page_number,
          .bytes = kUnitBytes};
}

// Pins the page, read before if it is to be kept; null data where no frame has it. What cannot be read is
// left to another read of the page, which may go well.
PageCache::Pin RunPages::load_pooled(const Pooled& page, Use use, ReadAhead* ahead) const {
  PageCache::Pin pin = cached_->pin(page.place, is_kept(use));
  if (pin.data() != nullptr || !is_kept(use)) return pin;
  Owner owner;
  const char* const near = ahead == nullptr ? nullptr : ahead->fetch_near(*file_, footer_.leaves_end, &owner);
  const uint32_t frame = cache_->take(frame_size(page.bytes));
  if (frame == PageCache::kNoFrame) return pin;
  char* const to = cache_->frame_data(frame);
  if (near != nullptr) {
    std::memcpy(to, near, page.bytes);
    return take_pooled(page, frame, page.bytes, use);
  }
  Result<uint64_t> read = uint64_t{0};
  try {
    read = file_->read(page.number * kUnitBytes, to, page.bytes);
  } catch (const std::bad_alloc&) {  // for the words of an error
    cache_->give_back(frame);
    throw;
  }
  return take_pooled(page, frame, read, use);
}

// Pins the page that was read into a frame, which goes back if that was not all, or no such page that
// verifies.
PageCache::Pin RunPages::take_pooled(const Pooled& page, uint32_t frame, const Result<uint64_t>& read,
                                     Use use) const {
  if (read && *read == page.bytes) {
    note_read(use, page.bytes);
    const char* const bytes = cache_->frame_data(frame);
    const auto header = load<PageHeader>(bytes);
    if (header.kind == page.kind && header.units * kUnitBytes == page.bytes &&
        checksum(bytes + 8, page.bytes - 8, page_seed(footer_.file_id, page.number)) == header.checksum)
      return cached_->insert(page.place, frame);
  }
  cache_->give_back(frame);
  return {};
}

bool RunPages::pooled_leaf(uint64_t page_number, Page* page, Owner* owner, Use use, ReadAhead* ahead) const {
  const Pooled leaf = leaf_of(page_number);
  if (inside_epoch()) {
    *page = {cached_->find(leaf.place), leaf_bytes_, page_number};
    return page->data != nullptr;
  }
  PageCache::Pin pin = load_pooled(leaf, use, ahead);
  *page = {pin.data(), leaf_bytes_, page_number};
  if (page->data == nullptr) return false;
  *owner = std::make_shared<PageCache::Pin>(std::move(pin));
  return true;
}

const char* RunPages::pooled_bucket(uint64_t number, RunBucket* copy, Use use) const {
  const Pooled page = index_page_of(bucket_page(number));
  if (inside_epoch()) {
    const char* const bytes = cached_->find(page.place);
    return bytes == nullptr ? nullptr : bytes + bucket_offset(number);
  }
  const PageCache::Pin pin = load_pooled(page, use, nullptr);
  if (pin.data() == nullptr) return nullptr;
  store(copy, load<RunBucket>(pin.data() + bucket_offset(number)));
  return reinterpret_cast<const char*>(copy);
}

void RunPages::count_cached(uint64_t* leaf_bytes, uint64_t* index_bytes) const {
  if (cached_ == nullptr) return;
  *leaf_bytes += cached_->resident(0, leaf_places_) * leaf_bytes_;
  *index_bytes += cached_->resident(leaf_places_, cached_->pages()) * kUnitBytes;
}

const char* RunPages::load_bucket(uint64_t number, RunBucket* copy, Status* status, Use use) const {
  if (pooled() && use != Use::reread) {
    const char* const bucket = pooled_bucket(number, copy, use);
    if (bucket != nullptr || inside_epoch()) return bucket;
  }
  const uint64_t page_number = bucket_page(number);
  Page page;
  Owner owner;
  if (!fetch(page_number * kUnitBytes, kUnitBytes, &page, &owner, status) || !verify(page, status))
    return nullptr;
  note_read(use, kUnitBytes);
  if (load<PageHeader>(page.data).kind != PageKind::index) {
    *status = corruption("page header", page_number * kUnitBytes);
    return nullptr;
  }
  store(copy, load<RunBucket>(page.data + bucket_offset(number)));
  return reinterpret_cast<const char*>(copy);
}

bool RunPages::place(const ValueRef& ref, uint64_t size, ValuePlace* place, Status* status) const {
  const uint64_t index = ref.offset & ~kInValueFile;
  if (index < values_.size()) {
    *place = values_.place(index);
    place->checksum = ref.checksum;
    if (place->size == size) return true;
  }
  *status = corruption("the value list has not the value of an entry", footer_.values_offset);
  return false;
}

bool RunPages::value(const ValueRef& ref, uint64_t size, std::string_view* value, Owner* owner,
                     Status* status) const {
  if ((ref.offset & kInValueFile) != 0) {
    ValuePlace where;
    return place(ref, size, &where, status) &&
           values_.read(ref.offset & ~kInValueFile, ref.checksum, value, owner, status);
  }
  if (pooled() && inside_epoch()) return false;
  if ((ref.offset & kCompressedValue) != 0) return unpack_value(ref, size, value, owner, status);
  if (ref.offset > footer_.leaves_end || size > footer_.leaves_end - ref.offset) {
    *status = corruption("a value's place", ref.offset);
    return false;
  }
  Page bytes;
  if (!fetch(ref.offset, size, &bytes, owner, status)) return false;
  if (checksum(bytes.data, size, value_seed(footer_.file_id, ref.offset)) != ref.checksum) {
    *status = corruption("value checksum", ref.offset);
    return false;
  }
  *value = {bytes.data, size};
  return true;
}

bool RunPages::value_stored_bytes(const ValueRef& ref, uint64_t size, uint64_t* bytes, Status* status) const {
  *bytes = size;
  if ((ref.offset & kCompressedValue) == 0) return true;
  const uint64_t offset = ref.offset & ~kCompressedValue;
  *status = corruption("a value's place", offset);
  if (offset > footer_.leaves_end || sizeof(ValueHeader) > footer_.leaves_end - offset) return false;
  Page header;
  Owner owner;
  if (!fetch(offset, sizeof(ValueHeader), &header, &owner, status)) return false;
  *bytes = StoredValue::stored_bytes(header.data, size);
  if (*bytes == 0 || *bytes > footer_.leaves_end - offset) return false;
  *status = Status();
  return true;
}

bool RunPages::unpack_value(const ValueRef& ref, uint64_t size, std::string_view* value, Owner* owner,
                            Status* status) const {
  if (inside_epoch()) return false;
  uint64_t bytes;
  if (!value_stored_bytes(ref, size, &bytes, status)) return false;
  const uint64_t offset = ref.offset & ~kCompressedValue;
  Page stored;
  Owner stored_owner;
  if (!fetch(offset, bytes, &stored, &stored_owner, status)) return false;
  if (checksum(stored.data, stored.size, value_seed(footer_.file_id, offset)) != ref.checksum) {
    *status = corruption("value checksum", offset);
    return false;
  }
  try {
    StoredValue packed;
    Status good = StoredValue::parse({stored.data, stored.size}, &packed);
    std::shared_ptr<char[]> whole;
    if (good.ok()) {
      whole.reset(new char[size]);
      good = packed.codec->decompress(packed.payload, whole.get(), size);
    }
    if (!good.ok()) {
      *status = placed(good, offset);
      return false;
    }
    *value = {whole.get(), size};
    *owner = std::move(whole);
    return true;
  } catch (const std::bad_alloc&) {
    *status = Status(StatusCode::out_of_memory, "a value of a run file");
    return false;
  }
}

}  // namespace lightning
