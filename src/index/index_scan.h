// Reads by index: IndexScanState is what a public IndexScan holds: a scan of entries, and the moment by which
// the rows are read that they stand for.
//
// The cursor over the entries is registered, so that rows can be read at its LSN; in a transaction the
// transaction's own writes stand in front of both.
// Where each row is asked for, rows are read together with those of the entries behind, which are kept.
// Thread safety: IndexScanState one thread at a time; the functions any. Hold the engine.
#pragma once

#include <lightning/index.h>
#include <lightning/scan.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cursor_state.h"
#include "index/index_set.h"
#include "txn/transaction_state.h"

namespace lightning {

/// Where a read by index takes place.
struct IndexPlace {
  std::shared_ptr<Engine> engine;                 // of the transaction, if there is one
  std::shared_ptr<TransactionState> transaction;  // null: outside of any
  ReadOptions options;                            // outside of transactions
};

class IndexScanState {
 public:
  /// One that failed.
  explicit IndexScanState(Status status) : status_(std::move(status)) {}
  /// Over entries with from <= key < to, where "" for `to` is no end.
  IndexScanState(IndexPlace place, std::shared_ptr<const LiveIndex> index, std::string from, std::string to);

  void limit(uint64_t entries);
  void reverse();
  /// Skips entries whose index key is not just `key`.
  void only(std::string key) { only_ = std::move(key); }
  bool advance();
  // Of the present entry; empty where advance() has not given one.
  const EntryParts& parts() const { return parts_; }
  std::string_view entry_key() const { return entry_key_; }
  /// Of the row; null: it has none any more, there is no entry, or status() says why not.
  const Value* row() { return present_ ? row_of_entry() : nullptr; }
  const Status& status() const;
  const LiveIndex& index() const { return *index_; }

 private:
  /// An entry that was read ahead, and its row, if that could be read with the others.
  struct Ahead {
    std::string key;
    std::string value;
    bool row_read = false;
  };

  /// To the next entry that counts.
  bool find_next();
  bool step();
  bool take(std::string_view key, std::string_view value);
  const Value* row_of_entry();
  bool read_row();
  bool read_ahead(size_t wanted);
  /// Is the entry one that somebody committed of a row that the transaction wrote?
  bool is_hidden();

  Status status_;
  IndexPlace place_;
  std::shared_ptr<const LiveIndex> index_;
  const CursorState* cursor_ = nullptr;  // of scan_
  Scan scan_{nullptr, {}, {}, false};
  uint64_t left_ = UINT64_MAX;
  bool present_ = false;
  EntryParts parts_;
  std::string_view entry_key_;
  std::string only_;
  std::vector<MadeEntry> made_;
  bool row_read_ = false;
  bool row_asked_ = false;  // by row()
  Value row_;

  size_t ahead_wanted_ = 0;   // so many entries with the next one
  std::vector<Ahead> ahead_;  // the present entry and those behind it
  std::vector<Value> rows_;   // of ahead_
  size_t ahead_size_ = 0;
  size_t next_ahead_ = 0;
};

/// The index, unless it cannot be read there: it is being built, came after the transaction, ...
Result<std::shared_ptr<const LiveIndex>> readable_index(const IndexPlace& place, uint32_t keyspace,
                                                        std::string_view name);
/// Entries whose index key begins with `key`; or with from <= index key < to.
std::unique_ptr<IndexScanState> find_in_index(const IndexPlace& place, uint32_t keyspace,
                                              std::string_view name, std::string_view key);
std::unique_ptr<IndexScanState> range_of_index(const IndexPlace& place, uint32_t keyspace,
                                               std::string_view name, std::string_view from,
                                               std::string_view to);
std::unique_ptr<IndexScanState> text_prefix_in_index(const IndexPlace& place, uint32_t keyspace,
                                                     std::string_view name, std::string_view text);
/// What get_by_index() would say of the latest state or of a snapshot, without a cursor. Nothing: it takes
/// one, or there is something to be said against the call.
std::optional<Lookup> get_at_once(Engine& engine, uint32_t keyspace, std::string_view name,
                                  std::string_view key, const ReadOptions& options, Value* value,
                                  std::string* primary_key);
/// Fills `value` with the first row whose key in the index is `key`, and `primary_key` if it is not null.
Lookup get_by_index(const IndexPlace& place, uint32_t keyspace, std::string_view name, std::string_view key,
                    Value* value, std::string* primary_key);
Result<uint64_t> count_in_index(const IndexPlace& place, uint32_t keyspace, std::string_view name,
                                std::string_view from, std::string_view to);

/// IndexStats of an index (index_statistics.cc).
Result<IndexStats> statistics_of(const std::shared_ptr<Engine>& engine, const LiveIndex& index);

}  // namespace lightning
