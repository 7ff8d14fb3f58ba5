// What a Choice makes of the runs of a database. One function says so for the durable state and for Views.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compaction/policy.h"
#include "view/durable_state.h"

namespace lightning {

/// What a merge wrote, and how far it came.
struct MergeOutput {
  std::vector<RunFileInfo> files;
  /// The first key of its runs that it did not come to; empty: none is left.
  std::string next;
  /// It ended before Choice::to: from here on files of the last level stay as they are; empty: it did not.
  std::string last_from;
};

/// `choice` was made of a View of `runs_then` runs; those that flushes added since stand in front.
void apply_choice(const Choice& choice, size_t runs_then, const MergeOutput& output,
                  std::vector<SortedRunInfo>* runs);

/// Takes files out of the runs of a View of `runs_then` runs. `files` ascend.
void apply_drop(std::span<const FileAt> files, size_t runs_then, std::vector<SortedRunInfo>* runs);

/// The files that `before` names and `after` does not, each once.
std::vector<uint64_t> files_gone(const std::vector<SortedRunInfo>& before,
                                 const std::vector<SortedRunInfo>& after);

}  // namespace lightning
