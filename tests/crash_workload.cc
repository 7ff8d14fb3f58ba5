#include "tests/crash_workload.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "api/open_in.h"
#include "testing/allocation_truce.h"
#include "tests/crash_check.h"
#include "tests/entries_source.h"
#include "tests/index_agreement.h"
#include "tests/order_rules.h"
#include "view/state_store.h"

namespace lightning {

namespace {

constexpr size_t kLongBytes = 100;                 // of a bound that no string keeps without an allocation
constexpr uint64_t kFarTtlMs = 1'000'000'000'000;  // longer than any test
constexpr uint64_t kTimeoutMs = 1000;              // of a write that waits for space, memory or a lock
constexpr char kGid[] = "prepared";

constexpr std::array kStepNames = {"put_power", "put_process",  "remove",        "batch",  "keyspace",
                                   "sync",      "flush",        "compact",       "reopen", "put_oversize",
                                   "burst",     "idle",         "read",          "levels", "copy",
                                   "ingest",    "remove_range", "compact_range", "index"};
static_assert(kStepNames.size() == kCrashSteps);

std::string name_of(CrashStep step) { return kStepNames[static_cast<size_t>(step)]; }

// What a refused call may answer without having done anything.
bool says_nothing_was_done(const Status& status) {
  return !status.ok() && !status.is(StatusCode::unknown_outcome);
}

/// A call of the database, whose memory alone may be refused.
template <typename Fn>
auto ask(Fn&& fn) {
  const AllocationRisk risk;
  return fn();
}

Status write_all(Transaction& tx, const std::vector<ModelWrite>& writes, const Keyspace& second, bool locks) {
  for (const ModelWrite& one : writes) {
    Status status;
    if (locks) status = one.keyspace.empty() ? tx.lock(one.key) : tx.in(second).lock(one.key);
    if (!status.ok()) return status;
    if (!one.keyspace.empty()) {
      status = tx.in(second).put(one.key, *one.value);
    } else if (one.to) {
      status = tx.remove_range(one.key, *one.to);
    } else {
      status = one.value ? tx.put(one.key, *one.value) : tx.remove(one.key);
    }
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

std::string contents(Database& database) {
  std::string text;
  uint64_t shown = 0;
  Status status = for_each(database.scan(), [&](std::string_view key, std::string_view value) {
    if (++shown <= 20) text.append("\n  ").append(key).append(" = ").append(abbreviated(value));
  });
  if (!status.ok()) text.append("\n  ").append(status.to_string());
  return text;
}

std::string describe(const std::vector<CrashStep>& steps) {
  std::string text;
  for (const CrashStep step : steps) text.append(text.empty() ? "" : " ").append(name_of(step));
  return text;
}

std::vector<CrashStep> short_life(uint64_t seed) {
  Random random(seed);
  std::vector<CrashStep> steps(3 + random.below(6));
  for (CrashStep& step : steps) {
    const uint64_t kinds = random.chance(0.75) ? kSmallCrashSteps : kCrashSteps;
    step = static_cast<CrashStep>(random.below(kinds));
  }
  return steps;
}

Options CrashWorkload::options() const {
  Options options = usual_options();
  if (compresses_) options.compression = Compression::lz4;
  if (compresses_) options.max_garbage_age_ms = 1000;
  options.page_source = page_source_;
  return options;
}

Options CrashWorkload::usual_options() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.flush_interval_ms = 1000;
  options.memory_limit = 8 * MiB;  // each opening makes the frames of its page cache
  return options;
}

CrashWorkload::CrashWorkload(SimEnv& env, uint64_t seed, bool keep_moments)
    : env_(env),
      sim_(&env),
      directory_(kCrashDirectory),
      keep_moments_(keep_moments),
      compresses_(seed % 2 == 0),
      page_source_(seed % 4 >= 2 ? PageSource::pooled : PageSource::automatic),
      random_(seed) {
  if (keep_moments) env.watch([this](const SimStep& step) { look(step); });
}

CrashWorkload::CrashWorkload(Env& env, std::string directory, uint64_t seed)
    : env_(env),
      sim_(nullptr),
      directory_(std::move(directory)),
      keep_moments_(false),
      compresses_(seed % 2 == 0),
      page_source_(seed % 4 >= 2 ? PageSource::pooled : PageSource::automatic),
      random_(seed) {}

CrashWorkload::~CrashWorkload() {
  if (sim_ != nullptr) sim_->watch(nullptr);
}

void CrashWorkload::look(const SimStep& step) {
  if (!sim_->disk_changed()) return;
  moments_.push_back({sim_->disk().kill_image(), allowed(),
                      "step " + std::to_string(step_) + " (" + step_name_ + "), before " +
                          std::string(step.what) + " " + std::string(step.name)});
}

AllowedStates CrashWorkload::allowed() const {
  return {{states_.begin() + static_cast<ptrdiff_t>(durable_), states_.end()},
          {states_.begin() + static_cast<ptrdiff_t>(acknowledged_), states_.end()}};
}

std::string CrashWorkload::note(const Status& status) {
  if (status.ok()) return {};
  failed_ = true;
  if (status.is(StatusCode::busy) && !model_.prepared().empty()) return {};  // its locks
  if (!permitted_ || std::ranges::find(*permitted_, status.code()) != permitted_->end()) return {};
  if (!open_ && status.is(StatusCode::closed)) return {};
  return "an answer that no fault explains: " + status.to_string();
}

void CrashWorkload::open() {
  Result<Database> opened =
      ask([&] { return open_in(env_, directory_, options(), OpenKind::open_or_create, kCrashLargeBytes); });
  open_ = opened.ok();
  if (open_) database_ = *std::move(opened);
  opened_ = opened.status();
}

std::string CrashWorkload::run(const std::vector<CrashStep>& steps) {
  step_name_ = "open";
  open();
  if (!open_) return note(opened_);
  return go_on(steps);
}

std::string CrashWorkload::go_on(const std::vector<CrashStep>& steps) {
  if (!open_) return {};
  for (const CrashStep step : steps) {
    ++step_;
    step_name_ = name_of(step);
    std::string said = make(step);
    if (said.empty() && failed_ && open_) said = check_visible();
    if (!said.empty()) return "step " + std::to_string(step_) + " (" + step_name_ + "): " + said;
    if (!open_) break;
    // Stores into a mapping are no calls: the moment after the step.
    if (keep_moments_) look({.number = 0, .what = "the next step", .name = ""});
  }
  step_name_ = "end";
  return {};
}

// An error may be answered, a wrong state may not.
std::string CrashWorkload::check_visible() {
  Status status;
  const std::string said = index_disagreement(database_, {}, &status);
  if (!said.empty()) return "an index and its rows: " + said;
  if (!status.ok()) return note(status);
  const Result<uint64_t> found = ask([&] { return digest_of(database_); });
  if (!found) return note(found.status());
  if (*found == model_.digest()) return {};
  return "after an error the visible state is not what the API promises:" + contents(database_);
}

std::string CrashWorkload::value(uint64_t size) {
  std::string bytes = std::to_string(random_.next());
  while (bytes.size() < size) bytes.append(bytes, 0, size - bytes.size());
  bytes.resize(size);
  return bytes;
}

std::string CrashWorkload::commit(Durability durability, const std::function<void(Model&)>& model,
                                  const std::function<Status()>& database) {
  Model before = model_;
  model(model_);
  states_.push_back(model_.digest());
  const Status status = ask(database);
  if (status.ok()) {
    acknowledged_ = states_.size() - 1;
    if (durability == Durability::power) durable_ = acknowledged_;
    return {};
  }
  if (says_nothing_was_done(status)) {
    model_ = std::move(before);
    states_.pop_back();
  }
  return note(status);
}

std::string CrashWorkload::put(const std::string& key, const std::string& value, Durability durability) {
  const uint64_t ttl_ms = random_.chance(0.25) ? kFarTtlMs : 0;
  return commit(
      durability, [&](Model& model) { model.put("", key, value); },
      [&] {
        return database_.put(key, value,
                             {.durability = durability, .timeout_ms = kTimeoutMs, .ttl_ms = ttl_ms});
      });
}

std::string CrashWorkload::batch() {
  const bool both = model_.has_keyspace(kCrashKeyspace);
  std::vector<ModelWrite> writes = {{"", "a", value(10)},
                                    {"", "b", std::nullopt},
                                    {"", "c", value(700)},
                                    {.keyspace = "", .key = "c", .value = {}, .to = "e"},
                                    {"", "c", value(20)}};
  if (both) writes.push_back({kCrashKeyspace, "a", value(30)});
  Keyspace second;
  if (both) {
    Result<Keyspace> found = ask([&] { return database_.keyspace(kCrashKeyspace, false); });
    if (!found) return note(found.status());
    second = *std::move(found);
  }
  if (random_.chance(0.5)) {
    const bool prepares = model_.prepared().empty() && random_.chance(0.4);
    return prepares ? two_phases(writes, second) : transact(writes, second);
  }
  WriteBatch batch;
  for (const ModelWrite& one : writes) {
    if (!one.keyspace.empty()) {
      batch.put(second, one.key, *one.value);
    } else if (one.to) {
      batch.remove_range(one.key, *one.to);
    } else if (one.value) {
      batch.put(one.key, *one.value);
    } else {
      batch.remove(one.key);
    }
  }
  const Durability durability = random_.chance(0.5) ? Durability::power : Durability::process;
  const uint64_t ttl_ms = random_.chance(0.25) ? kFarTtlMs : 0;
  return commit(
      durability, [&](Model& model) { model.write(writes); },
      [&] {
        return database_.write(batch, {.durability = durability, .timeout_ms = kTimeoutMs, .ttl_ms = ttl_ms});
      });
}

// The same writes as a transaction in two phases, something between them.
std::string CrashWorkload::two_phases(const std::vector<ModelWrite>& writes, const Keyspace& second) {
  const Durability durability = random_.chance(0.5) ? Durability::power : Durability::process;
  const bool serializable = random_.chance(0.5);
  const TransactionOptions options{.isolation = serializable ? Isolation::serializable : Isolation::snapshot,
                                   .timeout_ms = kTimeoutMs,
                                   .read_only = false,
                                   .durability = durability};
  std::string said = commit(
      durability, [&](Model& model) { model.prepare(kGid); },
      [&] {
        Transaction tx = database_.begin(options);
        if (Status status = write_all(tx, writes, second, random_.chance(0.3)); !status.ok()) return status;
        return tx.prepare(kGid);
      });
  if (!said.empty() || !model_.prepared().contains(kGid)) return said;
  const uint64_t between = random_.below(4);
  if (between == 0) said = note(ask([&] { return database_.flush(); }));
  if (between == 1) said = reopen();
  if (between == 2) {
    const Status blocked = ask([&] { return database_.put("a", "", {.timeout_ms = 10}); });
    if (blocked.ok()) return "a write passed the lock of a prepared transaction";
    if (!blocked.is(StatusCode::busy)) said = note(blocked);
  }
  if (!said.empty() || !open_) return said;
  return resolve(random_.chance(0.7), writes);
}

std::string CrashWorkload::resolve(bool commits, const std::vector<ModelWrite>& writes) {
  const Durability durability = random_.chance(0.5) ? Durability::power : Durability::process;
  const WriteOptions options{.durability = durability, .timeout_ms = kTimeoutMs, .ttl_ms = 0};
  return commit(
      durability,
      [&](Model& model) {
        if (commits) model.write(writes);
        model.resolve(kGid);
      },
      [&] {
        return commits ? database_.commit_prepared(kGid, options) : database_.abort_prepared(kGid, options);
      });
}

// The same writes as a transaction, behind reads that its level validates, or locks; one that fails, first.
std::string CrashWorkload::transact(const std::vector<ModelWrite>& writes, const Keyspace& second) {
  constexpr std::array kLevels = {Isolation::read_committed, Isolation::repeatable_read, Isolation::snapshot,
                                  Isolation::serializable};
  const Durability durability = random_.chance(0.5) ? Durability::power : Durability::process;
  const TransactionOptions options{.isolation = kLevels[random_.below(4)],
                                   .timeout_ms = kTimeoutMs,
                                   .read_only = false,
                                   .durability = durability};
  const bool may_lock = random_.chance(0.5);
  const auto read_and_write = [&](Transaction& tx, bool locks) -> Status {
    if (Status status = (locks ? tx.get_for_update("a") : tx.get("a")).status(); !status.ok()) return status;
    Scan scan = tx.scan("b", "d");
    while (scan.advance()) continue;
    if (Status status = scan.status(); !status.ok()) return status;
    return write_all(tx, writes, second, locks);
  };
  std::string said;
  if (options.isolation == Isolation::serializable && !failed_) {
    Transaction late = ask([&] { return database_.begin(options); });
    const Status ready = ask([&] { return read_and_write(late, false); });
    if (said = note(ready); !said.empty()) return said;
    if (said = put("c", value(30), Durability::process); !said.empty()) return said;
    if (!failed_) {
      const Status status = ask([&] { return late.commit(); });
      if (status.ok()) return "a commit that came too late";
      if (said = status.is(StatusCode::conflict) ? std::string() : note(status); !said.empty()) return said;
    }
  }
  return commit(
      durability, [&](Model& model) { model.write(writes); },
      [&] {
        Transaction tx = database_.begin(options);
        if (Status status = read_and_write(tx, may_lock); !status.ok()) return status;
        return tx.commit();
      });
}

std::string CrashWorkload::remove_range() {
  const std::string from(1, random_.chance(0.3) ? ' ' : static_cast<char>('a' + random_.below(5)));
  const std::string to(1, random_.chance(0.3) ? '~' : static_cast<char>(from[0] + 1 + random_.below(3)));
  const Durability durability = random_.chance(0.5) ? Durability::power : Durability::process;
  return commit(
      durability, [&](Model& model) { model.remove_range("", from, to); },
      [&] { return database_.remove_range(from, to, {.durability = durability, .timeout_ms = kTimeoutMs}); });
}

std::string CrashWorkload::compact_range(const std::string& from) {
  const std::string to = from + static_cast<char>('0' + random_.below(9));
  const CompactOptions options{.wait = random_.chance(0.6)};
  const auto end = random_.chance(0.7) ? std::optional<std::string_view>(to) : std::nullopt;
  const Status status = ask([&] { return database_.compact_range(from, end, options); });
  if (status.ok() && options.wait) note_all_durable();
  return note(status);
}

std::string CrashWorkload::keyspace() {
  if (model_.has_keyspace(kCrashKeyspace)) {
    return commit(
        Durability::power, [](Model& model) { model.drop_keyspace(kCrashKeyspace); },
        [this] { return database_.drop_keyspace(kCrashKeyspace); });
  }
  return commit(
      Durability::power, [](Model& model) { model.create_keyspace(kCrashKeyspace); },
      [this] { return database_.keyspace(kCrashKeyspace).status(); });
}

void CrashWorkload::note_all_durable() { durable_ = acknowledged_ = states_.size() - 1; }

std::string CrashWorkload::reopen() {
  snapshot_ = {};
  const Status closed = ask([&] { return database_.close(); });
  if (closed.ok()) note_all_durable();
  if (std::string said = note(closed); !said.empty()) return said;
  open();
  if (!open_) return note(opened_);
  return take_opened();
}

// An error may have cost what was not acknowledged as durable: from here on the state is what the open found.
std::string CrashWorkload::take_opened() {
  const Result<uint64_t> found = ask([&] { return digest_of(database_); });
  if (!found) {
    open_ = false;  // which state it is stays unknown: the life ends here
    return note(found.status());
  }
  if (std::find(states_.begin() + static_cast<ptrdiff_t>(durable_), states_.end(), *found) == states_.end()) {
    return "reopened in a state that never was:" + contents(database_);
  }
  if (*found == model_.digest()) {
    note_all_durable();
    return {};
  }
  if (!failed_) return "reopened in an older state:" + contents(database_);
  open_ = false;  // the model cannot follow
  states_.assign(1, *found);
  durable_ = acknowledged_ = 0;
  return {};
}

std::string CrashWorkload::recover() {
  snapshot_ = {};
  (void)database_.close().ok();
  return check_opening(env_, directory_, allowed().kill, [](const std::vector<uint64_t>&) {});
}

std::string CrashWorkload::read() {
  std::string said = read_keys();
  if (said.empty()) said = read_snapshot();
  if (!said.empty()) return said;
  const Result<std::vector<std::string>> names = ask([&] { return database_.keyspaces(); });
  if (names && *names != model_.keyspaces()) return "the names of the keyspaces";
  // A build that is under way has one now and then.
  const Result<std::vector<IndexInfo>> indexes = ask([&] { return database_.indexes(); });
  const bool building = !indexes || std::any_of(indexes->begin(), indexes->end(), [](const IndexInfo& info) {
    return info.state == IndexState::building;
  });
  const Result<std::string> metrics = ask([&] { return database_.metrics_text(); });
  const std::string_view readers = snapshot_.valid() ? "\nlightning_readers 1\n" : "\nlightning_readers 0\n";
  if (metrics && !building && metrics->find(readers) == std::string::npos)
    return "a snapshot that nobody holds";
  std::string first(kLongBytes, ' ');
  std::string last(kLongBytes, '~');
  uint64_t entries = 0;
  const Status scanned = ask([&] {
    return for_each(database_.scan(first, last), [&](std::string_view, std::string_view) { ++entries; });
  });
  if (scanned.ok() && entries != model_.size("")) return "a scan between long keys";
  const Result<uint64_t> size = ask([&] { return database_.approximate_size("a", "c"); });
  for (const Status& status : {names.status(), indexes.status(), metrics.status(), scanned, size.status()}) {
    if (said = note(status); !said.empty()) return said;
  }
  return check_visible();
}

std::string CrashWorkload::read_keys() {
  constexpr std::array<std::string_view, 5> kKeys = {"a", "b", "c", "d", "e"};
  for (const std::string_view key : kKeys) {
    const Lookup found = ask([&] { return database_.get(key); });
    const auto expected = model_.get("", key);
    if (std::string said = note(found.status()); !said.empty()) return said;
    if (found.status().ok() && (expected.has_value() != bool(found) || (found && found.value() != *expected)))
      return "get of " + std::string(key);
  }
  std::array<Value, kKeys.size()> values;
  const Status many = ask([&] { return database_.get_many(kKeys, values); });
  for (size_t i = 0; many.ok() && i < kKeys.size(); ++i) {
    const auto expected = model_.get("", kKeys[i]);
    if (expected.has_value() != values[i].present() || (expected && values[i].view() != *expected))
      return "get_many of " + std::string(kKeys[i]);
  }
  return note(many);
}

std::string CrashWorkload::read_snapshot() {
  const auto digest_at = [](std::string_view key, std::string_view value) {
    return Model::digest_of_entry("", key, value);
  };
  if (!snapshot_.valid()) {
    Result<Snapshot> taken = ask([&] { return database_.snapshot(); });
    if (!taken) return note(taken.status());
    snapshot_ = *std::move(taken);
    snapshot_digest_ = 0;
    for (auto entry = model_.first_from("", "", true); entry;
         entry = model_.first_from("", entry->key, false))
      snapshot_digest_ += digest_at(entry->key, entry->value);
    return {};
  }
  uint64_t digest = 0;
  const Status status = ask([&] {
    return for_each(database_.scan({.snapshot = &snapshot_}).reverse(),
                    [&](std::string_view key, std::string_view value) {
                      const AllocationTruce truce;
                      digest += digest_at(key, value);
                    });
  });
  snapshot_ = {};
  if (status.ok() && digest != snapshot_digest_) return "a snapshot changed";
  return note(status);
}

// The first run overlaps nothing and moves; four more are merged, and drained where little is below.
std::string CrashWorkload::levels() {
  for (int run = 0; run < 6; ++run) {
    for (int i = 0; i < 5; ++i) {
      const std::string key = (run == 0 ? "z" : "m") + std::to_string(run < 2 ? i : random_.below(8));
      if (std::string said = put(key, value(4000), Durability::process); !said.empty()) return said;
    }
    if (std::string said = note(ask([&] { return database_.flush(); })); !said.empty()) return said;
    if (sim_ != nullptr) sim_->sleep(50'000'000);
  }
  if (const Result<Stats> stats = ask([&] { return database_.stats(); })) {
    moves_ += stats->moves;
    merges_ += stats->merges;
  }
  return {};
}

std::string CrashWorkload::copy() {
  const std::string into = directory_ + "/copy" + std::to_string(copies_++);
  const bool link = random_.chance(0.5);
  const Result<CopyReport> made =
      ask([&] { return link ? database_.checkpoint(into) : database_.backup(into); });
  if (!made) return note(made.status());
  note_all_durable();
  Result<Database> opened = ask([&] { return open_in(env_, into, options(), OpenKind::open); });
  if (!opened) return note(opened.status());
  const Result<uint64_t> found = ask([&] { return digest_of(*opened); });
  if (!found) return note(found.status());
  if (*found != model_.digest()) return "a copy holds something else:" + contents(*opened);
  return note(ask([&] { return opened->close(); }));
}

std::string CrashWorkload::ingest() {
  std::map<std::string, std::string> entries = {
      {"a", value(20)}, {"b" + std::to_string(random_.below(3)), value(1500)}, {"d", value(10)}};
  for (int i = 0; i < 20; ++i) entries["n" + std::to_string(random_.below(100))] = value(100);
  EntriesSource source({entries.begin(), entries.end()});
  std::vector<ModelWrite> writes;
  for (const auto& [key, value] : entries) writes.push_back({"", key, value});
  return commit(
      Durability::power, [&](Model& model) { model.write(writes); },
      [&] { return database_.ingest(source).status(); });
}

// Two, of all rows; built by the background, or here.
std::string CrashWorkload::index() {
  const Result<std::vector<IndexInfo>> infos = ask([&] { return database_.indexes(); });
  if (!infos) return note(infos.status());
  for (const IndexDefinition& definition : {agreement_by_head(), agreement_by_key()}) {
    const bool there = std::any_of(infos->begin(), infos->end(), [&](const IndexInfo& info) {
      return info.definition.name == definition.name;
    });
    Status status = ask(
        [&] { return there ? database_.drop_index(definition.name) : database_.create_index(definition); });
    if (std::string said = note(status); !said.empty()) return said;
    if (there || !status.ok() || random_.chance(0.5)) continue;
    status = ask([&] { return database_.wait_for_index(definition.name); });
    if (std::string said = note(status); !said.empty()) return said;
  }
  return {};
}

std::string CrashWorkload::make(CrashStep step) {
  // One whose resolution failed would stand in the way of others for as long as they may wait.
  if (!model_.prepared().empty()) {
    if (std::string said = resolve(false, {}); !said.empty()) return said;
    // Whatever writes would wait for its locks, up to a minute.
    if (!model_.prepared().empty() && step != CrashStep::reopen) return {};
  }
  const std::string key(1, static_cast<char>('a' + random_.below(4)));
  const auto expect = [this](const Status& status) {
    if (status.ok()) note_all_durable();
    return note(status);
  };
  switch (step) {
    case CrashStep::put_power:
      return put(key, value(30), Durability::power);
    case CrashStep::put_process:
      return put(key, value(random_.chance(0.2) ? 3000 : 40), Durability::process);
    case CrashStep::remove:
      return commit(
          Durability::process, [&](Model& model) { model.remove("", key); },
          [&] {
            return database_.remove(key, {.durability = Durability::process, .timeout_ms = kTimeoutMs});
          });
    case CrashStep::batch:
      return batch();
    case CrashStep::remove_range:
      return remove_range();
    case CrashStep::compact_range:
      return compact_range(key);
    case CrashStep::index:
      return index();
    case CrashStep::keyspace:
      return keyspace();
    case CrashStep::sync:
      return expect(ask([&] { return database_.sync(); }));
    case CrashStep::flush:
    case CrashStep::compact:
      return expect(ask([&] { return step == CrashStep::flush ? database_.flush() : database_.compact(); }));
    case CrashStep::reopen:
      return reopen();
    case CrashStep::put_oversize:
      return put(key, value(100'000), random_.chance(0.5) ? Durability::power : Durability::process);
    case CrashStep::burst:
      for (int i = 0; i < 40; ++i) {
        const std::string other = key + std::to_string(random_.below(10));
        if (std::string said = put(other, value(4000), Durability::process); !said.empty()) return said;
      }
      return {};
    case CrashStep::idle:
      if (sim_ != nullptr) sim_->sleep(300'000'000);
      return {};
    case CrashStep::read:
      return read();
    case CrashStep::levels:
      return levels();
    case CrashStep::copy:
      return copy();
    case CrashStep::ingest:
      return ingest();
  }
  return {};
}

}  // namespace lightning
