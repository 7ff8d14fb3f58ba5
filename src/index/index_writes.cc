#include "index/index_writes.h"

#include <algorithm>

#include "engine/cursor_state.h"
#include "format/batch_codec.h"
#include "format/internal_key.h"
#include "txn/one_key.h"
#include "txn/write_set.h"

namespace lightning {

namespace {

Status no_memory_for_key() { return Status(StatusCode::out_of_memory, "the key of a write"); }

// Tried again where another commit came first, each time with operations of its own.
Status commit_with_entries(Engine& engine, std::span<const Operation> operations, const WriteOptions& options,
                           LockOwner owner = 0) {
  constexpr size_t kEntriesExpected = 4;
  IndexExtension extension(engine);
  std::vector<Operation> tried;
  tried.reserve(operations.size() + kEntriesExpected);
  RetriedCommit retried(engine);
  retried.commit_as(owner);
  for (;;) {
    if (Status status = retried.begin(); !status.ok()) return status;
    tried.assign(operations.begin(), operations.end());
    Status status = retried.commit(tried, options, &extension);
    if (!RetriedCommit::overtaken(status)) return status;
    if (status = retried.hold_off(operations, options); !status.ok()) return status;
  }
}

}  // namespace

bool IndexWriter::has_indexes(uint32_t keyspace) { return IndexSet::of(engine_).has_indexes(keyspace); }

Status IndexWriter::commit(std::span<const Operation> operations, const WriteOptions& options) {
  if (engine_.read_only()) return Status(StatusCode::invalid_argument, "the database was opened read-only");
  return commit_with_entries(engine_, operations, options);
}

Status IndexWriter::put(uint32_t keyspace, std::string_view key, std::string_view value,
                        const WriteOptions& options) {
  if (!has_indexes(keyspace)) {
    Status status = engine_.put(keyspace, key, value, options);
    if (!status.is(StatusCode::conflict)) return status;
  }
  if (Status status = check_key(key); !status.ok()) return status;
  if (Status status = check_value(value); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  const Operation put{
      .entry = {EntryKind::put, internal.view(), value}, .hash = 0, .offset = 0, .expiry = options.ttl_ms};
  return commit({&put, 1}, options);
}

Status IndexWriter::remove(uint32_t keyspace, std::string_view key, const WriteOptions& options) {
  if (!has_indexes(keyspace)) {
    Status status = engine_.remove(keyspace, key, options);
    if (!status.is(StatusCode::conflict)) return status;
  }
  if (Status status = check_key(key); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  const Operation removal{
      .entry = {EntryKind::remove, internal.view(), {}}, .hash = 0, .offset = 0, .expiry = 0};
  return commit({&removal, 1}, options);
}

Status IndexWriter::remove_range(uint32_t keyspace, std::string_view from, std::string_view to,
                                 const WriteOptions& options) {
  if (!has_indexes(keyspace)) {
    Status status = engine_.remove_range(keyspace, from, to, options);
    if (!status.is(StatusCode::conflict)) return status;
  }
  if (Status status = check_key(from); !status.ok()) return status;
  if (Status status = check_key(to); !status.ok()) return status;
  if (to <= from) return engine_.usable(keyspace);
  const InternalKey first(keyspace, from);
  const InternalKey last(keyspace, to);
  if (!first.ok() || !last.ok()) return no_memory_for_key();
  const Operation removal{
      .entry = {EntryKind::remove_range, first.view(), last.view()}, .hash = 0, .offset = 0, .expiry = 0};
  return commit({&removal, 1}, options);
}

// What the batch comes to: range removals, then one write for each key.
Status IndexWriter::write(std::string_view encoded, size_t operations, const WriteOptions& options) {
  // First of all, since what is too long cannot be walked.
  if (Status status = check_batch(encoded); !status.ok()) return status;
  const std::shared_ptr<const IndexTable> table = IndexSet::of(engine_).table();
  bool concerned = false;
  LogEntry entry;
  for (BatchReader reader(encoded); !concerned && reader.next(&entry);) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(entry.key, &keyspace);
    concerned = !table->of(keyspace).empty();
  }
  if (!concerned) {
    Status status = engine_.write(encoded, operations, options);
    if (!status.is(StatusCode::conflict)) return status;
  }
  WriteSet writes;
  for (BatchReader reader(encoded); reader.next(&entry);) {
    uint64_t ttl_ms = options.ttl_ms;
    if (entry.kind == EntryKind::put_expiring) ttl_ms = take_batch_ttl(&entry);
    switch (entry.kind) {
      case EntryKind::remove:
        writes.remove(entry.key);
        break;
      case EntryKind::remove_range:
        writes.remove_range(entry.key, entry.value);
        break;
      default:
        writes.put(entry.key, entry.value, ttl_ms);
    }
  }
  return commit(writes.operations(), options);
}

Result<IngestReport> IndexWriter::ingest(uint32_t keyspace, IngestSource& source) {
  if (!has_indexes(keyspace)) return engine_.ingest(keyspace, source);
  if (Status status = engine_.usable(keyspace); !status.ok()) return status;
  const uint64_t allowed = std::min<uint64_t>(kBatchBytesMax, engine_.options().memory_limit / 4);
  WriteSet writes;
  IngestReport report;
  std::string before;
  while (source.next()) {
    const std::string_view key = source.key();
    if (Status status = check_key(key); !status.ok()) return status;
    if (Status status = check_value(source.value()); !status.ok()) return status;
    if (report.entries != 0 && key <= before) {
      return Status(StatusCode::invalid_argument, "the key " + readable_bytes(key) +
                                                      " does not stand behind " + readable_bytes(before) +
                                                      ", which came before it");
    }
    before = key;
    const InternalKey internal(keyspace, key);
    if (!internal.ok()) return no_memory_for_key();
    if (writes.bytes() + key.size() + source.value().size() > allowed) {
      return Status(StatusCode::out_of_memory,
                    "an ingestion into a keyspace with indexes has at most " + std::to_string(allowed) +
                        " bytes; for more, ingest first and create the indexes then");
    }
    writes.put(internal.view(), source.value(), 0);
    ++report.entries;
  }
  if (Status status = source.status(); !status.ok()) return status;
  if (report.entries == 0) return report;
  if (Status status = commit(writes.operations(), {.durability = Durability::power}); !status.ok())
    return status;
  report.bytes = writes.bytes();
  return report;
}

Status commit_prepared(Engine& engine, std::string_view gid, const WriteOptions& options) {
  return engine.commit_prepared(gid, [&](std::vector<Operation>& operations, LockOwner owner) {
    return commit_with_entries(engine, operations, options, owner);
  });
}

namespace {

/// The entries of one row of a transaction, in its own writes.
class TransactionEntries {
 public:
  TransactionEntries(TransactionState& transaction, const LiveIndex& index, uint64_t ttl_ms)
      : transaction_(transaction), index_(index), ttl_ms_(ttl_ms) {
    transaction.derive(index.entries);
  }

  Status change(std::string_view key, const Lookup& before, const std::string_view* after) {
    std::vector<MadeEntry> made;
    if (before) {
      Status status = make_entries(index_, key, before.value(), &made);
      if (!status.ok() && !status.is(StatusCode::invalid_argument)) return status;
      for (const MadeEntry& entry : made) {
        if (status = remove(entry, key); !status.ok()) return status;
      }
    }
    if (after == nullptr) return {};
    if (Status status = make_entries(index_, key, *after, &made, true); !status.ok()) return status;
    for (const MadeEntry& entry : made) {
      if (Status status = add(entry, key); !status.ok()) return status;
    }
    return {};
  }

 private:
  // Whose it is, or that it is nobody's, decides what the write answers, and counts as read.
  Status owner(const MadeEntry& entry, std::string* owner) {
    Value value;
    const Lookup found = transaction_.get(index_.entries, entry.key, &value);
    if (!found) return found.status();
    const std::string_view row = primary_key_of(value.view());
    bool left = false;
    if (Status status = has_left(row, entry.key, &left); !status.ok()) return status;
    if (!left) *owner = row;
    return {};
  }

  // Is the entry one that somebody committed of a row that the transaction wrote otherwise?
  Status has_left(std::string_view row, std::string_view entry_key, bool* left) {
    if (!transaction_.hides(index_.keyspace, row)) return {};
    Value value;
    const Lookup own = transaction_.peek(index_.keyspace, row, &value);
    if (!own) {
      *left = true;
      return own.status();
    }
    std::vector<MadeEntry> made;
    Status status = make_entries(index_, row, value.view(), &made);
    if (!status.ok() && !status.is(StatusCode::invalid_argument)) return status;
    *left = std::none_of(made.begin(), made.end(),
                         [&](const MadeEntry& entry) { return entry.key == entry_key; });
    return {};
  }

  Status remove(const MadeEntry& entry, std::string_view key) {
    if (index_.unique()) {
      std::string other(key);
      if (Status status = owner(entry, &other); !status.ok()) return status;
      if (other != key) return {};
      // Where others' commits are seen, a removal would hide who takes the key next; that the row has left it
      // is told from the row itself (IndexScanState::is_hidden()).
      if (!transaction_.reads_at_moment()) return transaction_.forget(index_.entries, entry.key);
    }
    return transaction_.remove(index_.entries, entry.key);
  }

  Status add(const MadeEntry& entry, std::string_view key) {
    if (index_.unique()) {
      std::string other(key);
      if (Status status = owner(entry, &other); !status.ok()) return status;
      if (other != key) return taken_key(index_, entry.key, entry.value, other);
    }
    return transaction_.put(index_.entries, entry.key, entry.value, ttl_ms_);
  }

  TransactionState& transaction_;
  const LiveIndex& index_;
  const uint64_t ttl_ms_;
};

// Does all of `fn` or, where it fails, nothing.
template <typename Fn>
Status all_or_nothing(TransactionState& transaction, Fn&& fn) {
  Result<uint64_t> point = transaction.set_savepoint();
  if (!point) return point.status();
  Status status;
  try {
    status = fn();
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::out_of_memory, "a write of a transaction");
  }
  if (!status.ok()) {
    if (Status undone = transaction.rollback_to(*point); !undone.ok()) return undone;
  }
  if (Status released = transaction.release(*point); !released.ok()) return released;
  return status;
}

Status change_row(TransactionState& transaction, const IndexTable::Indexes& indexes, std::string_view key,
                  const std::string_view* after, uint64_t ttl_ms) {
  Value value;
  const Lookup before = transaction.peek(indexes.front()->keyspace, key, &value);
  if (!before.status().ok()) return before.status();
  for (const auto& index : indexes) {
    if (!index->kept()) continue;
    if (Status status = TransactionEntries(transaction, *index, ttl_ms).change(key, before, after);
        !status.ok())
      return status;
  }
  return {};
}

// `plain()` where the keyspace has no indexes, else `indexed(indexes)`; again if one of them was dropped
// meanwhile.
template <typename Plain, typename Indexed>
Status write_rows(TransactionState& transaction, uint32_t keyspace, Plain&& plain, Indexed&& indexed) {
  for (;;) {
    if (Status status = transaction.usable(); !status.ok()) return status;
    IndexSet& set = IndexSet::of(*transaction.engine());
    const std::shared_ptr<const IndexTable> table = set.table();
    const IndexTable::Indexes& indexes = table->of(keyspace);
    if (indexes.empty()) return plain();
    for (const auto& index : indexes) {
      if (index->kept() && !index->unusable.ok()) return index->unusable;
    }
    Status status = all_or_nothing(transaction, [&] { return indexed(indexes); });
    if (!status.is(StatusCode::not_found) || set.table()->version() == table->version()) return status;
  }
}

// `after` as of change_row().
Status write_row(TransactionState& transaction, uint32_t keyspace, std::string_view key,
                 const std::string_view* after, uint64_t ttl_ms) {
  const auto plain = [&] {
    return after != nullptr ? transaction.put(keyspace, key, *after, ttl_ms)
                            : transaction.remove(keyspace, key);
  };
  return write_rows(transaction, keyspace, plain, [&](const IndexTable::Indexes& indexes) {
    Status status = change_row(transaction, indexes, key, after, ttl_ms);
    return status.ok() ? plain() : status;
  });
}

}  // namespace

Status put_in_transaction(TransactionState& transaction, uint32_t keyspace, std::string_view key,
                          std::string_view value, uint64_t ttl_ms) {
  return write_row(transaction, keyspace, key, &value, ttl_ms);
}

Status remove_in_transaction(TransactionState& transaction, uint32_t keyspace, std::string_view key) {
  return write_row(transaction, keyspace, key, nullptr, 0);
}

Status remove_range_in_transaction(TransactionState& transaction, uint32_t keyspace, std::string_view from,
                                   std::string_view to) {
  const auto plain = [&] { return transaction.remove_range(keyspace, from, to); };
  if (to <= from) return plain();
  return write_rows(transaction, keyspace, plain, [&](const IndexTable::Indexes& indexes) -> Status {
    const std::unique_ptr<CursorState> cursor = transaction.peeking_cursor(keyspace);
    cursor->set_bounds(from, to, true);
    std::vector<std::string> keys;
    uint64_t bytes = 0;
    for (cursor->seek(from); cursor->valid() && cursor->key() < to; cursor->next()) {
      keys.emplace_back(cursor->key());
      bytes += cursor->key().size();
      if (bytes > transaction.engine()->options().memory_limit / 4)
        return Status(StatusCode::out_of_memory, "a range removal where indexes are meets too many entries");
    }
    if (!cursor->status().ok()) return cursor->status();
    for (const std::string& key : keys) {
      if (Status status = change_row(transaction, indexes, key, nullptr, 0); !status.ok()) return status;
    }
    return plain();
  });
}

}  // namespace lightning
