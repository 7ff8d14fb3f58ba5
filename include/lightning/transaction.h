// Transaction: reads and writes in any keyspaces of one database that take effect at once or not at all.
//
//   lightning::Transaction tx = db.begin({.isolation = lightning::Isolation::serializable});
//   if (lightning::Lookup from = tx.get("a")) ...
//   lightning::Status s = tx.put("a", "1");
//   s = tx.commit();                              // conflict: somebody was first; nothing was done
//   s = db.transact([](lightning::Transaction& t) { return t.put("a", "1"); });   // tries again by itself
//
// What a transaction writes is its own until commit(); its reads, scans and cursors show it, merged in order,
// in front of what the database holds. The destructor aborts. docs/transactions.md has the table of levels.
//
// Levels. All but read_committed read as of one moment, that of begin().
//   read_committed   each call reads what is committed when it is made; the last writer wins
//   repeatable_read  commit() fails if a key that was read, present or absent, was written since; keys that
//                    came into a scanned range are not noticed
//   snapshot         commit() fails if a key that it writes was written since (first committer wins)
//   serializable     commit() fails if anything that was read was written since: keys, absences, ranges
// A transaction that wrote nothing never fails to commit. One that is older than Options::max_snapshot_age_ms
// answers snapshot_too_old, but at read_committed, and can only be aborted.
//
// Entries expire for a transaction that reads as of one moment by one time, at which it first met an entry
// with an expiry. Passing time is no write: it makes no conflict.
// Locks. get_for_update() and lock() keep others from writing a key, not from reading it. Writes of any kind
// wait for them within their timeout_ms, and then return busy.
// Thread safety: one thread at a time, cursors and scans of it included. They may outlive it, and then answer
// `closed`; so does every call after the end and after Database::close().
#pragma once

#include <lightning/cursor.h>
#include <lightning/export.h>
#include <lightning/index.h>
#include <lightning/keyspace.h>
#include <lightning/options.h>
#include <lightning/scan.h>
#include <lightning/status.h>
#include <lightning/value.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace lightning {

enum class Isolation : uint8_t { read_committed, repeatable_read, snapshot, serializable };

/// The level's name, as in the enumeration.
LIGHTNING_EXPORT std::string_view isolation_name(Isolation isolation);

struct TransactionOptions {
  Isolation isolation = Isolation::snapshot;
  /// How long the commit may wait for memory, disk space or a lock; then it returns busy.
  /// Database::transact() begins no further try after it.
  uint64_t timeout_ms = 60'000;
  /// Writes are refused with invalid_argument.
  bool read_only = false;
  Durability durability = Durability::standard;
  /// How long get_for_update() and lock() may wait for a lock; then they return busy. 0 = not at all.
  uint64_t lock_timeout_ms = 1000;
};

/// One row of Database::transactions().
struct TransactionInfo {
  uint64_t id = 0;
  Isolation isolation = Isolation::snapshot;
  bool read_only = false;
  uint64_t age_ms = 0;
  /// Locks that it holds.
  uint64_t locks = 0;
  /// A transaction that holds what it waits for, or stands in front of it; 0: none. A number from 2^63 on
  /// is no transaction's, but that of a write.
  uint64_t waits_for = 0;
};

class TransactionState;

/// The calls of a transaction in one keyspace; Transaction is its own default one.
class LIGHTNING_EXPORT TransactionKeyspace {
 public:
  /// An empty handle: every call answers `closed`.
  TransactionKeyspace() = default;
  TransactionKeyspace(std::shared_ptr<TransactionState> state, uint32_t id)
      : state_(std::move(state)), id_(id) {}

  /// `ttl_ms` as of WriteBatch::put(), from the commit on. A write that the transaction's memory does not
  /// allow (a quarter of memory_limit, 1 GiB) is `out_of_memory`, and not part of it.
  Status put(std::string_view key, std::string_view value, uint64_t ttl_ms = 0);
  Status remove(std::string_view key);
  /// All keys with from <= key < to. At level snapshot the whole range counts as written.
  Status remove_range(std::string_view from, std::string_view to);

  Lookup get(std::string_view key);
  Lookup get(std::string_view key, Value& reused);
  Lookup contains(std::string_view key);
  Status get_many(std::span<const std::string_view> keys, std::span<Value> values);

  /// Takes the key's lock, then reads as get() does, so that nobody else writes in between and until the end
  /// of the transaction. At read_committed that is the latest value; at the other levels `conflict` if the
  /// key was written since begin(): the transaction has ended. `busy` names key and holder: not within
  /// lock_timeout_ms. `deadlock`: others that wait for this one hold it; the transaction has ended.
  /// `invalid_argument`: it is read-only.
  Lookup get_for_update(std::string_view key);
  Lookup get_for_update(std::string_view key, Value& reused);
  /// The same without the read. Locks are held until the end, whatever rollback_to() takes back.
  Status lock(std::string_view key);

  /// Cursors and scans show what the transaction writes while they are open, from their next move on.
  Cursor cursor();
  Scan scan();
  Scan scan(std::string_view from, std::string_view to);
  Scan scan_from(std::string_view from);
  Scan scan_prefix(std::string_view prefix);

  /// Reads of it show what the transaction wrote, too.
  Index index(std::string_view name) const { return {nullptr, state_, id_, std::string(name)}; }

 protected:
  std::shared_ptr<TransactionState> state_;
  uint32_t id_ = 0;
};

/// A point among the writes of a transaction.
struct Savepoint {
  uint64_t id = 0;
};

class [[nodiscard]] LIGHTNING_EXPORT Transaction : public TransactionKeyspace {
 public:
  /// One that has ended.
  Transaction() = default;
  explicit Transaction(std::shared_ptr<TransactionState> state);
  Transaction(Transaction&&) noexcept = default;
  Transaction& operator=(Transaction&& other) noexcept;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  /// Aborts what was not committed.
  ~Transaction();

  /// The same transaction in another keyspace of its database.
  TransactionKeyspace in(const Keyspace& keyspace) const { return {state_, keyspace.id()}; }

  /// ok while it can be used; why begin() failed; `closed` after its end.
  Status status() const;
  /// Makes its writes visible at once. `conflict` names a key: nothing was done, the transaction has ended.
  /// `snapshot_too_old`, `deadlock`: the same. `busy`, `no_space`, `out_of_memory`: nothing was done, and
  /// commit() may be called again. Else as Database::write(). `closed` when it has ended before.
  Status commit();
  void abort();
  /// Promises to commit: its writes are kept under the name `gid` (1 to 255 bytes), through restarts, until
  /// Database::commit_prepared() or abort_prepared(). Until then nobody else writes what it wrote, nor what
  /// it read where its level is validated; they wait, as for other locks. The transaction has ended if this
  /// succeeds. `conflict`, `deadlock`, `snapshot_too_old`, and `already_exists` for a key of a unique index:
  /// it has ended, nothing was done. `already_exists` for the name (status() is ok then), `busy` (somebody
  /// holds a lock for longer than lock_timeout_ms), `no_space`, `out_of_memory`: nothing was done, prepare()
  /// may be called again. Times to live run from the commit on.
  Status prepare(std::string_view gid);

  Savepoint set_savepoint();
  /// Takes back what was written since; the savepoint stays, those set after it are gone. Reads stay read.
  Status rollback_to(Savepoint savepoint);
  /// Forgets the savepoint and those set after it; what was written stays.
  Status release(Savepoint savepoint);

  /// Grows from one to the next; 0 of one that has ended.
  uint64_t id() const;
  Isolation isolation() const;

  // For Database::transact().
  /// After a try that ended with `conflict` or `deadlock`: waits a moment that grows with `tries`. False when
  /// `began_ns` lies further back than the timeout.
  static bool wait_to_retry(const std::shared_ptr<Engine>& engine, const TransactionOptions& options,
                            uint32_t tries, uint64_t* began_ns);
};

namespace transaction_detail {
inline Status status_of(Status status) { return status; }
template <typename T>
Status status_of(const Result<T>& result) {
  return result.status();
}
inline bool worth_retrying(const Status& status) {
  return status.is(StatusCode::conflict) || status.is(StatusCode::deadlock);
}
}  // namespace transaction_detail

}  // namespace lightning
