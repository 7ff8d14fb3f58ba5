#include "value/value_file.h"

#include <cstring>
#include <new>
#include <utility>

namespace lightning {

Result<std::shared_ptr<const ValueFile>> ValueFile::open(Directory& directory, uint64_t number,
                                                         std::string name, bool mapped) {
  std::shared_ptr<ValueFile> values(new ValueFile(number, std::move(name)));
  Result<std::unique_ptr<File>> file = directory.open(values->name_, OpenMode::read);
  if (file.status().is(StatusCode::not_found)) {
    return Status(StatusCode::corruption, "a value file is missing", values->name_, Status::kWholeFile);
  }
  if (!file) return file.status();
  Result<uint64_t> size = (*file)->size();
  if (!size) return size.status();
  values->size_ = *size;
  if (mapped && *size > 0) {
    Result<std::unique_ptr<MappedRegion>> region = (*file)->map(0, *size, MapMode::read);
    if (!region) return region.status();
    values->region_ = *std::move(region);
  } else {
    values->file_ = *std::move(file);
  }
  return std::shared_ptr<const ValueFile>(std::move(values));
}

bool ValueFile::read(uint64_t offset, uint64_t size, uint64_t sum, std::string_view* value,
                     std::shared_ptr<const void>* owner, Status* status) const {
  const auto damaged = [&](std::string_view what, uint64_t at) {
    *status = Status(StatusCode::corruption, what, name_, at);
    return false;
  };
  if (offset > size_ || size > size_ - offset) return damaged("the value file is cut", size_);
  std::shared_ptr<char[]> copy;
  try {
    copy.reset(new char[size]);
  } catch (const std::bad_alloc&) {
    *status = Status(StatusCode::out_of_memory, "a buffer to read a value");
    return false;
  }
  if (region_ != nullptr) {
    std::memcpy(copy.get(), region_->data() + offset, size);
  } else {
    Result<uint64_t> got = file_->read(offset, copy.get(), size);
    if (!got) {
      *status = got.status();
      return false;
    }
    if (*got != size) return damaged("the value file is cut", offset + *got);
  }
  if (checksum(copy.get(), size, value_file_seed(number_, offset)) != sum) {
    if (!faulted()) return damaged("value checksum", offset);
    *status = Status(StatusCode::io_error, "a mapped page could not be read", name_, Status::kWholeFile);
    return false;
  }
  *value = {copy.get(), size};
  *owner = std::move(copy);
  return true;
}

}  // namespace lightning
