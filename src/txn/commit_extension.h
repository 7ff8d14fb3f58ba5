// CommitExtension: what a room above adds to a commit before it takes place: entries of indexes.
//
// Thread safety: one thread.
#pragma once

#include <lightning/options.h>
#include <lightning/status.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/commit_plan.h"
#include "engine/footprint.h"

namespace lightning {

class CommitExtension {
 public:
  virtual ~CommitExtension() = default;

  /// Has it anything to do with these, as things are now? What it knows stays the same until the next call.
  virtual bool concerns(std::span<const Operation> operations) = 0;
  /// Makes of them what is to be committed, of what `read` shows; range removals stay first. `reads`, which
  /// may be null, is given each key and range that must not be written meanwhile; where it is null the
  /// caller has all that is written checked. What it adds is good until the next call. Throws
  /// std::bad_alloc.
  virtual Status extend(std::vector<Operation>* operations, const ReadOptions& read, Footprint* reads) = 0;
  /// Was it extend() that made this entry, of a row? It makes the same of the same row again.
  virtual bool is_derived(std::string_view internal_key) const = 0;
  /// For CommitCheck, as of concerns().
  virtual uint64_t index_version() const = 0;
  /// What to answer for the commit of `operations` that failed with `conflict`.
  virtual Status explain(Status conflict, std::span<const Operation> operations) = 0;
};

}  // namespace lightning
