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

Status no_memory_for_key() { return Status(StatusCode::out_of_memory, "the key of a transaction"); }

Status ended() { return Status(StatusCode::closed, "the transaction has ended"); }

}  // namespace

std::shared_ptr<TransactionState> TransactionState::begin(const std::shared_ptr<Engine>& engine,
                                                          const TransactionOptions& options) {
  if (Status status = engine->usable(); !status.ok()) return std::make_shared<TransactionState>(status);
  auto state = std::make_shared<TransactionState>(engine, options);
  const uint64_t most = engine->options().max_active_transactions;
  state->listed_ = engine->transactions().add(&state->active_, most);
  if (!state->listed_) {
    state->status_ = Status(StatusCode::busy, "max_active_transactions = " + std::to_string(most) +
                                                  " transactions are under way");
    return state;
  }
  if (state->reads_at_moment()) {
    Result<std::shared_ptr<const SnapshotState>> moment = engine->checked_snapshot();
    if (moment) {
      state->snapshot_ = Snapshot(*std::move(moment));
    } else {
      state->end();
      state->status_ = moment.status();
    }
  }
  return state;
}

TransactionState::TransactionState(const std::shared_ptr<Engine>& engine, const TransactionOptions& options)
    : engine_(engine), options_(options) {
  active_.isolation = static_cast<uint8_t>(options.isolation);
  active_.read_only = options.read_only;
  active_.began_ns = engine->env().clock().monotonic_ns();
  began_lsn_ = engine->published_lsn();
}

TransactionState::~TransactionState() { end(); }

void TransactionState::end() {
  if (engine_ == nullptr) return;  // it never began, and may be another thread's too
  if (listed_) {
    listed_ = false;
    engine_->remove_transaction(&active_);
  }
  snapshot_.release();
  if (status_.ok()) status_ = ended();
}

Status TransactionState::usable() const {
  if (!status_.ok()) return status_;
  return engine_->usable();
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
  if (Status status = check_key(key); !status.ok()) return status;
  if (Status status = check_value(value); !status.ok()) return status;
  if (Status status = writable(key.size() + value.size()); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  writes_.put(internal.view(), value, ttl_ms);
  return {};
}

Status TransactionState::remove(uint32_t keyspace, std::string_view key) {
  if (Status status = check_key(key); !status.ok()) return status;
  if (Status status = writable(key.size()); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  writes_.remove(internal.view());
  return {};
}

Status TransactionState::remove_range(uint32_t keyspace, std::string_view from, std::string_view to) {
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
  if (cursor != nullptr && !snapshot_.valid()) return engine_->get_as(keyspace, key, cursor->reader(), value);
  return engine_->get(keyspace, key, read_options(), value);
}

Lookup TransactionState::peek(uint32_t keyspace, std::string_view key, Value* value) {
  value->clear();
  if (Status status = usable(); !status.ok()) return status;
  if (Status status = check_key(key); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return no_memory_for_key();
  if (std::optional<Lookup> mine = own(internal.view(), value)) return *std::move(mine);
  return engine_->get(keyspace, key, read_options(), value);
}

Status TransactionState::get_many(uint32_t keyspace, std::span<const std::string_view> keys,
                                  std::span<Value> values) {
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

std::unique_ptr<CursorState> TransactionState::cursor(uint32_t keyspace) {
  if (Status status = usable(); !status.ok()) return std::make_unique<CursorState>(status);
  return engine_->cursor(keyspace, read_options(), shared_from_this());
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
  if (notes_keys() && !reads_.empty()) {
    reads_.seal();
    check.reads = &reads_;
  }
  return check;
}

Status TransactionState::commit(CommitExtension& extension) {
  if (Status status = usable(); !status.ok()) return status;
  if (writes_.empty()) {
    end();
    return {};
  }
  if (snapshot_.valid() && snapshot_.state()->reader().too_old()) {
    end();
    return Engine::too_old();
  }
  Status status;
  for (;;) {
    const uint64_t version = engine_->index_version();
    status = commit_extended(extension);
    // The indexes may have changed while it was on its way.
    if (!status.is(StatusCode::conflict) || engine_->index_version() == version) break;
  }
  const bool may_be_repeated =
      status.is(StatusCode::busy) || status.is(StatusCode::no_space) || status.is(StatusCode::out_of_memory);
  if (!may_be_repeated) end();
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
    return status.is(StatusCode::conflict) ? extension.explain(std::move(status)) : status;
  }
  for (RetriedCommit retried(*engine_);; operations = this->operations()) {
    if (Status status = retried.begin(); !status.ok()) return status;
    const Status status = retried.commit(operations, options, &extension);
    if (!RetriedCommit::overtaken(status)) return status;
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
                    .age_ms = age_ns / kNanosPerMilli});
  });
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
  if (Status status = usable(); !status.ok()) return status;
  return writes_.set_savepoint();
}

Status TransactionState::rollback_to(uint64_t savepoint) {
  if (Status status = usable(); !status.ok()) return status;
  if (writes_.rollback_to(savepoint)) return {};
  return Status(StatusCode::not_found, "the transaction has no such savepoint");
}

Status TransactionState::release(uint64_t savepoint) {
  if (Status status = usable(); !status.ok()) return status;
  if (writes_.release(savepoint)) return {};
  return Status(StatusCode::not_found, "the transaction has no such savepoint");
}

}  // namespace lightning
