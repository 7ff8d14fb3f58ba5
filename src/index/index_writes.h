// IndexWriter: the writes of a database that has indexes, or may have got one just now: those of keyspaces
// without any go straight to the engine, the others become commits with entries.
//
// Thread safety: one thread; made for one call.
#pragma once

#include <lightning/ingest.h>
#include <lightning/options.h>
#include <lightning/status.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "index/index_extension.h"
#include "txn/transaction_state.h"

namespace lightning {

class IndexWriter {
 public:
  explicit IndexWriter(Engine& engine) : engine_(engine) {}

  Status put(uint32_t keyspace, std::string_view key, std::string_view value, const WriteOptions& options);
  Status remove(uint32_t keyspace, std::string_view key, const WriteOptions& options);
  Status remove_range(uint32_t keyspace, std::string_view from, std::string_view to,
                      const WriteOptions& options);
  /// `encoded` as format/batch_codec.h says.
  Status write(std::string_view encoded, size_t operations, const WriteOptions& options);
  /// One commit through the log, with the limits of a transaction.
  Result<IngestReport> ingest(uint32_t keyspace, IngestSource& source);

 private:
  bool has_indexes(uint32_t keyspace);
  Status commit(std::span<const Operation> operations, const WriteOptions& options);

  Engine& engine_;
};

/// Commits what was prepared as `gid`, with the entries that it has now.
Status commit_prepared(Engine& engine, std::string_view gid, const WriteOptions& options);

// The writes of a transaction: entries follow its rows at once, for its own reads by index. A key that is
// taken in a unique index, as far as the transaction sees, is `already_exists`, and the write no part of it.
Status put_in_transaction(TransactionState& transaction, uint32_t keyspace, std::string_view key,
                          std::string_view value, uint64_t ttl_ms);
Status remove_in_transaction(TransactionState& transaction, uint32_t keyspace, std::string_view key);
Status remove_range_in_transaction(TransactionState& transaction, uint32_t keyspace, std::string_view from,
                                   std::string_view to);

}  // namespace lightning
