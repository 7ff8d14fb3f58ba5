// Transactions and single-key calls of a history: what they see, and that they fail to commit just where
// somebody else was first.
#include <lightning/transaction.h>

#include <algorithm>
#include <map>

#include "tests/history.h"

namespace lightning {

namespace {

/// What one transaction wrote and read, by keyspace.
struct Own {
  struct Space {
    std::map<std::string, std::optional<std::string>> writes;  // nothing: removed
    std::vector<std::pair<std::string, std::string>> removed;  // ranges, before the writes
    std::set<std::string> read;
    std::vector<std::pair<std::string, std::optional<std::string>>> scanned;  // [from, to)

    static bool within(const auto& ranges, const std::string& key) {
      return std::any_of(ranges.begin(), ranges.end(),
                         [&](const auto& range) { return key >= range.first && key < range.second; });
    }
    bool has_written(const std::string& key) const { return writes.contains(key) || within(removed, key); }
    bool has_scanned(const std::string& key) const {
      return std::any_of(scanned.begin(), scanned.end(), [&](const auto& range) {
        return key >= range.first && (!range.second || key < *range.second);
      });
    }
  };
  std::map<std::string, Space> spaces;
  std::vector<ModelWrite> commits;  // in order
};

}  // namespace

/// One transaction beside which other things happen.
class HistoryTransaction {
 public:
  HistoryTransaction(History& history, Isolation isolation, const WriteOptions& options)
      : h_(history),
        isolation_(isolation),
        at_(isolation == Isolation::read_committed ? Model::kNow : history.model_.now()),
        since_ns_(history.env_.clock().monotonic_ns()),
        tx_(history.database_.begin(
            {.isolation = isolation, .durability = options.durability, .lock_timeout_ms = 0})) {
    if (at_ != Model::kNow) {
      h_.model_.hold(at_);
      ++h_.moments_;
    }
    h_.check(tx_.status(), "begin");
  }
  ~HistoryTransaction() {
    if (at_ == Model::kNow) return;
    h_.model_.release(at_);
    --h_.moments_;
  }

  void run() {
    for (uint64_t left = h_.random_.below(h_.random_.chance(0.1) ? 200 : 15); left > 0; --left) {
      ++h_.within_steps_;
      const uint64_t kind = h_.random_.below(22);
      if (kind < 6) write();
      if (kind >= 6 && kind < 11) read();
      if (kind >= 11 && kind < 14) scan();
      if (kind == 14) read_many();
      if (kind == 14 && h_.random_.chance(0.3)) read_by_index();
      if (kind == 15) savepoint();
      if (kind >= 16 && kind < 19 && h_.random_.chance(0.3)) somebody_else();
      if (kind == 19 && h_.random_.chance(0.3)) h_.random_.chance(0.8) ? h_.idle() : h_.flush();
      if (kind == 19 && h_.random_.chance(0.03)) h_.compact();
      if (kind == 19 && h_.random_.chance(0.03)) h_.compact_range();
      if (kind == 19 && given_up()) return;
      if (kind >= 20 && !lock()) return;
    }
    if (h_.random_.chance(0.05)) return;  // aborted
    const bool expected = !conflict_expected();
    const bool in_two_phases = !own_.commits.empty() && h_.random_.chance(0.2);
    const Status status = in_two_phases ? tx_.prepare(kGid) : tx_.commit();
    h_.check(status.ok() || status.is(StatusCode::conflict), "commit: " + status.to_string());
    h_.check(status.ok() == expected || (expected && conflict_possible()),
             expected ? "a conflict where nobody was first: " + status.to_string()
                      : std::string("no conflict where somebody was first"));
    const bool commits = status.ok() && (!in_two_phases || resolve());
    if (commits && !own_.commits.empty()) h_.model_.write(own_.commits);
    h_.check(tx_.get("").status().is(StatusCode::closed), "a read behind the end");
  }

 private:
  static constexpr char kGid[] = "of a history";

  // Commits what is prepared, or gives it up: false. Nobody else writes there before.
  bool resolve() {
    const ModelWrite& first = own_.commits.front();
    if (first.keyspace.empty() && own_.spaces.at("").has_written(first.key)) {
      const Status blocked = h_.database_.put(first.key, "", {.timeout_ms = 0});
      h_.check(blocked.is(StatusCode::busy), "a write where something is prepared: " + blocked.to_string());
    }
    if (h_.random_.chance(0.2)) h_.flush();
    const bool commits = h_.random_.chance(0.7);
    h_.check(commits ? h_.database_.commit_prepared(kGid) : h_.database_.abort_prepared(kGid),
             "the resolution of a prepared transaction");
    return commits;
  }

  // Was it given up for its age? Then that is the end of it.
  bool given_up() {
    if (at_ == Model::kNow || !h_.given_up(tx_.cursor().status(), since_ns_)) return false;
    const Status status = tx_.commit();
    h_.check(own_.commits.empty() ? status.ok() : status.is(StatusCode::snapshot_too_old),
             "the commit of a transaction that was given up: " + status.to_string());
    h_.check(tx_.get("").status().is(StatusCode::closed), "a read behind the end");
    return true;
  }

  Own::Space& space(const std::string& name) { return own_.spaces[name]; }
  TransactionKeyspace calls(std::string* name) {
    const Keyspace& keyspace = h_.random_keyspace(name);
    return tx_.in(keyspace);
  }

  void write() {
    std::string name;
    TransactionKeyspace in = calls(&name);
    Own::Space& mine = space(name);
    const std::string& key = h_.random_key();
    if (h_.indexed_.contains(name)) told_.emplace_back(name, key, key + '\0');
    if (h_.random_.chance(0.1)) {
      const auto [from, to] = h_.random_range();
      if (h_.indexed_.contains(name)) told_.emplace_back(name, from, to);
      const Status status = in.remove_range(from, to);
      if (status.is(StatusCode::out_of_memory) && h_.indexed_.contains(name)) return;
      h_.check(status, "remove_range in a transaction");
      if (from >= to) return;
      mine.writes.erase(mine.writes.lower_bound(from), mine.writes.lower_bound(to));
      mine.removed.emplace_back(from, to);
      own_.commits.push_back({.keyspace = name, .key = from, .value = {}, .to = to});
    } else if (h_.random_.chance(0.3)) {
      h_.check(in.remove(key), "remove in a transaction");
      mine.writes[key] = std::nullopt;
      own_.commits.push_back({name, key, std::nullopt, 0});
    } else {
      const std::string value = h_.random_value().substr(0, 20'000);
      const uint64_t ttl_ms = h_.random_ttl();
      h_.check(in.put(key, value, ttl_ms), "put in a transaction");
      mine.writes[key] = value;
      own_.commits.push_back({name, key, value, h_.expiry_of_put(ttl_ms, 0, name)});
    }
  }

  std::optional<std::string> expected(const std::string& name, const std::string& key) {
    const Own::Space& mine = space(name);
    if (const auto found = mine.writes.find(key); found != mine.writes.end()) return found->second;
    if (Own::Space::within(mine.removed, key)) return std::nullopt;
    const auto found = h_.model_.get(name, key, at_);
    return found ? std::optional<std::string>(*found) : std::nullopt;
  }

  void note_read(const std::string& name, const std::string& key) {
    if (!space(name).has_written(key)) space(name).read.insert(key);
  }

  void read() {
    std::string name;
    TransactionKeyspace in = calls(&name);
    const std::string& key = h_.random_key();
    const bool only_there = h_.random_.chance(0.2);
    const Lookup found = only_there ? in.contains(key) : in.get(key);
    h_.check(found.status(), "get in a transaction");
    const auto wanted = expected(name, key);
    h_.check(static_cast<bool>(found) == wanted.has_value(), "whether a transaction finds a key");
    h_.check(only_there || !wanted || found.value() == *wanted, "the value that a transaction finds");
    note_read(name, key);
  }

  // False: somebody wrote the key since the moment, and that was the end.
  bool lock() {
    std::string name;
    TransactionKeyspace in = calls(&name);
    const std::string& key = h_.random_key();
    const bool reads = h_.random_.chance(0.7);
    const Lookup found = reads ? in.get_for_update(key) : Lookup(in.lock(key));
    if (at_ != Model::kNow && touched_[name].contains(key)) {
      h_.check(found.status().is(StatusCode::conflict), "a lock of what was written since the moment");
      h_.check(tx_.get("").status().is(StatusCode::closed), "a read behind the end");
      return false;
    }
    h_.check(found.status(), "a lock");
    locked_[name].insert(key);
    if (!reads) return true;
    const auto wanted = expected(name, key);
    h_.check(static_cast<bool>(found) == wanted.has_value(), "whether a locking read finds a key");
    h_.check(!wanted || found.value() == *wanted, "the value that a locking read finds");
    note_read(name, key);
    return true;
  }

  void read_many() {
    std::string name;
    TransactionKeyspace in = calls(&name);
    std::vector<std::string_view> keys;
    for (uint64_t left = h_.random_.below(20); left > 0; --left) keys.push_back(h_.random_key());
    std::vector<Value> values(keys.size());
    h_.check(in.get_many(keys, values), "get_many in a transaction");
    h_.within_steps_ += keys.size();
    for (size_t i = 0; i < keys.size(); ++i) {
      const std::string key(keys[i]);
      const auto wanted = expected(name, key);
      h_.check(values[i].present() == wanted.has_value() && (!wanted || values[i].view() == *wanted),
               "what get_many finds in a transaction");
      note_read(name, key);
    }
  }

  // What the index says, its own writes in front. At the other levels it would count as read.
  void read_by_index() {
    if (isolation_ != Isolation::read_committed && isolation_ != Isolation::snapshot) return;
    std::string name;
    TransactionKeyspace in = calls(&name);
    if (!h_.indexed_.contains(name)) return;
    const std::string head(1, static_cast<char>(h_.random_.below(256)));
    const std::string behind(h_.keys_.back().size() + 1, '\xff');
    std::map<std::string, std::string> wanted = entries(name, "", behind);
    std::erase_if(wanted, [&](const auto& one) { return !one.second.starts_with(head); });
    IndexScan scan = in.index("by_head").find(KeyWriter().bytes(head).view());
    auto expected = wanted.begin();
    while (scan.advance()) {
      h_.check(expected != wanted.end() && scan.primary_key() == expected->first,
               "a row by index in a transaction");
      h_.check(scan.value() == expected->second, "the value of a row by index in a transaction");
      ++expected;
    }
    h_.check(scan.status(), "a scan by index in a transaction");
    h_.check(expected == wanted.end(), "a row that is not found by index in a transaction");
  }

  // What [from, to) holds: keys of the model and its own.
  std::map<std::string, std::string> entries(const std::string& name, const std::string& from,
                                             const std::string& to) {
    std::set<std::string> keys;
    for (auto one = h_.model_.first_from(name, from, true, at_); one && one->key < to;
         one = h_.model_.first_from(name, one->key, false, at_))
      keys.insert(std::string(one->key));
    const Own::Space& mine = space(name);
    for (auto one = mine.writes.lower_bound(from); one != mine.writes.end() && one->first < to; ++one)
      keys.insert(one->first);
    std::map<std::string, std::string> found;
    for (const std::string& key : keys) {
      if (auto value = expected(name, key)) found[key] = *value;
    }
    return found;
  }

  void scan() {
    std::string name;
    TransactionKeyspace in = calls(&name);
    auto [from, to] = h_.random_range();
    if (to < from) std::swap(from, to);
    const auto wanted = entries(name, from, to);
    const bool reverse = h_.random_.chance(0.5);
    const uint64_t limit = h_.random_.chance(0.3) ? h_.random_.below(5) : UINT64_MAX;
    Scan scan = in.scan(from, to).limit(limit);
    if (reverse) scan = std::move(scan).reverse();
    std::vector<std::pair<std::string, std::string>> order(wanted.begin(), wanted.end());
    if (reverse) std::reverse(order.begin(), order.end());
    uint64_t count = 0;
    bool more = true;
    for (; count < order.size() && (more = scan.advance()); ++count) {
      h_.check(scan.entry().key() == order[count].first, "a key of a scan in a transaction");
      h_.check(scan.entry().value() == order[count].second, "a value of a scan in a transaction");
    }
    h_.within_steps_ += count;
    h_.check(scan.status(), "a scan in a transaction");
    h_.check(count == std::min<uint64_t>(limit, order.size()), "the length of a scan in a transaction");
    const bool ended = more && !scan.advance() && limit > order.size();
    h_.check(scan.status(), "a scan in a transaction");
    note_scan(name, from, to, order, count, reverse, ended);
  }

  // As far as the scan came.
  void note_scan(const std::string& name, const std::string& from, const std::string& to,
                 const std::vector<std::pair<std::string, std::string>>& order, uint64_t count, bool reverse,
                 bool ended) {
    for (uint64_t i = 0; i < count; ++i) note_read(name, order[i].first);
    auto& scanned = space(name).scanned;
    if (ended) {
      scanned.emplace_back(from, to);
    } else if (count != 0) {
      const std::string& last = order[count - 1].first;
      reverse ? scanned.emplace_back(last, to) : scanned.emplace_back(from, last + '\0');
    }
  }

  void savepoint() {
    const Savepoint point = tx_.set_savepoint();
    const Own before = own_;
    for (uint64_t left = h_.random_.below(6); left > 0; --left) h_.random_.chance(0.7) ? write() : read();
    if (h_.random_.chance(0.7)) {
      h_.check(tx_.rollback_to(point), "rollback_to");
      own_.commits = before.commits;
      for (auto& [name, mine] : own_.spaces) {
        const auto found = before.spaces.find(name);
        mine.writes = found == before.spaces.end() ? decltype(mine.writes)() : found->second.writes;
        mine.removed = found == before.spaces.end() ? decltype(mine.removed)() : found->second.removed;
      }
    }
    if (h_.random_.chance(0.5)) h_.check(tx_.release(point), "release");
  }

  void somebody_else() {
    std::string name;
    Keyspace& keyspace = h_.random_keyspace(&name);
    const std::string& key = h_.random_key();
    if (locked_[name].contains(key)) return somebody_is_refused(keyspace, key);
    touched_[name].insert(key);
    switch (h_.random_.below(3)) {
      case 0: {
        const std::string value = h_.random_value().substr(0, 1000);
        h_.check(keyspace.put(key, value, h_.random_write_options()), "put");
        h_.model_.put(name, key, value, h_.expiry_of_put(0, 0, name));
        break;
      }
      case 1:
        h_.check(keyspace.remove(key, h_.random_write_options()), "remove");
        h_.model_.remove(name, key);
        break;
      default: {
        Transaction other = h_.database_.begin({.isolation = Isolation::serializable});
        h_.check(other.in(keyspace).get(key).status(), "get");
        h_.check(other.in(keyspace).put(key, "other"), "put");
        h_.check(other.commit(), "commit of another transaction");
        h_.model_.put(name, key, "other", h_.expiry_of_put(0, 0, name));
      }
    }
  }

  void somebody_is_refused(Keyspace& keyspace, const std::string& key) {
    Status status;
    switch (h_.random_.below(4)) {
      case 0:
        status = keyspace.put(key, "refused", {.timeout_ms = 0});
        break;
      case 1:
        status = key.size() < 1000 ? keyspace.remove_range(key, key + "z", {.timeout_ms = 0})
                                   : keyspace.remove(key, {.timeout_ms = 0});
        break;
      case 2:
        status = keyspace.update(key, [](auto) { return std::optional<std::string>("refused"); },
                                 {.timeout_ms = 0});
        break;
      default: {
        Transaction other = h_.database_.begin({.timeout_ms = 0, .lock_timeout_ms = 0});
        status = other.in(keyspace).lock(key);
        h_.check(status.is(StatusCode::busy), "a lock that another has: " + status.to_string());
        h_.check(other.in(keyspace).put(key, "refused"), "put");
        status = other.commit();
      }
    }
    h_.check(status.is(StatusCode::busy), "a write of what another has locked: " + status.to_string());
  }

  bool conflict_expected() {
    if (own_.commits.empty()) return false;
    for (const auto& [name, keys] : touched_) {
      const Own::Space& mine = space(name);
      for (const std::string& key : keys) {
        // Where indexes are, who writes a row has read it.
        const bool written = h_.indexed_.contains(name) && mine.has_written(key);
        const bool read = mine.read.contains(key) || written;
        if (isolation_ == Isolation::snapshot && mine.has_written(key)) return true;
        if (isolation_ == Isolation::repeatable_read && read) return true;
        if (isolation_ == Isolation::serializable && (read || mine.has_scanned(key))) return true;
      }
    }
    return false;
  }

  // Where indexes are, a write is told whose its unique keys are, which counts as read though the write is
  // taken back. Whether somebody's write of such a row changes them the model does not know.
  bool conflict_possible() {
    if (isolation_ != Isolation::repeatable_read && isolation_ != Isolation::serializable) return false;
    return std::ranges::any_of(told_, [&](const auto& told) {
      const auto& [name, from, to] = told;
      const std::set<std::string>& keys = touched_[name];
      const auto at = keys.lower_bound(from);
      return at != keys.end() && *at < to;
    });
  }

  History& h_;
  const Isolation isolation_;
  const Model::Moment at_;
  const uint64_t since_ns_;
  Transaction tx_;
  Own own_;
  std::map<std::string, std::set<std::string>> touched_;
  std::vector<std::tuple<std::string, std::string, std::string>> told_;  // keyspace, from, to
  std::map<std::string, std::set<std::string>> locked_;
};

void History::transact() {
  const WriteOptions options = random_write_options();
  everything_durable_ = false;
  constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                   Isolation::serializable};
  HistoryTransaction transaction(*this, kLevels[random_.below(4)], options);
  transaction.run();
  everything_durable_ = false;
}

void History::change_one_key() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  const WriteOptions options = random_write_options();
  const auto now = model_.get(name, key);
  const std::optional<std::string> before = now ? std::optional<std::string>(*now) : std::nullopt;
  const auto put = [&](const std::string& value) { model_.put(name, key, value, expiry_of_put(0, 0, name)); };
  switch (random_.below(4)) {
    case 0: {
      const bool right = random_.chance(0.7);
      const std::optional<std::string> guess = right ? before : std::optional<std::string>("no such value");
      const std::string value = random_value().substr(0, 2000);
      const Status status = keyspace.compare_and_set(key, guess, value, options);
      check(right ? status.ok() : status.is(StatusCode::conflict), "compare_and_set: " + status.to_string());
      right ? put(value) : wrote_nothing();
      break;
    }
    case 1: {
      const Status status = keyspace.put_if_absent(key, "first", options);
      check(before ? status.is(StatusCode::already_exists) : status.ok(),
            "put_if_absent: " + status.to_string());
      before ? wrote_nothing() : put("first");
      break;
    }
    case 2: {
      std::optional<std::string> next = before ? std::nullopt : std::optional<std::string>("made");
      if (before && before->size() < 1000) next = *before + "+";
      check(keyspace.update(
                key,
                [&](std::optional<std::string_view> seen) {
                  check(seen.has_value() == before.has_value() && (!seen || *seen == *before),
                        "what update() sees");
                  return next;
                },
                options),
            "update");
      next ? put(*next) : model_.remove(name, key);
      break;
    }
    default: {
      check(keyspace.put(key, "40", options), "put");
      const Result<int64_t> sum = keyspace.add(key, 2, options);
      check(sum.status(), "add");
      check(*sum == 42, "the sum");
      put("42");
    }
  }
}

}  // namespace lightning
