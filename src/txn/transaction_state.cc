#include "txn/transaction_state.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "base/park.h"
#include "engine/cursor_state.h"
#include "engine/snapshot_state.h"
#include "format/internal_key.h"
#include "txn/one_key.h"

namespace lightning {

namespace {

// For calls that are to take no memory.
Status expired(uint64_t idle_ms) {
  try {
    return Status(StatusCode::closed,
                  "the transaction was aborted: it made no call for max_transaction_idle_ms = " +
                      std::to_string(idle_ms));
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::closed, "the transaction was aborted for its idleness");
  }
}

Status no_memory_for_key() { return Status(StatusCode::out_of_memory, "the key of a transaction"); }

}  // namespace

class TransactionState::Call {
 public:
  explicit Call(const TransactionState& state) : state_(state) {
    if (!state.watched_) [[likely]]
      return;
    TransactionUse use = TransactionUse::idle;  // else it has expired, or another call makes this one
    began_ =
        state.active_.use.compare_exchange_strong(use, TransactionUse::in_call, std::memory_order_acq_rel);
  }
  ~Call() {
    if (!began_) [[likely]]
      return;
    ActiveTransaction& active = state_.active_;
    active.used_ns.store(state_.engine_->env().clock().monotonic_ns(), std::memory_order_relaxed);
    active.use.store(TransactionUse::idle, std::memory_order_release);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  const TransactionState& state_;
  bool began_ = false;
};

std::shared_ptr<TransactionState> TransactionState::begin(const std::shared_ptr<Engine>& engine,
                                                          const TransactionOptions& options) {
  if (Status status = engine->usable(); !status.ok()) return std::make_shared<TransactionState>(status);
  auto state = std::make_shared<TransactionState>(engine, options);
  const uint64_t most = engine->options().max_active_transactions;
  if (!engine->transactions().add(&state->active_, most)) {
    state->status_ = Status(StatusCode::busy, "max_active_transactions = " + std::to_string(most) +
                                                  " transactions are under way");
    return state;
  }
  if (state->reads_at_moment()) state->take_moment();
  if (engine->options().max_transaction_idle_ms != 0) {
    state->watched_ = true;
    state->active_.use.store(TransactionUse::idle, std::memory_order_release);
    engine->watch_transactions(engine->transaction_idle_ns());
  }
  return state;
}

TransactionState::TransactionState(const std::shared_ptr<Engine>& engine, const TransactionOptions& options)
    : engine_(engine), options_(options) {
  active_.isolation = static_cast<uint8_t>(options.isolation);
  active_.read_only = options.read_only;
  active_.began_ns = engine->env().clock().monotonic_ns();
  active_.used_ns = active_.began_ns;
  began_lsn_ = engine->published_lsn();
}

TransactionState::~TransactionState() { end(); }

void TransactionState::take_moment() {
  const std::shared_ptr<void> uncounted;  // engine_ is, and so is this
  SnapshotState& moment = moment_.emplace(std::shared_ptr<Engine>(uncounted, engine_.get()));
  engine_->add_reader(moment.registered(), ReaderKind::transaction, ReadLevel::latest, active_.began_ns);
  active_.reader.store(moment.registered(), std::memory_order_release);
  snapshot_ = Snapshot(std::shared_ptr<const SnapshotState>(uncounted, &moment));
}

void TransactionState::end(Locks locks) {
  if (engine_ == nullptr) return;  // it never began, and may be another thread's too
  if (ended_ || !status_.ok()) return;
  engine_->remove_transaction(&active_);
  if (locks == Locks::go && engine_->locks().count() != 0) engine_->release_locks(active_.id);
  snapshot_.release();
  moment_.reset();
  ended_ = true;
}

Status TransactionState::usable() const {
  if (ended_) [[unlikely]]
    return Status(StatusCode::closed, "the transaction has ended");
  if (!status_.ok()) [[unlikely]]
    return status_;
  if (watched_) [[unlikely]] {
    if (Status status = note_use(); !status.ok()) return status;
  }
  return engine_->usable();
}

Status TransactionState::note_use() const {
  if (active_.use.load(std::memory_order_acquire) == TransactionUse::expired)
    return expired(engine_->options().max_transaction_idle_ms);
  active_.used_ns.store(engine_->env().clock().monotonic_ns(), std::memory_order_relaxed);
  return {};
}

ReadOptions TransactionState::read_options() const {
  return {.snapshot = snapshot_.valid() ? &snapshot_ : nullptr, .level = ReadLevel::latest};
}

uint64_t TransactionState::memory_allowed() const {
  return std::min<uint64_t>(kBatchBytesMax, engine_->options().memory_limit / 4);
}

Status TransactionState::writable(uint64_t bytes) const {
  if (Status status = usable(); !status.ok()) return status;
  if (options_.read_only) return Status(StatusCode::invalid_argument, "the transaction is read-only");
  if (engine_->read_only()) return Status(StatusCode::invalid_argument, "the database was opened read-only");
  const uint64_t allowed = memory_allowed();
  if (writes_.bytes() + bytes <= allowed) return {};
  return Status(StatusCode::out_of_memory,
                "what a transaction writes is at most " + std::to_string(allowed) + " bytes");
}

Status TransactionState::check_reads() const {
  const uint64_t allowed = memory_allowed();
  if (reads_.memory_bytes() <= allowed) return {};
  return Status(StatusCode::out_of_memory,
                "what a transaction has read takes more than " + std::to_string(allowed) + " bytes to note");
}

Status TransactionState::put(uint32_t keyspace, std::string_view key, std::string_view value,
                             uint64_t ttl_ms) {
  const Call call(*this);
  if (Status status = check_key(key); !status.ok()) return status;
  if (Status status = check_value(value); !status.ok()) return status;
  if (Status status = writable(key.size() + value.size()); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  writes_.put(internal.view(), value, ttl_ms);
  return {};
}

Status TransactionState::remove(uint32_t keyspace, std::string_view key) {
  const Call call(*this);
  if (Status status = check_key(key); !status.ok()) return status;
  if (Status status = writable(key.size()); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  writes_.remove(internal.view());
  return {};
}

Status TransactionState::remove_range(uint32_t keyspace, std::string_view from, std::string_view to) {
  const Call call(*this);
  if (Status status = check_key(from); !status.ok()) return status;
  if (Status status = check_key(to); !status.ok()) return status;
  if (Status status = writable(from.size() + to.size()); !status.ok()) return status;
  if (to <= from) return {};
  const InternalKey first(keyspace, from);
  const InternalKey last(keyspace, to);
  if (!first.ok() || !last.ok()) return no_memory_for_key();
  writes_.remove_range(first.view(), last.view());
  return {};
}

Status TransactionState::forget(uint32_t keyspace, std::string_view key) {
  const Call call(*this);
  if (Status status = writable(0); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  writes_.forget(internal.view());
  return {};
}

std::optional<Lookup> TransactionState::own(std::string_view internal_key, Value* value) {
  std::string_view found;
  switch (writes_.find(internal_key, &found)) {
    case WriteSet::Own::put:
      if (value != nullptr) {
        if (Status status = value->copy(found); !status.ok()) return Lookup(std::move(status));
      }
      return Lookup(value);
    case WriteSet::Own::removed:
      return Lookup(Status());
    case WriteSet::Own::none:
      break;
  }
  return std::nullopt;
}

Lookup TransactionState::get_as(uint32_t keyspace, std::string_view key, const CursorState* cursor,
                                Value* value) {
  const Call call(*this);
  if (value != nullptr) value->clear();
  if (Status status = usable(); !status.ok()) return status;
  if (Status status = check_key(key); !status.ok()) return status;
  if (!writes_.empty() || notes_keys()) {
    const InternalKey internal(keyspace, key);
    if (!internal.ok()) return no_memory_for_key();
    if (std::optional<Lookup> mine = own(internal.view(), value)) return *std::move(mine);
    if (notes_keys()) {
      reads_.add_key(internal.view(), hash_key(keyspace, key));
      if (Status status = check_reads(); !status.ok()) return status;
    }
  }
  if (cursor != nullptr && !snapshot_.valid())
    return engine_->get_as(keyspace, key, cursor->reader(), cursor->moment(), value);
  return engine_->get(keyspace, key, read_options(), value);
}

Lookup TransactionState::peek(uint32_t keyspace, std::string_view key, Value* value) {
  const Call call(*this);
  value->clear();
  if (Status status = usable(); !status.ok()) return status;
  if (Status status = check_key(key); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  if (std::optional<Lookup> mine = own(internal.view(), value)) return *std::move(mine);
  return engine_->get(keyspace, key, read_options(), value);
}

bool TransactionState::hides(uint32_t keyspace, std::string_view key) {
  if (reads_at_moment() || writes_.empty()) return false;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) throw std::bad_alloc();
  std::string_view own;
  return writes_.find(internal.view(), &own) != WriteSet::Own::none;
}

Status TransactionState::get_many(uint32_t keyspace, std::span<const std::string_view> keys,
                                  std::span<Value> values) {
  const Call call(*this);
  if (Status status = usable(); !status.ok()) return status;
  if (notes_keys()) {
    for (const std::string_view key : keys) {
      if (Status status = check_key(key); !status.ok()) return status;
      const InternalKey internal(keyspace, key);
      if (!internal.ok()) return no_memory_for_key();
      std::string_view own;
      if (writes_.find(internal.view(), &own) == WriteSet::Own::none)
        reads_.add_key(internal.view(), hash_key(keyspace, key));
    }
    if (Status status = check_reads(); !status.ok()) return status;
  }
  if (Status status = engine_->get_many(keyspace, keys, values, read_options()); !status.ok()) return status;
  if (writes_.empty()) return {};
  for (size_t i = 0; i < keys.size(); ++i) {
    const InternalKey internal(keyspace, keys[i]);
    if (!internal.ok()) return no_memory_for_key();
    std::string_view own;
    switch (writes_.find(internal.view(), &own)) {
      case WriteSet::Own::put:
        if (Status status = values[i].copy(own); !status.ok()) return status;
        break;
      case WriteSet::Own::removed:
        values[i].clear();
        break;
      case WriteSet::Own::none:
        break;
    }
  }
  return {};
}

Status TransactionState::check_locks(std::string_view key) {
  constexpr uint64_t kLockBytes = 400;  // with nodes and queues, about
  const uint64_t held = engine_->locks().held(active_.id);
  if (held > locks_held_) lock_bytes_ += (held - locks_held_) * (kLockBytes + key.size());
  locks_held_ = held;
  if (lock_bytes_ <= memory_allowed()) return {};
  return Status(StatusCode::out_of_memory,
                "the locks of a transaction take at most " + std::to_string(memory_allowed()) + " bytes");
}

Status TransactionState::lock(uint32_t keyspace, std::string_view key) {
  const Call call(*this);
  if (Status status = check_key(key); !status.ok()) return status;
  if (Status status = writable(0); !status.ok()) return status;
  if (Status status = engine_->usable(keyspace); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  if (Status status = check_locks(key); !status.ok()) return status;
  const uint64_t deadline =
      options_.lock_timeout_ms == 0 ? 0 : engine_->deadline_after(options_.lock_timeout_ms);
  Status status = engine_->lock_key(active_.id, internal.view(), KeyLock::exclusive, deadline);
  if (status.ok() && snapshot_.valid())
    status = engine_->check_unchanged(internal.view(), snapshot_.state()->reader());
  if (status.is(StatusCode::conflict) || status.is(StatusCode::deadlock) ||
      status.is(StatusCode::snapshot_too_old))
    end();
  return status;
}

Lookup TransactionState::get_for_update(uint32_t keyspace, std::string_view key, Value* value) {
  const Call call(*this);
  if (value != nullptr) value->clear();
  if (Status status = lock(keyspace, key); !status.ok()) return status;
  return get(keyspace, key, value);
}

std::unique_ptr<CursorState> TransactionState::cursor(uint32_t keyspace) {
  if (Status status = usable(); !status.ok()) return std::make_unique<CursorState>(status);
  return engine_->cursor(keyspace, read_options(), shared_from_this());
}

namespace {

class PeekingOverlay final : public CursorOverlay {
 public:
  explicit PeekingOverlay(std::shared_ptr<TransactionState> transaction)
      : transaction_(std::move(transaction)) {}
  Status usable() const override { return transaction_->usable(); }
  uint64_t sequence() const override { return transaction_->sequence(); }
  void lay_over(ViewCursors* view) override { transaction_->lay_over(view); }
  uint64_t moment() override { return transaction_->moment(); }
  void saw(SeenStretch*, std::string_view, std::string_view, const std::string_view*) override {}

 private:
  const std::shared_ptr<TransactionState> transaction_;
};

}  // namespace

std::unique_ptr<CursorState> TransactionState::peeking_cursor(uint32_t keyspace) {
  if (Status status = usable(); !status.ok()) return std::make_unique<CursorState>(status);
  return engine_->cursor(keyspace, read_options(), std::make_shared<PeekingOverlay>(shared_from_this()));
}

uint64_t TransactionState::moment() { return snapshot_.valid() ? snapshot_.state()->moment() : 0; }

void TransactionState::saw(SeenStretch* stretch, std::string_view from, std::string_view to,
                           const std::string_view* key) {
  if (!notes_keys()) return;
  if (!notes_ranges()) {
    if (key == nullptr) return;
    std::string_view own;
    if (writes_.find(*key, &own) == WriteSet::Own::none) reads_.add_key(*key, hash_key(*key));
  } else if (stretch->number == SeenStretch::kNone) {
    stretch->number = reads_.add_range(from, to);
  } else {
    reads_.widen(stretch->number, from, to);
  }
  if (!check_reads().ok()) throw std::bad_alloc();
}

CommitCheck TransactionState::check_for_commit() {
  CommitCheck check;
  if (snapshot_.valid()) {
    check.since = snapshot_.lsn();
    check.reader = &snapshot_.state()->reader();
  }
  check.writes = options_.isolation == Isolation::snapshot;
  check.owner = active_.id;
  if (notes_keys() && !reads_.empty()) {
    reads_.seal();
    check.reads = &reads_;
  }
  return check;
}

Status TransactionState::commit(CommitExtension& extension) {
  const Call call(*this);
  if (Status status = usable(); !status.ok()) return status;
  if (writes_.empty()) {
    end();
    return {};
  }
  if (snapshot_.valid() && snapshot_.state()->reader().too_old()) {
    end();
    return Engine::too_old();
  }
  const auto version = [this] { return has_indexes() ? engine_->index_version() : 0; };
  Status status;
  for (;;) {
    const uint64_t before = version();
    status = commit_extended(extension);
    // The indexes may have changed while it was on its way.
    if (!status.is(StatusCode::conflict) || version() == before) break;
  }
  const bool may_be_repeated =
      status.is(StatusCode::busy) || status.is(StatusCode::no_space) || status.is(StatusCode::out_of_memory);
  if (!may_be_repeated) end();
  return status;
}

// Writes first: a lock of what was read is then mostly there.
Status TransactionState::lock_for_prepare(std::span<const Operation> operations, const Footprint* reads) {
  const uint64_t deadline = engine_->deadline_after(options_.lock_timeout_ms);
  const auto lock = [&](std::string_view from, std::string_view to, KeyLock mode) {
    return to.empty() ? engine_->lock_key(active_.id, from, mode, deadline)
                      : engine_->lock_range(active_.id, from, to, mode, deadline);
  };
  Status status;
  for (const Operation& operation : operations) {
    const LogEntry& entry = operation.entry;
    const bool range = entry.kind == EntryKind::remove_range;
    status = lock(entry.key, range ? entry.value : std::string_view(), KeyLock::exclusive);
    if (!status.ok()) return status;
  }
  if (reads == nullptr) return status;
  for (const Footprint::Key& key : reads->keys()) {
    if (status = lock(key.bytes, {}, KeyLock::shared); !status.ok()) return status;
  }
  for (const Footprint::Range& range : reads->ranges()) {
    if (status = lock(range.from, range.to, KeyLock::shared); !status.ok()) return status;
  }
  return status;
}

// Entries of indexes are made again by the commit, from which on expiries count; what is locked of them here
// keeps the keys of unique indexes free until then.
Status TransactionState::lock_extended(CommitExtension& extension, std::span<const Operation> operations,
                                       std::vector<Operation>* extended) {
  std::vector<std::string> locked;
  for (;;) {
    extended->assign(operations.begin(), operations.end());
    if (!extension.concerns(operations)) return {};
    Status status = extension.extend(extended, read_options(), notes_keys() ? &reads_ : nullptr);
    if (!status.ok()) return status;
    const std::span<const Operation> added = std::span(*extended).subspan(operations.size());
    std::vector<std::string> keys;
    for (const Operation& operation : added) keys.emplace_back(operation.entry.key);
    if (keys == locked) return {};
    if (status = lock_for_prepare(added, nullptr); !status.ok()) return status;
    // What is of one moment is checked; the rest is read again, now that nobody changes it any more.
    if (snapshot_.valid()) return {};
    locked = std::move(keys);
  }
}

namespace {

// The commit of what is promised has the removal of its record besides.
Status check_commit_bytes(std::span<const Operation> operations) {
  constexpr uint64_t kRecordsRemovalBytes = 1024;
  uint64_t bytes = kRecordsRemovalBytes;
  for (const Operation& operation : operations)
    bytes += operation.entry.key.size() + operation.entry.value.size();
  if (bytes <= kBatchBytesMax) return {};
  return Status(StatusCode::invalid_argument,
                "a prepared transaction writes at most 1 GiB, with the entries of its indexes");
}

}  // namespace

// Locks all that the transaction writes and relies on, and says of it what is promised and what is checked.
Status TransactionState::make_promise(CommitExtension& extension, Promise* promise) {
  promise->operations = operations();
  for (const std::string& key : engine_->locks().exclusive_keys(active_.id)) {
    std::string_view own;
    if (writes_.find(key, &own) == WriteSet::Own::none) promise->guards.exclusive.add_key(key, hash_key(key));
  }
  Status status = lock_for_prepare(promise->operations, nullptr);
  if (!status.ok()) return status;
  // From here on a keyspace gets an index only behind the resolution.
  std::vector<Operation> extended;
  if (status = lock_extended(extension, promise->operations, &extended); !status.ok()) return status;
  if (status = check_commit_bytes(extended); !status.ok()) return status;
  promise->check = check_for_commit();
  if (promise->check.reads != nullptr) {
    if (status = lock_for_prepare({}, promise->check.reads); !status.ok()) return status;
    promise->guards.shared.add(*promise->check.reads);
  }
  const std::span<const Operation> added = std::span(extended).subspan(promise->operations.size());
  // Nobody was first up to the place of the promise; behind it the locks see to that.
  if (promise->check.writes) {
    for (const Operation& operation : extended) promise->written.add(operation.entry);
    promise->written.seal();
    promise->check.writes = false;
    promise->check.reads = &promise->written;
  }
  for (const Operation& operation : added) {
    if (extension.is_derived(operation.entry.key)) {
      promise->guards.exclusive.add(operation.entry);
    } else {
      promise->operations.push_back(operation);
    }
  }
  promise->guards.shared.seal();
  promise->guards.exclusive.seal();
  return {};
}

Status TransactionState::prepare(std::string_view gid, CommitExtension& extension) {
  const Call call(*this);
  if (Status status = writable(0); !status.ok()) return status;
  if (snapshot_.valid() && snapshot_.state()->reader().too_old()) {
    end();
    return Engine::too_old();
  }
  Promise promise;
  Status status = make_promise(extension, &promise);
  const bool taken = status.is(StatusCode::already_exists);  // a key of a unique index
  if (status.ok()) {
    status = engine_->prepare(
        gid, {.operations = promise.operations, .guards = promise.guards, .check = promise.check},
        {.durability = options_.durability, .timeout_ms = options_.timeout_ms, .ttl_ms = 0});
  }
  if (status.ok() || status.is(StatusCode::unknown_outcome)) {
    end(Locks::stay);
    return status;
  }
  const bool first = status.is(StatusCode::conflict);
  if (first) status = extension.explain(std::move(status), promise.operations);
  if (first || taken || status.is(StatusCode::deadlock) || status.is(StatusCode::snapshot_too_old)) end();
  return status;
}

void TransactionState::derive(uint32_t keyspace) {
  if (std::find(derived_.begin(), derived_.end(), keyspace) == derived_.end()) derived_.push_back(keyspace);
}

std::vector<Operation> TransactionState::operations() const {
  std::vector<Operation> operations = writes_.operations();
  if (derived_.empty()) return operations;
  std::erase_if(operations, [&](const Operation& operation) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(operation.entry.key, &keyspace);
    return std::find(derived_.begin(), derived_.end(), keyspace) != derived_.end();
  });
  return operations;
}

// Of a transaction without a moment the entries of indexes have one: what they are made of must still be so.
Status TransactionState::commit_extended(CommitExtension& extension) {
  const WriteOptions options{
      .durability = options_.durability, .timeout_ms = options_.timeout_ms, .ttl_ms = 0};
  std::vector<Operation> operations = this->operations();
  if (!extension.concerns(operations))
    return engine_->commit_checked(operations, check_for_commit(), options);
  if (snapshot_.valid()) {
    if (Status status = extension.extend(&operations, read_options(), notes_keys() ? &reads_ : nullptr);
        !status.ok())
      return status;
    CommitCheck check = check_for_commit();
    check.index_version = extension.index_version();
    Status status = engine_->commit_checked(operations, check, options);
    return status.is(StatusCode::conflict) ? extension.explain(std::move(status), operations) : status;
  }
  RetriedCommit retried(*engine_);
  retried.commit_as(active_.id);
  for (;;) {
    if (Status status = retried.begin(); !status.ok()) return status;
    Status status = retried.commit(operations, options, &extension);
    if (!RetriedCommit::overtaken(status)) return status;
    operations = this->operations();
    if (status = retried.hold_off(operations, options); !status.ok()) return status;
  }
}

std::vector<TransactionInfo> list_transactions(const Engine& engine) {
  constexpr uint64_t kNanosPerMilli = 1'000'000;
  std::vector<TransactionInfo> list;
  list.reserve(engine.transactions().count() + 16);
  const uint64_t now = engine.env().clock().monotonic_ns();
  engine.transactions().for_each([&](const ActiveTransaction& active) {
    const uint64_t age_ns = now - std::min(now, active.began_ns);
    list.push_back({.id = active.id,
                    .isolation = static_cast<Isolation>(active.isolation),
                    .read_only = active.read_only,
                    .age_ms = age_ns / kNanosPerMilli,
                    .locks = 0,
                    .waits_for = 0});
  });
  if (engine.locks().count() == 0) return list;
  for (TransactionInfo& info : list) {
    info.locks = engine.locks().held(info.id);
    info.waits_for = engine.locks().waits_for(info.id);
  }
  return list;
}

bool wait_to_retry(Engine& engine, uint64_t timeout_ms, uint32_t tries, uint64_t* began_ns) {
  constexpr uint64_t kNanosPerMilli = 1'000'000;
  constexpr uint64_t kShortestNs = 2'000;
  constexpr uint32_t kDoublingsMax = 11;  // to four milliseconds
  const uint64_t now = engine.env().clock().monotonic_ns();
  if (*began_ns == 0) *began_ns = now;
  if ((now - *began_ns) / kNanosPerMilli >= timeout_ms) return false;
  const uint64_t most = kShortestNs << std::min(tries, kDoublingsMax);
  std::atomic<uint32_t> nothing{0};
  park(nothing, 0, most / 2 + engine.env().random() % (most / 2));
  return true;
}

Result<uint64_t> TransactionState::set_savepoint() {
  const Call call(*this);
  if (Status status = usable(); !status.ok()) return status;
  return writes_.set_savepoint();
}

Status TransactionState::rollback_to(uint64_t savepoint) {
  const Call call(*this);
  if (Status status = usable(); !status.ok()) return status;
  if (writes_.rollback_to(savepoint)) return {};
  return Status(StatusCode::not_found, "the transaction has no such savepoint");
}

Status TransactionState::release(uint64_t savepoint) {
  const Call call(*this);
  if (Status status = usable(); !status.ok()) return status;
  if (writes_.release(savepoint)) return {};
  return Status(StatusCode::not_found, "the transaction has no such savepoint");
}

}  // namespace lightning
