#include "testing/isolation_checker.h"

#include <algorithm>
#include <map>
#include <optional>
#include <queue>
#include <utility>

namespace lightning {

namespace {

enum class Edge : uint8_t { program, ww, wr, rw, rt };
constexpr std::string_view kEdgeNames[] = {"", "ww", "wr", "rw", "rt"};

/// What a transaction saw of a list before its own appends, and what it appended.
struct Access {
  std::optional<std::vector<int>> seen;
  std::vector<int> appended;
};

class Checker {
 public:
  explicit Checker(const std::vector<ListTransaction>& history) : history_(history) {}

  IsolationReport run() {
    find_writers();
    for (size_t t = 0; t < history_.size(); ++t) read_operations(t);
    if (report_.anomalies.empty()) order_versions();
    if (report_.anomalies.empty() || report_.anomalies == std::set{Anomaly::lost_update}) {
      add_edges();
      find_cycles();
    }
    return std::move(report_);
  }

 private:
  struct Next {
    size_t point;
    Edge edge;
  };
  using Version = std::pair<int, int>;  // key, value

  void say(Anomaly anomaly, const std::string& what) {
    report_.anomalies.insert(anomaly);
    report_.text.append(anomaly_name(anomaly)).append(": ").append(what).append("\n");
  }
  static std::string name(size_t t) { return "T" + std::to_string(t); }
  static std::string name(Version version) {
    return std::to_string(version.second) + " of list " + std::to_string(version.first);
  }
  bool committed(size_t t) const {
    return history_[t].outcome == Outcome::committed ||
           (history_[t].outcome == Outcome::unknown && was_seen_[t]);
  }
  Isolation level(size_t t) const { return history_[t].isolation; }

  void find_writers() {
    was_seen_.assign(history_.size(), false);
    for (size_t t = 0; t < history_.size(); ++t) {
      for (const ListOperation& one : history_[t].operations) {
        if (one.append && !writers_.emplace(Version(one.key, one.value), t).second)
          say(Anomaly::unwritten, name({one.key, one.value}) + " is appended twice");
      }
    }
    for (size_t t = 0; t < history_.size(); ++t) {
      for (const ListOperation& one : history_[t].operations) {
        for (const int value : one.list) {
          const auto writer = writers_.find({one.key, value});
          if (writer != writers_.end() && writer->second != t) was_seen_[writer->second] = true;
        }
      }
    }
    accesses_.resize(history_.size());
  }

  void read_operations(size_t t) {
    for (const ListOperation& one : history_[t].operations) {
      Access& access = accesses_[t][one.key];
      if (one.append) {
        access.appended.push_back(one.value);
        continue;
      }
      const std::vector<int>& list = one.list;
      const std::vector<int>& own = access.appended;
      if (list.size() < own.size() || !std::equal(own.rbegin(), own.rend(), list.rbegin())) {
        say(Anomaly::own_writes, name(t) + " misses what it appended to list " + std::to_string(one.key));
        continue;
      }
      std::vector<int> seen(list.begin(), list.end() - static_cast<ptrdiff_t>(own.size()));
      check_values(t, one.key, seen);
      const bool again = access.seen && *access.seen != seen;
      if (again && level(t) != Isolation::read_committed)
        say(Anomaly::g_single, name(t) + " reads list " + std::to_string(one.key) + " in two versions");
      if (!access.seen || again) access.seen = std::move(seen);
    }
  }

  void check_values(size_t t, int key, const std::vector<int>& seen) {
    if (history_[t].outcome == Outcome::aborted) return;  // what it saw, nobody was told for good
    std::set<int> values;
    for (const int value : seen) {
      const auto writer = writers_.find({key, value});
      if (writer == writers_.end() || !values.insert(value).second) {
        say(Anomaly::unwritten, name(t) + " reads " + name({key, value}));
      } else if (history_[writer->second].outcome == Outcome::aborted) {
        say(Anomaly::g1a, name(t) + " reads " + name({key, value}) + " of " + name(writer->second));
      }
    }
    if (seen.empty() || !report_.anomalies.empty()) return;
    // The last one is its transaction's last one, and of a transaction all or none are there.
    const size_t writer = writers_.at({key, seen.back()});
    if (writer == t) return;
    int last = 0;
    for (const ListOperation& one : history_[writer].operations) {
      if (one.append && one.key == key) last = one.value;
    }
    if (last != seen.back())
      say(Anomaly::g1b, name(t) + " reads " + name({key, seen.back()}) + " of " + name(writer));
  }

  // The longest list of each key that was read; the others are beginnings of it.
  void order_versions() {
    for (size_t t = 0; t < history_.size(); ++t) {
      if (!committed(t)) continue;
      for (const auto& [key, access] : accesses_[t]) {
        std::vector<int>& order = orders_[key];
        if (!access.seen) continue;
        std::vector<int> list = *access.seen;
        if (list.size() > order.size()) order.swap(list);
        if (std::equal(list.begin(), list.end(), order.begin())) continue;
        const auto at =
            static_cast<size_t>(std::mismatch(list.begin(), list.end(), order.begin()).first - list.begin());
        const size_t a = writers_.at({key, list[at]});
        const size_t b = writers_.at({key, order[at]});
        const bool both_read = accesses_[a][key].seen && accesses_[b][key].seen &&
                               *accesses_[a][key].seen == *accesses_[b][key].seen;
        const bool allowed = level(a) == Isolation::read_committed || level(b) == Isolation::read_committed;
        if (both_read && !allowed) {
          say(Anomaly::lost_update,
              name(a) + " and " + name(b) + " append to one version of list " + std::to_string(key));
        } else if (!both_read) {
          say(Anomaly::g0, "list " + std::to_string(key) + " has two orders: " + name(a) + ", " + name(b));
        }
      }
    }
    find_lost_updates();
  }

  void find_lost_updates() {
    std::map<std::pair<int, std::vector<int>>, size_t> appended;  // to which version
    for (size_t t = 0; t < history_.size(); ++t) {
      if (!committed(t) || level(t) == Isolation::read_committed) continue;
      for (const auto& [key, access] : accesses_[t]) {
        if (!access.seen || access.appended.empty()) continue;
        const auto [at, first] = appended.emplace(std::pair(key, *access.seen), t);
        if (!first && !report_.anomalies.contains(Anomaly::lost_update)) {
          say(Anomaly::lost_update,
              name(at->second) + " and " + name(t) + " append to one version of list " + std::to_string(key));
        }
      }
    }
  }

  static size_t begin_of(size_t t) { return 2 * t; }
  static size_t end_of(size_t t) { return 2 * t + 1; }

  void add(size_t from, size_t to, Edge edge) { next_[from].push_back({to, edge}); }

  void add_ww(size_t from, size_t to) {
    if (from != to) add(end_of(from), level(to) == Isolation::snapshot ? begin_of(to) : end_of(to), Edge::ww);
  }
  void add_wr(size_t from, size_t to) {
    if (from != to)
      add(end_of(from), level(to) == Isolation::read_committed ? end_of(to) : begin_of(to), Edge::wr);
  }
  void add_rw(size_t from, size_t to) {
    const bool validated =
        level(from) == Isolation::repeatable_read || level(from) == Isolation::serializable;
    const bool writes = std::any_of(history_[from].operations.begin(), history_[from].operations.end(),
                                    [](const ListOperation& one) { return one.append; });
    if (from != to) add(validated && writes ? end_of(from) : begin_of(from), end_of(to), Edge::rw);
  }

  void add_edges() {
    next_.assign(2 * history_.size(), {});
    for (size_t t = 0; t < history_.size(); ++t) add(begin_of(t), end_of(t), Edge::program);
    std::map<int, std::vector<size_t>> unseen;  // who committed an append that nobody saw
    for (const auto& [version, writer] : writers_) {
      const std::vector<int>& order = orders_[version.first];
      const bool seen = std::find(order.begin(), order.end(), version.second) != order.end();
      if (history_[writer].outcome == Outcome::committed && !seen) unseen[version.first].push_back(writer);
    }
    for (const auto& [key, order] : orders_) {
      for (size_t i = 0; i + 1 < order.size(); ++i)
        add_ww(writers_.at({key, order[i]}), writers_.at({key, order[i + 1]}));
      for (const size_t writer : unseen[key]) {
        if (!order.empty()) add_ww(writers_.at({key, order.back()}), writer);
      }
    }
    for (size_t t = 0; t < history_.size(); ++t) {
      if (!committed(t)) continue;
      for (const auto& [key, access] : accesses_[t]) {
        if (!access.seen) continue;
        const std::vector<int>& seen = *access.seen;
        const std::vector<int>& order = orders_[key];
        if (!seen.empty()) add_wr(writers_.at({key, seen.back()}), t);
        if (seen.size() < order.size() && std::equal(seen.begin(), seen.end(), order.begin()))
          add_rw(t, writers_.at({key, order[seen.size()]}));
        for (const size_t writer : unseen[key]) add_rw(t, writer);
      }
    }
    for (size_t a = 0; a < history_.size(); ++a) {
      if (!committed(a) || history_[a].ended == 0) continue;
      for (size_t b = 0; b < history_.size(); ++b) {
        if (committed(b) && history_[b].began > history_[a].ended) add(end_of(a), begin_of(b), Edge::rt);
      }
    }
  }

  // By edges up to the given kind: the simplest cycles first.
  void find_cycles() {
    for (const Edge most : {Edge::ww, Edge::wr, Edge::rw, Edge::rt}) {
      const std::vector<std::pair<size_t, Edge>> cycle = shortest_cycle(most);
      if (cycle.empty()) continue;
      std::string text;
      size_t rw = 0;
      for (const auto& [point, edge] : cycle) {
        rw += edge == Edge::rw ? 1 : 0;
        if (edge == Edge::program) continue;
        text.append(name(point / 2)).append(" ").append(kEdgeNames[static_cast<size_t>(edge)]).append(" ");
      }
      const Anomaly anomaly = most == Edge::ww   ? Anomaly::g0
                              : most == Edge::wr ? Anomaly::g1c
                              : most == Edge::rt ? Anomaly::real_time
                              : rw > 1           ? Anomaly::g2
                                                 : Anomaly::g_single;
      say(anomaly, text + "around");
      return;
    }
  }

  /// Points and the edges that leave them. With edges of kind rw: the one with the fewest of these.
  std::vector<std::pair<size_t, Edge>> shortest_cycle(Edge most) const {
    std::vector<std::pair<size_t, Edge>> best;
    size_t best_cost = SIZE_MAX;
    const std::vector<bool> candidate = on_cycles(most);
    for (size_t start = 0; start < next_.size(); ++start) {
      if (!candidate[start]) continue;
      walk(start, most, candidate, &best, &best_cost);
    }
    return best;
  }

  // What is left when points that nothing leads to, or that lead to nothing, are taken away.
  std::vector<bool> on_cycles(Edge most) const {
    const size_t count = next_.size();
    std::vector<std::vector<size_t>> before(count);
    std::vector<size_t> in(count, 0), out(count, 0);
    for (size_t from = 0; from < count; ++from) {
      for (const Next& next : next_[from]) {
        if (next.edge > most) continue;
        ++out[from];
        ++in[next.point];
        before[next.point].push_back(from);
      }
    }
    std::vector<bool> left(count, true);
    std::vector<size_t> work;
    for (size_t point = 0; point < count; ++point) {
      if (in[point] == 0 || out[point] == 0) work.push_back(point);
    }
    while (!work.empty()) {
      const size_t point = work.back();
      work.pop_back();
      if (!left[point]) continue;
      left[point] = false;
      for (const Next& next : next_[point]) {
        if (next.edge <= most && left[next.point] && --in[next.point] == 0) work.push_back(next.point);
      }
      for (const size_t from : before[point]) {
        if (left[from] && --out[from] == 0) work.push_back(from);
      }
    }
    return left;
  }

  // Dijkstra from `start` back to it; an rw costs more than any number of other edges.
  void walk(size_t start, Edge most, const std::vector<bool>& candidate,
            std::vector<std::pair<size_t, Edge>>* best, size_t* best_cost) const {
    constexpr size_t kRwCost = 100'000;
    std::vector<size_t> cost(next_.size(), SIZE_MAX);
    std::vector<std::pair<size_t, Edge>> from(next_.size());
    using Item = std::pair<size_t, size_t>;
    std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
    queue.emplace(0, start);
    while (!queue.empty()) {
      const auto [reached, point] = queue.top();
      queue.pop();
      if (reached >= *best_cost) return;
      if (reached > cost[point]) continue;
      for (const Next& next : next_[point]) {
        if (next.edge > most || !candidate[next.point]) continue;
        const size_t there = reached + (next.edge == Edge::rw ? kRwCost : 1);
        if (there >= cost[next.point]) continue;
        cost[next.point] = there;
        from[next.point] = {point, next.edge};
        if (next.point != start) queue.emplace(there, next.point);
      }
    }
    if (cost[start] >= *best_cost) return;
    *best_cost = cost[start];
    best->clear();
    size_t at = start;
    do {
      best->push_back(from[at]);
      at = from[at].first;
    } while (at != start);
    std::reverse(best->begin(), best->end());
  }

  const std::vector<ListTransaction>& history_;
  IsolationReport report_;
  std::map<Version, size_t> writers_;
  std::vector<bool> was_seen_;
  std::vector<std::map<int, Access>> accesses_;
  std::map<int, std::vector<int>> orders_;
  std::vector<std::vector<Next>> next_;
};

}  // namespace

std::string_view anomaly_name(Anomaly anomaly) {
  constexpr std::string_view kNames[] = {"unwritten", "own writes",  "G0",       "G1a", "G1b",
                                         "G1c",       "lost update", "G-single", "G2",  "real time"};
  return kNames[static_cast<size_t>(anomaly)];
}

IsolationReport check_isolation(const std::vector<ListTransaction>& history) {
  return Checker(history).run();
}

}  // namespace lightning
