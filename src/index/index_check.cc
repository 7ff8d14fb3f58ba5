#include "index/index_check.h"

#include <lightning/snapshot.h>

#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "index/index_set.h"

namespace lightning {

namespace {

/// One index, as of one moment. What has expired counts, too: a row and its entries expire together.
class IndexChecker {
 public:
  IndexChecker(Engine& engine, const LiveIndex& index, const ReadOptions& read,
               const std::function<void(const Status&)>& found)
      : engine_(engine), index_(index), read_(read), found_(found) {}

  Status run(uint64_t* entries) {
    if (Status status = check_rows(); !status.ok()) return status;
    return check_entries(entries);
  }

 private:
  void report(std::string_view what, std::string_view key) {
    found_(Status(StatusCode::corruption,
                  "index " + index_.definition().name + ": " + std::string(what) + readable_bytes(key)));
  }

  // Each row has its entries.
  Status check_rows() {
    const std::unique_ptr<CursorState> cursor = engine_.cursor(index_.keyspace, read_);
    cursor->show_expired();
    StoredRow entry;
    for (cursor->seek_first(); cursor->valid(); cursor->next()) {
      const std::string_view key = cursor->key();
      if (Status status = make_entries(index_, key, cursor->value(), &made_); !status.ok()) {
        if (!status.is(StatusCode::invalid_argument)) return status;
        report("it refuses a row that is there, ", key);
        continue;
      }
      for (const MadeEntry& made : made_) {
        if (Status status = engine_.find_row(index_.entries, made.key, read_, &entry); !status.ok())
          return status;
        if (!entry.present) {
          if (!purged(cursor->expiry_us())) report("no entry for the row ", key);
        } else if (entry.value.view() != made.value || entry.expiry_us != cursor->expiry_us()) {
          if (!purged(cursor->expiry_us())) report("an entry says something else than the row ", key);
        }
      }
    }
    return usable_status(*cursor);
  }

  // Each entry has a row that makes it.
  Status check_entries(uint64_t* entries) {
    const std::unique_ptr<CursorState> cursor = engine_.cursor(index_.entries, read_);
    cursor->show_expired();
    StoredRow row;
    for (cursor->seek_first(); cursor->valid(); cursor->next()) {
      ++*entries;
      EntryParts parts;
      if (!take_entry(index_, cursor->key(), cursor->value(), &parts)) {
        report("an entry that is none, ", cursor->key());
        continue;
      }
      if (Status status = engine_.find_row(index_.keyspace, parts.primary_key, read_, &row); !status.ok())
        return status;
      if (!row.present) {
        if (!purged(cursor->expiry_us())) report("an entry of no row, ", parts.primary_key);
        continue;
      }
      made_.clear();
      Status status = make_entries(index_, parts.primary_key, row.value.view(), &made_);
      if (!status.ok() && !status.is(StatusCode::invalid_argument)) return status;
      bool made = false;
      for (const MadeEntry& one : made_) made |= one.key == cursor->key() && one.value == cursor->value();
      if (!made && !purged(cursor->expiry_us()))
        report("an entry that its row does not make, ", parts.primary_key);
    }
    return usable_status(*cursor);
  }

  // What a merge gave up for good on one side only; the row may have been written anew since.
  bool purged(uint64_t expiry_us) {
    return expiry_us != 0 && engine_.expiry_clock().passed(expiry_us, engine_.expiry_clock().now());
  }

  static Status usable_status(const CursorState& cursor) {
    return cursor.status().is(StatusCode::corruption) ? Status() : cursor.status();
  }

  Engine& engine_;
  const LiveIndex& index_;
  const ReadOptions read_;
  const std::function<void(const Status&)>& found_;
  std::vector<MadeEntry> made_;
};

}  // namespace

Status check_indexes(Engine& engine, const std::function<void(const Status&)>& found, IndexCheck* check) {
  // The snapshot comes first: what is ready then was so at its moment.
  const std::shared_ptr<const IndexTable> table = IndexSet::of(engine).table();
  if (table->by_keyspace.empty()) return {};
  Result<std::shared_ptr<const SnapshotState>> state = engine.snapshot();
  if (!state) return state.status();
  const Snapshot moment(*std::move(state));
  const ReadOptions read{.snapshot = &moment, .level = ReadLevel::latest};
  for (const auto& [keyspace, indexes] : table->by_keyspace) {
    for (const auto& index : indexes) {
      if (!index->ready() || !index->unusable.ok()) {
        check->unread.push_back(index->definition().name);
        continue;
      }
      Status status = IndexChecker(engine, *index, read, found).run(&check->entries);
      if (status.is(StatusCode::corruption)) continue;
      if (status.is(StatusCode::not_found)) continue;  // dropped meanwhile
      if (!status.ok()) return status;
    }
  }
  return {};
}

}  // namespace lightning
