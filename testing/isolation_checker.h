// IsolationChecker: was a history of transactions over lists possible at the levels that they claim?
//
// Transactions append unique values to lists and read whole lists. A list shows the order of its versions, so
// the dependencies between transactions follow from what was read:
//   ww  one wrote the version after that of another      wr  one read the version that another wrote
//   rw  one read the version before that of another      rt  one ended before another began
// Each transaction has a beginning and an end, and each dependency orders two of these points as the levels
// say: a commit is before what read it began, or, at read_committed, before it ended; at snapshot a commit
// whose version another one replaced is before that one began (first committer wins); who did not see a
// commit began before it or, where reads are validated, ended before it. A cycle of these is a violation. So
// levels may be mixed.
//
// Anomalies are named as by A. Adya, "Weak Consistency" (1999); the method is that of Elle (K. Kingsbury and
// P. Alvaro, 2020). Values of commits whose outcome is unknown count as committed if somebody saw them.
// Thread safety: pure functions. Costs: a microsecond a dependency; rt takes each pair.
#pragma once

#include <lightning/transaction.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

enum class Anomaly : uint8_t {
  unwritten,    // a value that nobody appended, or one twice, or another order of what was read before
  own_writes,   // a transaction does not see what it appended itself
  g0,           // a cycle of ww: writes of two transactions got mixed
  g1a,          // a value of an aborted transaction was read
  g1b,          // a value that its transaction overwrote was read as the last one
  g1c,          // a cycle of ww and wr
  lost_update,  // two appended to the same version
  g_single,     // a cycle with one rw
  g2,           // a cycle with several rw: write skew
  real_time,    // a cycle that needs rt
};
std::string_view anomaly_name(Anomaly anomaly);

struct ListOperation {
  bool append = false;
  int key = 0;
  int value = 0;          // appended
  std::vector<int> list;  // read

  static ListOperation appends(int key, int value) { return {true, key, value, {}}; }
  static ListOperation reads(int key, std::vector<int> list) { return {false, key, 0, std::move(list)}; }
};

enum class Outcome : uint8_t { committed, aborted, unknown };

struct ListTransaction {
  Isolation isolation = Isolation::serializable;
  Outcome outcome = Outcome::committed;
  std::vector<ListOperation> operations = {};
  // Of one clock: it began not before, and ended not after. Both 0: not known.
  uint64_t began = 0;
  uint64_t ended = 0;
};

struct IsolationReport {
  std::set<Anomaly> anomalies;
  std::string text;  // one line for each, with the transactions

  bool clean() const { return anomalies.empty(); }
};

IsolationReport check_isolation(const std::vector<ListTransaction>& history);

}  // namespace lightning
