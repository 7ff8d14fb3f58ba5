// Snapshot: the database as of one moment, for reads (ReadOptions::snapshot).
//
// It pins versions, never files or log: what it can see is kept until it is released, or is older than
// Options::max_snapshot_age_ms and answers snapshot_too_old from then on. Release it soon.
// Thread safety: any threads. Holds the database's core; reads through it after close() answer `closed`.
#pragma once

#include <lightning/export.h>

#include <cstdint>
#include <memory>

namespace lightning {

class SnapshotState;

class LIGHTNING_EXPORT Snapshot {
 public:
  Snapshot() = default;
  explicit Snapshot(std::shared_ptr<const SnapshotState> state) : state_(std::move(state)) {}

  /// False for a default-made or released one.
  bool valid() const { return state_ != nullptr; }
  /// Position in the log: it sees every commit below.
  uint64_t lsn() const;
  void release() { state_.reset(); }

  const SnapshotState* state() const { return state_.get(); }

 private:
  std::shared_ptr<const SnapshotState> state_;
};

}  // namespace lightning
