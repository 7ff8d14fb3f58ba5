// SnapshotState: what a public Snapshot holds: a registered reader.
// Thread safety: immutable. Holds the engine.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/engine.h"

namespace lightning {

class SnapshotState {
 public:
  /// `reader` was registered for it.
  SnapshotState(std::shared_ptr<Engine> engine, RegisteredReader* reader)
      : engine_(std::move(engine)), reader_(reader) {}
  ~SnapshotState() { engine_->remove_reader(reader_); }
  SnapshotState(const SnapshotState&) = delete;
  SnapshotState& operator=(const SnapshotState&) = delete;

  uint64_t lsn() const { return reader_->lsn(); }
  const RegisteredReader& reader() const { return *reader_; }
  const Engine* engine() const { return engine_.get(); }

 private:
  const std::shared_ptr<Engine> engine_;
  RegisteredReader* const reader_;
};

}  // namespace lightning
