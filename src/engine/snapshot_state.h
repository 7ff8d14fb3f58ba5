// SnapshotState: what a public Snapshot holds: a registered read LSN.
// Thread safety: immutable. Holds the engine.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/engine.h"

namespace lightning {

class SnapshotState {
 public:
  /// `lsn` is registered once for it.
  SnapshotState(std::shared_ptr<Engine> engine, uint64_t lsn) : engine_(std::move(engine)), lsn_(lsn) {}
  ~SnapshotState() { engine_->remove_reader(lsn_); }
  SnapshotState(const SnapshotState&) = delete;
  SnapshotState& operator=(const SnapshotState&) = delete;

  uint64_t lsn() const { return lsn_; }
  const Engine* engine() const { return engine_.get(); }

 private:
  const std::shared_ptr<Engine> engine_;
  const uint64_t lsn_;
};

}  // namespace lightning
