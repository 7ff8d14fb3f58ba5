#include "query/query_state.h"

#include <algorithm>

#include "format/internal_key.h"
#include "query/moment.h"

namespace lightning {

std::unique_ptr<QueryState> QueryState::make(const IndexPlace& place, uint32_t keyspace, const Query& query) {
  auto state = std::make_unique<QueryState>(place.engine->usable(keyspace));
  if (state->status_.ok() && place.transaction != nullptr) state->status_ = place.transaction->usable();
  if (!state->status_.ok()) return state;
  state->place_ = place;
  state->keyspace_ = keyspace;
  state->query_ = query;
  state->left_ = query.limit;
  Result<QueryPlan> plan = find_indexes(place.engine, keyspace, query);
  if (!plan) return std::make_unique<QueryState>(plan.status());
  if (place.transaction == nullptr) state->status_ = fix_moment(&state->place_, &state->moment_);
  if (state->status_.ok()) state->status_ = choose_way(state->place_, keyspace, query, &*plan);
  state->plan_ = *std::move(plan);
  if (!state->status_.ok()) return state;
  const std::vector<size_t>& chosen = state->plan_.chosen;
  if (state->plan_.way == QueryPlan::Way::alternatives) {
    const QueryAlternative& first = state->plan_.alternatives.front();
    state->walk(&first.terms[first.walked]);
  } else if (state->plan_.way == QueryPlan::Way::index) {
    state->walk(chosen.empty() ? nullptr : &state->plan_.terms[chosen[0]]);
  }
  return state;
}

void QueryState::walk(const QueryTerm* term) {
  walked_ = term == nullptr ? plan_.order : term->index;
  walked_term_ = term == nullptr ? order_term() : term;
  ranges_ = term == nullptr ? std::vector<IndexRange>(1) : term->ranges;
  next_range_ = 0;
  if (query_.descending && !plan_.sorts) std::reverse(ranges_.begin(), ranges_.end());
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

bool QueryState::read_row(std::string_view primary_key, IndexScanState* scan) {
  if (place_.transaction != nullptr && scan != nullptr) {
    const Value* const row = scan->row();
    if (!scan->status().ok()) return fail(scan->status());
    if (row == nullptr) return false;
    if (Status status = row_.copy(row->view()); !status.ok()) return fail(status);
  } else {
    const Lookup found = place_.transaction != nullptr
                             ? place_.transaction->get(keyspace_, primary_key, &row_)
                             : place_.engine->get(keyspace_, primary_key, place_.options, &row_);
    if (!found.status().ok()) return fail(found.status());
    if (!found) return false;  // it has expired since
  }
  primary_key_ = primary_key;
  return true;
}

bool QueryState::meets(const QueryTerm& term) {
  const Status status = make_entries(*term.index, primary_key_, row_.view(), &made_);
  if (!status.ok()) return status.is(StatusCode::invalid_argument) ? false : fail(status);
  return std::any_of(made_.begin(), made_.end(), [&](const MadeEntry& entry) {
    EntryParts parts;
    return take_entry(*term.index, entry.key, entry.value, &parts) && term.contains(parts.index_key);
  });
}

bool QueryState::meets_all(const QueryAlternative& one) {
  return std::all_of(one.terms.begin(), one.terms.end(),
                     [this](const QueryTerm& term) { return meets(term); });
}

// The one that is walked, and none that was walked before; or any.
bool QueryState::meets_alternatives() {
  const std::vector<QueryAlternative>& all = plan_.alternatives;
  if (all.empty()) return true;
  const auto first = std::find_if(all.begin(), all.end(), [this](const auto& one) { return meets_all(one); });
  if (plan_.way != QueryPlan::Way::alternatives) return first != all.end();
  return static_cast<size_t>(first - all.begin()) == alternative_;
}

bool QueryState::meets_rest() {
  for (size_t i = 0; i < plan_.terms.size(); ++i) {
    // Two walks of a transaction may be of two moments.
    const bool seen_to = std::find(plan_.chosen.begin(), plan_.chosen.end(), i) != plan_.chosen.end();
    if (seen_to && place_.transaction == nullptr) continue;
    if (!meets(plan_.terms[i])) return false;
  }
  return meets_alternatives() && status_.ok();
}

bool QueryState::still_meets() {
  const std::vector<QueryAlternative>& all = plan_.alternatives;
  const bool meets_terms = std::all_of(plan_.terms.begin(), plan_.terms.end(),
                                       [this](const QueryTerm& term) { return meets(term); });
  const bool meets_any =
      all.empty() || std::any_of(all.begin(), all.end(), [this](const auto& one) { return meets_all(one); });
  std::string key;
  return meets_terms && meets_any && status_.ok() && order_key(&key);
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
    rows_ = place_.transaction != nullptr ? place_.transaction->cursor(keyspace_)
                                          : place_.engine->cursor(keyspace_, place_.options);
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
  while (next_range_ == ranges_.size()) {
    if (plan_.way != QueryPlan::Way::alternatives || alternative_ + 1 == plan_.alternatives.size())
      return false;
    const QueryAlternative& next = plan_.alternatives[++alternative_];
    walk(&next.terms[next.walked]);
  }
  first_ = open(*walked_, ranges_[next_range_++]);
  if (query_.descending && !plan_.sorts) first_->reverse();
  return true;
}

// Rows that count, or none and no error: the next is asked for.
bool QueryState::step_index() {
  for (;;) {
    if (first_ == nullptr && !open_next_range()) return false;
    while (first_->advance()) {
      if (!read_row(first_->parts().primary_key, first_.get())) {
        if (!status_.ok()) return false;
        continue;
      }
      // Hashes of several keys may stand in any order: each key is looked for by itself.
      if (is_first_entry(*walked_, walked_term_, first_->entry_key())) return true;
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
    if (read_row(wanted, first_.get())) return true;
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
      case QueryPlan::Way::alternatives:
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
  if (!status_.ok() || ended_) return false;
  ended_ = !give();
  return !ended_;
}

bool QueryState::give() {
  if (left_ == 0) return false;
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
    // In a transaction the row may be another one than that which was sorted.
    if (read_row(sorted_[next_sorted_++].primary_key) && (place_.transaction == nullptr || still_meets()))
      return true;
    if (!status_.ok()) return false;
  }
  return false;
}

}  // namespace lightning
