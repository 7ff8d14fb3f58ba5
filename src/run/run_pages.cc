#include "run/run_pages.h"

#include <new>

namespace lightning {

Result<std::unique_ptr<RunPages>> RunPages::create(std::unique_ptr<File> file, std::string name,
                                                   const Footer& footer, const ValueList& values,
                                                   bool mapped) {
  std::unique_ptr<RunPages> pages(new RunPages(std::move(file), std::move(name), footer, values));
  // A leaf that starts below has its whole size before leaves_end.
  pages->leaf_units_end_ = (footer.leaves_end - footer.leaf_bytes) / kUnitBytes + 1;
  pages->leaf_bytes_ = footer.leaf_bytes;
  pages->index_start_ = footer.index_offset / kUnitBytes;
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
    *status = faulted() ? fault() : corruption("page checksum", page.number * kUnitBytes);
    return false;
  }
  if (map_ != nullptr) mark_verified(page.number);
  return true;
}

bool RunPages::load_leaf(uint64_t page_number, Page* page, Owner* owner, Status* status) const {
  const uint64_t offset = page_number * kUnitBytes;
  if (page_number >= leaf_units_end_ || page_number % (footer_.leaf_bytes / kUnitBytes) != 0) {
    *status = corruption("a leaf's place", offset);
    return false;
  }
  if (!fetch(offset, footer_.leaf_bytes, page, owner, status)) return false;
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

const char* RunPages::load_bucket(uint64_t number, RunBucket* copy, Status* status) const {
  const uint64_t page_number = bucket_page(number);
  Page page;
  Owner owner;
  if (!fetch(page_number * kUnitBytes, kUnitBytes, &page, &owner, status) || !verify(page, status))
    return nullptr;
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
  if (ref.offset > footer_.leaves_end || size > footer_.leaves_end - ref.offset) {
    *status = corruption("a value's place", ref.offset);
    return false;
  }
  Page bytes;
  if (!fetch(ref.offset, size, &bytes, owner, status)) return false;
  if (checksum(bytes.data, size, value_seed(footer_.file_id, ref.offset)) != ref.checksum) {
    *status = faulted() ? fault() : corruption("value checksum", ref.offset);
    return false;
  }
  *value = {bytes.data, size};
  return true;
}

}  // namespace lightning
