// Queries: rows of a keyspace by conditions over indexed fields. A planner chooses by statistics how they are
// found, and says why.
//
//   Result<Query> query = parse_query(R"(age >= 18 and city = "Oslo" order by age limit 10)");
//   QueryScan grown = run_query(people, *query);
//   while (grown.advance()) use(grown.primary_key(), grown.value());
//   if (!grown.status().ok()) ...                                  // grown.explain() says how it went
//
// A field is the name of an index of the keyspace, whose first field is meant, or a JSON pointer ("/age")
// that the first field of some index is about. A row meets a condition if one of its entries in that index
// does; a row that has no place in the index meets none.
// Text: conditions with `and` and `or` between, of which `and` binds more, and parentheses: FIELD = VALUE, <,
// <=, >, >=, FIELD between VALUE and VALUE, FIELD prefix VALUE, FIELD in (VALUE, ...); then, if wanted,
// `order by FIELD`, `desc` behind it, and `limit N`. A value is a number or stands in double or single
// quotes, with \ before a quote or a \.
// All of it is read as of one moment; in a transaction at its level, with its own writes, and counts as read.
// A scan shares the snapshot that it was given, which may be released or destroyed before the scan's end.
// Thread safety: QueryScan one thread at a time; functions any, those in a transaction its thread. Costs:
// memory for an order that no index gives: the order's keys and the keys of rows, at most a quarter of
// memory_limit, else `out_of_memory`; with a limit only for so many rows.
#pragma once

#include <lightning/export.h>
#include <lightning/extractor.h>
#include <lightning/keyspace.h>
#include <lightning/options.h>
#include <lightning/status.h>
#include <lightning/transaction.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

class QueryState;

struct Condition {
  enum class Op : uint8_t { equal, less, less_equal, greater, greater_equal, between, prefix, in };

  std::string field;
  Op op = Op::equal;
  /// One; two for between, both included; any for in.
  std::vector<FieldValues::Value> values;

  bool operator==(const Condition&) const = default;
};

struct Query {
  std::vector<Condition> conditions;  // a row meets all of them
  /// And, unless there are none, all of one of these: what stood with `or` between. At most 64.
  std::vector<std::vector<Condition>> alternatives = {};
  /// By the keys of this field's index; rows that it has none of are left out. Of a row with several keys the
  /// first counts (the last, if descending), of those that meet the first condition on this field if there
  /// is one. "": as they are found.
  std::string order = {};
  bool descending = false;
  uint64_t limit = UINT64_MAX;
};

/// `invalid_argument` says where the text stops to make sense.
LIGHTNING_EXPORT Result<Query> parse_query(std::string_view text);

class [[nodiscard]] LIGHTNING_EXPORT QueryScan {
 public:
  explicit QueryScan(std::unique_ptr<QueryState> state);
  QueryScan(QueryScan&&) noexcept;
  QueryScan& operator=(QueryScan&&) noexcept;
  ~QueryScan();

  /// To the next row; false at the end or on an error.
  bool advance();
  /// Views that die at the next step.
  std::string_view primary_key() const;
  std::string_view value() const;
  const Status& status() const;
  /// How the rows are found and what the other ways would have cost, in lines.
  const std::string& explain() const;

 private:
  std::unique_ptr<QueryState> state_;
};

LIGHTNING_EXPORT QueryScan run_query(const Keyspace& keyspace, const Query& query,
                                     const ReadOptions& options = {});
LIGHTNING_EXPORT QueryScan run_query(const TransactionKeyspace& keyspace, const Query& query);

}  // namespace lightning
