#include "query/query_state.h"

#include <algorithm>

#include "format/internal_key.h"
#include "query/moment.h"

namespace lightning {

std::unique_ptr<QueryState> QueryState::make(const std::shared_ptr<Engine>& engine, uint32_t keyspace,
                                             const Query& query, const ReadOptions& options) {
  if (Status status = engine->usable(keyspace); !status.ok()) return std::make_unique<QueryState>(status);
  auto state = std::make_unique<QueryState>(Status());
  state->place_ = {.engine = engine, .transaction = nullptr, .options = options};
  state->keyspace_ = keyspace;
  state->query_ = query;
  state->left_ = query.limit;
  Result<QueryPlan> plan = find_indexes(engine, keyspace, query);
  if (!plan) return std::make_unique<QueryState>(plan.status());
  if (Status status = fix_moment(&state->place_, &state->moment_); !status.ok())
    return std::make_unique<QueryState>(status);
  if (Status status = choose_way(state->place_, keyspace, query, &*plan); !status.ok())
    return std::make_unique<QueryState>(status);
  state->plan_ = *std::move(plan);
  const std::vector<size_t>& chosen = state->plan_.chosen;
  if (state->plan_.way == QueryPlan::Way::index) {
    state->walked_ = chosen.empty() ? state->plan_.order : state->plan_.terms[chosen[0]].index;
    if (chosen.empty()) {
      state->ranges_.push_back({});
    } else {
      state->ranges_ = state->plan_.terms[chosen[0]].ranges;
    }
    const bool backwards = query.descending && !state->plan_.sorts;
    if (backwards) std::reverse(state->ranges_.begin(), state->ranges_.end());
  }
  return state;
}

bool QueryState::fail(Status status) {
  status_ = std::move(status);
  return false;
}

std::unique_ptr<IndexScanState> QueryState::open(const LiveIndex& index, const IndexRange& range) const {
  const std::shared_ptr<const LiveIndex> held =
      IndexSet::of(*place_.engine).table()->with_entries(index.entries);
  if (held == nullptr)
    return std::make_unique<IndexScanState>(
        Status(StatusCode::not_found, "an index of the query was dropped"));
  std::string from = index.hashed() ? entry_prefix(index, range.from) : range.from;
  std::string to = index.hashed() ? prefix_end(from) : range.to;
  auto scan = std::make_unique<IndexScanState>(place_, held, std::move(from), std::move(to));
  if (index.hashed()) scan->only(range.from);
  return scan;
}

bool QueryState::read_row(std::string_view primary_key) {
  const Lookup found = place_.engine->get(keyspace_, primary_key, place_.options, &row_);
  if (!found.status().ok()) return fail(found.status());
  if (!found) return false;  // it has expired since
  primary_key_ = primary_key;
  return true;
}

bool QueryState::meets_rest() {
  for (size_t i = 0; i < plan_.terms.size(); ++i) {
    if (std::find(plan_.chosen.begin(), plan_.chosen.end(), i) != plan_.chosen.end()) continue;
    const QueryTerm& term = plan_.terms[i];
    const Status status = make_entries(*term.index, primary_key_, row_.view(), &made_);
    if (!status.ok()) return status.is(StatusCode::invalid_argument) ? false : fail(status);
    const bool meets = std::any_of(made_.begin(), made_.end(), [&](const MadeEntry& entry) {
      EntryParts parts;
      return take_entry(*term.index, entry.key, entry.value, &parts) && term.contains(parts.index_key);
    });
    if (!meets) return false;
  }
  return true;
}

// Of those within the ranges, in the direction of the walk.
bool QueryState::is_first_entry(const LiveIndex& index, const QueryTerm* term, std::string_view entry_key) {
  const Status status = make_entries(index, primary_key_, row_.view(), &made_);
  if (!status.ok()) return fail(status);
  const bool backwards = query_.descending && !plan_.sorts;
  const MadeEntry* first = nullptr;
  for (const MadeEntry& entry : made_) {
    EntryParts parts;
    if (!take_entry(index, entry.key, entry.value, &parts)) continue;
    if (term != nullptr && !term->contains(parts.index_key)) continue;
    if (first == nullptr || (entry.key > first->key) == backwards) first = &entry;
  }
  return first != nullptr && first->key == entry_key;
}

bool QueryState::step_scan() {
  if (!started_) {
    started_ = true;
    rows_ = place_.engine->cursor(keyspace_, place_.options);
    rows_->seek_first();
  } else {
    rows_->next();
  }
  if (!rows_->valid()) return rows_->status().ok() ? false : fail(rows_->status());
  primary_key_ = rows_->key();
  if (Status status = row_.copy(rows_->value()); !status.ok()) return fail(status);
  return true;
}

bool QueryState::open_next_range() {
  if (next_range_ == ranges_.size()) return false;
  first_ = open(*walked_, ranges_[next_range_++]);
  if (query_.descending && !plan_.sorts) first_->reverse();
  return true;
}

// Rows that count, or none and no error: the next is asked for.
bool QueryState::step_index() {
  const QueryTerm* const term = plan_.chosen.empty() ? order_term() : &plan_.terms[plan_.chosen[0]];
  for (;;) {
    if (first_ == nullptr && !open_next_range()) return false;
    while (first_->advance()) {
      if (!read_row(first_->parts().primary_key)) {
        if (!status_.ok()) return false;
        continue;
      }
      // Hashes of several keys may stand in any order: each key is looked for by itself.
      if (is_first_entry(*walked_, term, first_->entry_key())) return true;
      if (!status_.ok()) return false;
    }
    if (!first_->status().ok()) return fail(first_->status());
    first_ = nullptr;
  }
}

// Entries of one key ascend by their rows.
bool QueryState::step_intersection() {
  if (!started_) {
    started_ = true;
    const QueryTerm& a = plan_.terms[plan_.chosen[0]];
    const QueryTerm& b = plan_.terms[plan_.chosen[1]];
    if (a.ranges.empty() || b.ranges.empty()) return false;
    first_ = open(*a.index, a.ranges[0]);
    second_ = open(*b.index, b.ranges[0]);
    second_valid_ = second_->advance();
  }
  while (second_valid_ && first_->advance()) {
    const std::string_view wanted = first_->parts().primary_key;
    while (second_valid_ && second_->parts().primary_key < wanted) second_valid_ = second_->advance();
    if (!second_valid_ || second_->parts().primary_key != wanted) continue;
    if (read_row(wanted)) return true;
    if (!status_.ok()) return false;
  }
  if (!first_->status().ok()) return fail(first_->status());
  if (!second_->status().ok()) return fail(second_->status());
  return false;
}

bool QueryState::step() {
  for (;;) {
    bool found = false;
    switch (plan_.way) {
      case QueryPlan::Way::scan:
        found = step_scan();
        break;
      case QueryPlan::Way::index:
        found = step_index();
        break;
      case QueryPlan::Way::intersection:
        found = step_intersection();
        break;
    }
    if (!found) return false;
    if (meets_rest()) return true;
    if (!status_.ok()) return false;
  }
}

const QueryTerm* QueryState::order_term() const {
  return plan_.order_term ? &plan_.terms[*plan_.order_term] : nullptr;
}

// The row's first key in the order's index, its last if the order goes down; false: it has none.
bool QueryState::order_key(std::string* key) {
  const Status status = make_entries(*plan_.order, primary_key_, row_.view(), &made_);
  if (!status.ok() && !status.is(StatusCode::invalid_argument)) return fail(status);
  bool any = false;
  for (const MadeEntry& entry : made_) {
    EntryParts parts;
    if (!status.ok() || !take_entry(*plan_.order, entry.key, entry.value, &parts)) continue;
    if (order_term() != nullptr && !order_term()->contains(parts.index_key)) continue;
    if (!any || (parts.index_key > *key) == query_.descending) key->assign(parts.index_key);
    any = true;
  }
  return any;
}

bool QueryState::sort_all() {
  const auto before = [this](const Sorted& a, const Sorted& b) {
    if (a.order != b.order) return (a.order < b.order) != query_.descending;
    return (a.primary_key < b.primary_key) != query_.descending && a.primary_key != b.primary_key;
  };
  const uint64_t allowed = place_.engine->options().memory_limit / 4;
  uint64_t bytes = 0;
  while (query_.limit > 0 && step()) {
    Sorted one{.order = {}, .primary_key = primary_key_};
    if (!order_key(&one.order)) {
      if (!status_.ok()) return false;
      continue;
    }
    bytes += sizeof(Sorted) + one.order.size() + one.primary_key.size();
    // A heap of those that come first so far, its last one on top.
    sorted_.push_back(std::move(one));
    std::push_heap(sorted_.begin(), sorted_.end(), before);
    if (sorted_.size() > query_.limit) {
      std::pop_heap(sorted_.begin(), sorted_.end(), before);
      bytes -= sizeof(Sorted) + sorted_.back().order.size() + sorted_.back().primary_key.size();
      sorted_.pop_back();
    }
    if (bytes > allowed) {
      return fail(Status(StatusCode::out_of_memory, "the rows of a query to be sorted take more than " +
                                                        std::to_string(allowed) + " bytes"));
    }
  }
  if (!status_.ok()) return false;
  std::sort_heap(sorted_.begin(), sorted_.end(), before);
  return true;
}

bool QueryState::advance() {
  if (!status_.ok() || left_ == 0) return false;
  if (!plan_.sorts) {
    if (!step()) return false;
    --left_;
    return true;
  }
  if (!sorted_ready_) {
    sorted_ready_ = true;
    if (!sort_all()) return false;
  }
  while (next_sorted_ < sorted_.size()) {
    if (read_row(sorted_[next_sorted_++].primary_key)) return true;
    if (!status_.ok()) return false;
  }
  return false;
}

}  // namespace lightning
