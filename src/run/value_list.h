// ValueList: the values of a run that stand in value files, in the order of their keys (layout in
// run/run_format.h).
//
// Thread safety: the builder externally synchronised; a list immutable after load() and open().
// Costs: sixteen bytes a value.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/version.h"
#include "run/run_format.h"
#include "value/value_files.h"

namespace lightning {

/// Where the value list of a file that `footer` describes lies; false where that contradicts itself or the
/// rest of the file.
bool values_are_sound(const Footer& footer, uint64_t sections_end);

class ValueListBuilder {
 public:
  /// The index of the value in the list.
  uint64_t add(const ValuePlace& place);
  /// Takes back those from an index on.
  void drop_from(uint64_t index);
  uint64_t values() const { return items_.size(); }
  uint64_t value_bytes() const { return value_bytes_; }
  /// What encode() answers.
  uint64_t file_bytes() const;
  std::string encode() const;

 private:
  std::vector<uint64_t> files_;
  std::unordered_map<uint64_t, uint32_t> indexes_;  // of files_
  std::vector<ValueListItem> items_;
  uint64_t value_bytes_ = 0;
};

class ValueList {
 public:
  ValueList() = default;
  ValueList(const ValueList&) = delete;
  ValueList& operator=(const ValueList&) = delete;

  /// Takes a section; false when it is malformed.
  bool load(std::string_view section);
  /// Opens the files that load() found.
  Status open(ValueFiles& files);

  uint64_t size() const { return items_.size(); }
  /// The numbers of the files.
  const std::vector<uint64_t>& files() const { return files_; }
  /// Of a value below size(); its checksum stands in the entry.
  ValuePlace place(uint64_t index) const {
    return {.file = files_[items_[index].file], .offset = items_[index].offset, .size = items_[index].size};
  }
  /// How many open runs, this one included, refer to the file at an index of files().
  uint64_t uses(size_t file) const { return uses_[file]->uses(); }
  std::shared_ptr<const ValueFile> file(size_t file) const { return uses_[file].file(); }
  uint64_t value_bytes() const { return value_bytes_; }
  uint64_t memory_bytes() const {
    return items_.capacity() * sizeof(ValueListItem) +
           files_.capacity() * (sizeof(uint64_t) + sizeof(ValueFile::Use));
  }

  /// Reads a value below size().
  bool read(uint64_t index, uint64_t checksum, std::string_view* value, std::shared_ptr<const void>* owner,
            Status* status) const {
    const ValueListItem& item = items_[index];
    return uses_[item.file]->read(item.offset, item.size, checksum, value, owner, status);
  }

 private:
  std::vector<uint64_t> files_;
  std::vector<ValueFile::Use> uses_;  // of files_
  std::vector<ValueListItem> items_;
  uint64_t value_bytes_ = 0;
};

}  // namespace lightning
