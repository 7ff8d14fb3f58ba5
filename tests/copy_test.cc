// Checkpoints, backups and restores: the copy is the database as it was at one moment, whole or no database
// at all; the one that was copied is never changed; damage in either is found.
//
// LIGHTNING_COPY_STRIDE=n   every n-th bit of a damaged file, call that fails, and image of a moment
#include <gtest/gtest.h>

#include "admin/copy.h"
#include "admin/verify.h"
#include "api/open_in.h"
#include "log/segment.h"
#include "run/run_format.h"
#include "testing/counts.h"
#include "testing/crash_images.h"
#include "tests/damage_set.h"
#include "tests/each_seed.h"
#include "tests/order_rules.h"
#include "view/state_store.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kBits = 61;
constexpr uint64_t kCalls = 1;
constexpr uint64_t kImages = 8;
#else
constexpr uint64_t kBits = 997;
constexpr uint64_t kCalls = 3;
constexpr uint64_t kImages = 3;
#endif

uint64_t stride(uint64_t otherwise) { return uint_from_environment("LIGHTNING_COPY_STRIDE", otherwise); }

constexpr char kCopy[] = "copies/one";
constexpr WriteOptions kProcess{.durability = Durability::process};

enum class Make { checkpoint, backup, restore };
constexpr Make kAll[] = {Make::checkpoint, Make::backup, Make::restore};

Result<Database> open(Env& env, const std::string& path) {
  return open_in(env, path, DamageSet::options(), OpenKind::open);
}

/// A copy of the set's database, at work or, for a restore, closed.
Result<CopyReport> make(Make kind, Env& env, const BackupOptions& options = {}, const char* into = kCopy) {
  if (kind == Make::restore) return restore_in(env, kDamageDirectory, into, options);
  Result<Database> database = open(env, kDamageDirectory);
  if (!database) return database.status();
  Result<CopyReport> report =
      kind == Make::checkpoint ? database->checkpoint(into, options) : database->backup(into, options);
  const Status closed = database->close();
  return report && !closed.ok() ? closed : report;
}

/// What is wrong with the files of the database at `path`.
std::string check_files(Env& env, const std::string& path, bool known_alone) {
  const Result<VerifyReport> verified = verify_in(env, path, {});
  if (!verified) return "verify: " + verified.status().to_string();
  if (!verified->ok()) return verified->findings[0].what + " in " + verified->findings[0].file;
  if (!known_alone || verified->unknown_files.empty()) return {};
  return "an unknown file: " + verified->unknown_files[0];
}

/// What is wrong with the database at `path`, which must hold what `model` does.
std::string check(Env& env, const Model& model, const std::string& path) {
  if (std::string said = check_files(env, path, false); !said.empty()) return said;
  {
    Result<Database> database = open(env, path);
    if (!database) return "open: " + database.status().to_string();
    if (std::string said = difference(model, *database); !said.empty()) return said;
    if (Status status = database->close(); !status.ok()) return "close: " + status.to_string();
  }
  // What a crash left behind was removed.
  return check_files(env, path, true);
}

/// Nothing, or a database that is whole.
std::string check_target(Env& env, const Model& model) {
  const Status status = open(env, kCopy).status();
  if (status.is(StatusCode::not_found) || status.is(StatusCode::corruption)) return {};
  return check(env, model, kCopy);
}

DurableState state_of_database(Env& env, const std::string& path) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(path, false);
  Result<std::unique_ptr<StateStore>> store = StateStore::open(**directory, StoreAccess::read);
  return (*store)->state();
}

std::map<std::string, std::string> files_in(SimDisk& disk, const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const std::string& path : disk.file_paths()) {
    if (path.starts_with(directory + "/")) files[path.substr(directory.size() + 1)] = disk.file_bytes(path);
  }
  return files;
}

std::string flipped(std::string bytes, uint64_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

TEST(Copy, IsTheDatabaseUnderAnotherIncarnation) {
  for (const Make kind : kAll) {
    for (const bool clean : {true, false}) {
      for (const bool mapped : {true, false}) {
        SCOPED_TRACE(std::to_string(static_cast<int>(kind)) + (clean ? ", clean" : ", killed") +
                     (mapped ? ", mapped" : ", written"));
        DamageSet set({.clean = clean, .mapped = mapped});
        SimEnv env({.supports_allocate = mapped}, set.disk());
        add_order_rules(env.order());
        const Result<CopyReport> report = make(kind, env);
        ASSERT_TRUE(report) << report.status().to_string();
        for (const std::string& violation : env.order().violations()) ADD_FAILURE() << violation;
        EXPECT_EQ(report->linked_files, kind == Make::checkpoint ? 3u : 0u);
        EXPECT_GT(report->files, report->linked_files);
        EXPECT_GT(report->log_records, 5u);
        EXPECT_GT(report->run_entries, 300u);
        uint64_t bytes = 0;
        for (const auto& [name, contents] : files_in(env.disk(), kCopy)) {
          if (name.ends_with(".run") || name.ends_with(".log")) bytes += contents.size();
        }
        EXPECT_EQ(report->bytes, bytes);
        EXPECT_EQ(check_files(env, kCopy, true), "");
        EXPECT_EQ(check(env, set.model(), kCopy), "");
        EXPECT_EQ(check(env, set.model(), kDamageDirectory), "");
        const DurableState source = state_of_database(env, kDamageDirectory);
        const DurableState copy = state_of_database(env, kCopy);
        EXPECT_EQ(copy.database_id, source.database_id);
        EXPECT_NE(copy.incarnation, source.incarnation);
      }
    }
  }
}

// Copies of copies, and of a database that is read only.
TEST(Copy, CanBeCopied) {
  DamageSet set({.clean = false});
  SimEnv env({}, set.disk());
  ASSERT_TRUE(make(Make::checkpoint, env));
  Options options = DamageSet::options();
  options.read_only = true;
  {
    Result<Database> database = open_in(env, kCopy, options, OpenKind::open);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->backup("copies/two"));
    ASSERT_TRUE(database->checkpoint("copies/three"));
  }
  ASSERT_TRUE(restore_in(env, "copies/two", "copies/four", {}));
  std::set<uint64_t> incarnations;
  for (const std::string number : {"one", "two", "three", "four"}) {
    EXPECT_EQ(check(env, set.model(), "copies/" + number), "");
    incarnations.insert(state_of_database(env, "copies/" + number).incarnation);
  }
  EXPECT_EQ(incarnations.size(), 4u);
}

// What happens to either afterwards does not show in the other, also where they share files.
TEST(Copy, LivesApart) {
  for (const Make kind : kAll) {
    SCOPED_TRACE(static_cast<int>(kind));
    DamageSet set({});
    SimEnv env({}, set.disk());
    ASSERT_TRUE(make(kind, env));
    const std::map<std::string, std::string> before = files_in(env.disk(), kCopy);
    Result<Database> source = open(env, kDamageDirectory);
    ASSERT_TRUE(source);
    const auto change = [](Database& database, const std::string& with) {
      for (int i = 0; i < 300; ++i)
        EXPECT_TRUE(database.put("key" + std::to_string(i), with + std::to_string(i), kProcess).ok());
      EXPECT_TRUE(database.remove("longer", kProcess).ok());
      EXPECT_TRUE(database.keyspace(with + "'s").ok());
      EXPECT_TRUE(database.compact().ok());
    };
    change(*source, "source");
    EXPECT_EQ(files_in(env.disk(), kCopy), before);  // not a byte, after merges and removals
    EXPECT_EQ(check(env, set.model(), kCopy), "");
    Result<Database> copy = open(env, kCopy);
    ASSERT_TRUE(copy);
    const std::map<std::string, std::string> runs = files_in(env.disk(), kDamageDirectory);
    change(*copy, "copy");
    for (const auto& [name, bytes] : files_in(env.disk(), kDamageDirectory)) {
      EXPECT_TRUE(!name.ends_with(".run") || runs.at(name) == bytes) << name;
    }
    EXPECT_EQ(source->get("key7").value(), "source7");
    EXPECT_EQ(copy->get("key7").value(), "copy7");
    EXPECT_TRUE(source->verify()->ok());
    EXPECT_TRUE(copy->verify()->ok());
    EXPECT_FALSE(copy->keyspace("source's", false));
    ASSERT_TRUE(source->close().ok());
    for (const auto& [name, bytes] : files_in(env.disk(), kDamageDirectory))
      env.disk().remove_file(std::string(kDamageDirectory) + "/" + name);
    ASSERT_TRUE(copy->close().ok());
    EXPECT_TRUE(verify_in(env, kCopy, {})->ok());
  }
}

// Writes, flushes and merges during a copy: it is of the moment at which it began, and what a merge replaces
// stays as long as it is needed.
TEST(Copy, IsOfOneMomentWhileWritersGoOn) {
  for (const CopyKind kind : {CopyKind::checkpoint, CopyKind::backup}) {
    for (const bool mapped : {true, false}) {
      DamageSet set({.clean = false});
      SimEnv env({.supports_allocate = mapped}, set.disk());
      Result<Database> database = open(env, kDamageDirectory);
      ASSERT_TRUE(database);
      uint64_t asked = 0;
      uint64_t done = 0;
      uint64_t total = 0;
      BackupOptions options;
      options.on_progress = [&](const AdminProgress& progress) {
        EXPECT_GE(progress.bytes_done, done);
        done = progress.bytes_done;
        total = progress.bytes_total;
        EXPECT_TRUE(database->put("key" + std::to_string(asked % 300), "during", kProcess).ok());
        EXPECT_TRUE(database->remove("long", kProcess).ok());
        if (asked++ < 4) {
          EXPECT_TRUE(database->compact().ok());
        }
      };
      const Result<CopyReport> report = kind == CopyKind::checkpoint ? database->checkpoint(kCopy, options)
                                                                     : database->backup(kCopy, options);
      ASSERT_TRUE(report) << report.status().to_string();
      EXPECT_EQ(done, total);
      EXPECT_GT(asked, 4u);
      EXPECT_EQ(check(env, set.model(), kCopy), "");
      EXPECT_EQ(database->get("key0").value(), "during");
      ASSERT_TRUE(database->close().ok());
      // What was kept for the copy went with it.
      const DurableState state = state_of_database(env, kDamageDirectory);
      size_t named = 0;
      for (const SortedRunInfo& run : state.runs) named += run.pieces.size();
      size_t runs = 0;
      for (const auto& [name, bytes] : files_in(env.disk(), kDamageDirectory)) runs += name.ends_with(".run");
      EXPECT_EQ(runs, named);
      EXPECT_TRUE(verify_in(env, kDamageDirectory, {})->ok());
    }
  }
}

TEST(Copy, CopiesWhereNothingCanBeLinked) {
  DamageSet set({});
  SimEnv env({}, set.disk());
  for (const char* const kind : {".run", ".log"}) {
    env.faults().add(
        {.call = SimCall::link, .name_part = kind, .times = kForever, .code = StatusCode::not_supported});
  }
  const Result<CopyReport> report = make(Make::checkpoint, env);
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_EQ(report->linked_files, 0u);
  EXPECT_EQ(env.faults().injected(), 3u);
  EXPECT_EQ(check(env, set.model(), kCopy), "");
}

TEST(Copy, IsRefused) {
  DamageSet set({});
  SimEnv env({}, set.disk());
  {
    Result<Database> database = open(env, kDamageDirectory);
    ASSERT_TRUE(database);
    EXPECT_TRUE(database->backup(kDamageDirectory).status().is(StatusCode::already_exists));
    EXPECT_TRUE(restore_in(env, kDamageDirectory, kCopy, {}).status().is(StatusCode::busy));
    env.disk().put_file("full/notes.txt", "somebody's");
    EXPECT_TRUE(database->checkpoint("full").status().is(StatusCode::already_exists));
    EXPECT_TRUE(database->backup("full").status().is(StatusCode::already_exists));
    ASSERT_TRUE(database->close().ok());
    EXPECT_TRUE(database->backup(kCopy).status().is(StatusCode::closed));
    EXPECT_TRUE(database->checkpoint(kCopy).status().is(StatusCode::closed));
  }
  EXPECT_TRUE(restore_in(env, kDamageDirectory, "full", {}).status().is(StatusCode::already_exists));
  EXPECT_TRUE(
      restore_in(env, kDamageDirectory, kDamageDirectory, {}).status().is(StatusCode::already_exists));
  EXPECT_TRUE(restore_in(env, "nothing", kCopy, {}).status().is(StatusCode::not_found));
  EXPECT_TRUE(restore_in(env, "full", kCopy, {}).status().is(StatusCode::not_found));
  ASSERT_TRUE(make(Make::backup, env));
  EXPECT_TRUE(make(Make::backup, env).status().is(StatusCode::already_exists));
  EXPECT_EQ(check(env, set.model(), kCopy), "");
}

TEST(Copy, CanBeCancelledAtAnyTime) {
  for (const Make kind : kAll) {
    DamageSet set({});
    SimEnv env({}, set.disk());
    bool cancelled = true;
    for (uint64_t after = 0; cancelled; ++after) {
      SCOPED_TRACE(std::to_string(static_cast<int>(kind)) + " after " + std::to_string(after));
      uint64_t asked = 0;
      cancelled = false;
      BackupOptions options;
      options.cancelled = [&] { return cancelled = asked++ == after; };
      const Result<CopyReport> report = make(kind, env, options);
      if (!cancelled) {
        ASSERT_TRUE(report);  // into the directory of all the others
        EXPECT_GT(after, 3u);
        break;
      }
      ASSERT_TRUE(report.status().is(StatusCode::cancelled)) << report.status().to_string();
      ASSERT_TRUE(open(env, kCopy).status().is(StatusCode::not_found));
      ASSERT_EQ(files_in(env.disk(), kCopy).size(), 1u);  // LOCK
    }
    EXPECT_EQ(check(env, set.model(), kCopy), "");
    EXPECT_EQ(check(env, set.model(), kDamageDirectory), "");
  }
}

// What a crash leaves in the target is a whole database, or none; the source is as it was.
TEST(Copy, IsWholeOrNothingAfterEveryCrash) {
  for (const Make kind : kAll) {
    DamageSet set({.clean = kind != Make::backup});
    std::vector<std::pair<SimDisk, std::string>> moments;
    {
      SimEnv env({}, set.disk());
      bool copying = false;
      env.watch([&](const SimStep& step) {
        copying = copying || step.name == "copies" || step.name == kCopy;
        if (!copying || !env.disk_changed()) return;
        moments.emplace_back(env.disk().kill_image(), std::string(step.what).append(" ").append(step.name));
      });
      ASSERT_TRUE(make(kind, env));
    }
    ASSERT_GT(moments.size(), 10u);
    uint64_t whole = 0;
    uint64_t nothing = 0;
    uint64_t number = 0;
    for (auto& [moment, where] : moments) {
      for_each_crash_image(moment, {.limit = kImages, .seed = ++number}, [&](CrashImage image) {
        if (testing::Test::HasFailure()) return;
        SimEnv env({}, std::move(image.disk));
        ASSERT_EQ(check(env, set.model(), kDamageDirectory), "") << where << ": " << image.what;
        ASSERT_EQ(check_target(env, set.model()), "") << where << ": " << image.what;
        // Nothing is created over an unfinished one that has files, either.
        Result<Database> again = open_in(env, kCopy, DamageSet::options(), OpenKind::open_or_create);
        if (again && again->get("key0")) {
          ++whole;
        } else {
          ++nothing;
          ASSERT_FALSE(again && files_in(env.disk(), kCopy).contains("0000000001.run")) << where;
        }
        count("states", 1);
      });
    }
    EXPECT_GT(whole, 0u);
    EXPECT_GT(nothing, 10u);
  }
}

// Each call fails once: an error says so, the source is as it was, and the same target can be used again.
TEST(Copy, LeavesNothingWhenACallFails) {
  const Fault faults[] = {{.code = StatusCode::io_error},
                          {.code = StatusCode::io_error, .effect = FaultEffect::half},
                          {.code = StatusCode::io_error, .effect = FaultEffect::done},
                          {.code = StatusCode::no_space}};
  for (const Make kind : kAll) {
    DamageSet set({});
    for (const Fault& of_kind : faults) {
      for (uint64_t k = 0;; k += stride(kCalls)) {
        SCOPED_TRACE("copy " + std::to_string(static_cast<int>(kind)) + ", call " + std::to_string(k));
        SimEnv env({}, set.disk());
        Fault fault = of_kind;
        fault.after = k;
        env.faults().add(fault);
        const Result<CopyReport> report = make(kind, env);
        if (env.faults().injected() == 0) break;
        env.faults().clear();
        count("faults", 1);
        if (!report) {
          EXPECT_TRUE(report.status().is(fault.code) || report.status().is(StatusCode::io_error))
              << report.status().to_string();
        }
        ASSERT_EQ(check(env, set.model(), kDamageDirectory), "");
        if (report || open(env, kCopy)) {
          ASSERT_EQ(check(env, set.model(), kCopy), "");
        } else {
          const Result<CopyReport> again = make(kind, env);
          ASSERT_TRUE(again) << again.status().to_string() << " after " << report.status().to_string();
          ASSERT_EQ(check(env, set.model(), kCopy), "");
        }
        EXPECT_EQ(env.open_files(), 0u);
      }
    }
  }
}

// A backup never says that it is one of what is damaged.
TEST(Copy, FindsDamageInARunOfTheSource) {
  DamageSet set({});
  for (const std::string& path : set.paths(".run")) {
    const std::string bytes = set.bytes(path);
    for (uint64_t bit = 0; bit < bytes.size() * 8; bit += stride(kBits)) {
      SCOPED_TRACE(path + " bit " + std::to_string(bit));
      SimEnv env({}, set.disk());
      Result<Database> database = open(env, kDamageDirectory);
      ASSERT_TRUE(database);
      env.disk().put_file(path, flipped(bytes, bit));
      const Result<CopyReport> report = database->backup(kCopy);
      ASSERT_TRUE(report.status().is(StatusCode::corruption)) << report.status().to_string();
      ASSERT_EQ(report.status().file(), DamageSet::name_of(path));
      if (bit / 8 < bytes.size() - 2 * kUnitBytes) {
        ASSERT_LE(report.status().offset(), bit / 8);
      }
      ASSERT_EQ(files_in(env.disk(), kCopy).size(), 1u);
      env.disk().put_file(path, bytes);
      ASSERT_TRUE(database->backup(kCopy));
    }
  }
}

TEST(Copy, FindsDamageInAValueFileOfTheSource) {
  DamageSet set({});
  for (const std::string& path : set.paths(".log")) {
    if (!set.is_value_file(path)) continue;
    const std::string bytes = set.bytes(path);
    for (uint64_t bit = kSegmentHeaderBytes * 8; bit < bytes.size() * 8; bit += stride(kBits)) {
      if (set.is_unread(path, bit / 8)) continue;
      SCOPED_TRACE(path + " bit " + std::to_string(bit));
      SimEnv env({}, set.disk());
      Result<Database> database = open(env, kDamageDirectory);
      ASSERT_TRUE(database);
      env.disk().put_file(path, flipped(bytes, bit));
      const Status status = database->backup(kCopy).status();
      ASSERT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
      ASSERT_EQ(status.file(), DamageSet::name_of(path));
      ASSERT_EQ(files_in(env.disk(), kCopy).size(), 1u);
      env.disk().put_file(path, bytes);
      ASSERT_TRUE(database->backup(kCopy));
    }
    SimEnv env({}, set.disk());
    Result<Database> database = open(env, kDamageDirectory);
    ASSERT_TRUE(database);
    env.disk().put_file(path, bytes.substr(0, bytes.size() / 2));
    ASSERT_TRUE(database->backup(kCopy).status().is(StatusCode::corruption));
    return;
  }
  FAIL() << "no value file";
}

TEST(Copy, FindsDamageInTheCopy) {
  DamageSet set({});
  for (const std::string kind : {".run", ".log"}) {
    SimEnv env({}, set.disk());
    Result<Database> database = open(env, kDamageDirectory);
    ASSERT_TRUE(database);
    // The disk takes it, and gives something else back.
    env.watch([&](const SimStep& step) {
      if (step.what != "open" || !step.name.ends_with(kind)) return;
      const std::string path = std::string(kCopy) + "/" + std::string(step.name);
      if (!env.disk().has_file(path)) return;
      std::string bytes = env.disk().file_bytes(path);
      if (bytes.size() > kUnitBytes + 50) env.disk().put_file(path, flipped(bytes, 8 * (kUnitBytes + 50)));
    });
    const Status status = database->backup(kCopy).status();
    EXPECT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
    EXPECT_TRUE(status.file().starts_with(kCopy)) << status.to_string();
    env.watch(nullptr);
    EXPECT_TRUE(database->verify()->ok());
  }
}

// Whatever is changed in a backup is noticed before it becomes a database again.
TEST(Restore, RefusesADamagedBackup) {
  DamageSet set({});
  SimDisk whole;
  {
    SimEnv env({}, set.disk());
    ASSERT_TRUE(make(Make::backup, env));
    whole = env.disk().kill_image();
  }
  const auto refused = [&](SimDisk disk) {
    SimEnv env({}, std::move(disk));
    const Status status = restore_in(env, kCopy, "restored", {}).status();
    const Status opened = open(env, "restored").status();
    EXPECT_TRUE(opened.is(StatusCode::not_found)) << opened.to_string();
    return status;
  };
  for (const std::string& path : whole.file_paths()) {
    if (!path.starts_with(kCopy) || path.ends_with("/LOCK")) continue;
    const std::string bytes = whole.file_bytes(path);
    const std::string name = path.substr(path.rfind('/') + 1);
    for (uint64_t bit = 0; bit < bytes.size() * 8; bit += stride(kBits)) {
      const uint64_t byte = bit / 8;
      if (name.ends_with(".log") && byte / 8 == kSegmentMirrorOffset / 8) continue;  // a hint
      if (set.is_unread(std::string(kDamageDirectory) + "/" + name, byte)) continue;
      SimDisk damaged = whole.kill_image();
      damaged.put_file(path, flipped(bytes, bit));
      const Status status = refused(std::move(damaged));
      ASSERT_TRUE(status.is(StatusCode::corruption)) << path << " bit " << bit << ": " << status.to_string();
      ASSERT_EQ(status.file(), name) << status.to_string();
    }
    for (uint64_t part = 0; part < 8; ++part) {
      SimDisk cut = whole.kill_image();
      cut.put_file(path, bytes.substr(0, bytes.size() * part / 8));
      const Status status = refused(std::move(cut));
      ASSERT_TRUE(status.is(StatusCode::corruption)) << path << " cut: " << status.to_string();
    }
    SimDisk missing = whole.kill_image();
    missing.remove_file(path);
    const Status status = refused(std::move(missing));
    ASSERT_TRUE(status.is(StatusCode::corruption)) << path << " missing: " << status.to_string();
  }
}

// Threads of the simulation: no commit is there by halves or before one that it followed, whatever runs
// beside.
class Beside {
 public:
  explicit Beside(uint64_t seed)
      : env_({.seed = seed, .switch_probability = 0.2, .supports_allocate = seed % 3 != 0}) {}

  void run() {
    const Options options{
        .durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
    Result<Database> database = open_in(env_, "db", options, OpenKind::create);
    ASSERT_TRUE(database);
    env_.spawn("leader", [&] { lead(*database); });
    env_.spawn("follower", [&] { follow(*database); });
    env_.spawn("flusher", [&] {
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(database->flush().ok());
    });
    env_.spawn("compactor", [&] {
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(database->compact().ok());
    });
    env_.spawn("copier", [&] { copy(*database); });
    env_.spawn("another copier", [&] { copy(*database); });
    const Status outcome = env_.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    ASSERT_TRUE(database->close().ok());
    ASSERT_TRUE(verify_in(env_, "db", {})->ok());
    ASSERT_EQ(verify_in(env_, "db", {})->unknown_files, std::vector<std::string>());
    for (const Made& made : made_) check_copy(made, options);
  }

 private:
  struct Made {
    std::string path;
    uint64_t led_at_least = 0;
    uint64_t led_at_most = 0;
  };
  static constexpr uint64_t kSteps = 40;

  void lead(Database& database) {
    for (uint64_t i = 1; i <= kSteps; ++i) {
      WriteBatch batch;
      batch.put("one", std::to_string(i));
      batch.put("filler" + std::to_string(i % 5), std::string(2000, 'f'));
      batch.put("other", std::to_string(i));
      led_at_most_ = i;
      ASSERT_TRUE(database.write(batch).ok());
      led_ = i;
    }
  }

  // Writes what it has read: never ahead of the leader in any copy.
  void follow(Database& database) {
    for (uint64_t i = 0; i < kSteps; ++i) {
      const Lookup found = database.get("one");
      ASSERT_TRUE(database.put("seen", found ? found.value() : "0").ok());
    }
  }

  void copy(Database& database) {
    for (int i = 0; i < 4; ++i) {
      Made made{.path = "copy" + std::to_string(number_++), .led_at_least = led_};
      const bool link = number_ % 2 == 0;
      const Result<CopyReport> report = link ? database.checkpoint(made.path) : database.backup(made.path);
      ASSERT_TRUE(report) << report.status().to_string();
      made.led_at_most = led_at_most_;
      made_.push_back(made);
    }
  }

  void check_copy(const Made& made, const Options& options) {
    const Result<VerifyReport> verified = verify_in(env_, made.path, {});
    ASSERT_TRUE(verified);
    ASSERT_TRUE(verified->ok()) << verified->findings[0].what << " in " << verified->findings[0].file;
    Result<Database> copy = open_in(env_, made.path, options, OpenKind::open);
    ASSERT_TRUE(copy) << copy.status().to_string();
    const auto number = [&](const char* key) -> uint64_t {
      const Lookup found = copy->get(key);
      EXPECT_TRUE(found.status().ok());
      return found ? std::stoull(std::string(found.value())) : 0;
    };
    EXPECT_EQ(number("one"), number("other"));
    EXPECT_GE(number("one"), made.led_at_least);
    EXPECT_LE(number("one"), made.led_at_most);
    EXPECT_LE(number("seen"), number("one"));
    ASSERT_TRUE(copy->put("one", "after").ok());
    ASSERT_TRUE(copy->compact().ok());
    EXPECT_EQ(copy->get("one").value(), "after");
  }

  SimEnv env_;
  // Of threads that run one at a time.
  uint64_t led_ = 0;
  uint64_t led_at_most_ = 0;
  uint64_t number_ = 0;
  std::vector<Made> made_;
};

TEST(Copy, TearsNoCommitBesideWritersFlushesAndMerges) {
  for_each_seed(30, [](uint64_t seed) { Beside(seed).run(); });
}

// Of two copies into one directory one is refused, and takes nothing of the other.
TEST(Copy, BesideAnotherOneIntoTheSameDirectory) {
  uint64_t finished = 0;
  for (uint64_t seed = 1; seed <= 400 && !HasFailure(); ++seed) {
    SimEnv env({.seed = seed, .switch_probability = 1.0 / 64});
    Result<Database> source = open_in(env, "source", {}, OpenKind::create);
    ASSERT_TRUE(source);
    ASSERT_TRUE(source->put("k", "v").ok());
    std::array<Status, 2> copied;
    for (Status& one : copied) env.spawn("copier", [&] { one = source->backup(kCopy).status(); });
    ASSERT_TRUE(env.run().ok());
    ASSERT_FALSE(copied[0].ok() && copied[1].ok());
    if (!copied[0].ok() && !copied[1].ok()) continue;
    ++finished;
    Result<Database> copy = open(env, kCopy);
    ASSERT_TRUE(copy) << copy.status().to_string() << ", seed " << seed;
    ASSERT_EQ(copy->get("k").value(), "v");
  }
  EXPECT_GT(finished, 300u);
}

// A close beside a copy: the copy is whole, or ended by it; neither waits for ever.
TEST(Copy, EndsWithTheDatabase) {
  uint64_t whole = 0;
  uint64_t ended = 0;
  for (uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    DamageSet set({});
    SimEnv env({.seed = seed, .switch_probability = 0.3}, set.disk());
    Result<std::shared_ptr<Engine>> engine =
        Engine::open(env, kDamageDirectory, DamageSet::options(), OpenKind::open);
    ASSERT_TRUE(engine);
    Status status;
    env.spawn("copier", [&] {
      status = copy_database(**engine, kCopy, {}, seed % 2 == 0 ? CopyKind::checkpoint : CopyKind::backup)
                   .status();
    });
    env.spawn("closer", [&] {
      for (uint64_t i = 0; i < seed % 20; ++i) (void)(*engine)->get(kDefaultKeyspaceId, "key0", {}, nullptr);
      EXPECT_TRUE((*engine)->compact({}).ok());
      EXPECT_TRUE((*engine)->close().ok());
    });
    const Status outcome = env.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    EXPECT_TRUE(status.ok() || status.is(StatusCode::closed)) << status.to_string();
    (status.ok() ? whole : ended) += 1;
    EXPECT_EQ(check(env, set.model(), kDamageDirectory), "");
    if (status.ok()) {
      EXPECT_EQ(check(env, set.model(), kCopy), "");
    } else {
      EXPECT_TRUE(open(env, kCopy).status().is(StatusCode::not_found));
    }
  }
  EXPECT_GT(whole, 0u);
  EXPECT_GT(ended, 0u);
}

// What a power cut could still take is in no copy: after a failed flush there is none to be had.
TEST(Copy, HoldsOnlyWhatIsDurable) {
  DamageSet set({});
  SimEnv env({}, set.disk());
  Result<Database> database = open(env, kDamageDirectory);
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->put("key0", "later", kProcess).ok());
  const Result<CopyReport> report = database->checkpoint(kCopy);
  ASSERT_TRUE(report);
  EXPECT_GE(database->stats()->durable_lsn, report->lsn);
  ASSERT_TRUE(database->put("key0", "never flushed", kProcess).ok());
  env.faults().add({.call = SimCall::sync, .name_part = ".log", .effect = FaultEffect::pages_clean});
  EXPECT_TRUE(database->backup("copies/two").status().is(StatusCode::io_error));
  EXPECT_TRUE(open(env, "copies/two").status().is(StatusCode::not_found));
  env.faults().clear();
  EXPECT_TRUE(database->backup("copies/two").status().is(StatusCode::io_error));
}

}  // namespace
}  // namespace lightning
