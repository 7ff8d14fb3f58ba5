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
#include <string_view>
#include <vector>

#include "engine/commit_check.h"
#include "engine/engine.h"
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

/// What is read and written under one check, again and again until no other write was first.
class RetriedCommit {
 public:
  explicit RetriedCommit(Engine& engine) : engine_(engine) {}

  /// Before each try: takes a moment. At first without a registration: it is only needed where a segment
  /// ends meanwhile.
  Status begin();
  const ReadOptions& read() const { return read_; }
  /// Whose locks do not stop it, from the next begin() on.
  void commit_as(LockOwner owner) { owner_ = owner; }
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
  Engine& engine_;
  LockOwner owner_ = 0;
  uint64_t deadline_ = 0;  // CommitPlan::deadline
  bool first_ = true;
  Snapshot moment_;
  ReadOptions read_;
  CommitCheck check_;
};

}  // namespace lightning
