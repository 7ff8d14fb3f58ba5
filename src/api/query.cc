#include <lightning/query.h>

#include <new>

#include "api/guarded.h"
#include "query/query_state.h"

namespace lightning {

namespace {

/// A keyspace's core, of which its own members alone know.
struct Core : Keyspace {
  static const std::shared_ptr<Engine>& of(const Keyspace& keyspace) { return keyspace.*(&Core::engine_); }
};

struct TransactionCore : TransactionKeyspace {
  static const std::shared_ptr<TransactionState>& state_of(const TransactionKeyspace& keyspace) {
    return keyspace.*(&TransactionCore::state_);
  }
  static uint32_t id_of(const TransactionKeyspace& keyspace) { return keyspace.*(&TransactionCore::id_); }
};

const Status& no_query() {
  static const Status refused(StatusCode::out_of_memory, "a query");
  return refused;
}

const std::string& nothing() {
  static const std::string text;
  return text;
}

}  // namespace

QueryScan::QueryScan(std::unique_ptr<QueryState> state) : state_(std::move(state)) {}
QueryScan::QueryScan(QueryScan&&) noexcept = default;
QueryScan& QueryScan::operator=(QueryScan&&) noexcept = default;
QueryScan::~QueryScan() = default;

bool QueryScan::advance() { return advance_or_drop(&state_); }

std::string_view QueryScan::primary_key() const {
  return state_ == nullptr ? std::string_view() : state_->primary_key();
}

std::string_view QueryScan::value() const { return state_ == nullptr ? std::string_view() : state_->value(); }

const Status& QueryScan::status() const { return state_ == nullptr ? no_query() : state_->status(); }

const std::string& QueryScan::explain() const { return state_ == nullptr ? nothing() : state_->explain(); }

namespace {

QueryScan run(const IndexPlace& place, uint32_t keyspace, const Query& query) {
  try {
    if (place.engine == nullptr) {
      return QueryScan(
          std::make_unique<QueryState>(Status(StatusCode::closed, "the handle holds no database")));
    }
    return QueryScan(QueryState::make(place, keyspace, query));
  } catch (const std::bad_alloc&) {
    return QueryScan(nullptr);
  }
}

}  // namespace

QueryScan run_query(const Keyspace& keyspace, const Query& query, const ReadOptions& options) {
  return run({.engine = Core::of(keyspace), .transaction = nullptr, .options = options}, keyspace.id(),
             query);
}

QueryScan run_query(const TransactionKeyspace& keyspace, const Query& query) {
  const std::shared_ptr<TransactionState>& state = TransactionCore::state_of(keyspace);
  if (state == nullptr) return run({}, 0, query);
  return run({.engine = state->shared_engine(), .transaction = state, .options = {}},
             TransactionCore::id_of(keyspace), query);
}

}  // namespace lightning
