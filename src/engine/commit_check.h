// CommitCheck: what must still be as a transaction saw it when its commit takes its place in the log.
//
// Thread safety: immutable while the commit runs.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/commit_plan.h"
#include "engine/footprint.h"
#include "engine/snapshots.h"

namespace lightning {

struct CommitCheck {
  /// The transaction's moment: it saw every commit below.
  uint64_t since = 0;
  /// Registered there as a transaction, so that what came since can be found in runs, too. Null: nobody is.
  const RegisteredReader* reader = nullptr;
  /// Nobody else wrote what the commit writes (first committer wins).
  bool writes = false;
  /// Nobody wrote here; sealed. Null: anybody may.
  const Footprint* reads = nullptr;
  /// Whose locks do not stop the commit (LockOwner); 0: nobody's.
  uint64_t owner = 0;
  /// As CommitPlan::index_version.
  uint64_t index_version = 0;
  /// CommitPlan::deadline of all tries of a write; null: there is one.
  uint64_t* deadline = nullptr;

  bool any() const { return writes || reads != nullptr; }
};

/// A commit under such a check.
struct CheckedCommit {
  const CommitCheck& check;
  uint64_t upto = 0;  // nobody was first below

  /// Must it see all of the log in front of it?
  bool at_turn(const CommitPlan& plan) const {
    return (check.reads != nullptr && !check.reads->empty()) || (check.writes && plan.has_ranges());
  }
};

/// An internal key for a message.
std::string printable_key(std::string_view key);
Status conflict_over(std::string_view key);

}  // namespace lightning
