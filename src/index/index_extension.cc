#include "index/index_extension.h"

#include <lightning/snapshot.h>

#include <algorithm>

#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

uint32_t keyspace_of(std::string_view internal) {
  uint32_t keyspace = 0;
  (void)parse_keyspace_prefix(internal, &keyspace);
  return keyspace;
}

std::string_view user_key_of(std::string_view internal) {
  uint32_t keyspace = 0;
  return internal.substr(parse_keyspace_prefix(internal, &keyspace));
}

const MadeEntry* find_entry(const std::vector<MadeEntry>& entries, std::string_view key) {
  const auto found = std::lower_bound(entries.begin(), entries.end(), key,
                                      [](const MadeEntry& a, std::string_view b) { return a.key < b; });
  return found != entries.end() && found->key == key ? &*found : nullptr;
}

}  // namespace

bool IndexExtension::concerns(std::span<const Operation> operations) {
  if (!engine_.has_indexes()) return false;
  table_ = set_.table();
  return std::any_of(operations.begin(), operations.end(), [&](const Operation& operation) {
    return !table_->of(keyspace_of(operation.entry.key)).empty();
  });
}

bool IndexExtension::is_derived(std::string_view internal_key) const {
  return table_->with_entries(keyspace_of(internal_key)) != nullptr;
}

Status IndexExtension::extend(std::vector<Operation>* operations, const ReadOptions& read, Footprint* reads) {
  read_ = read;
  reads_ = reads;
  now_ = 0;
  bytes_ = 0;
  changes_.clear();
  arena_.begin_again(room_);
  rows_.swap(*operations);
  if (Status status = make_changes(); !status.ok()) {
    if (!status.is(StatusCode::not_found) || set_.table()->version() == table_->version()) return status;
    return Status(StatusCode::conflict, "an index of the keyspace was dropped meanwhile");
  }
  operations->swap(rows_);
  operations->reserve(operations->size() + changes_.size());
  for (const auto& [key, change] : changes_) {
    Operation operation{.entry = {EntryKind::remove, key, {}}, .hash = 0, .offset = 0, .expiry = 0};
    const std::optional<Added>& put = change.added || change.removed_of ? change.added : change.kept;
    if (put) {
      operation.entry.kind = put->expiry != 0 ? EntryKind::put_expiring : EntryKind::put;
      operation.entry.value = put->value;
      operation.expiry = put->expiry != 0 ? put->expiry : kNeverExpires;
    }
    operations->push_back(operation);
  }
  return {};
}

Status IndexExtension::make_changes() {
  for (size_t row = 0; row < rows_.size();) {
    for (; row < rows_.size(); ++row) {
      if (Status status = plan(row); !status.ok()) return status;
    }
    // May add the removals of rows that have expired.
    if (Status status = check_unique(); !status.ok()) return status;
  }
  return {};
}

Status IndexExtension::plan(size_t row) {
  Operation& operation = rows_[row];
  const uint32_t keyspace = keyspace_of(operation.entry.key);
  const IndexTable::Indexes& indexes = table_->of(keyspace);
  if (indexes.empty()) return {};
  for (const auto& index : indexes) {
    if (index->kept() && !index->unusable.ok()) return index->unusable;
  }
  if (operation.entry.kind == EntryKind::remove_range) return plan_range(operation, keyspace);
  return plan_key(operation, keyspace, user_key_of(operation.entry.key));
}

void IndexExtension::note_key(std::string_view internal) {
  if (reads_ != nullptr) reads_->add_key(internal, hash_key(internal));
}

Status IndexExtension::plan_key(Operation& row, uint32_t keyspace, std::string_view key) {
  set_expiry(row, keyspace);
  note_key(row.entry.key);
  StoredRow before;
  if (Status status = engine_.find_row(keyspace, key, read_, &before); !status.ok()) return status;
  for (const auto& index : table_->of(keyspace)) {
    if (!index->kept()) continue;
    if (Status status = change_entries(*index, key, before, &row); !status.ok()) return status;
  }
  return {};
}

// Makes of a time to live the point of time that the row and its entries share.
void IndexExtension::set_expiry(Operation& row, uint32_t keyspace) {
  if (row.entry.kind != EntryKind::put) return;
  uint64_t ttl_ms = row.expiry;
  if (ttl_ms == 0) {
    const Result<uint64_t> usual = engine_.default_ttl(keyspace);
    ttl_ms = usual.ok() ? *usual : 0;  // of one that was dropped nothing is committed
  }
  if (ttl_ms == 0 || ttl_ms == kNeverExpires) {
    row.expiry = kNeverExpires;
    return;
  }
  row.entry.kind = EntryKind::put_expiring;
  row.expiry = expiry_after(now(), ttl_ms);
}

uint64_t IndexExtension::now() {
  if (now_ == 0) now_ = engine_.expiry_clock().now();
  return now_;
}

Status IndexExtension::plan_range(const Operation& row, uint32_t keyspace) {
  const std::string_view from = row.entry.key;
  const std::string_view to = row.entry.value;
  if (reads_ != nullptr) reads_->add_range(from, to);
  const std::string_view first = user_key_of(from);
  const bool ends_inside = keyspace_of(to) == keyspace;
  const std::string_view last = ends_inside ? user_key_of(to) : std::string_view();
  const std::unique_ptr<CursorState> cursor = engine_.cursor(keyspace, read_);
  cursor->show_expired();
  const uint64_t allowed = std::min<uint64_t>(kBatchBytesMax, engine_.options().memory_limit / 4);
  for (cursor->seek(first); cursor->valid() && (!ends_inside || cursor->key() < last); cursor->next()) {
    const std::string_view key = cursor->key();
    bytes_ += key.size() + cursor->value().size();
    if (bytes_ > allowed) {
      return Status(StatusCode::out_of_memory, "a range removal where indexes are meets at most " +
                                                   std::to_string(allowed) + " bytes of entries");
    }
    StoredRow before;
    before.present = true;
    before.expiry_us = cursor->expiry_us();
    if (Status status = before.value.copy(cursor->value()); !status.ok()) return status;
    for (const auto& index : table_->of(keyspace)) {
      if (!index->kept()) continue;
      if (Status status = change_entries(*index, key, before, nullptr); !status.ok()) return status;
    }
  }
  return cursor->status();
}

// `after` is the operation that writes the row; null: a range removal takes it away.
Status IndexExtension::change_entries(const LiveIndex& index, std::string_view key, const StoredRow& before,
                                      const Operation* after) {
  old_.clear();
  new_.clear();
  if (before.present) {
    // What an index refuses was written before it was there.
    Status status = make_entries(index, key, before.value.view(), &old_);
    if (status.is(StatusCode::invalid_argument)) {
      old_.clear();
    } else if (!status.ok()) {
      return status;
    }
  }
  const bool put = after != nullptr && after->entry.kind != EntryKind::remove;
  const uint64_t expiry = put && after->entry.kind == EntryKind::put_expiring ? after->expiry : 0;
  if (put) {
    if (Status status = make_entries(index, key, after->entry.value, &new_, true); !status.ok())
      return status;
  }
  // While a unique index is being built another row may have come to an entry first; and the build gave those
  // of rows that had expired to others.
  const bool others = index.unique() && (!index.ready() || before.expiry_us != 0);
  for (const MadeEntry& entry : old_) {
    if (find_entry(new_, entry.key) != nullptr) continue;
    if (Status status = remove_entry(index, entry, key, others); !status.ok()) return status;
  }
  for (const MadeEntry& entry : new_) {
    const MadeEntry* const same = find_entry(old_, entry.key);
    const bool stays = same != nullptr && same->value == entry.value && expiry == 0 && before.expiry_us == 0;
    // One that a range removal of the same commit takes away is put again.
    if (stays && (changes_.empty() || !changes_.contains(internal_key(index.entries, entry.key)))) continue;
    if (Status status = add_entry(index, entry, key, expiry); !status.ok()) return status;
  }
  return {};
}

std::string_view IndexExtension::internal_key(uint32_t keyspace, std::string_view key) {
  return keep_internal_key(arena_, keyspace, key);
}

Status IndexExtension::remove_entry(const LiveIndex& index, const MadeEntry& entry, std::string_view key,
                                    bool may_be_others) {
  const std::string_view internal = internal_key(index.entries, entry.key);
  Change& change = changes_[internal];
  if (may_be_others) {
    note_key(internal);
    StoredRow found;
    if (Status status = engine_.find_row(index.entries, entry.key, read_, &found); !status.ok())
      return status;
    const std::string_view owner = primary_key_of(found.value.view());
    if (found.present && owner != key) {
      change.kept = {.index = &index,
                     .value = arena_.keep(found.value.view()),
                     .primary_key = arena_.keep(owner),
                     .expiry = found.expiry_us};
      return {};
    }
  }
  if (index.unique()) change.removed_of = key;
  return {};
}

Status IndexExtension::add_entry(const LiveIndex& index, const MadeEntry& entry, std::string_view key,
                                 uint64_t expiry) {
  const std::string_view internal = internal_key(index.entries, entry.key);
  Change& change = changes_[internal];
  if (change.added && change.added->primary_key != key)
    return taken_key(index, entry.key, entry.value, change.added->primary_key);
  change.added = {
      .index = &index, .value = arena_.keep(entry.value), .primary_key = arena_.keep(key), .expiry = expiry};
  return {};
}

Status IndexExtension::check_unique() {
  for (auto& [entry, change] : changes_) {
    if (!change.added || change.checked || !change.added->index->unique()) continue;
    change.checked = true;
    if (Status status = check_owner(entry, change); !status.ok()) return status;
  }
  return {};
}

Status IndexExtension::check_owner(std::string_view entry, Change& change) {
  const Added& added = *change.added;
  note_key(entry);
  StoredRow found;
  if (Status status = engine_.find_row(added.index->entries, user_key_of(entry), read_, &found); !status.ok())
    return status;
  if (!found.present) return {};
  const std::string_view owner = primary_key_of(found.value.view());
  if (owner == added.primary_key || (change.removed_of && *change.removed_of == owner)) return {};
  if (found.expiry_us == 0 || !engine_.expiry_clock().passed(found.expiry_us, now()))
    return taken_key(*added.index, user_key_of(entry), added.value, owner);
  // It has expired with its row, which goes now: should the clock be set back, neither shows again. A merge
  // may have given that row up before its entry; who wrote the row anew then found nothing to remove.
  const std::string_view row = internal_key(added.index->keyspace, owner);
  note_key(row);
  StoredRow stored;
  if (Status status = engine_.find_row(added.index->keyspace, owner, read_, &stored); !status.ok())
    return status;
  if (!stored.present || stored.expiry_us != found.expiry_us) return {};
  rows_.push_back({.entry = {EntryKind::remove, row, {}}, .hash = 0, .offset = 0, .expiry = 0});
  return {};
}

// A row that came first with the same key is a better answer than that something came first. Not one that the
// commit writes, too: it would not have the key any more.
Status IndexExtension::explain(Status conflict, std::span<const Operation> operations) {
  const auto writes = [operations](std::string_view row) {
    return std::any_of(operations.begin(), operations.end(), [row](const Operation& operation) {
      const LogEntry& entry = operation.entry;
      return entry.kind == EntryKind::remove_range ? entry.key <= row && row < entry.value : entry.key == row;
    });
  };
  for (const auto& [entry, change] : changes_) {
    if (!change.added || !change.added->index->unique()) continue;
    StoredRow found;
    if (!engine_.find_row(change.added->index->entries, user_key_of(entry), {}, &found).ok()) continue;
    const bool there =
        found.present && (found.expiry_us == 0 || found.expiry_us > engine_.expiry_clock().now());
    if (!there) continue;
    const std::string_view owner = primary_key_of(found.value.view());
    if (owner == change.added->primary_key || (change.removed_of && *change.removed_of == owner)) continue;
    if (writes(internal_key(change.added->index->keyspace, owner))) continue;
    return taken_key(*change.added->index, user_key_of(entry), change.added->value, owner);
  }
  return conflict;
}

}  // namespace lightning
