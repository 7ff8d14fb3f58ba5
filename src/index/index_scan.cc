#include "index/index_scan.h"

#include <algorithm>

#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

std::unique_ptr<IndexScanState> failed(Status status) {
  return std::make_unique<IndexScanState>(std::move(status));
}

Status wrong(const LiveIndex& index, std::string_view why) {
  return Status(StatusCode::invalid_argument, "the index " + index.definition().name + std::string(why));
}

// Entries of the index keys that begin with `key`.
std::unique_ptr<IndexScanState> scan_prefix(const IndexPlace& place,
                                            const std::shared_ptr<const LiveIndex>& index,
                                            std::string_view key) {
  std::string from = entry_prefix(*index, key);
  std::string to = prefix_end(from);
  return std::make_unique<IndexScanState>(place, index, std::move(from), std::move(to));
}

}  // namespace

Result<std::shared_ptr<const LiveIndex>> readable_index(const IndexPlace& place, uint32_t keyspace,
                                                        std::string_view name) {
  if (place.engine == nullptr) return Status(StatusCode::closed, "the handle holds no database");
  if (Status status = place.engine->usable(); !status.ok()) return status;
  IndexSet& set = IndexSet::of(*place.engine);
  Result<std::shared_ptr<const LiveIndex>> index = set.readable(keyspace, name);
  if (!index) return index;
  // What the transaction wrote before the index was there has no entries.
  if (place.transaction != nullptr) {
    if (Status status = place.transaction->usable(); !status.ok()) return status;
    if (Status status = set.check_moment(**index, place.transaction->began_lsn()); !status.ok())
      return status;
  }
  return index;
}

IndexScanState::IndexScanState(IndexPlace place, std::shared_ptr<const LiveIndex> index, std::string from,
                               std::string to)
    : place_(std::move(place)), index_(std::move(index)) {
  std::unique_ptr<CursorState> cursor = place_.transaction != nullptr
                                            ? place_.transaction->cursor(index_->entries)
                                            : place_.engine->cursor(index_->entries, place_.options);
  if (!cursor->status().ok()) {
    status_ = cursor->status();
    return;
  }
  status_ = IndexSet::of(*place_.engine).check_moment(*index_, cursor->reader().lsn());
  if (!status_.ok()) return;
  cursor_ = cursor.get();
  const bool bounded = !to.empty();
  scan_ = Scan(std::move(cursor), std::move(from), std::move(to), bounded);
}

void IndexScanState::limit(uint64_t entries) { left_ = entries; }

void IndexScanState::reverse() { scan_ = std::move(scan_).reverse(); }

bool IndexScanState::step() {
  if (!status_.ok() || left_ == 0 || !scan_.advance()) return false;
  if (take_entry(*index_, scan_.entry().key(), scan_.entry().value(), &parts_)) return true;
  status_ =
      Status(StatusCode::corruption, "an entry of the index " + index_->definition().name + " is malformed");
  return false;
}

bool IndexScanState::is_hidden() {
  if (place_.transaction == nullptr || !place_.transaction->hides(index_->keyspace, parts_.primary_key))
    return false;
  const Value* const own = row();
  if (own == nullptr) return true;
  status_ = make_entries(*index_, parts_.primary_key, own->view(), &made_);
  return !status_.ok() || std::none_of(made_.begin(), made_.end(),
                                       [this](const MadeEntry& entry) { return entry.key == entry_key(); });
}

bool IndexScanState::advance() {
  do {
    row_read_ = false;
    if (!step()) return false;
  } while ((!only_.empty() && parts_.index_key != only_) || is_hidden());
  --left_;
  return true;
}

const Value* IndexScanState::row() {
  if (!row_read_) {
    row_read_ = true;
    const Lookup found =
        place_.transaction != nullptr
            ? place_.transaction->get_as(index_->keyspace, parts_.primary_key, cursor_, &row_)
            : place_.engine->get_as(index_->keyspace, parts_.primary_key, cursor_->reader(),
                                    cursor_->moment(), &row_);
    if (!found.status().ok()) status_ = found.status();
  }
  return status_.ok() && row_.present() ? &row_ : nullptr;
}

const Status& IndexScanState::status() const {
  if (!status_.ok()) {
    (void)scan_.status();  // it is asked for
    return status_;
  }
  return scan_.status();
}

std::unique_ptr<IndexScanState> find_in_index(const IndexPlace& place, uint32_t keyspace,
                                              std::string_view name, std::string_view key) {
  Result<std::shared_ptr<const LiveIndex>> index = readable_index(place, keyspace, name);
  if (!index) return failed(index.status());
  bool whole = false;
  if (Status status = check_index_key(**index, key, &whole); !status.ok()) return failed(status);
  if ((*index)->hashed() && !whole)
    return failed(wrong(**index, " is of kind hash: it finds whole keys only"));
  return scan_prefix(place, *index, key);
}

std::unique_ptr<IndexScanState> range_of_index(const IndexPlace& place, uint32_t keyspace,
                                               std::string_view name, std::string_view from,
                                               std::string_view to) {
  Result<std::shared_ptr<const LiveIndex>> index = readable_index(place, keyspace, name);
  if (!index) return failed(index.status());
  bool whole = false;
  if (Status status = check_index_key(**index, from, &whole); !status.ok()) return failed(status);
  if (Status status = check_index_key(**index, to, &whole); !status.ok()) return failed(status);
  if ((*index)->hashed() && !(from.empty() && to.empty()))
    return failed(wrong(**index, " is of kind hash: it has no order"));
  return std::make_unique<IndexScanState>(place, *index, std::string(from), std::string(to));
}

std::unique_ptr<IndexScanState> text_prefix_in_index(const IndexPlace& place, uint32_t keyspace,
                                                     std::string_view name, std::string_view text) {
  Result<std::shared_ptr<const LiveIndex>> index = readable_index(place, keyspace, name);
  if (!index) return failed(index.status());
  const KeyType type = (*index)->definition().key.front().type;
  if ((*index)->hashed() || (type != KeyType::text && type != KeyType::bytes))
    return failed(wrong(**index, " has no order of texts or bytes"));
  KeyWriter key;
  type == KeyType::text ? key.text_prefix(text) : key.bytes_prefix(text);
  return scan_prefix(place, *index, key.view());
}

std::optional<Lookup> get_at_once(Engine& engine, uint32_t keyspace, std::string_view name,
                                  std::string_view key, const ReadOptions& options, Value* value,
                                  std::string* primary_key) {
  const bool latest = options.snapshot == nullptr && options.level == ReadLevel::latest;
  if (!latest && (options.snapshot == nullptr || !engine.is_mine(*options.snapshot))) return std::nullopt;
  IndexSet& set = IndexSet::of(engine);
  bool readable = false;
  std::string hashed;
  Engine::Guide guide{.keyspace = 0, .key = key, .key_of = nullptr};
  set.look_at(keyspace, name, [&](const LiveIndex& index) {
    guide.keyspace = index.entries;
    if (index.unique()) guide.key_of = &primary_key_of;
    bool whole = false;
    readable = index.ready() && !index.unusable.is(StatusCode::corruption) &&
               check_index_key(index, key, &whole).ok() && whole;
    if (readable && index.hashed()) guide.key = hashed = entry_prefix(index, key);
  });
  if (!readable) return std::nullopt;
  if (!latest && !set.ready_at(guide.keyspace, options.snapshot->lsn())) return std::nullopt;
  return engine.get_through(guide, keyspace, options, value, primary_key);
}

Lookup get_by_index(const IndexPlace& place, uint32_t keyspace, std::string_view name, std::string_view key,
                    Value* value, std::string* primary_key) {
  value->clear();
  Result<std::shared_ptr<const LiveIndex>> index = readable_index(place, keyspace, name);
  if (!index) return index.status();
  bool whole = false;
  if (Status status = check_index_key(**index, key, &whole); !status.ok()) return status;
  if (!whole) return wrong(**index, " is asked for a part of a key");
  const std::unique_ptr<IndexScanState> scan = scan_prefix(place, *index, key);
  while (scan->advance()) {
    const Value* const row = scan->row();
    if (row == nullptr) continue;  // it has expired since, or there is an error
    if (primary_key != nullptr) primary_key->assign(scan->parts().primary_key);
    if (Status status = value->copy(row->view()); !status.ok()) return status;
    return Lookup(value);
  }
  return scan->status();
}

Result<uint64_t> count_in_index(const IndexPlace& place, uint32_t keyspace, std::string_view name,
                                std::string_view from, std::string_view to) {
  const std::unique_ptr<IndexScanState> scan = range_of_index(place, keyspace, name, from, to);
  uint64_t count = 0;
  while (scan->advance()) ++count;
  if (!scan->status().ok()) return scan->status();
  return count;
}

}  // namespace lightning
