#include "tests/crash_workload.h"

#include <algorithm>
#include <array>
#include <set>

#include "api/open_in.h"
#include "tests/order_rules.h"
#include "view/state_store.h"

namespace lightning {

namespace {

constexpr char kDirectory[] = "db";
constexpr uint64_t kNestedImagesMax = 6;    // of one moment of a recovery
constexpr uint64_t kNestedMomentsMax = 60;  // of one recovery, merges of its background work included
constexpr uint64_t kOrderEvery = 8;         // so many images, the order of one recovery is checked

constexpr std::array kStepNames = {"put_power", "put_process", "remove",  "batch",  "keyspace",
                                   "sync",      "flush",       "compact", "reopen", "put_oversize",
                                   "burst",     "idle",        "levels"};
static_assert(kStepNames.size() == kCrashSteps);

std::string name_of(CrashStep step) { return kStepNames[static_cast<size_t>(step)]; }

// What a refused call may answer without having done anything.
bool says_nothing_was_done(const Status& status) {
  return !status.ok() && !status.is(StatusCode::unknown_outcome);
}

std::string contents(Database& database) {
  std::string text;
  uint64_t shown = 0;
  Status status = for_each(database.scan(), [&](std::string_view key, std::string_view value) {
    if (++shown <= 20) text.append("\n  ").append(key).append(" = ").append(abbreviated(value));
  });
  if (!status.ok()) text.append("\n  ").append(status.to_string());
  return text;
}

}  // namespace

std::string describe(const std::vector<CrashStep>& steps) {
  std::string text;
  for (const CrashStep step : steps) text.append(text.empty() ? "" : " ").append(name_of(step));
  return text;
}

Options CrashWorkload::options() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.flush_interval_ms = 1000;
  return options;
}

CrashWorkload::CrashWorkload(SimEnv& env, uint64_t seed, bool keep_moments)
    : env_(env), keep_moments_(keep_moments), random_(seed) {
  if (keep_moments) env_.watch([this](const SimStep& step) { look(step); });
}

CrashWorkload::~CrashWorkload() { env_.watch(nullptr); }

void CrashWorkload::look(const SimStep& step) {
  if (!env_.disk_changed()) return;
  moments_.push_back({env_.disk().kill_image(), allowed(),
                      "step " + std::to_string(step_) + " (" + step_name_ + "), before " +
                          std::string(step.what) + " " + std::string(step.name)});
}

AllowedStates CrashWorkload::allowed() const {
  return {{states_.begin() + static_cast<ptrdiff_t>(durable_), states_.end()},
          {states_.begin() + static_cast<ptrdiff_t>(acknowledged_), states_.end()}};
}

Status CrashWorkload::open() {
  Result<Database> opened = open_in(env_, kDirectory, options(), OpenKind::open_or_create);
  if (!opened) return opened.status();
  database_ = *std::move(opened);
  return {};
}

std::string CrashWorkload::run(const std::vector<CrashStep>& steps) {
  step_name_ = "open";
  if (Status status = open(); !status.ok()) {
    failed_ = true;
    return {};
  }
  for (const CrashStep step : steps) {
    ++step_;
    step_name_ = name_of(step);
    std::string said = make(step);
    if (said.empty() && failed_ && !ended_) said = check_visible();
    if (!said.empty()) return "step " + std::to_string(step_) + " (" + step_name_ + "): " + said;
    if (ended_) break;
    // Stores into a mapping are no calls: the moment after the step.
    if (keep_moments_) look({.number = 0, .what = "the next step", .name = ""});
  }
  step_name_ = "end";
  return {};
}

// An error may be answered, a wrong state may not.
std::string CrashWorkload::check_visible() {
  const Result<uint64_t> found = digest_of(database_);
  if (!found || *found == model_.digest()) return {};
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
  const Status status = database();
  if (status.ok()) {
    acknowledged_ = states_.size() - 1;
    if (durability == Durability::power) durable_ = acknowledged_;
    return {};
  }
  failed_ = true;
  if (says_nothing_was_done(status)) {
    model_ = std::move(before);
    states_.pop_back();
  }
  return {};
}

std::string CrashWorkload::put(const std::string& key, const std::string& value, Durability durability) {
  return commit(
      durability, [&](Model& model) { model.put("", key, value); },
      [&] { return database_.put(key, value, {.durability = durability}); });
}

std::string CrashWorkload::batch() {
  const bool both = model_.has_keyspace(kCrashKeyspace);
  std::vector<ModelWrite> writes = {
      {"", "a", value(10)}, {"", "b", std::nullopt}, {"", "c", value(700)}, {"", "c", value(20)}};
  if (both) writes.push_back({kCrashKeyspace, "a", value(30)});
  Keyspace second;
  if (both) {
    Result<Keyspace> found = database_.keyspace(kCrashKeyspace, false);
    if (!found) return failed_ ? "" : "keyspace: " + found.status().to_string();
    second = *std::move(found);
  }
  WriteBatch batch;
  for (const ModelWrite& one : writes) {
    if (!one.keyspace.empty()) {
      batch.put(second, one.key, *one.value);
    } else if (one.value) {
      batch.put(one.key, *one.value);
    } else {
      batch.remove(one.key);
    }
  }
  const Durability durability = random_.chance(0.5) ? Durability::power : Durability::process;
  return commit(
      durability, [&](Model& model) { model.write(writes); },
      [&] { return database_.write(batch, {.durability = durability}); });
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
  if (database_.close().ok()) {
    note_all_durable();
  } else {
    failed_ = true;
  }
  if (Status status = open(); !status.ok()) {
    failed_ = true;
    return {};
  }
  // An error may have cost what was not acknowledged: from here on the state is what the open found.
  Result<uint64_t> found = digest_of(database_);
  if (!found) return failed_ ? "" : "scan after reopening: " + found.status().to_string();
  if (std::find(states_.begin() + static_cast<ptrdiff_t>(durable_), states_.end(), *found) == states_.end()) {
    return "reopened in a state that never was:" + contents(database_);
  }
  if (*found != model_.digest()) {
    if (!failed_) return "reopened in an older state:" + contents(database_);
    ended_ = true;
    return {};
  }
  note_all_durable();
  return {};
}

// The first run overlaps nothing and moves; four more are merged, and drained where little is below.
std::string CrashWorkload::levels() {
  for (int run = 0; run < 6; ++run) {
    for (int i = 0; i < 5; ++i) {
      const std::string key = (run == 0 ? "z" : "m") + std::to_string(run < 2 ? i : random_.below(8));
      if (std::string said = put(key, value(4000), Durability::process); !said.empty()) return said;
    }
    if (!database_.flush().ok()) failed_ = true;
    env_.sleep(50'000'000);
  }
  if (const Result<Stats> stats = database_.stats()) {
    moves_ += stats->moves;
    merges_ += stats->merges;
  }
  return {};
}

std::string CrashWorkload::make(CrashStep step) {
  const std::string key(1, static_cast<char>('a' + random_.below(4)));
  const auto expect = [this](const Status& status) -> std::string {
    if (status.ok()) {
      note_all_durable();
    } else {
      failed_ = true;
    }
    return {};
  };
  switch (step) {
    case CrashStep::put_power:
      return put(key, value(30), Durability::power);
    case CrashStep::put_process:
      return put(key, value(random_.chance(0.2) ? 3000 : 40), Durability::process);
    case CrashStep::remove: {
      return commit(
          Durability::process, [&](Model& model) { model.remove("", key); },
          [&] { return database_.remove(key, {.durability = Durability::process}); });
    }
    case CrashStep::batch:
      return batch();
    case CrashStep::keyspace:
      return keyspace();
    case CrashStep::sync:
      return expect(database_.sync());
    case CrashStep::flush:
      return expect(database_.flush());
    case CrashStep::compact:
      return expect(database_.compact());
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
      env_.sleep(300'000'000);
      return {};
    case CrashStep::levels:
      return levels();
  }
  return {};
}

namespace {

constexpr char kAfterKey[] = "after the crash";
constexpr char kAfterValue[] = "written";

/// Run files that the durable state does not name: a closed database has none.
std::string orphans(SimEnv& env) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(kDirectory, false);
  if (!directory) return "directory: " + directory.status().to_string();
  Result<std::unique_ptr<StateStore>> store = StateStore::open(**directory, StoreAccess::read);
  if (!store) return "state: " + store.status().to_string();
  std::set<std::string> named;
  for (const SortedRunInfo& run : (*store)->state().runs) {
    for (const RunPiece& piece : run.pieces) named.insert(run_file_name(piece.file.id));
  }
  Result<std::vector<FileInfo>> files = (*directory)->list();
  if (!files) return "list: " + files.status().to_string();
  for (const FileInfo& file : *files) {
    if (file.name.ends_with(".run") && !named.contains(file.name)) return "an orphan: " + file.name;
  }
  return {};
}

/// Opens, compares, writes, closes, opens, compares. `narrow` is told the state that was found, once it was
/// opened.
std::string recover(SimEnv& env, const std::vector<uint64_t>& allowed,
                    const std::function<void(const std::vector<uint64_t>&)>& narrow) {
  const Options options = CrashWorkload::options();
  Result<Database> opened = open_in(env, kDirectory, options, OpenKind::open_or_create);
  if (!opened) return "open: " + opened.status().to_string();
  const Result<uint64_t> found = digest_of(*opened);
  if (!found) return "scan: " + found.status().to_string();
  if (std::find(allowed.begin(), allowed.end(), *found) == allowed.end()) {
    return "a state that is not among the " + std::to_string(allowed.size()) +
           " allowed ones:" + contents(*opened);
  }
  const uint64_t after = *found + Model::digest_of_entry("", kAfterKey, kAfterValue);
  narrow({*found, after});
  if (opened->get(kAfterKey)) return {};  // the crash of a run that this function made: its write is there
  if (Status status = opened->put(kAfterKey, kAfterValue, {.durability = Durability::power}); !status.ok()) {
    return "put after recovery: " + status.to_string();
  }
  narrow({after});
  if (Status status = opened->close(); !status.ok()) return "close after recovery: " + status.to_string();
  if (std::string said = orphans(env); !said.empty()) return said;
  opened = open_in(env, kDirectory, options, OpenKind::open);
  if (!opened) return "the second open: " + opened.status().to_string();
  const Result<uint64_t> again = digest_of(*opened);
  if (!again) return "the second scan: " + again.status().to_string();
  if (*again != after) return "the second open found something else:" + contents(*opened);
  return {};
}

}  // namespace

std::string check_crash(CrashCheck& check, CrashImage image, const AllowedStates& allowed_states) {
  ++check.images;
  const std::vector<uint64_t>& allowed = image.killed_only ? allowed_states.kill : allowed_states.power_cut;
  AllowedStates left = {allowed_states.power_cut, allowed};  // after a kill, power may still be cut
  SimEnv env(check.sim, std::move(image.disk));
  if (check.images % kOrderEvery == 0) add_order_rules(env.order());
  const bool nested = check.nested_every != 0 && check.images % check.nested_every == 0;
  std::vector<CrashMoment> moments;
  if (nested) {
    env.watch([&](const SimStep& step) {
      if (!env.disk_changed()) return;
      moments.push_back({env.disk().kill_image(), left, "recovery, before " + std::string(step.what)});
    });
  }
  std::string said =
      recover(env, allowed, [&](const std::vector<uint64_t>& states) { left = {states, states}; });
  env.watch(nullptr);
  if (said.empty() && !env.order().violations().empty()) said = "order: " + env.order().violations().front();
  if (!said.empty()) return image.what + ": " + said;
  if (moments.size() > kNestedMomentsMax) {
    Random random(check.sim.seed + check.images);
    const double share = static_cast<double>(kNestedMomentsMax) / static_cast<double>(moments.size());
    std::erase_if(moments, [&](const CrashMoment&) { return !random.chance(share); });
  }
  CrashCheck inner{.sim = check.sim, .nested_every = 0};
  said = check_moments(inner, moments, kNestedImagesMax);
  check.images += inner.images;
  return said.empty() ? said : image.what + ", then " + said;
}

std::string check_moments(CrashCheck& check, std::vector<CrashMoment>& moments, uint64_t limit) {
  std::string said;
  uint64_t number = 0;
  for (CrashMoment& moment : moments) {
    for_each_crash_image(moment.disk, {.limit = limit, .seed = check.sim.seed + number++},
                         [&](CrashImage image) {
                           if (said.empty()) said = check_crash(check, std::move(image), moment.allowed);
                         });
    if (!said.empty()) return moment.where + ": " + said;
  }
  return said;
}

}  // namespace lightning
