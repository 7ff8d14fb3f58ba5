// ValueExtents: where in value files the values stand that the runs of a View refer to.
//
// Thread safety: a value.
// Costs: sixteen bytes and a sort step a value.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "view/view.h"

namespace lightning {

/// The value files of these runs, ascending, each once.
std::vector<uint64_t> value_files_of(std::span<const std::shared_ptr<const RunFile>> files);

/// A value file of these runs, one of which has it open.
std::shared_ptr<const ValueFile> value_file_of(std::span<const std::shared_ptr<const RunFile>> files,
                                               uint64_t number);

class ValueExtents {
 public:
  struct Extent {
    uint64_t offset;
    uint64_t end;
  };
  struct OfFile {
    std::vector<Extent> extents;  // ascending, disjoint, none empty
    uint64_t file_bytes = 0;
    uint64_t runs = 0;  // that refer to it
    uint64_t uses = 0;  // when this was made: above `runs` where somebody reads by another View
    uint64_t live_bytes = 0;
    uint64_t live_page_bytes = 0;  // of whole pages
  };

  /// Of the value files `numbers`, which ascend, or of all.
  ValueExtents(const View& view, const std::vector<uint64_t>* numbers);

  const std::map<uint64_t, OfFile>& files() const { return files_; }
  std::map<uint64_t, OfFile> take_files() && { return std::move(files_); }

 private:
  void add(const RunFile& run, const std::vector<uint64_t>* numbers);

  std::map<uint64_t, OfFile> files_;
};

}  // namespace lightning
