#include "index/index_scan.h"

#include <algorithm>
#include <span>

#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

// So many rows are read together, if they are short.
constexpr size_t kRowsAhead = 16;
constexpr size_t kBytesAhead = 65536;

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
  if (!status_.ok() || left_ == 0) return false;
  if (next_ahead_ < ahead_size_) {
    const size_t at = next_ahead_++;
    row_read_ = ahead_[at].row_read;
    if (row_read_) row_ = std::move(rows_[at]);
    return take(ahead_[at].key, ahead_[at].value);
  }
  ahead_size_ = 0;
  next_ahead_ = 0;
  row_read_ = false;
  if (!scan_.advance()) return false;
  const size_t wanted = static_cast<size_t>(std::min<uint64_t>(ahead_wanted_, left_));
  if (wanted > 1 && place_.transaction == nullptr) return read_ahead(wanted);
  return take(scan_.entry().key(), scan_.entry().value());
}

bool IndexScanState::take(std::string_view key, std::string_view value) {
  entry_key_ = key;
  if (take_entry(*index_, key, value, &parts_)) return true;
  status_ =
      Status(StatusCode::corruption, "an entry of the index " + index_->definition().name + " is malformed");
  return false;
}

bool IndexScanState::is_hidden() {
  if (place_.transaction == nullptr || !place_.transaction->hides(index_->keyspace, parts_.primary_key))
    return false;
  const Value* const own = row_of_entry();
  if (own == nullptr) return true;
  status_ = make_entries(*index_, parts_.primary_key, own->view(), &made_);
  return !status_.ok() || std::none_of(made_.begin(), made_.end(),
                                       [this](const MadeEntry& entry) { return entry.key == entry_key(); });
}

bool IndexScanState::advance() {
  present_ = false;
  present_ = find_next();
  if (!present_) {
    parts_ = {};
    entry_key_ = {};
  }
  return present_;
}

bool IndexScanState::find_next() {
  if (!row_asked_) ahead_wanted_ = 0;
  row_asked_ = false;
  do {
    if (!step()) return false;
  } while ((!only_.empty() && parts_.index_key != only_) || is_hidden());
  --left_;
  return true;
}

const Value* IndexScanState::row_of_entry() {
  if (!row_read_ && !read_row()) return nullptr;
  if (!std::exchange(row_asked_, true)) {
    const size_t allowed = kBytesAhead / std::max<size_t>(1, row_.present() ? row_.view().size() : 0);
    ahead_wanted_ = std::min({std::max<size_t>(1, 2 * ahead_wanted_), kRowsAhead, allowed});
  }
  return status_.ok() && row_.present() ? &row_ : nullptr;
}

bool IndexScanState::read_row() {
  row_read_ = true;
  const Lookup found = place_.transaction != nullptr
                           ? place_.transaction->get_as(index_->keyspace, parts_.primary_key, cursor_, &row_)
                           : place_.engine->get_as(index_->keyspace, parts_.primary_key, cursor_->reader(),
                                                   cursor_->moment(), &row_);
  if (!found.status().ok()) status_ = found.status();
  return status_.ok();
}

// The present entry and those behind it, with their rows: whoever asks for these one by one keeps views of
// the entry. What is wrong with them is left to who comes to them.
bool IndexScanState::read_ahead(size_t wanted) {
  if (ahead_.size() < wanted) ahead_.resize(wanted);
  std::vector<std::string_view> keys;
  keys.reserve(wanted);
  EntryParts parts;
  do {
    const Entry& entry = scan_.entry();
    ahead_[ahead_size_].key.assign(entry.key());
    ahead_[ahead_size_].value.assign(entry.value());
    ahead_[ahead_size_].row_read = false;
  } while (++ahead_size_ < wanted && scan_.advance());
  next_ahead_ = 1;
  if (rows_.size() < wanted) rows_.resize(wanted);
  for (const Ahead& one : std::span(ahead_).first(ahead_size_)) {
    if (!take_entry(*index_, one.key, one.value, &parts)) break;
    keys.push_back(parts.primary_key);
  }
  const Status status = place_.engine->get_many_as(
      index_->keyspace, keys, std::span(rows_).first(keys.size()), cursor_->reader(), cursor_->moment());
  for (size_t i = 0; i < keys.size(); ++i) ahead_[i].row_read = status.ok();
  row_read_ = status.ok();
  if (row_read_) row_ = std::move(rows_[0]);
  return take(ahead_[0].key, ahead_[0].value);
}

const Status& IndexScanState::status() const {
  if (!status_.ok() || next_ahead_ < ahead_size_) {
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
  if (!engine.usable().ok()) return std::nullopt;  // in a forked child the set may be locked for ever
  IndexSet& set = IndexSet::of(engine);
  bool readable = false;
  std::string hashed;
  Guide guide{.keyspace = 0, .key = key, .key_of = nullptr};
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
