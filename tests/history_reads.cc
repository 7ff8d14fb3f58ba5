// Reads and what is held for them: snapshots, cursors, values; indexes.
#include <algorithm>

#include "tests/history.h"
#include "tests/index_agreement.h"

namespace lightning {

namespace {

constexpr size_t kSnapshotsMax = 5;
constexpr size_t kCursorsMax = 6;

// The first key behind all that begin with `prefix`; nothing when there is none.
std::optional<std::string> end_of_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace

History::ReadPoint History::random_read_point() {
  const size_t at = random_.below(2 * snapshots_.size() + 1);
  if (at >= snapshots_.size()) return {};
  const HeldSnapshot& held = snapshots_[at];
  return {.options = {.snapshot = &held.snapshot}, .at = held.at, .since_ns = held.since_ns};
}

void History::check_value(const Lookup& found, const std::string& keyspace, std::string_view key,
                          const ReadPoint& point, bool with_value) {
  check(found.status(), "get");
  const std::optional<std::string_view> expected = model_.get(keyspace, key, point.at);
  const auto where = [&] {
    return " the key of " + abbreviated(key) + " in keyspace '" + keyspace + "'" +
           (point.at == Model::kNow ? "" : " at a snapshot");
  };
  if (found && !expected)
    throw Disagreement("found, and must not:" + where() + ": " + abbreviated(found.value()));
  if (!found && expected) throw Disagreement("not found:" + where());
  check(found.absent() == !expected, "absent()");
  if (expected && with_value && found.value() != *expected) {
    throw Disagreement("the value of" + where() + ": expected " + abbreviated(*expected) + ", found " +
                       abbreviated(found.value()));
  }
}

void History::get() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  const ReadPoint point = random_read_point();
  Lookup found = keyspace.get(key, point.options);
  check_value(found, name, key, point, true);
  if (!found || !random_.chance(0.02)) return;
  check(kept_.view() == kept_copy_, "a value changed while it was kept");
  kept_copy_ = found.value();
  kept_ = found.take();
}

void History::get_reused() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  const ReadPoint point = random_read_point();
  const Lookup found = keyspace.get(key, reused_, point.options);
  check_value(found, name, key, point, true);
  check(reused_.present() == static_cast<bool>(found), "present() of a reused Value");
}

void History::get_durable() {
  if (!everything_durable_) return;
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  check_value(keyspace.get(key, {.level = ReadLevel::durable}), name, key, {}, true);
}

void History::contains() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  const ReadPoint point = random_read_point();
  check_value(keyspace.contains(key, point.options), name, key, point, false);
}

void History::get_many() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const ReadPoint point = random_read_point();
  std::vector<std::string_view> keys(random_.chance(0.1) ? 200 : random_.below(20));
  for (std::string_view& key : keys) key = random_key();
  std::vector<Value> values(keys.size());
  check(keyspace.get_many(keys, values, point.options), "get_many");
  within_steps_ += keys.size();
  for (size_t i = 0; i < keys.size(); ++i) {
    check_value(values[i].present() ? Lookup(&values[i]) : Lookup(Status()), name, keys[i], point, true);
  }
  if (!keys.empty()) {
    check(keyspace.get_many(keys, {values.data(), values.size() - 1}).is(StatusCode::invalid_argument),
          "get_many with fewer values than keys");
  }
}

void History::scan() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const ReadPoint point = random_read_point();
  const std::string from = random_key();
  switch (random_.below(5)) {
    case 0:
      return check_scan(keyspace.scan(point.options), name, "", std::nullopt, point);
    case 1:
      return check_scan(keyspace.scan_from(from, point.options), name, from, std::nullopt, point);
    case 2: {
      const std::string prefix = from.substr(0, random_.below(from.size() + 1));
      return check_scan(keyspace.scan_prefix(prefix, point.options), name, prefix, end_of_prefix(prefix),
                        point);
    }
    default: {
      const std::string to = random_key();
      return check_scan(keyspace.scan(from, to, point.options), name, from, to, point);
    }
  }
}

// Walks [from, to) in either direction, with or without a limit.
void History::check_scan(Scan scan, const std::string& keyspace, const std::string& from,
                         const std::optional<std::string>& to, const ReadPoint& point) {
  const bool reverse = random_.chance(0.4);
  const uint64_t limit = random_.chance(0.9) ? random_.below(40) : UINT64_MAX;
  if (reverse) scan = std::move(scan).reverse();
  if (limit != UINT64_MAX) scan = std::move(scan).limit(limit);
  std::optional<ModelEntry> expected = reverse ? model_.last_to(keyspace, to, !to.has_value(), point.at)
                                               : model_.first_from(keyspace, from, true, point.at);
  const auto inside = [&](std::string_view key) { return key >= from && (!to || key < *to); };
  uint64_t left = limit;
  for (const Entry& entry : scan) {
    ++within_steps_;
    check(left-- > 0, "a scan went beyond its limit");
    check(expected && inside(expected->key), "a scan went beyond its end");
    check(entry.key() == expected->key, "the key of a scan");
    check(entry.value() == expected->value, "the value of a scan");
    expected = reverse ? model_.last_to(keyspace, entry.key(), false, point.at)
                       : model_.first_from(keyspace, entry.key(), false, point.at);
  }
  check(scan.status(), "scan");
  check(left == 0 || !expected || !inside(expected->key), "a scan ended early");
  check(!scan.advance(), "a scan that ended goes on");
}

void History::open_cursor() {
  if (cursors_.size() >= kCursorsMax) return close_cursor();
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const ReadPoint point = random_read_point();
  const Model::Moment at = point.at == Model::kNow ? model_.now() : point.at;
  model_.hold(at);
  const uint64_t since_ns = point.since_ns != 0 ? point.since_ns : env_.clock().monotonic_ns();
  cursors_.push_back({.cursor = keyspace.cursor(point.options),
                      .keyspace = name,
                      .at = at,
                      .since_ns = since_ns,
                      .position = {}});
  check(cursors_.back().cursor.status(), "cursor");
  check(!cursors_.back().cursor.valid(), "a cursor is valid before its first seek");
  move(cursors_.back());
}

void History::close_cursor() {
  if (cursors_.empty()) return;
  const size_t at = random_.below(cursors_.size());
  model_.release(cursors_[at].at);
  cursors_.erase(cursors_.begin() + static_cast<ptrdiff_t>(at));
}

void History::move_cursor() {
  if (cursors_.empty()) return open_cursor();
  move(cursors_[random_.below(cursors_.size())]);
}

void History::check_place(HeldCursor& held, const std::optional<ModelEntry>& expected,
                          std::string_view move) {
  const auto shown = [](std::string_view key) { return "the key of " + abbreviated(key); };
  check(held.cursor.status(), move);
  const std::string after =
      " after " + std::string(move) + " of a cursor in keyspace '" + held.keyspace + "'";
  if (held.cursor.valid() != expected.has_value()) {
    throw Disagreement((expected ? "expected " + shown(expected->key) + ", found the end"
                                 : "expected the end, found " + shown(held.cursor.key())) +
                       after);
  }
  held.position = std::nullopt;
  if (!expected) return;
  if (held.cursor.key() != expected->key) {
    throw Disagreement("expected " + shown(expected->key) + ", found " + shown(held.cursor.key()) + after);
  }
  check(held.cursor.value() == expected->value, "the value" + after);
  check(held.cursor.expiry_ms() == (expected->expiry_us + 999) / 1000, "the expiry" + after);
  held.position = expected->key;
}

// What the move may come to, in order: an entry that has expired by the earliest moment that the cursor may
// judge by is hidden, one that has not by the latest is shown. Of one between, the cursor tells its moment.
void History::check_cursor(HeldCursor& held, bool forward, const std::optional<std::string>& from,
                           bool inclusive, std::string_view move) {
  std::optional<std::string> at = from;
  for (;; inclusive = false) {
    const auto next = forward ? model_.first_from(held.keyspace, *at, inclusive, held.at, held.moment_min)
                              : model_.last_to(held.keyspace, at, inclusive || !at, held.at, held.moment_min);
    const uint64_t latest = held.moment_max == 0 ? model_.time() : held.moment_max;
    const bool sure = !next || next->expiry_us == 0 || next->expiry_us > latest;
    const bool shown = held.cursor.valid() && next && held.cursor.key() == next->key;
    if (sure || shown) {
      if (next && next->expiry_us != 0) held.moment_max = std::min(latest, next->expiry_us - 1);
      return check_place(held, next, move);
    }
    held.moment_min = std::max(held.moment_min, next->expiry_us);
    at = next->key;
  }
}

void History::move(HeldCursor& held) {
  if (random_.chance(0.05)) {
    Cursor moved = std::move(held.cursor);
    held.cursor = std::move(moved);
  }
  const uint64_t kind = random_.below(12);
  if (!held.position || kind < 4) {
    const std::string& key = random_key();
    held.moment_min = model_.time();
    held.moment_max = 0;
    switch (kind % 4) {
      case 0:
        held.cursor.seek_first();
        return check_cursor(held, true, "", true, "seek_first");
      case 1:
        held.cursor.seek_last();
        return check_cursor(held, false, std::nullopt, true, "seek_last");
      case 2:
        held.cursor.seek(key);
        return check_cursor(held, true, key, true, "seek");
      default:
        held.cursor.seek_for_prev(key);
        return check_cursor(held, false, key, true, "seek_for_prev");
    }
  }
  bool forward = random_.chance(0.5);
  for (uint64_t steps = 1 + random_.below(8); steps > 0 && held.position; --steps) {
    if (random_.chance(0.15)) forward = !forward;
    const std::string from = *held.position;
    ++within_steps_;
    forward ? held.cursor.next() : held.cursor.prev();
    check_cursor(held, forward, from, false, forward ? "next" : "prev");
  }
}

void History::take_snapshot() {
  if (snapshots_.size() >= kSnapshotsMax) return release_snapshot();
  const uint64_t since_ns = env_.clock().monotonic_ns();
  Result<Snapshot> taken = database_.snapshot();
  check(taken.status(), "snapshot");
  check(taken->valid(), "a snapshot is not valid");
  for (const HeldSnapshot& held : snapshots_) {
    check(held.snapshot.lsn() <= taken->lsn(), "a later snapshot has a lower position");
  }
  model_.hold(model_.now());
  snapshots_.push_back({*std::move(taken), model_.now(), since_ns});
}

// Is what `status` says of a reader of that age right, and was it given up?
bool History::given_up(const Status& status, uint64_t since_ns) {
  constexpr uint64_t kNanosPerMilli = 1'000'000;
  constexpr uint64_t kSlackMs = 1'000;
  const uint64_t age_ms = (env_.clock().monotonic_ns() - since_ns) / kNanosPerMilli;
  const bool given_up = status.is(StatusCode::snapshot_too_old);
  if (!given_up) check(status, "a read of a reader that may be old");
  const uint64_t limit_ms = options_.max_snapshot_age_ms;
  check(!given_up || (limit_ms != 0 && age_ms >= limit_ms), "a reader was given up too early");
  check(given_up || limit_ms == 0 || age_ms < limit_ms + kSlackMs, "a reader was not given up");
  work_.given_up += given_up ? 1 : 0;
  return given_up;
}

// Readers are given up only while time passes: then they are let go of here.
void History::part_with_old_readers() {
  std::erase_if(snapshots_, [this](const HeldSnapshot& held) {
    const Status status = database_.contains(random_key(), {.snapshot = &held.snapshot}).status();
    if (!given_up(status, held.since_ns)) return false;
    model_.release(held.at);
    return true;
  });
  std::erase_if(cursors_, [this](HeldCursor& held) {
    const std::optional<std::string> from = held.position;
    if (from) {
      check(held.cursor.valid() && held.cursor.key() == *from, "a cursor moved while it stood still");
      held.cursor.next();
    } else {
      held.moment_min = model_.time();
      held.moment_max = 0;
      held.cursor.seek_first();
    }
    if (!given_up(held.cursor.status(), held.since_ns)) {
      check_cursor(held, true, from ? *from : "", !from, "a step after a rest");
      return false;
    }
    check(!held.cursor.valid(), "a cursor that was given up is valid");
    model_.release(held.at);
    return true;
  });
  list_readers();
}

void History::list_readers() {
  Result<std::vector<Reader>> readers = database_.readers();
  check(readers.status(), "readers");
  check(readers->size() == snapshots_.size() + cursors_.size() + moments_, "the number of readers");
  for (const Reader& reader : *readers) {
    check(!reader.too_old || reader.kind == ReaderKind::transaction, "a reader was given up and is there");
    check(reader.age_ms <= readers->front().age_ms, "the order of readers");
  }
}

void History::list_keyspaces() {
  Result<std::vector<std::string>> names = database_.keyspaces();
  check(names.status(), "keyspaces");
  check(*names == model_.keyspaces(), "the names of the keyspaces");
}

void History::release_snapshot() {
  if (snapshots_.empty()) return;
  const size_t at = random_.below(snapshots_.size());
  snapshots_[at].snapshot.release();
  check(!snapshots_[at].snapshot.valid(), "a released snapshot is valid");
  check(!database_.get("k", {.snapshot = &snapshots_[at].snapshot}).status().ok(),
        "a get at a released snapshot");
  model_.release(snapshots_[at].at);
  snapshots_.erase(snapshots_.begin() + static_cast<ptrdiff_t>(at));
}

void History::stats() {
  Result<Stats> stats = database_.stats();
  check(stats.status(), "stats");
  check(stats->keyspaces == model_.keyspaces().size() + 1, "Stats::keyspaces");
  check(stats->durable_lsn <= stats->published_lsn, "what is durable lies beyond what is published");
  check(stats->snapshots == snapshots_.size() + cursors_.size(), "Stats::snapshots");
  list_readers();
  check(stats->unknown_files.empty(), "unknown files in the directory");
  uint64_t runs = 0;
  for (const Stats::Level& level : stats->levels) {
    work_.levels.insert(level.number);
    runs += level.runs;
  }
  check(runs == stats->sorted_runs, "Stats::levels");
  const Result<std::string> metrics = database_.metrics_text();
  check(metrics.status(), "metrics_text");
  const std::string commits = "\nlightning_commits_total " + std::to_string(stats->commits) + "\n";
  check(metrics->find(commits) != std::string::npos, "metrics_text() counts other commits than stats()");
}

void History::approximate_size() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  std::string from = random_key();
  std::string to = random_key();
  if (to < from) std::swap(from, to);
  Result<uint64_t> part = keyspace.approximate_size(from, to);
  Result<uint64_t> whole = keyspace.approximate_size("", std::string(kKeyBytesMax, '\xff'));
  check(part.status(), "approximate_size");
  check(whole.status(), "approximate_size");
  check(*part <= *whole, "a part of the keyspace is larger than the whole");
  Result<uint64_t> none = keyspace.approximate_size(to, from);
  check(none.status(), "approximate_size");
  check(*none == 0, "the size of an empty range");
}

void History::check_indexes(const Keyspace& keyspace, const ReadPoint& point) {
  Status status;
  const std::string said = index_disagreement(keyspace, point.options, &status);
  check(status, "a read by index");
  check(said.empty(), "an index and its rows: " + said);
}

void History::change_indexes() {
  if (!indexes_) return;
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  everything_durable_ = false;
  const bool there = indexed_.contains(name);
  if (there && random_.chance(0.6)) return;
  for (const IndexDefinition& definition : {agreement_by_head(), agreement_by_key()}) {
    if (there) {
      check(keyspace.drop_index(definition.name), "drop_index");
      check(keyspace.index(definition.name).all().status().is(StatusCode::not_found),
            "an index that was dropped");
    } else {
      check(keyspace.create_index(definition), "create_index");
      check(keyspace.create_index(definition).is(StatusCode::already_exists), "an index twice");
      check(keyspace.wait_for_index(definition.name), "wait_for_index");
    }
  }
  there ? (void)indexed_.erase(name) : (void)indexed_.insert(name);
  check_indexes(keyspace, {});
}

void History::read_indexes() {
  if (indexed_.empty()) return;
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  if (!indexed_.contains(name)) return;
  check_indexes(keyspace, random_read_point());
  const std::string& key = random_key();
  std::string primary;
  const Lookup found = keyspace.index("by_key").get(KeyWriter().text(key).view(), {}, &primary);
  check_value(found, name, key, {}, true);
  check(!found || primary == key, "the key that a unique index finds");
}

}  // namespace lightning
