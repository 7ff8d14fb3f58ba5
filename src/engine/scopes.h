// Scopes within which something is so of an Engine, which others ask for: classes of it.
//
// Thread safety: each belongs to one thread.
// Ownership: the Engine outlives them.
#pragma once

#include <atomic>

#include "engine/engine.h"

namespace lightning {

/// The locks of a write, given back at its end.
class Engine::WriteLocks {
 public:
  explicit WriteLocks(Engine& engine) : engine_(engine), owner_(engine.locks_.write_owner()) {}
  ~WriteLocks() { engine_.release_locks(owner_); }
  WriteLocks(const WriteLocks&) = delete;
  WriteLocks& operator=(const WriteLocks&) = delete;
  LockOwner owner() const { return owner_; }

 private:
  Engine& engine_;
  const LockOwner owner_;
};

/// A commit with a range removal is under way.
class Engine::RangeCommit {
 public:
  explicit RangeCommit(Engine& engine);
  ~RangeCommit();
  RangeCommit(const RangeCommit&) = delete;
  RangeCommit& operator=(const RangeCommit&) = delete;

 private:
  Engine& engine_;
};

/// Under switch_mutex_: what nobody sees yet will be in the log. Before a look at the table of locks.
class Engine::Unseen {
 public:
  explicit Unseen(Engine& engine) : engine_(engine) {
    engine.unseen_commits_.fetch_add(1, std::memory_order_seq_cst);
  }
  ~Unseen() { engine_.unseen_commits_.fetch_sub(1, std::memory_order_seq_cst); }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  Engine& engine_;
};

/// A flush gives memory up: whoever waits for it waits on.
class Engine::Releasing {
 public:
  explicit Releasing(Engine& engine) : engine_(engine) { engine.releasing_.store(true); }
  ~Releasing() { engine_.memory_released(); }
  Releasing(const Releasing&) = delete;
  Releasing& operator=(const Releasing&) = delete;

 private:
  Engine& engine_;
};

}  // namespace lightning
