// Transactions of one key: read, decide, write, all at one point of the log.
//
// What they read is checked under the lock of the key's bucket: a write that came between makes them read
// again, and each such write is another call's success.
// Thread safety: any threads.
#pragma once

#include <lightning/keyspace.h>
#include <lightning/snapshot.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/commit_check.h"
#include "engine/engine.h"
#include "engine/scopes.h"
#include "txn/commit_extension.h"

namespace lightning {

// `extension` may be null.
Status compare_and_set(Engine& engine, uint32_t keyspace, std::string_view key,
                       std::optional<std::string_view> expected, std::optional<std::string_view> desired,
                       const WriteOptions& options, CommitExtension* extension = nullptr);
Status put_if_absent(Engine& engine, uint32_t keyspace, std::string_view key, std::string_view value,
                     const WriteOptions& options, CommitExtension* extension = nullptr);
Status update_key(Engine& engine, uint32_t keyspace, std::string_view key, const Keyspace::UpdateFn& fn,
                  const WriteOptions& options, CommitExtension* extension = nullptr);
Result<int64_t> add_to_key(Engine& engine, uint32_t keyspace, std::string_view key, int64_t delta,
                           const WriteOptions& options, CommitExtension* extension = nullptr);

/// What is read and written under one check, again and again until no other write was first: with hold_off()
/// between the tries that comes to an end, at the latest with the write's timeout.
class RetriedCommit {
 public:
  explicit RetriedCommit(Engine& engine) : engine_(engine) {}

  /// Before each try: takes a moment. At first without a registration: it is only needed where a segment
  /// ends meanwhile.
  Status begin();
  const ReadOptions& read() const { return read_; }
  /// Whose locks do not stop it, from the next begin() on.
  void commit_as(LockOwner owner) { owner_ = owner; }
  /// Before each further try: locks what `rows` write, for the owner or until the end of this, so that nobody
  /// else is first any more; from the third try on also what the extension adds. `busy`: another one holds a
  /// lock, or was first again, until the timeout was over.
  Status hold_off(std::span<const Operation> rows, const WriteOptions& options);
  /// Of all waits of all tries.
  uint64_t deadline(const WriteOptions& options) {
    if (deadline_ == 0) deadline_ = engine_.deadline_after(options.timeout_ms);
    return deadline_;
  }
  /// Writes `operations`, extended by `extension`, which may be null.
  Status commit(std::vector<Operation>& operations, const WriteOptions& options, CommitExtension* extension);
  /// Is it worth another try?
  static bool overtaken(const Status& status) {
    // A moment may become too old while the commit waits for memory.
    return status.is(StatusCode::conflict) || status.is(StatusCode::snapshot_too_old);
  }

 private:
  Status lock(std::span<const Operation> operations);

  Engine& engine_;
  LockOwner owner_ = 0;
  std::optional<Engine::WriteLocks> locks_;  // unless it is given an owner
  uint64_t deadline_ = 0;                    // CommitPlan::deadline
  uint32_t tries_ = 0;
  Snapshot moment_;
  ReadOptions read_;
  CommitCheck check_;
};

}  // namespace lightning
