// Building an index: slices of rows, each read as of a moment and committed only if none of them was written
// since (X3 of index_set.h keeps the rest).

#include <lightning/snapshot.h>

#include <algorithm>
#include <new>
#include <unordered_map>

#include "base/byte_arena.h"
#include "base/interleave.h"
#include "engine/commit_check.h"
#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"
#include "index/index_set.h"

namespace lightning {

namespace {

constexpr uint64_t kBytesOfSlice = 1 << 20;
constexpr uint64_t kSliceTimeoutMs = 100;
constexpr uint64_t kWaitNs = 10'000'000;

}  // namespace

/// The entries of some rows, as of one moment.
class IndexSet::SliceMaker {
 public:
  SliceMaker(Engine& engine, const LiveIndex& index, uint64_t rows_max, const Snapshot& moment)
      : engine_(engine),
        index_(index),
        rows_max_(rows_max),
        read_{.snapshot = &moment, .level = ReadLevel::latest} {}

  /// From `from` on; `*next` is where the next slice begins, and `*end` whether there is none.
  Status make(const std::string& from, std::string* next, bool* end) {
    const std::unique_ptr<CursorState> cursor = engine_.cursor(index_.keyspace, read_);
    // After a clock that was set back what has expired may show again.
    cursor->show_expired();
    uint64_t rows = 0;
    uint64_t bytes = 0;
    for (cursor->seek(from); cursor->valid(); cursor->next()) {
      if (rows == rows_max_ || bytes + entry_bytes_ > kBytesOfSlice) {
        *next = cursor->key();
        return {};
      }
      ++rows;
      bytes += cursor->key().size() + cursor->value().size();
      if (Status status = add(cursor->key(), cursor->value(), cursor->expiry_us()); !status.ok())
        return status;
    }
    *end = true;
    return cursor->status();
  }

  std::vector<Operation>& operations() { return operations_; }
  Footprint& rows() { return rows_; }

 private:
  Status add(std::string_view key, std::string_view value, uint64_t expiry_us) {
    if (Status status = make_entries(index_, key, value, &made_); !status.ok()) return status;
    const InternalKey row(index_.keyspace, key);
    if (!row.ok()) return Status(StatusCode::out_of_memory, "the key of a row");
    if (!made_.empty()) rows_.add_key(row.view(), hash_key(index_.keyspace, key));
    for (const MadeEntry& entry : made_) {
      if (index_.unique()) {
        bool free = true;
        if (Status status = check_free(entry, key, expiry_us, &free); !status.ok()) return status;
        if (!free) continue;
      }
      if (Status status = put(entry, expiry_us); !status.ok()) return status;
    }
    return {};
  }

  Status put(const MadeEntry& entry, uint64_t expiry_us) {
    const InternalKey internal(index_.entries, entry.key);
    if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of an entry");
    entry_bytes_ += entry.key.size() + entry.value.size();
    const std::string_view kept = arena_.keep(internal.view());
    if (index_.unique()) taken_[kept.substr(keyspace_prefix_size(index_.entries))] = operations_.size();
    operations_.push_back(
        {.entry = {expiry_us != 0 ? EntryKind::put_expiring : EntryKind::put, kept, arena_.keep(entry.value)},
         .hash = 0,
         .offset = 0,
         .expiry = expiry_us != 0 ? expiry_us : kNeverExpires});
    return {};
  }

  bool expired(uint64_t expiry_us) {
    return expiry_us != 0 && engine_.expiry_clock().passed(expiry_us, engine_.expiry_clock().now());
  }

  // Of two rows with one key one must have expired: the other has the entry.
  Status check_free(const MadeEntry& entry, std::string_view key, uint64_t expiry_us, bool* free) {
    StoredRow owner;
    if (Status status = engine_.find_row(index_.entries, entry.key, read_, &owner); !status.ok())
      return status;
    std::string_view other = owner.present ? primary_key_of(owner.value.view()) : std::string_view();
    uint64_t other_expiry = owner.expiry_us;
    bool taken = owner.present && other != key;
    if (const auto mine = taken_.find(entry.key); mine != taken_.end()) {
      const Operation& operation = operations_[mine->second];
      other = primary_key_of(operation.entry.value);
      other_expiry = operation.entry.kind == EntryKind::put_expiring ? operation.expiry : 0;
      taken = true;
    }
    if (!taken || expired(other_expiry)) return {};
    *free = false;
    if (expired(expiry_us)) return {};
    EntryParts parts;
    (void)take_entry(index_, entry.key, entry.value, &parts);
    return Status(StatusCode::already_exists, "the rows " + readable_bytes(other) + " and " +
                                                  readable_bytes(key) + " both have the key " +
                                                  readable_index_key(parts.index_key));
  }

  Engine& engine_;
  const LiveIndex& index_;
  const uint64_t rows_max_;
  const ReadOptions read_;
  ByteArena arena_;
  std::vector<MadeEntry> made_;
  std::vector<Operation> operations_;
  std::unordered_map<std::string_view, size_t>
      taken_;  // of a unique index: the last of operations_ with a key
  uint64_t entry_bytes_ = 0;
  Footprint rows_;
};

void IndexSet::resume() {
  if (engine_.read_only()) return;
  for (const auto& [keyspace, indexes] : table()->by_keyspace) {
    for (const auto& index : indexes) {
      if (index->unusable.ok() && index->stored.state == IndexState::building)
        build_in_background(index->entries, 0);
    }
  }
}

void IndexSet::build_in_background(uint32_t entries, uint64_t delay_ns) {
  engine_.run_later(delay_ns, [this, entries] {
    uint64_t delay = kWaitNs;
    try {
      const Result<Slice> slice = build_slice(entries);
      const StatusCode code = slice.status().code();
      const bool passes = code == StatusCode::out_of_memory || code == StatusCode::no_space;
      if (!slice && !passes) return;  // waiters and list() say why
      if (slice && *slice == Slice::done) return;
      if (slice && *slice == Slice::more) delay = 0;
    } catch (const std::bad_alloc&) {  // tried again
    }
    build_in_background(entries, delay);
  });
}

std::shared_ptr<IndexSet::Build> IndexSet::build_of(uint32_t entries) {
  MutexLock lock(mutex_);
  std::shared_ptr<Build>& build = builds_[entries];
  if (build == nullptr) build = std::make_shared<Build>();
  return build;
}

Result<IndexSet::Slice> IndexSet::build_slice(uint32_t entries) {
  if (Status status = engine_.usable(); !status.ok()) return status;
  const std::shared_ptr<Build> build = build_of(entries);
  MutexLock lock(build->mutex);
  const std::shared_ptr<const LiveIndex> index = table()->with_entries(entries);
  if (index == nullptr) return Status(StatusCode::not_found, "the index was dropped");
  if (!index->unusable.ok()) return index->unusable;
  if (index->ready()) return Slice::done;
  if (!index->kept()) return index->stored.failure_status();
  if (engine_.read_only()) return Status(StatusCode::busy, "the index is not built yet");
  Result<Slice> slice = make_slice(*index, *build);
  if (slice && *slice == Slice::done) {
    Status status = finish(*index);
    if (status.is(StatusCode::busy)) return Slice::wait;
    if (!status.ok()) return status;
  }
  const StatusCode code = slice.status().code();
  if (code != StatusCode::already_exists && code != StatusCode::invalid_argument) return slice;
  StoredIndex failed = index->stored;
  failed.state = IndexState::failed;
  failed.failure = slice.status().message();
  failed.duplicate = code == StatusCode::already_exists;
  if (Status status = engine_.change_index(entries, encode_definition(failed)); !status.ok()) return status;
  return failed.failure_status();
}

Result<IndexSet::Slice> IndexSet::make_slice(const LiveIndex& index, Build& build) {
  Result<std::shared_ptr<const SnapshotState>> state = engine_.checked_snapshot();
  if (!state) return state.status();
  const Snapshot moment(*std::move(state));
  SliceMaker maker(engine_, index, build.rows, moment);
  std::string next;
  bool end = false;
  Status status = maker.make(build.position, &next, &end);
  INTERLEAVE("index.slice");
  if (status.ok() && !maker.operations().empty()) {
    maker.rows().seal();
    const CommitCheck check{.since = moment.lsn(),
                            .reader = &moment.state()->reader(),
                            .writes = index.unique(),
                            .reads = &maker.rows(),
                            .index_version = 0};
    status = engine_.commit_checked(maker.operations(), check,
                                    {.durability = Durability::process, .timeout_ms = kSliceTimeoutMs});
  }
  if (status.is(StatusCode::conflict) || status.is(StatusCode::snapshot_too_old)) {
    // Few rows are read and committed before somebody writes one of them.
    build.rows = std::max<uint64_t>(1, build.rows / 4);
    return Slice::more;
  }
  if (status.ok()) build.rows = std::min(2 * build.rows, kRowsOfSlice);
  if (status.ok() && !end) {
    build.position = std::move(next);
    return Slice::more;
  }
  if (status.is(StatusCode::busy)) return Slice::wait;
  if (!status.ok()) return status;
  return Slice::done;
}

// What is ready survives a power cut, and so do all entries before it.
Status IndexSet::finish(const LiveIndex& index) {
  note_first_lsn(index.entries, engine_.published_lsn());
  StoredIndex ready = index.stored;
  ready.state = IndexState::ready;
  return engine_.change_index(index.entries, encode_definition(ready));
}

}  // namespace lightning
