// QueryPlan: how the rows of a query are found: by the entries of one index, by those of two whose rows are
// in both, by those of one index for each alternative, or by a walk over all rows; and what each way is
// reckoned to cost.
//
// Costs are in steps of a cursor; to read a row for an entry is kRowSteps of them. Numbers of entries are
// counted up to a few hundred, and reckoned beyond that from the bytes of the range.
// Thread safety: functions; plans are values.
#pragma once

#include <lightning/query.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "index/index_scan.h"

namespace lightning {

/// Keys of an index with from <= key < to, where "" for `to` is no end.
struct IndexRange {
  std::string from;
  std::string to;

  bool contains(std::string_view key) const { return key >= from && (to.empty() || key < to); }
};

/// A condition, and the index that it is about.
struct QueryTerm {
  std::string text;  // for explain()
  std::shared_ptr<const LiveIndex> index;
  std::vector<IndexRange> ranges;  // ascending, disjoint
  bool exact = false;              // each range is one whole key: its entries ascend by their rows
  bool walkable = false;           // the ranges are such of entries, too
  uint64_t entries = 0;            // reckoned

  bool contains(std::string_view key) const;
};

/// Terms that a row may meet in the place of others.
struct QueryAlternative {
  std::vector<QueryTerm> terms;
  size_t walked = 0;  // of terms: the cheapest to walk, where there is one
};

struct QueryPlan {
  enum class Way : uint8_t { scan, index, intersection, alternatives };
  Way way = Way::scan;
  std::vector<QueryTerm> terms;
  std::vector<QueryAlternative> alternatives;  // a row meets one, unless there are none
  std::vector<size_t> chosen;                  // of terms, one or two; empty: the order's index alone
  std::shared_ptr<const LiveIndex> order;      // null: none is wanted
  std::optional<size_t> order_term;  // the first of terms about that index: a row stands at what meets it
  bool sorts = false;                // the way does not give the order
  std::string explanation;
};

/// A plan without a way: the indexes and ranges of a query.
Result<QueryPlan> find_indexes(const std::shared_ptr<Engine>& engine, uint32_t keyspace, const Query& query);
/// How its rows are found at `place`, whose snapshot was taken when the indexes had been found. `not_found`:
/// one of them was not ready at its moment.
Status choose_way(const IndexPlace& place, uint32_t keyspace, const Query& query, QueryPlan* plan);

}  // namespace lightning
