// Point reads, cursors and snapshots. The search itself is view/lookup.cc.

#include <algorithm>
#include <array>

#include <lightning/keyspace.h>
#include <lightning/snapshot.h>
#include "base/check.h"
#include "base/interleave.h"
#include "engine/cursor_state.h"
#include "engine/engine.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"
#include "view/first_entry.h"

namespace lightning {

namespace {

// Keys that go through the stages of lookup_many() together; fewer where no more are asked for.
constexpr size_t kManyKeys = 64;
constexpr size_t kFewKeys = 8;

Status wrong_snapshot() { return Status(StatusCode::invalid_argument, "a snapshot of another database"); }

[[gnu::always_inline]] inline Status take_value(Hit& hit, Value* value) {
  // An owner of a short value is all of its page's.
  if (hit.owner != nullptr && hit.value.size() > kCopiedValueBytesMax) [[unlikely]] {
    value->refer(hit.value, std::move(hit.owner));
    return {};
  }
  return value->copy(hit.value);
}

}  // namespace

// Highest LSN of the View's runs: they are durable whatever the log says.
static uint64_t run_lsn_max(const View& view) {
  uint64_t lsn = 0;
  for (const auto& run : view.runs) {
    for (const RunPiece& piece : run->info().pieces) lsn = std::max(lsn, piece.file.lsn_max);
  }
  return lsn;
}

uint64_t Engine::read_lsn(const View& view, const ReadOptions& options) const {
  if (options.snapshot != nullptr) return options.snapshot->state()->lsn();
  if (options.level == ReadLevel::durable) return std::max(log_.durable(), run_lsn_max(view));
  return log_.published();
}

bool Engine::is_mine(const Snapshot& snapshot) const {
  return snapshot.valid() && snapshot.state()->engine() == this;
}

bool Engine::is_too_old(const ReadOptions& options) {
  return options.snapshot != nullptr && options.snapshot->state()->reader().too_old();
}

// Where something must be read, which may wait, and nobody waits in an epoch: a count on the View instead.
class Engine::OutsideEpoch {
 public:
  explicit OutsideEpoch(EpochGuard& epoch) : epoch_(epoch) {}
  void go(const View& view) {
    held_ = view.shared_from_this();
    epoch_.leave();
    LIGHTNING_INVARIANT("E1", !inside_epoch());
  }

 private:
  EpochGuard& epoch_;
  std::shared_ptr<const View> held_;
};

inline Lookup Engine::find(const View& view, std::string_view key, uint64_t hash, const ReadOptions& options,
                           Value* value, OutsideEpoch& outside) const {
  ReadPoint point = ReadPoint::latest(log_);
  if (options.snapshot != nullptr || options.level != ReadLevel::latest) [[unlikely]] {
    if (is_too_old(options)) return too_old();  // asked after the View was loaded
    point = ReadPoint::at(read_lsn(view, options));
  }
  Hit hit;
  Found found;
  while ((found = lookup(view, key, hash, point, &hit)) == Found::away) [[unlikely]] {
    outside.go(view);
    hit = Hit();
  }
  if (found != Found::found) [[unlikely]]
    return Lookup(std::move(hit.status));
  if (hit.kind != EntryKind::put) [[unlikely]] {
    uint64_t moment = options.snapshot == nullptr ? 0 : options.snapshot->state()->moment();
    if (!take_expiring(&hit, &moment)) return Lookup(Status());
  }
  if (value != nullptr) {
    if (Status status = take_value(hit, value); !status.ok()) [[unlikely]]
      return status;
  }
  return Lookup(value);
}

// As find() does it, for reads that are not made so often.
[[gnu::noinline]] Found Engine::wait_for(const View& view, std::string_view key, uint64_t hash,
                                         const ReadPoint& point, Hit* hit, OutsideEpoch& outside) const {
  Found found;
  while ((found = lookup_apart(view, key, hash, point, hit)) == Found::away) [[unlikely]] {
    outside.go(view);
    *hit = Hit();
  }
  return found;
}

bool Engine::take_expiring(Hit* hit, uint64_t* moment) const {
  if (has_expired(expiry_of(hit->value), moment)) return false;
  hit->value = without_expiry(hit->value);
  return true;
}

Lookup Engine::get(uint32_t keyspace, std::string_view key, const ReadOptions& options, Value* value) const {
  if (is_timed(Timed::get)) [[unlikely]] {
    return time_operation(Timed::get, env_.clock(), latencies_.get,
                          [&] { return get(keyspace, key, options, value); });
  }
  if (value != nullptr) value->clear();
  if (key.size() > kKeyBytesMax) [[unlikely]]
    return Status(StatusCode::invalid_argument, "a key is at most 65,535 bytes long");
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) [[unlikely]]
    return Status(StatusCode::out_of_memory, "the key of a read");
  if (options.snapshot != nullptr && !is_mine(*options.snapshot)) [[unlikely]]
    return wrong_snapshot();
  const uint64_t hash = hash_key(keyspace, key);
  EpochGuard epoch;
  if (Status status = usable(keyspace); !status.ok()) [[unlikely]]
    return status;
  const View* const view = view_.load(std::memory_order_acquire);
  OutsideEpoch outside(epoch);
  if (!mapped_) [[unlikely]]
    outside.go(*view);
  return find(*view, internal.view(), hash, options, value, outside);
}

Lookup Engine::get_as(uint32_t keyspace, std::string_view key, const RegisteredReader& reader,
                      uint64_t moment, Value* value) const {
  value->clear();
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of a read");
  const std::shared_ptr<const View> view = this->view();
  if (Status status = usable(keyspace); !status.ok()) return status;  // as the next, behind the View
  if (reader.too_old()) return too_old();
  Hit hit;
  if (lookup_apart(*view, internal.view(), hash_key(keyspace, key), ReadPoint::at(reader.lsn()), &hit) !=
      Found::found)
    return Lookup(std::move(hit.status));
  if (hit.kind != EntryKind::put && !take_expiring(&hit, &moment)) return Lookup(Status());
  if (Status status = take_value(hit, value); !status.ok()) return status;
  return Lookup(value);
}

Status Engine::find_row(uint32_t keyspace, std::string_view key, const ReadOptions& options,
                        StoredRow* row) const {
  row->present = false;
  row->expiry_us = 0;
  row->value.clear();
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of a read");
  EpochGuard epoch;
  if (Status status = usable(keyspace); !status.ok()) return status;
  const View* const view = view_.load(std::memory_order_acquire);
  OutsideEpoch outside(epoch);
  if (!mapped_) [[unlikely]]
    outside.go(*view);
  if (is_too_old(options)) return too_old();
  const ReadPoint point = options.snapshot == nullptr && options.level == ReadLevel::latest
                              ? ReadPoint::latest(log_)
                              : ReadPoint::at(read_lsn(*view, options));
  Hit hit;
  if (wait_for(*view, internal.view(), hash_key(keyspace, key), point, &hit, outside) != Found::found)
    return std::move(hit.status);
  row->present = true;
  if (hit.kind != EntryKind::put) {
    row->expiry_us = expiry_of(hit.value);
    hit.value = without_expiry(hit.value);
  }
  return take_value(hit, &row->value);
}

bool Engine::has_expired(uint64_t expiry_us, uint64_t* moment) const {
  if (*moment == 0) *moment = expiry_clock_.now();
  return expiry_clock_.passed(expiry_us, *moment);
}

std::optional<Lookup> Engine::get_through(const Guide& guide, uint32_t target, const ReadOptions& options,
                                          Value* value, std::string* found) const {
  if (options.snapshot != nullptr && !is_mine(*options.snapshot)) return wrong_snapshot();
  const InternalKey internal(guide.keyspace, guide.key);
  if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of a read");
  EpochGuard epoch;
  for (const uint32_t keyspace : {target, guide.keyspace}) {
    if (Status status = usable(keyspace); !status.ok()) return status;
  }
  const View* const view = view_.load(std::memory_order_acquire);
  OutsideEpoch outside(epoch);
  if (!mapped_) [[unlikely]]
    outside.go(*view);
  if (is_too_old(options)) return too_old();
  const ReadPoint point = ReadPoint::at(read_lsn(*view, options));
  uint64_t moment = options.snapshot == nullptr ? 0 : options.snapshot->state()->moment();
  Hit entry;
  FirstEntry first;
  std::string_view primary;
  if (guide.key_of != nullptr) {
    const uint64_t hash = hash_key(guide.keyspace, guide.key);
    if (wait_for(*view, internal.view(), hash, point, &entry, outside) != Found::found)
      return Lookup(std::move(entry.status));
    if (entry.kind != EntryKind::put && !take_expiring(&entry, &moment)) return Lookup(Status());
    primary = guide.key_of(entry.value);
  } else {
    First outcome;
    while ((outcome = find_first(*view, internal.view(), point.lsn(), &first)) == First::away)
      outside.go(*view);
    if (outcome == First::unclear) return std::nullopt;
    if (outcome != First::found) return Lookup(first.status());
    if (first.expiry_us() != 0 && has_expired(first.expiry_us(), &moment)) return std::nullopt;
    primary = first.key().substr(internal.view().size());
  }
  const InternalKey row(target, primary);
  if (!row.ok()) return Status(StatusCode::out_of_memory, "the key of a read");
  // What was found does not outlive a wait.
  primary = row.view().substr(keyspace_prefix_size(target));
  Hit hit;
  if (wait_for(*view, row.view(), hash_key(target, primary), point, &hit, outside) != Found::found ||
      (hit.kind != EntryKind::put && !take_expiring(&hit, &moment))) {
    // Behind an entry whose row is gone there may be another one.
    if (guide.key_of == nullptr && hit.status.ok()) return std::nullopt;
    return Lookup(std::move(hit.status));
  }
  if (found != nullptr) found->assign(primary);
  if (Status status = take_value(hit, value); !status.ok()) return status;
  return Lookup(value);
}

struct Engine::ManyReads {
  const View& view;
  uint64_t lsn;
  const SnapshotState* snapshot;  // whose moment counts; or null
  uint64_t moment;                // 0: that, or now
  uint32_t keyspace;
};

Status Engine::get_many(uint32_t keyspace, std::span<const std::string_view> keys, std::span<Value> values,
                        const ReadOptions& options) const {
  if (is_timed(Timed::get_many)) [[unlikely]] {
    return time_operation(Timed::get_many, env_.clock(), latencies_.get_many,
                          [&] { return get_many(keyspace, keys, values, options); });
  }
  if (keys.size() != values.size()) {
    return Status(StatusCode::invalid_argument, "get_many takes one Value for each key");
  }
  if (options.snapshot != nullptr && !is_mine(*options.snapshot)) {
    return wrong_snapshot();
  }
  // One View for all keys: the moment is fixed, so what it can see must not be merged away between them. Of a
  // View that was replaced before the moment nobody may have said that there are range removals.
  std::shared_ptr<const View> view;
  uint64_t lsn = 0;
  do {
    view = this->view();
    INTERLEAVE("many.view");
    lsn = read_lsn(*view, options);
  } while (options.snapshot == nullptr && view_sequence() != view->sequence);
  if (is_too_old(options)) return too_old();
  for (const std::string_view key : keys) {
    if (key.size() > kKeyBytesMax) {
      return Status(StatusCode::invalid_argument, "a key is at most 65,535 bytes long");
    }
  }
  return fill_many({.view = *view,
                    .lsn = lsn,
                    .snapshot = options.snapshot == nullptr ? nullptr : options.snapshot->state(),
                    .moment = 0,
                    .keyspace = keyspace},
                   keys, values);
}

Status Engine::get_many_as(uint32_t keyspace, std::span<const std::string_view> keys, std::span<Value> values,
                           const RegisteredReader& reader, uint64_t moment) const {
  const std::shared_ptr<const View> view = this->view();
  if (reader.too_old()) return too_old();  // asked after the View was loaded
  return fill_many(
      {.view = *view, .lsn = reader.lsn(), .snapshot = nullptr, .moment = moment, .keyspace = keyspace}, keys,
      values);
}

Status Engine::fill_many(const ManyReads& reads, std::span<const std::string_view> keys,
                         std::span<Value> values) const {
  uint64_t moment = reads.moment;
  for (size_t first = 0; first < keys.size(); first += kManyKeys) {
    const size_t count = std::min(kManyKeys, keys.size() - first);
    const auto fill = count <= kFewKeys ? &Engine::fill_staged<kFewKeys> : &Engine::fill_staged<kManyKeys>;
    Status status = (this->*fill)(reads, keys.subspan(first, count), values.subspan(first, count), &moment);
    if (!status.ok()) return status;
  }
  return {};
}

// All keys through the stages of lookup_many() together.
template <size_t most>
Status Engine::fill_staged(const ManyReads& reads, std::span<const std::string_view> keys,
                           std::span<Value> values, uint64_t* moment) const {
  constexpr size_t kBytesOfKey = 24;  // more of them take memory
  std::array<ManyKey, most> many;
  std::array<char, most * kBytesOfKey> few_bytes;
  std::string more_bytes;
  size_t size = 0;
  for (const std::string_view key : keys) size += kKeyspaceIdBytesMax + key.size();
  if (size > few_bytes.size()) more_bytes.resize(size);
  char* to = more_bytes.empty() ? few_bytes.data() : more_bytes.data();
  for (size_t i = 0; i < keys.size(); ++i) {
    char* const begin = to;
    to = put_keyspace_prefix(to, reads.keyspace);
    to = std::copy(keys[i].begin(), keys[i].end(), to);
    many[i].key = {begin, static_cast<size_t>(to - begin)};
    many[i].hash = hash_key(reads.keyspace, keys[i]);
    values[i].clear();
  }
  if (Status status = usable(reads.keyspace); !status.ok()) return status;
  if (!lookup_many(reads.view, {many.data(), keys.size()}, reads.lsn)) {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (many[i].found == Found::error) return many[i].hit.status;
    }
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    if (many[i].found != Found::found) continue;
    if (many[i].hit.kind != EntryKind::put) {
      if (*moment == 0 && reads.snapshot != nullptr) *moment = reads.snapshot->moment();
      if (!take_expiring(&many[i].hit, moment)) continue;
    }
    if (Status status = take_value(many[i].hit, &values[i]); !status.ok()) return status;
  }
  return {};
}

void Engine::add_reader(RegisteredReader* reader, ReaderKind kind, ReadLevel level, uint64_t now_ns) {
  snapshots_.add(reader, kind, now_ns, [&] { return lsn_now(level); });
  if (options_.max_snapshot_age_ms != 0) [[unlikely]]
    watch_ages(reader_age_ns());
}

uint64_t Engine::lsn_now(ReadLevel level) const {
  return level == ReadLevel::latest ? log_.published()
                                    : read_lsn(*view(), {.snapshot = nullptr, .level = level});
}

std::unique_ptr<CursorState> Engine::cursor(uint32_t keyspace, const ReadOptions& options,
                                            std::shared_ptr<CursorOverlay> overlay) {
  if (Status status = usable(keyspace); !status.ok()) return std::make_unique<CursorState>(status);
  if (options.snapshot != nullptr && !is_mine(*options.snapshot)) {
    return std::make_unique<CursorState>(wrong_snapshot());
  }
  auto cursor = std::make_unique<CursorState>(shared_from_this(), keyspace, std::move(overlay));
  if (options.snapshot == nullptr) {
    add_reader(&cursor->reader(), ReaderKind::cursor, options.level, env_.clock().monotonic_ns());
  } else if (!snapshots_.add_again(&cursor->reader(), ReaderKind::cursor,
                                   options.snapshot->state()->reader())) {
    return std::make_unique<CursorState>(too_old());
  }
  cursor->begin();
  return cursor;
}

Result<std::shared_ptr<const SnapshotState>> Engine::snapshot_of(ReaderKind kind, ReadLevel level) {
  if (Status status = usable(); !status.ok()) return status;
  auto state = std::make_shared<SnapshotState>(shared_from_this());
  add_reader(state->registered(), kind, level, env_.clock().monotonic_ns());
  return std::shared_ptr<const SnapshotState>(std::move(state));
}

Result<uint64_t> Engine::approximate_size(uint32_t keyspace, std::string_view from,
                                          std::string_view to) const {
  const InternalKey first(keyspace, from);
  const InternalKey last(keyspace, to);
  if (!first.ok() || !last.ok()) return Status(StatusCode::out_of_memory, "the keys of a size");
  if (to <= from) return uint64_t{0};
  const std::shared_ptr<const View> view = this->view();
  if (Status status = usable(keyspace); !status.ok()) return status;
  uint64_t bytes = 0;
  for (const auto& run : view->runs) {
    for (size_t i = 0; i < run->files().size(); ++i) {
      const std::string_view begin = std::max(first.view(), run->ranges()[i].smallest);
      const RunFile& file = *run->files()[i];
      bytes += file.approximate_bytes(begin, last.view());
      bytes += file.approximate_value_bytes(begin, last.view());
    }
  }
  const uint64_t lsn = log_.published();
  const auto add_memory = [&](const MemSource& source) -> Status {
    if (Status status = source.order_up_to(lsn); !status.ok()) return status;
    const std::unique_ptr<SourceCursor> cursor = source.table->cursor(lsn);
    if (cursor == nullptr) return Status(StatusCode::out_of_memory, "a cursor");
    for (cursor->seek(first.view()); cursor->valid() && cursor->key() < last.view(); cursor->next()) {
      bytes += cursor->key().size() + cursor->value().size();
    }
    return cursor->status();
  };
  if (view->active != nullptr) {
    if (Status status = add_memory(*view->active); !status.ok()) return status;
  }
  for (const auto& source : view->sealed) {
    if (Status status = add_memory(*source); !status.ok()) return status;
  }
  return bytes;
}

}  // namespace lightning
