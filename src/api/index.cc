#include <lightning/index.h>

#include <lightning/keyspace.h>

#include "api/guarded.h"
#include "api/reused_key.h"
#include "index/index_scan.h"
#include "query/join_state.h"
#include "txn/transaction_state.h"

namespace lightning {

namespace {

const Status& no_scan() {
  static const Status refused(StatusCode::out_of_memory, "a scan of an index");
  return refused;
}

// The scan that `make` makes, or one that says that it got no memory.
template <typename Fn>
IndexScan make_scan(Fn&& make) {
  try {
    return IndexScan(make());
  } catch (const std::bad_alloc&) {
    return IndexScan(nullptr);
  }
}

// What `row_of` reads, or nothing where it fails.
template <typename State, typename Fn>
std::string_view value_of(std::unique_ptr<State>& state, Fn&& row_of) {
  if (state == nullptr) return {};
  try {
    const Value* const row = row_of(*state);
    return row == nullptr ? std::string_view() : row->view();
  } catch (const std::bad_alloc&) {
    state = nullptr;
    return {};
  }
}

IndexPlace place_of(const std::shared_ptr<Engine>& engine,
                    const std::shared_ptr<TransactionState>& transaction, const ReadOptions& options) {
  if (transaction == nullptr) return {.engine = engine, .transaction = nullptr, .options = options};
  return {.engine = transaction->shared_engine(), .transaction = transaction, .options = {}};
}

}  // namespace

IndexScan::IndexScan(std::unique_ptr<IndexScanState> state) : state_(std::move(state)) {}
IndexScan::IndexScan(IndexScan&&) noexcept = default;
IndexScan& IndexScan::operator=(IndexScan&&) noexcept = default;
IndexScan::~IndexScan() = default;

IndexScan IndexScan::limit(uint64_t entries) && {
  if (state_ != nullptr) state_->limit(entries);
  return std::move(*this);
}

IndexScan IndexScan::reverse() && {
  if (state_ != nullptr) state_->reverse();
  return std::move(*this);
}

bool IndexScan::advance() { return advance_or_drop(&state_); }

std::string_view IndexScan::key() const {
  return state_ == nullptr ? std::string_view() : state_->parts().index_key;
}

std::string_view IndexScan::primary_key() const {
  return state_ == nullptr ? std::string_view() : state_->parts().primary_key;
}

std::string_view IndexScan::covered() const {
  return state_ == nullptr ? std::string_view() : state_->parts().covered;
}

std::string_view IndexScan::value() {
  return value_of(state_, [](IndexScanState& state) { return state.row(); });
}

const Status& IndexScan::status() const { return state_ == nullptr ? no_scan() : state_->status(); }

Lookup Index::get(std::string_view key, const ReadOptions& options, std::string* primary_key) const {
  Value value;
  Lookup found = get(key, value, options, primary_key);
  return Lookup(std::move(found), std::move(value));
}

Lookup Index::get(std::string_view key, Value& reused, const ReadOptions& options,
                  std::string* primary_key) const {
  const auto read = [&](std::string_view apart) -> Lookup {
    reused.clear();
    if (transaction_ == nullptr && engine_ != nullptr) {
      if (std::optional<Lookup> found =
              get_at_once(*engine_, keyspace_, name_, apart, options, &reused, primary_key))
        return *std::move(found);
    }
    return get_by_index(place_of(engine_, transaction_, options), keyspace_, name_, apart, &reused,
                        primary_key);
  };
  return guarded([&] { return read_beside(key, reused, read); });
}

IndexScan Index::find(std::string_view key, const ReadOptions& options) const {
  return make_scan(
      [&] { return find_in_index(place_of(engine_, transaction_, options), keyspace_, name_, key); });
}

IndexScan Index::prefix(std::string_view text, const ReadOptions& options) const {
  return make_scan(
      [&] { return text_prefix_in_index(place_of(engine_, transaction_, options), keyspace_, name_, text); });
}

IndexScan Index::range(std::string_view from, std::string_view to, const ReadOptions& options) const {
  return make_scan(
      [&] { return range_of_index(place_of(engine_, transaction_, options), keyspace_, name_, from, to); });
}

IndexScan Index::all(const ReadOptions& options) const { return range({}, {}, options); }

Result<uint64_t> Index::count(std::string_view from, std::string_view to, const ReadOptions& options) const {
  return guarded(
      [&] { return count_in_index(place_of(engine_, transaction_, options), keyspace_, name_, from, to); });
}

JoinScan Index::join(const Index& right, const ReadOptions& options) const {
  try {
    const IndexPlace place = place_of(engine_, transaction_, options);
    if (transaction_ != right.transaction_ ||
        place.engine != place_of(right.engine_, right.transaction_, {}).engine) {
      return JoinScan(std::make_unique<JoinState>(
          Status(StatusCode::invalid_argument, "indexes of two databases or transactions cannot be joined")));
    }
    return JoinScan(join_indexes(place, keyspace_, name_, right.keyspace_, right.name_));
  } catch (const std::bad_alloc&) {
    return JoinScan(nullptr);
  }
}

JoinScan::JoinScan(std::unique_ptr<JoinState> state) : state_(std::move(state)) {}
JoinScan::JoinScan(JoinScan&&) noexcept = default;
JoinScan& JoinScan::operator=(JoinScan&&) noexcept = default;
JoinScan::~JoinScan() = default;

bool JoinScan::advance() { return advance_or_drop(&state_); }

std::string_view JoinScan::key() const {
  return state_ == nullptr ? std::string_view() : state_->left().index_key;
}

std::string_view JoinScan::left_primary_key() const {
  return state_ == nullptr ? std::string_view() : state_->left().primary_key;
}

std::string_view JoinScan::right_primary_key() const {
  return state_ == nullptr ? std::string_view() : state_->right().primary_key;
}

std::string_view JoinScan::left_value() {
  return value_of(state_, [](JoinState& state) { return state.left_row(); });
}

std::string_view JoinScan::right_value() {
  return value_of(state_, [](JoinState& state) { return state.right_row(); });
}

const Status& JoinScan::status() const { return state_ == nullptr ? no_scan() : state_->status(); }

namespace {
Status closed_handle() { return Status(StatusCode::closed, "the handle holds no database"); }
}  // namespace

Status Keyspace::create_index(const IndexDefinition& definition) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return IndexSet::of(*engine_).create(id_, definition); });
}

Status Keyspace::wait_for_index(std::string_view name) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return IndexSet::of(*engine_).wait_for(id_, name); });
}

Status Keyspace::drop_index(std::string_view name) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return IndexSet::of(*engine_).drop(id_, name); });
}

Result<std::vector<IndexInfo>> Keyspace::indexes() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return IndexSet::of(*engine_).list(id_); });
}

Result<IndexStats> Keyspace::index_stats(std::string_view name) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&]() -> Result<IndexStats> {
    Result<std::shared_ptr<const LiveIndex>> index = IndexSet::of(*engine_).readable(id_, name);
    if (!index) return index.status();
    return statistics_of(engine_, **index);
  });
}

}  // namespace lightning
