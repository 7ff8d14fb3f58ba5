// The checker finds what it is to find in histories made by hand, and nothing in good ones.
#include "testing/isolation_checker.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lightning {
namespace {

constexpr Isolation kRc = Isolation::read_committed;
constexpr Isolation kRr = Isolation::repeatable_read;
constexpr Isolation kSi = Isolation::snapshot;
constexpr Isolation kSer = Isolation::serializable;
constexpr Outcome kOk = Outcome::committed;

// Lists are called 1, 2, 3.
ListOperation a(int key, int value) { return ListOperation::appends(key, value); }
ListOperation r(int key, std::vector<int> list) { return ListOperation::reads(key, std::move(list)); }

using Operations = std::vector<ListOperation>;
ListTransaction tx(Isolation isolation, Operations operations, Outcome outcome = kOk, uint64_t began = 0,
                   uint64_t ended = 0) {
  return {isolation, outcome, std::move(operations), began, ended};
}

struct Case {
  const char* name;
  std::vector<ListTransaction> history;
  std::vector<Anomaly> expected;  // one of them; empty: clean
};

using Cases = std::vector<Case>;

// Values that cannot be there.
void add_dirty_reads(Cases* cases) {
  const auto bad = [&](const char* name, std::vector<ListTransaction> history,
                       std::vector<Anomaly> expected) {
    cases->push_back({name, std::move(history), std::move(expected)});
  };
  // Values from nowhere.
  bad("a value that nobody wrote", {tx(kRc, {r(1, {7})})}, {Anomaly::unwritten});
  bad("a value twice in a list", {tx(kRc, {a(1, 1)}), tx(kRc, {r(1, {1, 1})})}, {Anomaly::unwritten});
  bad("a value appended twice", {tx(kSer, {a(1, 1)}), tx(kSer, {a(1, 1)})}, {Anomaly::unwritten});
  // Own writes.
  bad("own append not seen", {tx(kRc, {a(1, 1), r(1, {})})}, {Anomaly::own_writes});
  bad("own append out of place", {tx(kSi, {a(1, 1), r(1, {1, 2})}), tx(kSi, {a(1, 2)})},
      {Anomaly::own_writes});
  bad("second own append not seen", {tx(kSer, {a(1, 1), a(1, 2), r(1, {1})})}, {Anomaly::own_writes});
  // G1a.
  bad("an aborted value", {tx(kRc, {a(1, 1)}, Outcome::aborted), tx(kRc, {r(1, {1})})}, {Anomaly::g1a});
  bad("an aborted value below another",
      {tx(kSi, {a(1, 1)}, Outcome::aborted), tx(kSi, {r(1, {1}), a(1, 2)}), tx(kSi, {r(1, {1, 2})})},
      {Anomaly::g1a});
  bad("an aborted value at the level serializable",
      {tx(kSer, {r(1, {}), a(1, 1)}, Outcome::aborted), tx(kSer, {r(1, {1}), a(2, 1)})}, {Anomaly::g1a});
  // G1b.
  bad("a value in between", {tx(kRc, {a(1, 1), a(1, 2)}), tx(kRc, {r(1, {1})})}, {Anomaly::g1b});
  bad("a value in between, then the last",
      {tx(kSer, {a(1, 1), a(1, 2)}), tx(kSer, {r(1, {1})}), tx(kSer, {r(1, {1, 2})})}, {Anomaly::g1b});
  bad("a value in between two keys", {tx(kSi, {a(1, 1), a(2, 1), a(1, 2)}), tx(kSi, {r(1, {1}), r(2, {1})})},
      {Anomaly::g1b});
}

// Circles of writes, and of writes and reads; lost updates.
void add_circles(Cases* cases) {
  const auto bad = [&](const char* name, std::vector<ListTransaction> history,
                       std::vector<Anomaly> expected) {
    cases->push_back({name, std::move(history), std::move(expected)});
  };
  // G0.
  bad("writes of two mixed",
      {tx(kRc, {a(1, 1), a(2, 1)}), tx(kRc, {a(1, 2), a(2, 2)}), tx(kRc, {r(1, {1, 2}), r(2, {2, 1})})},
      {Anomaly::g0});
  bad("writes of two mixed, seen by two readers",
      {tx(kSer, {a(1, 1), a(2, 1)}), tx(kSer, {a(1, 2), a(2, 2)}), tx(kSer, {r(1, {1, 2})}),
       tx(kSer, {r(2, {2, 1})})},
      {Anomaly::g0});
  bad("writes of three in a circle",
      {tx(kRc, {a(1, 1), a(2, 1)}), tx(kRc, {a(2, 2), a(3, 2)}), tx(kRc, {a(3, 3), a(1, 3)}),
       tx(kRc, {r(1, {3, 1}), r(2, {1, 2}), r(3, {2, 3})})},
      {Anomaly::g0});
  bad("two orders of one list",
      {tx(kRc, {a(1, 1)}), tx(kRc, {a(1, 2)}), tx(kRc, {r(1, {1, 2})}), tx(kRc, {r(1, {2, 1})})},
      {Anomaly::g0});
  bad("an element that is gone",
      {tx(kRr, {a(1, 1)}), tx(kRr, {a(1, 2)}), tx(kRr, {r(1, {1})}), tx(kRr, {r(1, {2})})}, {Anomaly::g0});
  // G1c.
  bad("each reads what the other wrote", {tx(kRc, {a(1, 1), r(2, {1})}), tx(kRc, {a(2, 1), r(1, {1})})},
      {Anomaly::g1c});
  bad("each reads what the other wrote, at snapshot",
      {tx(kSi, {a(1, 1), r(2, {1})}), tx(kSi, {a(2, 1), r(1, {1})})}, {Anomaly::g1c});
  bad("one reads what comes behind its write",
      {tx(kRc, {a(1, 1), r(2, {2})}), tx(kRc, {a(2, 2), a(1, 2)}), tx(kRc, {r(1, {1, 2})})}, {Anomaly::g1c});
  bad("a circle of three reads",
      {tx(kRc, {a(1, 1), r(3, {3})}), tx(kRc, {a(2, 2), r(1, {1})}), tx(kRc, {a(3, 3), r(2, {2})})},
      {Anomaly::g1c});
  // Lost updates.
  bad("a lost update", {tx(kSi, {r(1, {}), a(1, 1)}), tx(kSi, {r(1, {}), a(1, 2)}), tx(kSi, {r(1, {2})})},
      {Anomaly::lost_update});
  bad("a lost update behind others",
      {tx(kSer, {a(1, 9)}), tx(kSer, {r(1, {9}), a(1, 1)}), tx(kSer, {r(1, {9}), a(1, 2)}),
       tx(kSer, {r(1, {9, 1, 2})})},
      {Anomaly::lost_update});
  bad("a lost update that nobody reads again", {tx(kRr, {r(1, {}), a(1, 1)}), tx(kRr, {r(1, {}), a(1, 2)})},
      {Anomaly::lost_update});
  bad("a lost update between two levels", {tx(kSi, {r(1, {}), a(1, 1)}), tx(kSer, {r(1, {}), a(1, 2)})},
      {Anomaly::lost_update});
}

// What was not seen, and when it was to be seen.
void add_skews(Cases* cases) {
  const auto bad = [&](const char* name, std::vector<ListTransaction> history,
                       std::vector<Anomaly> expected) {
    cases->push_back({name, std::move(history), std::move(expected)});
  };
  // G-single.
  bad("two versions of one list", {tx(kSi, {a(1, 1)}), tx(kSi, {r(1, {}), r(1, {1})})}, {Anomaly::g_single});
  bad("read skew", {tx(kSi, {a(1, 1), a(2, 1)}), tx(kSi, {r(1, {}), r(2, {1})})}, {Anomaly::g_single});
  bad("read skew at serializable", {tx(kSer, {a(1, 1), a(2, 1)}), tx(kSer, {r(2, {1}), r(1, {})})},
      {Anomaly::g_single});
  bad("read skew by way of another",
      {tx(kSi, {a(1, 1)}), tx(kSi, {r(1, {1}), a(2, 1)}), tx(kSi, {r(1, {}), r(2, {1})})},
      {Anomaly::g_single});
  bad("read skew over a write",
      {tx(kSi, {a(1, 1), a(2, 1)}), tx(kSi, {a(2, 2), r(1, {})}), tx(kSi, {r(2, {1, 2})})},
      {Anomaly::g_single});
  bad("a half of a transaction at repeatable read",
      {tx(kRr, {a(1, 1), a(2, 1)}), tx(kRr, {r(1, {}), r(2, {1}), a(3, 1)})}, {Anomaly::g_single});
  // G2.
  const auto skew = [](Isolation first, Isolation second) {
    return std::vector{tx(first, {r(1, {}), r(2, {}), a(1, 1)}), tx(second, {r(1, {}), r(2, {}), a(2, 1)})};
  };
  bad("write skew", skew(kSer, kSer), {Anomaly::g2});
  bad("write skew at repeatable read", skew(kRr, kRr), {Anomaly::g2});
  bad("write skew of three",
      {tx(kSer, {r(1, {}), a(2, 1)}), tx(kSer, {r(2, {}), a(3, 1)}), tx(kSer, {r(3, {}), a(1, 1)})},
      {Anomaly::g2});
  bad("a read-only transaction sees what cannot be",
      {tx(kSer, {r(1, {}), r(2, {}), a(1, 1)}), tx(kSer, {r(2, {}), a(2, 1)}),
       tx(kSer, {r(1, {}), r(2, {1})})},
      {Anomaly::g2});
  bad("a long fork at snapshot",
      {tx(kSi, {a(1, 1)}), tx(kSi, {a(2, 1)}), tx(kSi, {r(1, {1}), r(2, {})}),
       tx(kSi, {r(1, {}), r(2, {1})})},
      {Anomaly::g2});
  bad("a long fork of writers",
      {tx(kSer, {a(1, 1)}), tx(kSer, {a(2, 1)}), tx(kSer, {r(1, {1}), r(2, {}), a(3, 1)}),
       tx(kSer, {r(1, {}), r(2, {1}), a(3, 2)})},
      {Anomaly::g2});
  bad("write skew with an unknown outcome that was seen",
      {tx(kSer, {r(1, {}), a(2, 1)}, Outcome::unknown), tx(kSer, {r(2, {}), a(1, 1)}), tx(kRc, {r(2, {1})})},
      {Anomaly::g2});
  // Real time.
  bad("a stale read", {tx(kSer, {a(1, 1)}, kOk, 1, 2), tx(kSer, {r(1, {})}, kOk, 3, 4)},
      {Anomaly::real_time});
  bad("a stale read at read committed", {tx(kRc, {a(1, 1)}, kOk, 1, 2), tx(kRc, {r(1, {})}, kOk, 3, 4)},
      {Anomaly::real_time});
  bad("a value before its time", {tx(kSer, {a(1, 1)}, kOk, 5, 6), tx(kSer, {r(1, {1})}, kOk, 1, 2)},
      {Anomaly::real_time});
  bad("a lost commit",
      {tx(kSi, {a(1, 1)}, kOk, 1, 2), tx(kSi, {a(1, 2)}, kOk, 3, 4), tx(kSi, {r(1, {2})}, kOk, 5, 6)},
      {Anomaly::real_time});
  bad("two writes against their order",
      {tx(kSer, {a(1, 1)}, kOk, 1, 2), tx(kSer, {a(1, 2)}, kOk, 3, 4), tx(kSer, {r(1, {2, 1})})},
      {Anomaly::real_time});
  bad("a stale reader behind a reader",
      {tx(kSi, {a(1, 1)}), tx(kSi, {r(1, {1})}, kOk, 1, 2), tx(kSi, {r(1, {})}, kOk, 3, 4)},
      {Anomaly::real_time});
}

std::vector<Case> bad_histories() {
  std::vector<Case> cases;
  add_dirty_reads(&cases);
  add_circles(&cases);
  add_skews(&cases);
  return cases;
}

std::vector<Case> good_histories() {
  std::vector<Case> cases;
  const auto good = [&](const char* name, std::vector<ListTransaction> history) {
    cases.push_back({name, std::move(history), {}});
  };
  good("nothing", {});
  good("one after the other",
       {tx(kSer, {a(1, 1), r(1, {1})}, kOk, 1, 2), tx(kSer, {r(1, {1}), a(1, 2)}, kOk, 3, 4),
        tx(kSer, {r(1, {1, 2})}, kOk, 5, 6)});
  good("write skew, which snapshot allows",
       {tx(kSi, {r(1, {}), r(2, {}), a(1, 1)}), tx(kSi, {r(1, {}), r(2, {}), a(2, 1)})});
  good("write skew of one who validates and one who does not",
       {tx(kSer, {r(1, {}), a(2, 1)}), tx(kSi, {r(2, {}), a(1, 1)})});
  good("a lost update, which read committed allows",
       {tx(kRc, {r(1, {}), a(1, 1)}), tx(kRc, {r(1, {}), a(1, 2)}), tx(kRc, {r(1, {1, 2})})});
  good("two versions, which read committed allows", {tx(kRc, {a(1, 1)}), tx(kRc, {r(1, {}), r(1, {1})})});
  good("read skew, which read committed allows",
       {tx(kRc, {a(1, 1), a(2, 1)}), tx(kRc, {r(1, {}), r(2, {1})})});
  good("an old moment that only reads", {tx(kSer, {a(1, 1)}, kOk, 2, 3), tx(kSer, {r(1, {})}, kOk, 1, 4)});
  good("an unknown outcome that nobody saw",
       {tx(kSer, {a(1, 1)}, Outcome::unknown, 1, 2), tx(kSer, {r(1, {})}, kOk, 3, 4)});
  good("aborted ones", {tx(kSer, {r(1, {}), a(1, 1)}, Outcome::aborted), tx(kSer, {r(1, {}), a(1, 2)}),
                        tx(kSer, {r(1, {2})})});
  good("beside one another",
       {tx(kSer, {r(1, {}), a(1, 1)}, kOk, 1, 5), tx(kSer, {r(2, {}), a(2, 1)}, kOk, 2, 6),
        tx(kSer, {r(1, {1}), r(2, {1})}, kOk, 7, 8)});
  return cases;
}

TEST(IsolationChecker, FindsWhatIsWrong) {
  const std::vector<Case> cases = bad_histories();
  EXPECT_GE(cases.size(), 40u);
  std::set<Anomaly> found;
  for (const Case& one : cases) {
    const IsolationReport report = check_isolation(one.history);
    for (const Anomaly anomaly : one.expected) {
      EXPECT_TRUE(report.anomalies.contains(anomaly))
          << one.name << ": expected " << anomaly_name(anomaly) << ", found:\n"
          << report.text;
      found.insert(anomaly);
    }
  }
  EXPECT_EQ(found.size(), 10u);
}

TEST(IsolationChecker, AllowsWhatTheLevelsAllow) {
  for (const Case& one : good_histories()) {
    EXPECT_TRUE(check_isolation(one.history).clean()) << one.name << ":\n"
                                                      << check_isolation(one.history).text;
  }
}

// Each level forbids what it says, in one and the same history.
TEST(IsolationChecker, JudgesByTheLevel) {
  const auto clean = [](Isolation level, std::vector<Operations> each) {
    std::vector<ListTransaction> history;
    for (Operations& operations : each) history.push_back(tx(level, std::move(operations)));
    return check_isolation(history).clean();
  };
  for (const Isolation level : {kRc, kRr, kSi, kSer}) {
    EXPECT_EQ(clean(level, {{r(1, {}), a(2, 1)}, {r(2, {}), a(1, 1)}}), level == kRc || level == kSi);
    EXPECT_EQ(clean(level, {{r(1, {}), a(1, 1)}, {r(1, {}), a(1, 2)}, {r(1, {1, 2})}}), level == kRc);
    EXPECT_EQ(clean(level, {{a(1, 1), a(2, 1)}, {r(1, {}), r(2, {1})}}), level == kRc);
    EXPECT_FALSE(clean(level, {{a(1, 1), r(2, {1})}, {a(2, 1), r(1, {1})}}));
  }
}

}  // namespace
}  // namespace lightning
