#include <lightning/transaction.h>

#include "api/guarded.h"
#include "api/make_scan.h"
#include "api/reused_key.h"
#include "engine/cursor_state.h"
#include "index/index_writes.h"
#include "txn/transaction_state.h"

namespace lightning {

namespace {

Status no_transaction() { return Status(StatusCode::closed, "the handle holds no transaction"); }

std::unique_ptr<CursorState> make_cursor(const std::shared_ptr<TransactionState>& state, uint32_t id) {
  if (state == nullptr) return std::make_unique<CursorState>(no_transaction());
  try {
    return state->cursor(id);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

std::string_view isolation_name(Isolation isolation) {
  switch (isolation) {
    case Isolation::read_committed:
      return "read_committed";
    case Isolation::repeatable_read:
      return "repeatable_read";
    case Isolation::snapshot:
      return "snapshot";
    case Isolation::serializable:
      return "serializable";
  }
  return "unknown";
}

Status TransactionKeyspace::put(std::string_view key, std::string_view value, uint64_t ttl_ms) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] {
    if (state_->has_indexes()) [[unlikely]]
      return put_in_transaction(*state_, id_, key, value, ttl_ms);
    return state_->put(id_, key, value, ttl_ms);
  });
}

Status TransactionKeyspace::remove(std::string_view key) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] {
    if (state_->has_indexes()) [[unlikely]]
      return remove_in_transaction(*state_, id_, key);
    return state_->remove(id_, key);
  });
}

Status TransactionKeyspace::remove_range(std::string_view from, std::string_view to) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] {
    if (state_->has_indexes()) [[unlikely]]
      return remove_range_in_transaction(*state_, id_, from, to);
    return state_->remove_range(id_, from, to);
  });
}

Lookup TransactionKeyspace::get(std::string_view key) {
  Value value;
  Lookup found = get(key, value);
  return Lookup(std::move(found), std::move(value));
}

Lookup TransactionKeyspace::get(std::string_view key, Value& reused) {
  if (state_ == nullptr) return no_transaction();
  return guarded(
      [&] { return read_beside(key, reused, [&](auto apart) { return state_->get(id_, apart, &reused); }); });
}

Lookup TransactionKeyspace::contains(std::string_view key) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] { return state_->get(id_, key, nullptr); });
}

Status TransactionKeyspace::get_many(std::span<const std::string_view> keys, std::span<Value> values) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] { return state_->get_many(id_, keys, values); });
}

Lookup TransactionKeyspace::get_for_update(std::string_view key) {
  Value value;
  Lookup found = get_for_update(key, value);
  return Lookup(std::move(found), std::move(value));
}

Lookup TransactionKeyspace::get_for_update(std::string_view key, Value& reused) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] {
    return read_beside(key, reused, [&](auto apart) { return state_->get_for_update(id_, apart, &reused); });
  });
}

Status TransactionKeyspace::lock(std::string_view key) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] { return state_->lock(id_, key); });
}

Cursor TransactionKeyspace::cursor() { return Cursor(make_cursor(state_, id_)); }

Scan TransactionKeyspace::scan() {
  return make_scan([&] { return Scan(make_cursor(state_, id_), {}, {}, false); });
}

Scan TransactionKeyspace::scan(std::string_view from, std::string_view to) {
  return make_scan([&] { return Scan(make_cursor(state_, id_), std::string(from), std::string(to), true); });
}

Scan TransactionKeyspace::scan_from(std::string_view from) {
  return make_scan([&] { return Scan(make_cursor(state_, id_), std::string(from), {}, false); });
}

Scan TransactionKeyspace::scan_prefix(std::string_view prefix) {
  return make_scan([&] {
    std::string end = prefix_end(prefix);
    const bool bounded = !end.empty();
    return Scan(make_cursor(state_, id_), std::string(prefix), std::move(end), bounded);
  });
}

Transaction::Transaction(std::shared_ptr<TransactionState> state)
    : TransactionKeyspace(std::move(state), kDefaultKeyspaceId) {}

Transaction& Transaction::operator=(Transaction&& other) noexcept {
  if (this != &other) {
    abort();
    state_ = std::move(other.state_);
  }
  return *this;
}

Transaction::~Transaction() { abort(); }

Status Transaction::status() const { return state_ == nullptr ? no_transaction() : state_->usable(); }

Status Transaction::commit() {
  if (state_ == nullptr) return no_transaction();
  if (Status status = state_->usable(); !status.ok()) return status;
  return guarded([&] {
    IndexExtension extension(*state_->engine());
    return state_->commit(extension);
  });
}

Status Transaction::prepare(std::string_view gid) {
  if (state_ == nullptr) return no_transaction();
  if (Status status = state_->usable(); !status.ok()) return status;
  return guarded([&] {
    IndexExtension extension(*state_->engine());
    return state_->prepare(gid, extension);
  });
}

void Transaction::abort() {
  if (state_ != nullptr) state_->abort();
}

Savepoint Transaction::set_savepoint() {
  if (state_ == nullptr) return {};
  try {
    Result<uint64_t> id = state_->set_savepoint();
    return {.id = id ? *id : 0};
  } catch (const std::bad_alloc&) {
    return {};
  }
}

Status Transaction::rollback_to(Savepoint savepoint) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] { return state_->rollback_to(savepoint.id); });
}

Status Transaction::release(Savepoint savepoint) {
  if (state_ == nullptr) return no_transaction();
  return guarded([&] { return state_->release(savepoint.id); });
}

uint64_t Transaction::id() const { return state_ == nullptr ? 0 : state_->id(); }

Isolation Transaction::isolation() const {
  return state_ == nullptr ? Isolation::snapshot : state_->isolation();
}

bool Transaction::wait_to_retry(const std::shared_ptr<Engine>& engine, const TransactionOptions& options,
                                uint32_t tries, uint64_t* began_ns) {
  return lightning::wait_to_retry(*engine, options.timeout_ms, tries, began_ns);
}

}  // namespace lightning
