// QueryState: what a public QueryScan holds: a plan, a moment, and the walk that the plan chose.
//
// A row that has several entries in the walked index is given at the first of them that is within the ranges,
// which is told from the row itself: no memory of what was given is needed. So is a row that meets several
// alternatives at the first of them.
// Thread safety: one thread at a time. Holds the engine.
#pragma once

#include <lightning/query.h>
#include <lightning/snapshot.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cursor_state.h"
#include "query/plan.h"

namespace lightning {

class QueryState {
 public:
  /// One that failed.
  explicit QueryState(Status status) : status_(std::move(status)) {}
  static std::unique_ptr<QueryState> make(const IndexPlace& place, uint32_t keyspace, const Query& query);

  bool advance();
  std::string_view primary_key() const { return primary_key_; }
  std::string_view value() const { return row_.view(); }
  const Status& status() const { return status_; }
  const std::string& explain() const { return plan_.explanation; }

 private:
  struct Sorted {
    std::string order;
    std::string primary_key;
  };

  /// The next row in the order wanted.
  bool give();
  bool step();
  bool step_scan();
  bool step_index();
  bool step_intersection();
  bool open_next_range();
  /// Walks the entries of a term; null: all of the order's index.
  void walk(const QueryTerm* term);
  std::unique_ptr<IndexScanState> open(const LiveIndex& index, const IndexRange& range) const;
  /// In a transaction as of the scan that found it, if it is given.
  bool read_row(std::string_view primary_key, IndexScanState* scan = nullptr);
  bool meets(const QueryTerm& term);
  bool meets_all(const QueryAlternative& one);
  bool meets_alternatives();
  /// Does the row meet all conditions but those that the walk has seen to?
  bool meets_rest();
  /// Does a row that was sorted still meet all conditions, and have a key for the order?
  bool still_meets();
  bool is_first_entry(const LiveIndex& index, const QueryTerm* term, std::string_view entry_key);
  /// Whose keys count for the order; null: all.
  const QueryTerm* order_term() const;
  bool order_key(std::string* key);
  bool sort_all();
  bool fail(Status status);

  Status status_;
  IndexPlace place_;
  Snapshot moment_;  // unless a transaction says what is seen
  uint32_t keyspace_ = 0;
  Query query_;
  QueryPlan plan_;
  uint64_t left_ = 0;

  std::unique_ptr<CursorState> rows_;
  bool started_ = false;
  bool ended_ = false;
  std::vector<IndexRange> ranges_;  // of the walked index, in the order of the walk
  size_t next_range_ = 0;
  std::shared_ptr<const LiveIndex> walked_;
  const QueryTerm* walked_term_ = nullptr;  // whose entries count; null: all
  size_t alternative_ = 0;                  // that is walked
  std::unique_ptr<IndexScanState> first_;
  std::unique_ptr<IndexScanState> second_;
  bool second_valid_ = false;

  bool sorted_ready_ = false;
  std::vector<Sorted> sorted_;  // in the order wanted
  size_t next_sorted_ = 0;

  std::vector<MadeEntry> made_;
  std::string primary_key_;
  Value row_;
};

}  // namespace lightning
