// SnapshotState: what a public Snapshot and a transaction hold: a registered reader.
// Thread safety: immutable; that of a transaction, one thread at a time. Holds the engine, if `engine` does.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/engine.h"

namespace lightning {

class SnapshotState {
 public:
  /// Registered by Engine::add_reader(), the last thing that is done to it.
  explicit SnapshotState(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
  ~SnapshotState() { engine_->remove_reader(&reader_); }
  SnapshotState(const SnapshotState&) = delete;
  SnapshotState& operator=(const SnapshotState&) = delete;

  uint64_t lsn() const { return reader_.lsn(); }
  const RegisteredReader& reader() const { return reader_; }
  RegisteredReader* registered() const { return &reader_; }
  /// By which all reads of a transaction judge what has expired, from the first that asks; 0: each its own.
  uint64_t moment() const {
    if (moment_ == 0 && reader_.kind() == ReaderKind::transaction) moment_ = engine_->add_moment(&reader_);
    return moment_;
  }
  const Engine* engine() const { return engine_.get(); }

 private:
  const std::shared_ptr<Engine> engine_;
  mutable RegisteredReader reader_;  // the registry changes its side of it
  mutable uint64_t moment_ = 0;      // registered; only of a transaction, hence of one thread
};

}  // namespace lightning
