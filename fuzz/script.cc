// Script: operations on a database in the simulated Env, with faults, kills and power cuts, against the
// model.
//
// An input is two bytes that choose the machine and the options, then operations: a byte each and the bytes
// that it takes. Every answer must be that of the model or an error that a fault explains; what is found
// after the end of a process must be a state that its promises allow.
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "api/open_in.h"
#include "fuzz/target.h"
#include "testing/model.h"
#include "testing/sim_env.h"

namespace lightning::fuzz {
namespace {

constexpr char kDirectory[] = "db";
constexpr size_t kOperationsMax = 200;
constexpr uint64_t kBytesMax = 1 * MiB;  // of values, so that a run stays short
constexpr size_t kSnapshotsMax = 3;

const std::vector<std::string>& keys() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> made = {"",
                                     "a",
                                     "b",
                                     std::string(1, '\0'),
                                     "\xff\xff",
                                     "prefix",
                                     "prefix/",
                                     std::string(300, 'p'),
                                     std::string(2000, 'p')};
    for (int i = 0; i < 20; ++i) made.push_back("prefix/" + std::to_string(i));
    return made;
  }();
  return all;
}

/// The present without what snapshots once held.
Model without_past(const Model& model) {
  Model present;
  std::vector<std::string> names = model.keyspaces();
  for (const std::string& name : names) present.create_keyspace(name);
  names.emplace_back();
  for (const std::string& name : names) {
    for (auto entry = model.first_from(name, "", true); entry;
         entry = model.first_from(name, entry->key, false)) {
      present.put(name, entry->key, entry->value);
    }
  }
  return present;
}

class Script {
 public:
  explicit Script(Bytes bytes) : bytes_(bytes) {
    const uint32_t machine = bytes_.byte(), choice = bytes_.byte();
    sim_ = {.seed = machine, .supports_allocate = (machine & 1) == 0, .guards_mappings = (machine & 2) == 0};
    options_.write_buffer_size = 64 * KiB;
    options_.value_separation = std::array{64, 200, 1024, 2048}[choice % 4];
    options_.sigbus_guard = (choice & 4) == 0;
    options_.flush_interval_ms = (choice & 8) == 0 ? 1000 : 0;
    if ((choice & 16) != 0) options_.memory_limit = 4 * MiB;
    options_.compression = std::array{Compression::none, Compression::lz4, Compression::zstd,
                                      Compression::none}[choice >> 5 & 3];
    if ((choice & 128) != 0) options_.page_source = PageSource::pooled;
  }

  void run() {
    env_ = std::make_unique<SimEnv>(sim_);
    open();
    for (size_t i = 0; i < kOperationsMax && !bytes_.done(); ++i) operation();
    env_->faults().clear();
    reopen();
    compare();
  }

 private:
  struct Held {
    Snapshot snapshot;
    Model::Moment at;
  };

  // The states that the database passed through since the last one that is durable, the present one last.
  Model& model() { return states_.back(); }
  bool faulty() { return faulty_ || env_->faults().injected() != 0; }

  /// ok, or an error that a fault explains.
  bool succeeded(const Status& status, std::string_view what) {
    if (status.ok()) return true;
    expect(faulty(), std::string(what) + ": " + status.to_string());
    faulty_ = true;
    return false;
  }

  void operation() {
    using Operation = void (Script::*)();
    static constexpr Operation kOperations[] = {
        &Script::put,     &Script::put,   &Script::remove,   &Script::batch,      &Script::get,
        &Script::walk,    &Script::burst, &Script::keyspace, &Script::sync,       &Script::flush,
        &Script::compact, &Script::idle,  &Script::reopen,   &Script::snapshot,   &Script::read_snapshots,
        &Script::compare, &Script::crash, &Script::fault,    &Script::faults_end, &Script::compact_range,
    };
    (this->*kOperations[bytes_.byte() % std::size(kOperations)])();
  }

  // Writes.

  std::string value() {
    constexpr size_t kSizes[] = {0,   1,    8,    30,   63,   64,   65,   200,
                                 201, 1023, 1024, 1025, 2048, 2049, 9000, 70'000};
    const size_t size = written_ < kBytesMax ? kSizes[bytes_.byte() % std::size(kSizes)] : 8;
    written_ += size;
    std::string bytes = std::to_string(++values_);
    while (bytes.size() < size) bytes.append(bytes, 0, size - bytes.size());
    bytes.resize(size);
    return bytes;
  }

  const std::string& key() { return keys()[bytes_.byte() % keys().size()]; }

  /// The default keyspace, or, where it is there, the one of this name.
  std::string name(uint32_t choice) {
    const std::string other = choice % 2 == 0 ? "" : "k" + std::to_string(choice / 2 % 2);
    return other.empty() || model().has_keyspace(other) ? other : "";
  }
  std::optional<Keyspace> handle(const std::string& name) {
    if (name.empty()) return database_;
    Result<Keyspace> found = database_.keyspace(name, false);
    return succeeded(found.status(), "keyspace") ? std::optional(*found) : std::nullopt;
  }

  WriteOptions durability() {
    constexpr uint64_t kFarTtlMs = 1'000'000'000'000;
    const uint32_t choice = bytes_.byte();
    return {.durability = choice % 4 == 0 ? Durability::power : Durability::process,
            .ttl_ms = choice >= 192 ? kFarTtlMs : 0};
  }

  /// One commit: `change` of the model is what `call` asks of the database.
  template <typename Change, typename Call>
  void commit(Durability durability, Change&& change, Call&& call) {
    states_.push_back(states_.back());
    change(model());
    const Status status = call();
    if (succeeded(status, "a commit")) {
      acknowledged_ = states_.size() - 1;
      if (durability == Durability::power) note_all_durable();
    } else if (!status.is(StatusCode::unknown_outcome)) {
      states_.pop_back();  // nothing was done
    }
  }

  void note_all_durable() {
    states_.erase(states_.begin(), states_.end() - 1);
    acknowledged_ = 0;
  }

  void put() {
    const std::string where = name(bytes_.byte()), what = key(), bytes = value();
    const WriteOptions options = durability();
    std::optional<Keyspace> keyspace = handle(where);
    if (!keyspace) return;
    commit(
        options.durability, [&](Model& model) { model.put(where, what, bytes); },
        [&] { return keyspace->put(what, bytes, options); });
  }

  void remove() {
    const uint32_t kind = bytes_.byte();
    const std::string where = name(kind), what = key();
    const WriteOptions options = durability();
    std::optional<Keyspace> keyspace = handle(where);
    if (!keyspace) return;
    if (kind >= 192) {
      const std::string to = key();
      return commit(
          options.durability, [&](Model& model) { model.remove_range(where, what, to); },
          [&] { return keyspace->remove_range(what, to, options); });
    }
    commit(
        options.durability, [&](Model& model) { model.remove(where, what); },
        [&] { return keyspace->remove(what, options); });
  }

  void batch() {
    std::vector<ModelWrite> writes;
    WriteBatch batch;
    for (uint32_t left = 1 + bytes_.byte() % 8; left > 0; --left) {
      const uint32_t kind = bytes_.byte();
      const std::string where = name(kind), what = key();
      const std::optional<Keyspace> keyspace = handle(where);
      if (!keyspace) return;
      if (kind >= 232) {
        const std::string to = key();
        batch.remove_range(*keyspace, what, to);
        writes.push_back({.keyspace = where, .key = what, .value = {}, .to = to});
      } else if (kind >= 192) {
        batch.remove(*keyspace, what);
        writes.push_back({where, what, std::nullopt});
      } else {
        writes.push_back({where, what, value()});
        batch.put(*keyspace, what, *writes.back().value);
      }
    }
    const WriteOptions options = durability();
    commit(
        options.durability, [&](Model& model) { model.write(writes); },
        [&] { return database_.write(batch, options); });
  }

  /// Enough for a segment and more.
  void burst() {
    if (written_ >= kBytesMax) return;
    for (uint32_t left = 1 + bytes_.byte() % 4, first = bytes_.byte(); left > 0; --left) {
      for (uint32_t i = 0; i < 5; ++i) {
        const std::string& what = keys()[(first + i) % keys().size()];
        const std::string bytes = std::to_string(++values_) + std::string(4000, 'b');
        written_ += bytes.size();
        commit(
            Durability::process, [&](Model& model) { model.put("", what, bytes); },
            [&] { return database_.put(what, bytes, {.durability = Durability::process}); });
      }
    }
  }

  void keyspace() {
    const std::string where = "k" + std::to_string(bytes_.byte() % 2);
    const bool there = model().has_keyspace(where);
    commit(
        Durability::power,
        [&](Model& model) { there ? model.drop_keyspace(where) : model.create_keyspace(where); },
        [&] { return there ? database_.drop_keyspace(where) : database_.keyspace(where).status(); });
  }

  void sync() {
    if (succeeded(database_.sync(), "sync")) note_all_durable();
  }
  void flush() {
    if (succeeded(database_.flush(), "flush")) note_all_durable();
  }
  void compact_range() {
    const std::string from(1, static_cast<char>(bytes_.byte()));
    const bool wait = bytes_.byte() % 2 == 0;
    if (succeeded(database_.compact_range(from, std::nullopt, {.wait = wait}), "compact_range") && wait)
      note_all_durable();
  }
  void compact() {
    if (succeeded(database_.compact(), "compact")) note_all_durable();
  }
  void idle() { env_->sleep(uint64_t{1 + bytes_.byte() % 4u} * 300'000'000); }

  // Reads.

  void check_get(const std::string& where, const std::string& what, const ReadOptions& options,
                 Model::Moment at) {
    const std::optional<Keyspace> keyspace = handle(where);
    if (!keyspace) return;
    const Lookup found = keyspace->get(what, options);
    if (!succeeded(found.status(), "get")) return;
    const std::optional<std::string_view> expected = model().get(where, what, at);
    expect(static_cast<bool>(found) == expected.has_value(),
           "get finds what is not there, or does not what is");
    expect(!expected || found.value() == *expected, "get gives another value");
  }

  void get() {
    const std::string where = name(bytes_.byte());
    check_get(where, key(), {}, Model::kNow);
  }

  /// A cursor that turns on its way.
  void walk() {
    const std::string where = name(bytes_.byte());
    const std::string& from = key();
    const uint32_t turns = bytes_.byte();
    std::optional<Keyspace> keyspace = handle(where);
    if (!keyspace) return;
    Cursor cursor = keyspace->cursor();
    const bool forward = (turns & 1) == 0;
    forward ? cursor.seek(from) : cursor.seek_for_prev(from);
    std::optional<ModelEntry> expected =
        forward ? model().first_from(where, from, true) : model().last_to(where, from, true);
    for (uint32_t step = 0; step < 12; ++step) {
      if (!succeeded(cursor.status(), "a cursor")) return;
      expect(cursor.valid() == expected.has_value(), "a cursor ends elsewhere");
      if (!expected) return;
      expect(cursor.key() == expected->key && cursor.value() == expected->value, "a cursor is elsewhere");
      const bool next = ((turns >> step % 8 & 1) == 0);
      next ? cursor.next() : cursor.prev();
      expected = next ? model().first_from(where, expected->key, false)
                      : model().last_to(where, expected->key, false);
    }
  }

  void compare() {
    if (!faulty()) {
      const std::string said = difference(model(), database_);
      if (said.empty()) return;
      expect(faulty(), said);
    }
    const Result<uint64_t> found = digest_of(database_);
    expect(!found || *found == model().digest(), "after a fault the database shows another state");
  }

  void snapshot() {
    if (held_.size() >= kSnapshotsMax) {
      const size_t at = bytes_.byte() % held_.size();
      for (Model& state : states_) state.release(held_[at].at);
      held_.erase(held_.begin() + static_cast<ptrdiff_t>(at));
      return;
    }
    Result<Snapshot> taken = database_.snapshot();
    if (!succeeded(taken.status(), "snapshot")) return;
    for (Model& state : states_) state.hold(model().now());
    held_.push_back({*std::move(taken), model().now()});
  }

  void read_snapshots() {
    const std::string where = name(bytes_.byte());
    for (const Held& held : held_) {
      for (const std::string& what : keys()) check_get(where, what, {.snapshot = &held.snapshot}, held.at);
    }
  }

  // The life of the process.

  /// Opens, and finds one of the states from `first` on.
  void open_in_state(size_t first) {
    Result<Database> opened = open_in(*env_, kDirectory, options_, OpenKind::open_or_create);
    if (!opened && faulty()) {  // and once more, without them
      env_->faults().clear();
      opened = open_in(*env_, kDirectory, options_, OpenKind::open_or_create);
    }
    expect(opened.ok(), "open: " + opened.status().to_string());
    database_ = *std::move(opened);
    Result<uint64_t> found = digest_of(database_);
    if (!found && faulty()) {
      env_->faults().clear();
      found = digest_of(database_);
    }
    expect(found.ok(), "a scan after open: " + found.status().to_string());
    for (size_t i = states_.size(); i-- > first;) {
      if (states_[i].digest() != *found) continue;
      states_ = {without_past(states_[i])};
      acknowledged_ = 0;
      return;
    }
    fail("a state that no promise allows");
  }

  void open() {
    states_.resize(1);
    open_in_state(0);
  }

  void reopen() {
    held_.clear();
    const Status closed = database_.close();
    if (succeeded(closed, "close")) note_all_durable();
    const bool clean = closed.ok() && !faulty();
    if (clean) expect(env_->open_files() == 0, "files are open after close()");
    open_in_state(0);
    if (!faults_active_) faulty_ = false, env_->faults() = FaultScript();
  }

  /// The process ends, and with `power` the machine: any part of what was not synced is lost.
  void crash() {
    const uint32_t kind = bytes_.byte();
    SimDisk moment = env_->kill();
    const bool lost_pages = faulty();
    held_.clear();
    database_ = Database();
    const size_t acknowledged = acknowledged_;
    env_.reset();
    const bool power = kind % 4 != 0;
    if (power) {
      const std::vector<PendingUnit> units = moment.pending_units();
      std::vector<PendingUnit> kept;
      Random random(kind * 256 + bytes_.byte());
      const double share = std::array{0.0, 0.5, 0.9}[kind % 3];
      for (const PendingUnit& unit : units) {
        if (random.chance(share)) kept.push_back(unit);
      }
      moment = moment.power_cut_image(kept);
      if (lost_pages) moment.evict_lost_pages();
    }
    faulty_ = faults_active_ = false;
    env_ = std::make_unique<SimEnv>(sim_, std::move(moment));
    open_in_state(power ? 0 : acknowledged);
  }

  // Faults.

  void fault() {
    constexpr SimCall kCalls[] = {SimCall::any,    SimCall::write, SimCall::sync,     SimCall::create,
                                  SimCall::read,   SimCall::map,   SimCall::allocate, SimCall::sync_directory,
                                  SimCall::rename, SimCall::remove};
    constexpr std::array kEffects = {FaultEffect::none, FaultEffect::half, FaultEffect::done,
                                     FaultEffect::pages_clean};
    Fault fault;
    fault.call = kCalls[bytes_.byte() % std::size(kCalls)];
    fault.after = bytes_.byte() % 64;
    const uint32_t how = bytes_.byte();
    fault.times = std::array<uint64_t, 3>{1, 3, kForever}[how % 3];
    fault.code = (how & 4) == 0 ? StatusCode::io_error : StatusCode::no_space;
    if (fault.code == StatusCode::io_error) fault.effect = kEffects[how / 8 % 4];
    if (fault.effect == FaultEffect::pages_clean) fault.call = SimCall::sync;
    env_->faults().add(fault);
    faults_active_ = true;
  }

  void faults_end() {
    faulty_ = faulty();
    env_->faults().clear();
    faults_active_ = false;
  }

  Bytes bytes_;
  SimOptions sim_;
  Options options_;
  std::unique_ptr<SimEnv> env_;
  Database database_;
  std::vector<Model> states_;
  size_t acknowledged_ = 0;  // the last state that was
  std::vector<Held> held_;
  uint64_t values_ = 0;
  uint64_t written_ = 0;
  bool faulty_ = false;         // an error may be answered
  bool faults_active_ = false;  // more may come
};

bool run(std::string_view input) {
  Script(Bytes(input)).run();
  return true;
}

void seeds(const SeedSink& sink) {
  Random random(4);
  for (int number = 0; number < 12; ++number) {
    std::string input;
    for (uint64_t left = 20 + 20 * static_cast<uint64_t>(number); left > 0; --left) {
      input.push_back(static_cast<char>(random.next()));
    }
    sink("random-" + std::to_string(number), input);
  }
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
