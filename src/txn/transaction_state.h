// TransactionState: what a public Transaction holds, with its cursors: a registered moment, what it wrote and
// what it read.
//
// Invariants
//  N1  What its reads answer is as of one moment (not at level read_committed), its own writes in front.
//  N2  Each key, absence or scanned range that the database answered for, and that its level is to validate,
//      is in reads_ before the answer is given.
//  N3  After its end nothing is registered or locked, and every call answers `closed`.
//  N4  The background aborts it only between two calls, for its idleness: it takes its registrations and
//      locks away, never what it wrote or noted.
// Thread safety: one thread at a time. Holds the engine.
#pragma once

#include <lightning/snapshot.h>
#include <lightning/transaction.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/active_transactions.h"
#include "engine/cursor_overlay.h"
#include "engine/engine.h"
#include "engine/footprint.h"
#include "engine/snapshot_state.h"
#include "txn/commit_extension.h"
#include "txn/write_set.h"

namespace lightning {

class TransactionState final : public CursorOverlay, public std::enable_shared_from_this<TransactionState> {
 public:
  static std::shared_ptr<TransactionState> begin(const std::shared_ptr<Engine>& engine,
                                                 const TransactionOptions& options);
  /// One that could not begin.
  explicit TransactionState(Status failure) : status_(std::move(failure)) {}
  TransactionState(const std::shared_ptr<Engine>& engine, const TransactionOptions& options);
  ~TransactionState() override;
  TransactionState(const TransactionState&) = delete;
  TransactionState& operator=(const TransactionState&) = delete;

  Status put(uint32_t keyspace, std::string_view key, std::string_view value, uint64_t ttl_ms);
  Status remove(uint32_t keyspace, std::string_view key);
  Status remove_range(uint32_t keyspace, std::string_view from, std::string_view to);
  /// As if it had not written the key: what others commit there shows.
  Status forget(uint32_t keyspace, std::string_view key);

  /// Fills `value`, if it is not null.
  Lookup get(uint32_t keyspace, std::string_view key, Value* value) {
    return get_as(keyspace, key, nullptr, value);
  }
  /// The same at the moment of a cursor of it. What it reads counts as read.
  Lookup get_as(uint32_t keyspace, std::string_view key, const CursorState* cursor, Value* value);
  /// What the transaction sees, which does not count as read.
  Lookup peek(uint32_t keyspace, std::string_view key, Value* value);
  bool reads_at_moment() const { return options_.isolation != Isolation::read_committed; }
  /// Does its own write of this key stand in front of commits that it sees besides?
  bool hides(uint32_t keyspace, std::string_view key);
  Status get_many(uint32_t keyspace, std::span<const std::string_view> keys, std::span<Value> values);
  std::unique_ptr<CursorState> cursor(uint32_t keyspace);
  /// One whose reads do not count.
  std::unique_ptr<CursorState> peeking_cursor(uint32_t keyspace);
  Status lock(uint32_t keyspace, std::string_view key);
  Lookup get_for_update(uint32_t keyspace, std::string_view key, Value* value);

  Status commit(CommitExtension& extension);
  void abort() { end(); }
  Status prepare(std::string_view gid, CommitExtension& extension);
  Result<uint64_t> set_savepoint();
  Status rollback_to(uint64_t savepoint);
  Status release(uint64_t savepoint);

  /// What it writes there is for its own reads alone: the extension of its commit makes it anew.
  void derive(uint32_t keyspace);
  /// Where the log ended when it began.
  uint64_t began_lsn() const { return began_lsn_; }
  const std::shared_ptr<Engine>& shared_engine() const { return engine_; }
  Engine* engine() const { return engine_.get(); }
  bool has_indexes() const { return engine_ != nullptr && engine_->has_indexes(); }
  uint64_t id() const { return active_.id; }
  Isolation isolation() const { return options_.isolation; }

  // CursorOverlay.
  Status usable() const override;
  uint64_t sequence() const override { return writes_.sequence(); }
  void lay_over(ViewCursors* view) override { writes_.lay_over(view); }
  uint64_t moment() override;
  void saw(SeenStretch* stretch, std::string_view from, std::string_view to,
           const std::string_view* key) override;

 private:
  /// A call under way: nobody finds the transaction idle.
  class Call;
  bool notes_keys() const {
    return !options_.read_only && (options_.isolation == Isolation::repeatable_read ||
                                   options_.isolation == Isolation::serializable);
  }
  bool notes_ranges() const { return !options_.read_only && options_.isolation == Isolation::serializable; }
  void take_moment();
  ReadOptions read_options() const;
  /// May `bytes` more be written?
  Status writable(uint64_t bytes) const;
  Status check_reads() const;
  uint64_t memory_allowed() const;
  /// May its locks take more?
  Status check_locks(std::string_view key);
  Status note_use() const;
  CommitCheck check_for_commit();
  Status commit_extended(CommitExtension& extension);
  /// Without what is derived.
  std::vector<Operation> operations() const;
  /// What it wrote of a key; nothing: it wrote none.
  std::optional<Lookup> own(std::string_view internal_key, Value* value);
  /// What it needs to be prepared.
  struct Promise {
    std::vector<Operation> operations;
    PreparedGuards guards;
    Footprint written;  // what `check` is about
    CommitCheck check;
  };
  Status make_promise(CommitExtension& extension, Promise* promise);
  Status lock_extended(CommitExtension& extension, std::span<const Operation> operations,
                       std::vector<Operation>* extended);
  /// All that keep others from what it writes and from what its level relies on.
  Status lock_for_prepare(std::span<const Operation> operations, const Footprint* reads);
  enum class Locks : uint8_t { go, stay };
  void end(Locks locks = Locks::go);

  std::shared_ptr<Engine> engine_;  // null: it could not begin
  const TransactionOptions options_;
  Status status_;  // why it could not begin
  bool ended_ = false;
  bool watched_ = false;  // may expire
  mutable ActiveTransaction active_;
  uint64_t locks_held_ = 0;
  uint64_t lock_bytes_ = 0;  // what they take, about
  std::optional<SnapshotState> moment_;
  Snapshot snapshot_;  // of moment_, until the end; refers to it without a count
  WriteSet writes_;
  Footprint reads_;
  uint64_t began_lsn_ = 0;
  std::vector<uint32_t> derived_;  // keyspaces
};

/// Those under way, oldest first.
std::vector<TransactionInfo> list_transactions(const Engine& engine);

/// Waits a moment that is random and grows with `tries`, up to a few milliseconds. False when `*began_ns`,
/// set by the first call, lies `timeout_ms` back.
bool wait_to_retry(Engine& engine, uint64_t timeout_ms, uint32_t tries, uint64_t* began_ns);

}  // namespace lightning
