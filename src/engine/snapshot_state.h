// SnapshotState: what a public Snapshot holds: a registered read LSN.
// Thread safety: immutable; that of a transaction, one thread at a time. Holds the engine.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/engine.h"

namespace lightning {

class SnapshotState {
 public:
  /// `lsn` is registered once for it, `checked` as the moment of a transaction.
  SnapshotState(std::shared_ptr<Engine> engine, uint64_t lsn, bool checked = false)
      : engine_(std::move(engine)), lsn_(lsn), checked_(checked) {}
  ~SnapshotState() {
    if (moment_ != 0) engine_->remove_moment(moment_);
    checked_ ? engine_->remove_checked(lsn_) : engine_->remove_reader(lsn_);
  }
  SnapshotState(const SnapshotState&) = delete;
  SnapshotState& operator=(const SnapshotState&) = delete;

  uint64_t lsn() const { return lsn_; }
  /// By which all reads of a transaction judge what has expired, from the first that asks; 0: each its own.
  uint64_t moment() const {
    if (checked_ && moment_ == 0) moment_ = engine_->add_moment();
    return moment_;
  }
  const Engine* engine() const { return engine_.get(); }

 private:
  const std::shared_ptr<Engine> engine_;
  const uint64_t lsn_;
  const bool checked_;
  mutable uint64_t moment_ = 0;  // registered; only of a transaction, hence of one thread
};

}  // namespace lightning
