// Building an index: slices of rows, each read as of a moment, whose entries become visible only if none of
// the rows was written since (X3 of index_set.h keeps the rest).
//
// The first slice is small; where nobody wrote to its rows the next ones are as large as memory allows, until
// somebody does. The entries of a small one are a commit through the log, those of a large one an ingestion,
// which passes by the log and comes sorted into the runs.

#include <lightning/snapshot.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "base/byte_arena.h"
#include "base/coding.h"
#include "base/interleave.h"
#include "base/memory_share.h"
#include "engine/commit_check.h"
#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"
#include "index/index_set.h"

namespace lightning {

namespace {

constexpr uint64_t kCommittedBytesMax = 4 << 20;  // of entries; more are ingested
constexpr uint64_t kRowsNamed = 4096;             // more are checked as a range
constexpr size_t kPrefetched = 8;                 // entries
constexpr uint64_t kSliceTimeoutMs = 100;
constexpr uint64_t kWaitNs = 10'000'000;
constexpr uint64_t kRetryNs = 100'000'000;  // behind a failure that may pass

class Cleared {
 public:
  explicit Cleared(std::atomic<bool>& flag) : flag_(flag) {}
  ~Cleared() { flag_.store(false, std::memory_order_release); }
  Cleared(const Cleared&) = delete;
  Cleared& operator=(const Cleared&) = delete;

 private:
  std::atomic<bool>& flag_;
};

}  // namespace

/// The entries of some rows, as of one moment, by ascending key.
class IndexSet::SliceMaker final : public ExpiringSource {
 public:
  SliceMaker(Engine& engine, const LiveIndex& index, const Snapshot& moment)
      : engine_(engine),
        index_(index),
        read_{.snapshot = &moment, .level = ReadLevel::latest},
        memory_max_(std::min(engine.options().write_buffer_size, engine.options().memory_limit / 8)),
        memory_(engine.working_memory()) {}

  /// Of up to `rows_max` rows from `from` on; `*next` is where the next slice begins, and `*end` whether
  /// there is none.
  Status make(const std::string& from, uint64_t rows_max, std::string* next, bool* end) {
    named_ = rows_max <= kRowsNamed;
    if (Status status = gather(from, rows_max, next, end); !status.ok()) return status;
    if (!named_) {
      reads_.add_range(internal_key(index_.keyspace, from),
                       *end ? end_of_keyspace(index_.keyspace) : internal_key(index_.keyspace, *next));
    }
    std::sort(entries_.begin(), entries_.end(),
              [this](const MadeOf& a, const MadeOf& b) { return is_before(a, b); });
    return index_.unique() ? settle_owners() : Status();
  }

  bool empty() const { return entries_.empty(); }
  uint64_t rows() const { return rows_; }
  uint64_t bytes() const { return bytes_; }

  Status commit(const CommitCheck& check) {
    std::vector<Operation> operations;
    operations.reserve(entries_.size());
    for (const MadeOf& made : entries_) {
      const std::string_view internal = internal_key(index_.entries, made.key());
      operations.push_back(
          {.entry = {made.expiry_us != 0 ? EntryKind::put_expiring : EntryKind::put, internal, made.value()},
           .hash = 0,
           .offset = 0,
           .expiry = made.expiry_us != 0 ? made.expiry_us : kNeverExpires});
    }
    return engine_.commit_checked(operations, check,
                                  {.durability = Durability::process, .timeout_ms = kSliceTimeoutMs});
  }

  Status ingest(const CommitCheck& check) {
    return engine_.ingest_checked(index_.entries, *this, check, {.timeout_ms = kSliceTimeoutMs}).status();
  }

  /// What must not have been written; of a unique index that is ingested its keys, too.
  const Footprint& reads(bool ingested) {
    if (ingested && index_.unique()) {
      reads_.add_range(internal_key(index_.entries, entries_.front().key()),
                       internal_key(index_.entries, std::string(entries_.back().key()) + '\0'));
    }
    reads_.seal();
    return reads_;
  }

  // As a source of an ingestion.
  bool next() override {
    // Neighbours stand in memory where their rows did.
    if (at_ + kPrefetched < entries_.size()) __builtin_prefetch(entries_[at_ + kPrefetched].bytes);
    return at_++ < entries_.size();
  }
  std::string_view key() const override { return entries_[at_ - 1].key(); }
  std::string_view value() const override { return entries_[at_ - 1].value(); }
  uint64_t expiry_us() const override { return entries_[at_ - 1].expiry_us; }

 private:
  struct MadeOf {
    uint64_t head = 0;  // the first bytes of the key, as a number that compares as they do
    const char* bytes = nullptr;
    uint32_t key_bytes = 0;
    uint32_t value_bytes = 0;
    uint64_t expiry_us = 0;

    std::string_view key() const { return {bytes, key_bytes}; }
    std::string_view value() const { return {bytes + key_bytes, value_bytes}; }
  };

  Status gather(const std::string& from, uint64_t rows_max, std::string* next, bool* end) {
    const std::unique_ptr<CursorState> cursor = engine_.cursor(index_.keyspace, read_);
    // After a clock that was set back what has expired may show again.
    cursor->show_expired();
    for (cursor->seek(from); cursor->valid(); cursor->next()) {
      if (rows_ == rows_max || memory_bytes() > memory_max_) {
        *next = cursor->key();
        return {};
      }
      ++rows_;
      if (Status status = add(cursor->key(), cursor->value(), cursor->expiry_us()); !status.ok())
        return status;
    }
    *end = true;
    return cursor->status();
  }

  Status add(std::string_view key, std::string_view value, uint64_t expiry_us) {
    if (Status status = make_entries(index_, key, value, &made_, true); !status.ok()) return status;
    if (made_.empty()) return {};
    if (named_) {
      reads_.add_key(internal_key(index_.keyspace, key), hash_key(index_.keyspace, key));
    }
    for (const MadeEntry& entry : made_) {
      MadeOf made{.head = head_of(entry.key),
                  .bytes = arena_.keep(entry.key, entry.value).data(),
                  .key_bytes = static_cast<uint32_t>(entry.key.size()),
                  .value_bytes = static_cast<uint32_t>(entry.value.size()),
                  .expiry_us = expiry_us};
      bytes_ += entry.key.size() + entry.value.size();
      entries_.push_back(made);
    }
    memory_.set(memory_bytes());
    return {};
  }

  static uint64_t head_of(std::string_view key) {
    char head[sizeof(uint64_t)] = {};
    std::memcpy(head, key.data(), std::min(key.size(), sizeof(head)));
    return __builtin_bswap64(load<uint64_t>(head));
  }

  static bool have_one_key(const MadeOf& a, const MadeOf& b) {
    return a.head == b.head && a.key() == b.key();
  }
  // Only entries of a unique index may have one key: they stand in the order of their rows.
  static std::string_view owner_of(const MadeOf& made) { return primary_key_of(made.value()); }
  bool is_before(const MadeOf& a, const MadeOf& b) const {
    if (a.head != b.head) return a.head < b.head;
    if (const int order = a.key().compare(b.key()); order != 0) return order < 0;
    return owner_of(a) < owner_of(b);
  }

  // Of rows with one key all but one must have expired: that one has the entry.
  Status settle_owners() {
    const std::unique_ptr<CursorState> others = engine_.cursor(index_.entries, read_);
    others->show_expired();
    others->seek("");
    if (!others->status().ok()) return others->status();
    const bool alone = !others->valid();
    size_t kept = 0;
    for (size_t first = 0; first < entries_.size();) {
      size_t last = first + 1;
      while (last < entries_.size() && have_one_key(entries_[first], entries_[last])) ++last;
      if (!alone || last - first > 1) {
        if (Status status = settle_owner(first, last, &kept); !status.ok()) return status;
      } else {
        entries_[kept++] = entries_[first];
      }
      first = last;
    }
    entries_.resize(kept);
    return {};
  }

  // The entries [first, last) have one key; the one that stays goes to `*kept`.
  Status settle_owner(size_t first, size_t last, size_t* kept) {
    StoredRow stored;
    if (Status status = engine_.find_row(index_.entries, entries_[first].key(), read_, &stored); !status.ok())
      return status;
    bool taken = stored.present;
    std::string owner(taken ? primary_key_of(stored.value.view()) : std::string_view());
    uint64_t owner_expiry = stored.expiry_us;
    const MadeOf* stays = nullptr;
    for (size_t i = first; i < last; ++i) {
      const MadeOf& made = entries_[i];
      if (taken && owner != owner_of(made) && !expired(owner_expiry)) {
        if (expired(made.expiry_us)) continue;
        return both_have(made, owner);
      }
      stays = &made;
      taken = true;
      owner = owner_of(made);
      owner_expiry = made.expiry_us;
    }
    if (stays != nullptr) entries_[(*kept)++] = *stays;
    return {};
  }

  Status both_have(const MadeOf& made, std::string_view owner) const {
    EntryParts parts;
    (void)take_entry(index_, made.key(), made.value(), &parts);
    return Status(StatusCode::already_exists, "the rows " + readable_bytes(owner) + " and " +
                                                  readable_bytes(owner_of(made)) + " both have the key " +
                                                  readable_index_key(parts.index_key));
  }

  bool expired(uint64_t expiry_us) const {
    return expiry_us != 0 && engine_.expiry_clock().passed(expiry_us, engine_.expiry_clock().now());
  }

  std::string_view internal_key(uint32_t keyspace, std::string_view key) {
    return keep_internal_key(arena_, keyspace, key);
  }

  uint64_t memory_bytes() const { return bytes_ + entries_.capacity() * sizeof(MadeOf); }

  Engine& engine_;
  const LiveIndex& index_;
  const ReadOptions read_;
  const uint64_t memory_max_;
  MemoryShare memory_;
  bool named_ = false;  // rows are named one by one
  uint64_t rows_ = 0;
  ByteArena arena_;
  std::vector<MadeEntry> made_;
  std::vector<MadeOf> entries_;
  uint64_t bytes_ = 0;  // of keys and values
  Footprint reads_;
  size_t at_ = 0;
};

void IndexSet::resume() {
  if (engine_.read_only()) return;
  const std::shared_ptr<const IndexTable> table = this->table();
  for (const auto& [keyspace, indexes] : table->by_keyspace) {
    for (const auto& index : indexes) {
      if (index->unusable.ok() && index->stored.state == IndexState::building)
        build_in_background(index->entries, 0);
    }
  }
}

// One slice at a time in the background: they take long, and threads there are few.
void IndexSet::build_in_background(uint32_t entries, uint64_t delay_ns) {
  engine_.run_later(delay_ns, [this, entries] {
    uint64_t delay = kWaitNs;
    if (slice_in_background_.exchange(true, std::memory_order_acquire))
      return build_in_background(entries, delay);
    const Cleared cleared(slice_in_background_);
    try {
      const Result<Slice> slice = build_slice(entries);
      const StatusCode code = slice.status().code();
      const bool passes = code == StatusCode::out_of_memory || code == StatusCode::no_space ||
                          code == StatusCode::io_error || code == StatusCode::unknown_outcome;
      if (!slice && !passes) return;  // waiters and list() say why
      if (!slice) delay = kRetryNs;
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
  // An ingestion waits for all that is in memory: that goes on while this reads and sorts.
  if (build.rows > kRowsNamed && !build.disturbed) engine_.begin_flush();
  Result<std::shared_ptr<const SnapshotState>> state = engine_.checked_snapshot();
  if (!state) return state.status();
  const Snapshot moment(*std::move(state));
  SliceMaker maker(engine_, index, moment);
  std::string next;
  bool end = false;
  Status status = maker.make(build.position, build.rows, &next, &end);
  INTERLEAVE("index.slice");
  if (status.ok() && !maker.empty()) {
    const bool ingests =
        maker.bytes() > std::min(kCommittedBytesMax, engine_.options().write_buffer_size / 8);
    const CommitCheck check{.since = moment.lsn(),
                            .reader = &moment.state()->reader(),
                            .writes = index.unique(),
                            .reads = &maker.reads(ingests),
                            .index_version = 0};
    status = ingests ? maker.ingest(check) : maker.commit(check);
  }
  if (status.is(StatusCode::conflict) || status.is(StatusCode::snapshot_too_old)) {
    // Few rows are read and made visible before somebody writes one of them.
    build.rows = std::max<uint64_t>(1, maker.rows() / 4);
    build.disturbed = true;
    return Slice::more;
  }
  if (status.ok()) build.rows = build.disturbed ? std::min(2 * build.rows, kRowsMax) : kRowsMax;
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
