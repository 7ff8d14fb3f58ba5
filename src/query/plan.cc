#include "query/plan.h"

#include <algorithm>

#include "engine/cursor_state.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

using Op = Condition::Op;

constexpr uint64_t kCounted = 256;
constexpr uint64_t kRowSteps = 4;

Status wrong(std::string_view why) { return Status(StatusCode::invalid_argument, why); }

// How well `field` names an index; 0: not at all. A name comes before a pointer, and of several indexes about
// a pointer one that can be read before others, one with an order before one without.
int fitness(const LiveIndex& index, std::string_view field) {
  if (index.definition().name == field) return 5;
  if (index.definition().key.empty()) return 0;  // a damaged one
  const IndexField& first = index.definition().key.front();
  const bool about = field.starts_with('/') && first.source == IndexField::Source::function &&
                     first.function == "json" && first.argument == field;
  if (!about) return 0;
  return 1 + (index.ready() ? 2 : 0) + (index.hashed() ? 0 : 1);
}

// The index that `field` names; of several that are as fit, the shortest.
Result<std::shared_ptr<const LiveIndex>> find_index(IndexSet& set, uint32_t keyspace,
                                                    std::string_view field) {
  const std::shared_ptr<const IndexTable> table = set.table();
  std::shared_ptr<const LiveIndex> best;
  int best_fitness = 0;
  for (const auto& index : table->of(keyspace)) {
    const int fits = fitness(*index, field);
    if (fits == 0 || fits < best_fitness) continue;
    if (fits == best_fitness && index->definition().key.size() >= best->definition().key.size()) continue;
    best = index;
    best_fitness = fits;
  }
  if (best == nullptr)
    return Status(StatusCode::not_found, "no index is about the field " + std::string(field));
  Result<std::shared_ptr<const LiveIndex>> index = set.readable(keyspace, best->definition().name);
  // Rows are held against conditions by what makes their entries.
  if (index && !(*index)->unusable.ok()) return (*index)->unusable;
  return index;
}

std::string_view op_text(Op op) {
  constexpr std::string_view kTexts[] = {"=", "<", "<=", ">", ">=", "between", "prefix", "in"};
  return kTexts[static_cast<size_t>(op)];
}

// The ranges of keys that begin with a part that meets the condition.
Status make_ranges(const Condition& condition, QueryTerm* term) {
  const KeyType type = term->index->definition().key.front().type;
  const size_t wanted = condition.op == Op::between ? 2 : 1;
  if (condition.op != Op::in && condition.values.size() != wanted)
    return wrong("a condition has the wrong number of values");
  std::vector<std::string> parts;
  for (const FieldValues::Value& value : condition.values) {
    KeyWriter part;
    const auto* const text = std::get_if<std::string>(&value);
    if (condition.op == Op::prefix) {
      if (text == nullptr || (type != KeyType::text && type != KeyType::bytes))
        return wrong("prefix is for text and bytes");
      type == KeyType::text ? part.text_prefix(*text) : part.bytes_prefix(*text);
    } else if (!put_field_value(part, type, value)) {
      return wrong("a value of the condition on " + condition.field + " is no " +
                   std::string(key_type_name(type)));
    }
    parts.push_back(part.take());
    term->text += (term->text.empty() ? "" : ", ") +
                  (condition.op == Op::prefix ? readable_bytes(*text) : readable_index_key(parts.back()));
  }
  term->text = condition.field + " " + std::string(op_text(condition.op)) + " " + term->text;
  switch (condition.op) {
    case Op::equal:
    case Op::prefix:
    case Op::in:
      std::sort(parts.begin(), parts.end());
      parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
      for (const std::string& part : parts) term->ranges.push_back({.from = part, .to = prefix_end(part)});
      break;
    case Op::less:
      term->ranges.push_back({.from = std::string(1, '\0'), .to = parts[0]});
      break;
    case Op::less_equal:
      term->ranges.push_back({.from = std::string(1, '\0'), .to = prefix_end(parts[0])});
      break;
    case Op::greater:
      term->ranges.push_back({.from = prefix_end(parts[0]), .to = {}});
      break;
    case Op::greater_equal:
      term->ranges.push_back({.from = parts[0], .to = {}});
      break;
    case Op::between:
      if (parts[0] <= parts[1]) term->ranges.push_back({.from = parts[0], .to = prefix_end(parts[1])});
      break;
  }
  const bool whole =
      (condition.op == Op::equal || condition.op == Op::in) && term->index->definition().key.size() == 1;
  term->exact = whole && condition.op == Op::equal;
  term->walkable = !term->index->hashed() || whole;
  return {};
}

/// Numbers of entries and rows, as of about now, without what a transaction wrote.
class Reckoner {
 public:
  explicit Reckoner(const IndexPlace& place) : place_(place) {}

  Result<uint64_t> count(uint32_t keyspace, std::string_view from, std::string_view to) {
    const std::unique_ptr<CursorState> cursor = place_.engine->cursor(keyspace, place_.options);
    uint64_t entries = 0;
    uint64_t bytes = 0;
    for (cursor->seek(from); cursor->valid() && (to.empty() || cursor->key() < to); cursor->next()) {
      if (entries == kCounted) break;
      ++entries;
      bytes += cursor->key().size() + cursor->value().size();
    }
    if (!cursor->status().ok()) return cursor->status();
    if (entries < kCounted) return entries;
    const std::string end = to.empty() ? std::string(1, '\xff') : std::string(to);
    Result<uint64_t> size = place_.engine->approximate_size(keyspace, from, end);
    if (!size) return size.status();
    return std::max(entries, *size / std::max<uint64_t>(1, bytes / entries));
  }

  Status reckon(QueryTerm* term) {
    term->entries = 0;
    for (const IndexRange& range : term->ranges) {
      const bool hashed = term->index->hashed();
      const std::string from = hashed ? entry_prefix(*term->index, range.from) : range.from;
      Result<uint64_t> entries = count(term->index->entries, from, hashed ? prefix_end(from) : range.to);
      if (!entries) return entries.status();
      term->entries += *entries;
    }
    return {};
  }

 private:
  const IndexPlace& place_;
};

/// One way, and what it costs.
struct Candidate {
  QueryPlan::Way way = QueryPlan::Way::scan;
  std::vector<size_t> chosen;
  uint64_t cost = 0;
  bool sorts = false;
  std::string text;
};

class Planner {
 public:
  /// `one_moment`: all walks see the same.
  Planner(const Query& query, QueryPlan* plan, uint64_t rows, bool one_moment)
      : query_(query), plan_(*plan), rows_(rows), one_moment_(one_moment) {
    double share = share_of(plan_.terms);
    double none = 1;
    for (const QueryAlternative& one : plan_.alternatives) none *= 1 - share_of(one.terms);
    if (!plan_.alternatives.empty()) share *= 1 - none;
    results_ = static_cast<uint64_t>(share * static_cast<double>(rows)) + 1;
  }

  void choose() {
    const bool ordered = plan_.order != nullptr;
    add({.way = QueryPlan::Way::scan,
         .chosen = {},
         .cost = rows_,
         .sorts = ordered,
         .text = "scan of all rows"});
    for (size_t i = 0; i < plan_.terms.size(); ++i) {
      const QueryTerm& term = plan_.terms[i];
      if (!term.walkable) continue;
      const bool in_order = i == plan_.order_term && !term.index->hashed();
      add({.way = QueryPlan::Way::index,
           .chosen = {i},
           .cost = as_limited(term.entries, !ordered || in_order) * (1 + kRowSteps),
           .sorts = ordered && !in_order,
           .text = index_text(term)});
      for (size_t j = i + 1; j < plan_.terms.size(); ++j) add_intersection(i, j);
    }
    add_alternatives();
    if (ordered && !plan_.order->hashed()) {
      add({.way = QueryPlan::Way::index,
           .chosen = {},
           .cost = as_limited(rows_, true) * (1 + kRowSteps),
           .sorts = false,
           .text = "index " + plan_.order->definition().name + " in its order"});
    }
    take_best();
  }

 private:
  double share_of(const std::vector<QueryTerm>& terms) const {
    double share = 1;
    for (const QueryTerm& term : terms)
      share *= std::min(
          1.0, static_cast<double>(term.entries) / static_cast<double>(std::max<uint64_t>(1, rows_)));
    return share;
  }

  // With a limit the walk ends early, if it gives the order.
  uint64_t as_limited(uint64_t entries, bool ends_early) const {
    if (!ends_early || query_.limit >= results_) return entries;
    const double share = static_cast<double>(query_.limit) / static_cast<double>(results_);
    return static_cast<uint64_t>(share * static_cast<double>(entries)) + 1;
  }

  void add_intersection(size_t i, size_t j) {
    const QueryTerm& a = plan_.terms[i];
    const QueryTerm& b = plan_.terms[j];
    if (!a.exact || !b.exact || a.index->entries == b.index->entries) return;
    const uint64_t both = a.entries * b.entries / std::max<uint64_t>(1, rows_) + 1;
    add({.way = QueryPlan::Way::intersection,
         .chosen = {i, j},
         .cost = a.entries + b.entries + both * kRowSteps,
         .sorts = plan_.order != nullptr,
         .text = "rows of both " + a.text + " (index " + a.index->definition().name + ") and " + b.text +
                 " (index " + b.index->definition().name + ")"});
  }

  // One walk for each, if each has a term that can be walked. A row that changes between two walks would be
  // given twice, or never.
  void add_alternatives() {
    if (!one_moment_) return;
    uint64_t entries = 0;
    std::string text;
    for (QueryAlternative& one : plan_.alternatives) {
      const QueryTerm* best = nullptr;
      for (const QueryTerm& term : one.terms) {
        if (term.walkable && (best == nullptr || term.entries < best->entries)) best = &term;
      }
      if (best == nullptr) return;
      one.walked = static_cast<size_t>(best - one.terms.data());
      entries += best->entries;
      text += (text.empty() ? "" : ", then ") + index_text(*best);
    }
    if (text.empty()) return;
    const bool ordered = plan_.order != nullptr;
    add({.way = QueryPlan::Way::alternatives,
         .chosen = {},
         .cost = as_limited(entries, !ordered) * (1 + kRowSteps),
         .sorts = ordered,
         .text = std::move(text)});
  }

  static std::string index_text(const QueryTerm& term) {
    return "index " + term.index->definition().name + " by " + term.text;
  }

  void add(Candidate candidate) {
    if (candidate.sorts) candidate.cost += 2 * results_;
    const auto dearer =
        std::upper_bound(candidates_.begin(), candidates_.end(), candidate,
                         [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
    candidates_.insert(dearer, std::move(candidate));
  }

  void take_best() {
    const Candidate& best = candidates_.front();
    plan_.way = best.way;
    plan_.chosen = best.chosen;
    plan_.sorts = best.sorts;
    std::string& text = plan_.explanation;
    text = best.text + ": about " + std::to_string(best.cost) + " steps for about " +
           std::to_string(results_) + " of " + std::to_string(rows_) + " rows\n";
    for (size_t i = 0; i < plan_.terms.size(); ++i) {
      if (std::find(best.chosen.begin(), best.chosen.end(), i) == best.chosen.end())
        text += "then " + plan_.terms[i].text + " is looked for in each row\n";
    }
    if (!plan_.alternatives.empty()) {
      text += best.way == QueryPlan::Way::alternatives
                  ? "each row is given once, by the first of its alternatives\n"
                  : "then one of " + std::to_string(plan_.alternatives.size()) +
                        " alternatives is looked for in each row\n";
    }
    if (best.sorts) text += "then they are sorted by " + query_.order + "\n";
    for (size_t i = 1; i < candidates_.size(); ++i)
      text += "instead of: " + candidates_[i].text + ", about " + std::to_string(candidates_[i].cost) +
              " steps\n";
  }

  const Query& query_;
  QueryPlan& plan_;
  const uint64_t rows_;
  const bool one_moment_;
  uint64_t results_ = 1;               // reckoned, as if conditions had nothing to do with one another
  std::vector<Candidate> candidates_;  // the cheapest first
};

}  // namespace

bool QueryTerm::contains(std::string_view key) const {
  const auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), key,
                       [](std::string_view at, const IndexRange& range) { return at < range.from; });
  return behind != ranges.begin() && std::prev(behind)->contains(key);
}

namespace {

Status find_terms(IndexSet& set, uint32_t keyspace, const std::vector<Condition>& conditions,
                  std::vector<QueryTerm>* terms) {
  for (const Condition& condition : conditions) {
    Result<std::shared_ptr<const LiveIndex>> index = find_index(set, keyspace, condition.field);
    if (!index) return index.status();
    QueryTerm term;
    term.index = *std::move(index);
    if (Status status = make_ranges(condition, &term); !status.ok()) return status;
    terms->push_back(std::move(term));
  }
  return {};
}

}  // namespace

Result<QueryPlan> find_indexes(const std::shared_ptr<Engine>& engine, uint32_t keyspace, const Query& query) {
  constexpr size_t kAlternativesMax = 64;
  QueryPlan plan;
  IndexSet& set = IndexSet::of(*engine);
  if (query.alternatives.size() > kAlternativesMax) return wrong("a query has at most 64 alternatives");
  if (Status status = find_terms(set, keyspace, query.conditions, &plan.terms); !status.ok()) return status;
  for (const std::vector<Condition>& conditions : query.alternatives) {
    plan.alternatives.emplace_back();
    Status status = find_terms(set, keyspace, conditions, &plan.alternatives.back().terms);
    if (!status.ok()) return status;
  }
  if (query.order.empty()) return plan;
  Result<std::shared_ptr<const LiveIndex>> index = find_index(set, keyspace, query.order);
  if (!index) return index.status();
  plan.order = *std::move(index);
  for (size_t i = 0; i < plan.terms.size() && !plan.order_term; ++i) {
    if (plan.terms[i].index->entries == plan.order->entries) plan.order_term = i;
  }
  return plan;
}

Status choose_way(const IndexPlace& place, uint32_t keyspace, const Query& query, QueryPlan* plan) {
  Reckoner reckoner(place);
  Result<uint64_t> rows = reckoner.count(keyspace, {}, {});
  if (!rows) return rows.status();
  const uint64_t lsn =
      place.transaction != nullptr ? place.transaction->began_lsn() : place.options.snapshot->lsn();
  const auto check_moment = [&](const LiveIndex& index) {
    return IndexSet::of(*place.engine).check_moment(index, lsn);
  };
  const auto reckon = [&](std::vector<QueryTerm>& terms) -> Status {
    for (QueryTerm& term : terms) {
      if (Status status = check_moment(*term.index); !status.ok()) return status;
      term.entries = *rows;
      if (!term.walkable) continue;
      if (Status status = reckoner.reckon(&term); !status.ok()) return status;
    }
    return {};
  };
  if (Status status = reckon(plan->terms); !status.ok()) return status;
  for (QueryAlternative& one : plan->alternatives) {
    if (Status status = reckon(one.terms); !status.ok()) return status;
  }
  if (plan->order != nullptr) {
    if (Status status = check_moment(*plan->order); !status.ok()) return status;
  }
  const bool one_moment =
      place.transaction == nullptr || place.transaction->isolation() != Isolation::read_committed;
  Planner(query, plan, *rows, one_moment).choose();
  return {};
}

}  // namespace lightning
