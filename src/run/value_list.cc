#include "run/value_list.h"

#include <algorithm>

#include "base/coding.h"

namespace lightning {

bool values_are_sound(const Footer& footer, uint64_t sections_end) {
  if ((footer.features & kFeatureValueList) == 0) {
    return footer.values_offset == 0 && footer.values_bytes == 0 && footer.values_checksum == 0 &&
           footer.value_bytes == 0;
  }
  const bool ranges = footer.range_removals != 0;
  const uint64_t before = ranges ? footer.ranges_offset : footer.fences_offset;
  return footer.values_offset % kUnitBytes == 0 && footer.values_offset <= sections_end &&
         footer.values_offset >= before &&
         footer.values_offset - before >= (ranges ? footer.ranges_bytes : footer.fences_bytes) &&
         footer.values_bytes <= sections_end - footer.values_offset && footer.values_bytes != 0;
}

uint64_t ValueListBuilder::add(const ValuePlace& place) {
  const auto [at, added] = indexes_.try_emplace(place.file, static_cast<uint32_t>(files_.size()));
  if (added) files_.push_back(place.file);
  items_.push_back({.offset = place.offset, .file = at->second, .size = static_cast<uint32_t>(place.size)});
  value_bytes_ += place.size;
  return items_.size() - 1;
}

void ValueListBuilder::drop_from(uint64_t index) {
  for (; items_.size() > index; items_.pop_back()) value_bytes_ -= items_.back().size;
}

uint64_t ValueListBuilder::file_bytes() const {
  if (items_.empty()) return 0;
  return value_list_bytes(
      {.files = static_cast<uint32_t>(files_.size()), .values = static_cast<uint32_t>(items_.size())});
}

std::string ValueListBuilder::encode() const {
  std::string section(file_bytes(), '\0');
  char* to = section.data();
  store(to, ValueListHeader{.files = static_cast<uint32_t>(files_.size()),
                            .values = static_cast<uint32_t>(items_.size())});
  to += sizeof(ValueListHeader);
  for (const uint64_t number : files_) {
    store(to, number);
    to += sizeof(number);
  }
  for (const ValueListItem& item : items_) {
    store(to, item);
    to += sizeof(item);
  }
  return section;
}

bool ValueList::load(std::string_view section) {
  if (section.size() < sizeof(ValueListHeader)) return false;
  const auto header = lightning::load<ValueListHeader>(section.data());
  if (value_list_bytes(header) != section.size() || header.files == 0 || header.values == 0) return false;
  const char* at = section.data() + sizeof(header);
  files_.reserve(header.files);
  for (uint32_t i = 0; i < header.files; ++i, at += sizeof(uint64_t)) {
    files_.push_back(lightning::load<uint64_t>(at));
    if (files_.back() == 0) return false;
  }
  items_.reserve(header.values);
  for (uint32_t i = 0; i < header.values; ++i, at += sizeof(ValueListItem)) {
    const auto item = lightning::load<ValueListItem>(at);
    if (item.file >= header.files || item.size > kRunValueBytesMax || item.offset > UINT64_MAX - item.size)
      return false;
    items_.push_back(item);
    value_bytes_ += item.size;
  }
  return true;
}

Status ValueList::open(ValueFiles& files) {
  uses_.reserve(files_.size());
  for (const uint64_t number : files_) {
    Result<std::shared_ptr<const ValueFile>> file = files.open(number);
    if (!file) return file.status();
    uses_.emplace_back(*std::move(file));
  }
  return {};
}

}  // namespace lightning
