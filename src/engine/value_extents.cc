#include "engine/value_extents.h"

#include <algorithm>
#include <set>

#include "base/coding.h"

namespace lightning {

namespace {

constexpr uint64_t kPageBytes = 4096;

/// In order, those that touch or overlap as one.
void settle(ValueExtents::OfFile* file) {
  std::vector<ValueExtents::Extent>& extents = file->extents;
  std::ranges::sort(extents, {}, &ValueExtents::Extent::offset);
  size_t kept = 0;
  for (const ValueExtents::Extent& extent : extents) {
    if (kept > 0 && extent.offset <= extents[kept - 1].end) {
      extents[kept - 1].end = std::max(extents[kept - 1].end, extent.end);
    } else {
      extents[kept++] = extent;
    }
  }
  extents.resize(kept);
  uint64_t pages_end = 0;
  for (const ValueExtents::Extent& extent : extents) {
    file->live_bytes += extent.end - extent.offset;
    const uint64_t from = std::max(pages_end, extent.offset / kPageBytes * kPageBytes);
    pages_end = std::max(pages_end, align_up(extent.end, kPageBytes));
    file->live_page_bytes += pages_end - from;
  }
}

}  // namespace

std::vector<uint64_t> value_files_of(std::span<const std::shared_ptr<const RunFile>> files) {
  std::vector<uint64_t> numbers;
  for (const auto& file : files) {
    numbers.insert(numbers.end(), file->values().files().begin(), file->values().files().end());
  }
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::shared_ptr<const ValueFile> value_file_of(std::span<const std::shared_ptr<const RunFile>> files,
                                               uint64_t number) {
  for (const auto& file : files) {
    const std::vector<uint64_t>& numbers = file->values().files();
    const auto at = std::ranges::find(numbers, number);
    if (at != numbers.end()) return file->values().file(static_cast<size_t>(at - numbers.begin()));
  }
  return nullptr;
}

ValueExtents::ValueExtents(const View& view, const std::vector<uint64_t>* numbers) {
  std::set<const RunFile*> seen;
  for (const auto& run : view.runs) {
    for (const auto& file : run->files()) {
      if (file->values().size() != 0 && seen.insert(file.get()).second) add(*file, numbers);
    }
  }
  for (auto& [number, file] : files_) settle(&file);
}

void ValueExtents::add(const RunFile& run, const std::vector<uint64_t>* numbers) {
  const ValueList& values = run.values();
  const auto wanted = [&](uint64_t number) {
    return numbers == nullptr || std::ranges::binary_search(*numbers, number);
  };
  bool any = false;
  for (size_t i = 0; i < values.files().size(); ++i) {
    if (!wanted(values.files()[i])) continue;
    OfFile& file = files_[values.files()[i]];
    file.runs += 1;
    file.uses = values.uses(i);
    file.file_bytes = values.file(i)->size();
    any = true;
  }
  for (uint64_t index = 0; any && index < values.size(); ++index) {
    const ValuePlace place = values.place(index);
    const auto file = files_.find(place.file);
    if (file == files_.end() || place.size == 0) continue;
    file->second.extents.push_back({.offset = place.offset, .end = place.offset + place.size});
  }
}

}  // namespace lightning
