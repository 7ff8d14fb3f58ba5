// verify() and repair() against a reference set of which each bit is flipped, each file cut, removed, or
// another's: verify() finds it, and what repair() writes is right or reported as perhaps lost.
//
// LIGHTNING_DAMAGE_STRIDE=n   every n-th bit; 1 takes five minutes for verify() alone
#include <gtest/gtest.h>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admin/repair.h"
#include "admin/verify.h"
#include "api/open_in.h"
#include "engine/catalogue.h"
#include "engine/prepared.h"
#include "format/internal_key.h"
#include "log/segment.h"
#include "run/run_format.h"
#include "run/run_writer.h"
#include "testing/counts.h"
#include "tests/damage_set.h"
#include "view/state_store.h"
#include "view/super.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kVerifyStride = 13;
constexpr uint64_t kRepairStride = 499;
#else
constexpr uint64_t kVerifyStride = 211;
constexpr uint64_t kRepairStride = 1511;
#endif

uint64_t stride(uint64_t otherwise) { return uint_from_environment("LIGHTNING_DAMAGE_STRIDE", otherwise); }

std::string flipped(std::string bytes, uint64_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  return bytes;
}

std::string text_of(const VerifyReport& report) {
  std::string text = std::to_string(report.finding_count) + " findings";
  for (const Finding& finding : report.findings)
    text += "; " + finding.what + " (" + finding.file + " at " + std::to_string(finding.offset) + ")";
  return text;
}

/// The one byte range that no check covers: a segment's mirror of `published`, which is a hint.
bool is_mirror(const std::string& path, uint64_t byte) {
  return path.ends_with(".log") && byte >= kSegmentMirrorOffset && byte < kSegmentMirrorOffset + 8;
}

TEST(Verify, AnUndamagedDatabaseHasNoFindings) {
  for (const bool clean : {true, false}) {
    for (const bool mapped : {true, false}) {
      const Compression compression = mapped ? Compression::none : Compression::zstd;
      SCOPED_TRACE(std::string(clean ? "clean" : "killed") + (mapped ? ", mapped" : ", written"));
      DamageSet set({.clean = clean, .mapped = mapped, .compression = compression});
      EXPECT_EQ(set.paths(".run").size(), 2u);
      EXPECT_EQ(set.paths(".log").size(), 3u);  // one of them a value file
      uint64_t bytes = 0;
      for (const std::string& path : set.paths()) bytes += set.bytes(path).size();
      const Result<VerifyReport> report = verify_disk(set.disk());
      ASSERT_TRUE(report) << report.status().to_string();
      EXPECT_TRUE(report->ok()) << text_of(*report);
      EXPECT_EQ(report->files, set.paths().size() + 1);  // the lock
      EXPECT_EQ(report->bytes, bytes);
      if (clean || mapped) {
        EXPECT_EQ(report->unused_bytes == set.unread_bytes(), clean);
      }
      EXPECT_EQ(report->unknown_files, std::vector<std::string>());
      EXPECT_GT(report->log_records, 20u);
      EXPECT_GT(report->run_entries, 300u);
    }
  }
}

// After a clean close no byte but the mirrors' is without a check.
TEST(Verify, FindsEveryFlippedBit) {
  uint64_t found = 0;
  for (const Compression compression : {Compression::none, Compression::zstd}) {
    DamageSet set({.compression = compression});
    // What is compressed are the runs.
    for (const std::string& path : set.paths(compression == Compression::none ? "" : ".run")) {
      const std::string bytes = set.bytes(path);
      for (uint64_t bit = 0; bit < bytes.size() * 8; bit += stride(kVerifyStride)) {
        const Result<VerifyReport> report = verify_disk(set.with(path, flipped(bytes, bit)));
        ASSERT_TRUE(report) << path << " bit " << bit << ": " << report.status().to_string();
        if (is_mirror(path, bit / 8) || set.is_unread(path, bit / 8)) continue;
        ASSERT_FALSE(report->ok()) << path << " bit " << bit;
        for (const Finding& finding : report->findings) {
          ASSERT_EQ(finding.file, DamageSet::name_of(path)) << "bit " << bit << ": " << text_of(*report);
        }
        ++found;
      }
    }
  }
  RecordProperty("bits", static_cast<int>(found));
}

TEST(Verify, FindsEveryLengthAndEveryMissingFile) {
  DamageSet set({});
  for (const std::string& path : set.paths()) {
    const std::string bytes = set.bytes(path);
    const uint64_t step = std::max<uint64_t>(1, bytes.size() / 40);
    for (uint64_t size = 0; size < bytes.size(); size += step) {
      const Result<VerifyReport> report = verify_disk(set.with(path, bytes.substr(0, size)));
      ASSERT_TRUE(report) << path << ": " << report.status().to_string();
      EXPECT_FALSE(report->ok()) << path << " cut at " << size;
    }
    const Result<VerifyReport> missing = verify_disk(set.without(path));
    ASSERT_TRUE(missing) << path << ": " << missing.status().to_string();
    ASSERT_FALSE(missing->ok()) << path;
    EXPECT_EQ(missing->findings[0].file, DamageSet::name_of(path)) << text_of(*missing);
    // What stands behind the bytes that count is unused in a manifest, damage elsewhere.
    const Result<VerifyReport> longer = verify_disk(set.with(path, bytes + "more"));
    ASSERT_TRUE(longer);
    EXPECT_EQ(longer->ok(), path.ends_with(".manifest")) << path << ": " << text_of(*longer);
  }
}

TEST(Verify, ListsWhatItDoesNotKnowAndWhatItCouldNotRead) {
  DamageSet set({});
  SimDisk more = set.disk();
  more.put_file("db/notes.txt", "somebody's");
  more.put_file("db/0000009999.run", "nobody's");
  const Result<VerifyReport> report = verify_disk(std::move(more));
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->ok()) << text_of(*report);
  EXPECT_EQ(report->unknown_files, (std::vector<std::string>{"0000009999.run", "notes.txt"}));
  const Result<VerifyReport> blind = verify_disk(set.without("db/SUPER"));
  ASSERT_TRUE(blind);
  EXPECT_EQ(blind->unread_files.size(), set.paths().size() - 2);  // without SUPER and the manifest
}

TEST(Verify, FindsAllDamagedPagesOfARun) {
  DamageSet set({});
  const std::string path = set.paths(".run").front();
  std::string bytes = set.bytes(path);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  bytes[2 * kUnitBytes + 100] = static_cast<char>(bytes[2 * kUnitBytes + 100] ^ 1);
  const Result<VerifyReport> report = verify_disk(set.with(path, bytes));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->finding_count, 2u) << text_of(*report);
  EXPECT_EQ(report->findings[0].offset, 0u);
  EXPECT_EQ(report->findings[1].offset, 2 * kUnitBytes);
}

TEST(Verify, WorksBesideTheDatabaseAtWork) {
  DamageSet set({.clean = false});
  SimEnv env({}, set.disk());
  Result<Database> database = open_in(env, kDamageDirectory, DamageSet::options(), OpenKind::open);
  ASSERT_TRUE(database);
  uint64_t told = 0;
  uint64_t total = 0;
  VerifyOptions options;
  options.on_progress = [&](const AdminProgress& progress) {
    EXPECT_GE(progress.bytes_done, told);
    told = progress.bytes_done;
    total = progress.bytes_total;
    // Whatever a flush and a merge replace meanwhile is no finding.
    ASSERT_TRUE(database->put("during", std::to_string(told)).ok());
    if (progress.file.ends_with(".run")) {
      ASSERT_TRUE(database->compact().ok());
    }
  };
  for (int round = 0; round < 3; ++round) {
    told = 0;
    const Result<VerifyReport> report = database->verify(options);
    ASSERT_TRUE(report) << report.status().to_string();
    EXPECT_TRUE(report->ok()) << text_of(*report);
    EXPECT_EQ(told, total);
    EXPECT_GT(report->files, 2u);
  }
  ASSERT_TRUE(database->close().ok());
  EXPECT_TRUE(database->verify().status().is(StatusCode::closed));
}

TEST(Verify, FindsDamageUnderAnOpenDatabase) {
  for (const bool read_only : {false, true}) {
    DamageSet set({});
    for (size_t number = 0;; ++number) {
      SimEnv env({}, set.disk());
      Options options = DamageSet::options();
      options.read_only = read_only;
      Result<Database> database = open_in(env, kDamageDirectory, options, OpenKind::open);
      ASSERT_TRUE(database);
      ASSERT_TRUE(env.run_until_idle().ok());  // it may write its manifest anew
      std::vector<std::string> paths = env.disk().file_paths();
      std::erase_if(paths, [](const std::string& one) { return one.ends_with("/LOCK"); });
      ASSERT_GE(paths.size(), set.paths().size());
      if (number == paths.size()) break;
      const std::string& path = paths[number];
      SCOPED_TRACE(path + (read_only ? ", read-only" : ""));
      EXPECT_TRUE(database->verify()->ok()) << text_of(*database->verify());
      const std::string bytes = env.disk().file_bytes(path);
      // Of a value file a byte of the header page: in the middle nothing reads it.
      const uint64_t byte = set.is_value_file(path) ? 1000 : bytes.size() / 2;
      env.disk().put_file(path, flipped(bytes, byte * 8));
      const Result<VerifyReport> report = database->verify();
      ASSERT_TRUE(report) << report.status().to_string();
      ASSERT_FALSE(report->ok());
      EXPECT_EQ(report->findings[0].file, DamageSet::name_of(path)) << text_of(*report);
      env.disk().remove_file(path);
      const Result<VerifyReport> without = database->verify();
      ASSERT_TRUE(without) << without.status().to_string();
      EXPECT_FALSE(without->ok());
      env.disk().put_file(path, bytes);
      EXPECT_TRUE(database->verify()->ok()) << text_of(*database->verify());
    }
  }
}

TEST(Verify, IsRefusedWhereSomebodyWritesAndWhereThereIsNothing) {
  DamageSet set({});
  SimEnv env({}, set.disk());
  EXPECT_TRUE(verify_in(env, "nothing", {}).status().is(StatusCode::not_found));
  ASSERT_TRUE(env.files().open_directory("empty", true));
  EXPECT_TRUE(verify_in(env, "empty", {}).status().is(StatusCode::not_found));
  Result<Database> database = open_in(env, kDamageDirectory, DamageSet::options(), OpenKind::open);
  ASSERT_TRUE(database);
  EXPECT_TRUE(verify_in(env, kDamageDirectory, {}).status().is(StatusCode::busy));
  EXPECT_TRUE(repair_in(env, kDamageDirectory, "repaired", {}).status().is(StatusCode::busy));
}

// Repair.

TEST(Repair, AnUndamagedDatabaseIsCopied) {
  for (const bool clean : {true, false}) {
    for (const bool mapped : {true, false}) {
      const Compression compression = mapped ? Compression::none : Compression::zstd;
      DamageSet set({.clean = clean, .mapped = mapped, .compression = compression});
      SimEnv env({}, set.disk());
      const Result<RepairReport> report = repair_in(env, kDamageDirectory, "repaired", {});
      ASSERT_TRUE(report) << report.status().to_string();
      EXPECT_TRUE(report->complete());
      EXPECT_EQ(report->findings.size(), 0u);
      Result<Database> database = open_in(env, "repaired", DamageSet::options(), OpenKind::open);
      ASSERT_TRUE(database) << database.status().to_string();
      EXPECT_EQ(difference(set.model(), *database), "");
      ASSERT_TRUE(database->keyspace("another"));  // under an id that nothing had
      ASSERT_TRUE(database->compact().ok());
      EXPECT_TRUE(database->verify()->ok());
    }
  }
}

class RepairEach : public testing::TestWithParam<DamageSetOptions> {};

TEST_P(RepairEach, FlippedBit) {
  DamageSet set(GetParam());
  for (const std::string& path : set.paths()) {
    const std::string bytes = set.bytes(path);
    for (uint64_t bit = 0; bit < bytes.size() * 8; bit += stride(kRepairStride)) {
      ASSERT_EQ(set.check_repair(set.with(path, flipped(bytes, bit))), "") << path << " bit " << bit;
    }
  }
}

TEST_P(RepairEach, Length) {
  DamageSet set(GetParam());
  for (const std::string& path : set.paths()) {
    const std::string bytes = set.bytes(path);
    for (uint64_t part = 0; part < 16; ++part) {
      ASSERT_EQ(set.check_repair(set.with(path, bytes.substr(0, bytes.size() * part / 16))), "")
          << path << " cut at " << part << "/16";
    }
    ASSERT_EQ(set.check_repair(set.with(path, bytes + "more")), "") << path;
  }
}

TEST_P(RepairEach, MissingFile) {
  DamageSet set(GetParam());
  for (const std::string& path : set.paths()) {
    ASSERT_EQ(set.check_repair(set.without(path)), "") << path;
    for (const std::string& other : set.paths()) {
      SimDisk both = set.without(path);
      both.remove_file(other == path ? "db/LOCK" : other);
      RepairReport report;
      ASSERT_EQ(set.check_repair(std::move(both), &report), "") << path << " and " << other;
    }
  }
}

TEST_P(RepairEach, FileOfAnotherDatabase) {
  DamageSet set(GetParam());
  DamageSetOptions how = GetParam();
  how.seed = 99;
  how.letter = 'y';
  DamageSet other(how);
  for (const std::string& path : set.paths()) {
    const std::vector<std::string> same_kind = other.paths(path.substr(path.find_last_of("./")));
    for (const std::string& foreign : same_kind) {
      ASSERT_EQ(set.check_repair(set.with(path, other.bytes(foreign))), "") << path << " is " << foreign;
    }
  }
}

TEST_P(RepairEach, StaleCopy) {
  DamageSet set(GetParam());
  for (const std::string& path : set.earlier().file_paths()) {
    const std::string stale = set.earlier().file_bytes(path);
    ASSERT_EQ(set.check_repair(set.with(path, stale)), "") << path;
    for (const std::string& missing : set.paths()) {
      SimDisk both = set.with(path, stale);
      if (missing != path) both.remove_file(missing);
      ASSERT_EQ(set.check_repair(std::move(both)), "") << path << " without " << missing;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, RepairEach,
                         testing::Values(DamageSetOptions{.clean = false}, DamageSetOptions{.clean = true},
                                         DamageSetOptions{.compression = Compression::lz4}),
                         [](const auto& form) {
                           return std::string(form.param.clean ? "Clean" : "Killed") +
                                  (form.param.compression == Compression::none ? "" : "Compressed");
                         });

// What is said twice is lost only twice.
TEST(Repair, LosesNothingWhereNothingIsLost) {
  for (const Compression compression : {Compression::none, Compression::lz4}) {
    DamageSet set({.compression = compression});
    const auto complete = [&](const std::string& path, uint64_t byte, bool expected = true) {
      SCOPED_TRACE(path + " at " + std::to_string(byte));
      RepairReport report;
      EXPECT_EQ(set.check_repair(set.with(path, flipped(set.bytes(path), byte * 8)), &report), "");
      EXPECT_EQ(report.complete(), expected);
      EXPECT_GE(report.findings.size(), 1u);
    };
    complete("db/SUPER", 100);
    uint64_t with_ranges = 0;
    uint64_t with_values = 0;
    for (const std::string& path : set.paths(".run")) {
      const std::string bytes = set.bytes(path);
      const auto footer = load<Footer>(bytes.data() + bytes.size() - kUnitBytes);
      complete(path, footer.fences_offset + 20);
      // Range removals are said once, and found by the footer alone.
      complete(path, bytes.size() - 1, footer.range_removals == 0);
      with_values += footer.value_bytes != 0 ? 1 : 0;
      if (footer.range_removals == 0) continue;
      ++with_ranges;
      complete(path, footer.ranges_offset, false);
    }
    EXPECT_GT(with_ranges, 0u);
    EXPECT_GT(with_values, 0u);
    for (const std::string& path : set.paths(".log")) {
      if (set.is_value_file(path)) continue;
      complete(path, 40);  // the salt
      complete(path, 48);  // the database's id
    }
  }
}

// Where both slots of a pair are damaged, they may have named a newer state.
TEST(Repair, PromisesNothingWhereANewerStateMayBeLost) {
  DamageSet set({});
  const std::string bytes = set.bytes("db/SUPER");
  for (uint64_t slot = 0; slot < kSuperSlots; slot += 2) {
    const std::string one = flipped(bytes, (slot * kSuperSlotBytes + 100) * 8);
    RepairReport report;
    EXPECT_EQ(set.check_repair(set.with("db/SUPER", one), &report), "");
    EXPECT_TRUE(report.complete());
    const std::string both = flipped(one, ((slot + 1) * kSuperSlotBytes + 100) * 8);
    EXPECT_EQ(set.check_repair(set.with("db/SUPER", both), &report), "");
    ASSERT_FALSE(report.complete());
    EXPECT_EQ(report.lost[0].scope, LostScope::everything);
    EXPECT_EQ(report.lost[0].file, "SUPER");
  }
}

// Without a header the first record alone tells what the others are to be read by.
TEST(Repair, SaysThatALogIsLostWhoseHeaderAndFirstRecordAre) {
  SimEnv env;
  Result<Database> database = open_in(env, kDamageDirectory, DamageSet::options(), OpenKind::create);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(database->put("k" + std::to_string(i), "v", {.durability = Durability::power}).ok());
  SimEnv after({}, env.kill());
  std::string log;
  for (const std::string& path : after.disk().file_paths()) {
    if (path.ends_with(".log") && after.disk().file_bytes(path).find("k9") != std::string::npos) log = path;
  }
  ASSERT_FALSE(log.empty());
  constexpr uint64_t kOfTheHeader = 41;
  const std::string bytes = flipped(after.disk().file_bytes(log), kOfTheHeader * 8);
  after.disk().put_file(log, flipped(bytes, kSegmentHeaderBytes * 8));
  const Result<RepairReport> report = repair_in(after, kDamageDirectory, "repaired", {});
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_FALSE(report->complete());
}

TEST(Repair, ReportsTheKeysOfADamagedPage) {
  DamageSet set({});
  const std::string path = set.paths(".run").front();
  RepairReport report;
  ASSERT_EQ(set.check_repair(set.with(path, flipped(set.bytes(path), (kUnitBytes + 500) * 8)), &report), "");
  ASSERT_EQ(report.lost.size(), 1u);
  const LostRange& lost = report.lost[0];
  EXPECT_EQ(lost.file, DamageSet::name_of(path));
  EXPECT_EQ(lost.offset, kUnitBytes);
  EXPECT_EQ(lost.scope, LostScope::keys);
  EXPECT_EQ(lost.keyspace, "");
  EXPECT_TRUE(lost.from.starts_with("key")) << lost.from;
  ASSERT_TRUE(lost.to);
  EXPECT_TRUE(lost.to->starts_with("key")) << *lost.to;
  EXPECT_GT(report.entries, 200u);
}

// Whatever call fails: what stands there is all of it, or an empty database, or none.
TEST(Repair, IsThereAsAWholeOrNotAtAll) {
  DamageSet set({});
  for (uint64_t k = 0;; k += 1) {
    SCOPED_TRACE("call " + std::to_string(k));
    SimEnv env({}, set.disk());
    env.faults().add({.after = k});
    const Result<RepairReport> report = repair_in(env, kDamageDirectory, "repaired", {});
    if (env.faults().injected() == 0) break;
    env.faults().clear();
    Result<Database> database = open_in(env, "repaired", DamageSet::options(), OpenKind::open);
    if (!database) {
      EXPECT_FALSE(report);
      EXPECT_TRUE(database.status().is(StatusCode::not_found)) << database.status().to_string();
      continue;
    }
    if (report && !report->complete()) continue;  // the call read a damaged file, as it seemed
    const Result<uint64_t> digest = digest_of(*database);
    ASSERT_TRUE(digest);
    EXPECT_TRUE(*digest == set.model().digest() || (!report && *digest == Model().digest()));
  }
}

/// An empty state, in a directory that is made.
std::unique_ptr<StateStore> make_state(SimEnv& env, std::unique_ptr<Directory>* directory) {
  Result<std::unique_ptr<Directory>> made = env.files().open_directory(kDamageDirectory, true);
  EXPECT_TRUE(made);
  *directory = *std::move(made);
  DurableState initial;
  initial.database_id = 7;
  initial.next_base_lsn = 8;
  initial.log_floor = 8;
  Result<std::unique_ptr<StateStore>> store = StateStore::create(**directory, initial);
  EXPECT_TRUE(store);
  return *std::move(store);
}

// What a merge left of a run answers for its interval alone.
TEST(Repair, TakesOfARunTheIntervalThatItAnswersFor) {
  SimEnv env;
  std::vector<SortedRunInfo> runs;
  {
    std::unique_ptr<Directory> directory;
    const std::unique_ptr<StateStore> store = make_state(env, &directory);
    const auto key = [](char c) { return std::string(1, '\0') + c; };
    for (const char* value : {"newer", "older"}) {
      const uint64_t id = *store->new_file_id();
      Result<std::unique_ptr<RunWriter>> writer = RunWriter::create(*directory, id, {});
      ASSERT_TRUE(writer);
      for (char c = 'a'; c <= 'z'; ++c) {
        const Version version{.value = value};
        ASSERT_TRUE((*writer)->add(key(c), {&version, 1}).ok());
      }
      runs.push_back({.pieces = {{.file = *(*writer)->finish(0, 8), .from = {}, .to = {}}}});
    }
    runs[0].pieces[0].from = key('c');
    runs[0].pieces[0].to = key('e');
    ASSERT_TRUE(store->commit([&](DurableState& next) { next.runs = runs; }).ok());
  }
  ASSERT_TRUE(verify_in(env, kDamageDirectory, {})->ok());
  const Result<RepairReport> report = repair_in(env, kDamageDirectory, "repaired", {});
  ASSERT_TRUE(report) << report.status().to_string();
  EXPECT_TRUE(report->complete());
  Result<Database> database = open_in(env, "repaired", DamageSet::options(), OpenKind::open);
  ASSERT_TRUE(database);
  for (char c = 'a'; c <= 'z'; ++c)
    EXPECT_EQ(database->get(std::string(1, c)).value(), c == 'c' || c == 'd' ? "newer" : "older") << c;
  ASSERT_TRUE(database->close().ok());
  // A damaged piece loses what it answered for.
  const std::string path = std::string(kDamageDirectory) + "/" + run_file_name(runs[0].pieces[0].file.id);
  env.disk().put_file(path, flipped(env.disk().file_bytes(path), 8 * 100));
  const Result<RepairReport> damaged = repair_in(env, kDamageDirectory, "again", {});
  ASSERT_TRUE(damaged) << damaged.status().to_string();
  ASSERT_EQ(damaged->lost.size(), 1u);
  EXPECT_EQ(damaged->lost[0].from, "c");
  EXPECT_EQ(damaged->lost[0].to, "e");
  EXPECT_EQ(damaged->entries, 26u);
}

struct PreparedByHand {
  std::string gid;
  uint64_t prepared_us = 0;
  uint32_t keyspace = 0;
  std::vector<std::string> keys;
};

/// A database that holds these prepared transactions, and what else is in its catalogue; repaired.
Result<RepairReport> repair_with(SimEnv& env, const std::vector<PreparedByHand>& all,
                                 const std::vector<std::string>& catalogue) {
  std::map<std::string, std::string> entries;
  for (const std::string& name : catalogue) entries[name];
  for (const PreparedByHand& one : all) {
    std::vector<Operation> puts;
    std::list<InternalKey> keys;
    for (const std::string& written : one.keys) {
      const LogEntry entry{EntryKind::put, keys.emplace_back(one.keyspace, written).view(), "value"};
      puts.push_back({.entry = entry, .hash = 0, .offset = 0, .expiry = 0});
    }
    entries[std::string(prepared_key(one.gid))] = encode_prepared(one.prepared_us, puts, {});
  }
  std::unique_ptr<Directory> directory;
  const std::unique_ptr<StateStore> store = make_state(env, &directory);
  Result<std::unique_ptr<RunWriter>> writer = RunWriter::create(*directory, *store->new_file_id(), {});
  if (!writer) return writer.status();
  for (const auto& [name, value] : entries) {
    const InternalKey key(kCatalogueKeyspaceId, name);
    const Version version{.value = value};
    EXPECT_TRUE((*writer)->add(key.view(), {&version, 1}).ok());
  }
  const SortedRunInfo run{.pieces = {{.file = *(*writer)->finish(0, 8), .from = {}, .to = {}}}};
  EXPECT_TRUE(store->commit([&](DurableState& next) { next.runs = {run}; }).ok());
  return repair_in(env, kDamageDirectory, "repaired", {});
}

/// The transactions that are prepared in what was repaired, each of which can be committed.
std::string committed(SimEnv& env) {
  Result<Database> database = open_in(env, "repaired", DamageSet::options(), OpenKind::open);
  if (!database) return database.status().to_string();
  const Result<Stats> stats = database->stats();
  std::string gids;
  for (const PreparedTransaction& prepared : stats->prepared_transactions) {
    gids += prepared.gid;
    EXPECT_TRUE(database->commit_prepared(prepared.gid).ok()) << prepared.gid;
  }
  return gids;
}

// Of two prepared transactions over one key the resolution of the earlier one was lost; also of one over keys
// of one that is left out itself.
TEST(Repair, LeavesOutWhatWasPreparedWhereALaterOneStands) {
  SimEnv env;
  const Result<RepairReport> report = repair_with(env,
                                                  {{"a", 1, 0, {"other"}},
                                                   {"b", 6, 0, {"k"}},
                                                   {"c", 5, 0, {"k", "l"}},
                                                   {"d", 2, 0, {"k"}},
                                                   {"e", 3, 0, {"l"}}},
                                                  {});
  ASSERT_TRUE(report) << report.status().to_string();
  ASSERT_EQ(report->findings.size(), 3u);
  EXPECT_NE(report->findings[0].what.find("\"c\""), std::string::npos) << report->findings[0].what;
  EXPECT_EQ(committed(env), "ab");
}

// A keyspace is dropped when what was prepared in it was resolved; the number of one whose name is lost is
// given to no other.
TEST(Repair, LeavesOutWhatWasPreparedInADroppedKeyspace) {
  SimEnv env;
  constexpr uint32_t kGone = kFirstUserKeyspaceId;
  constexpr uint32_t kNameless = kGone + 5;
  const Result<RepairReport> report =
      repair_with(env, {{"a", 1, kGone, {"k"}}, {"b", 2, kNameless, {"k"}}}, {Catalogue::dropped_key(kGone)});
  ASSERT_TRUE(report) << report.status().to_string();
  ASSERT_EQ(report->findings.size(), 1u);
  EXPECT_NE(report->findings[0].what.find("\"a\""), std::string::npos) << report->findings[0].what;
  EXPECT_EQ(report->recovered_keyspaces.size(), 1u);
  EXPECT_EQ(committed(env), "b");
  Result<Database> database = open_in(env, "repaired", DamageSet::options(), OpenKind::open);
  ASSERT_TRUE(database) << database.status().to_string();
  const Result<Keyspace> made = database->keyspace("made");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->get("k").absent());
  EXPECT_EQ(database->keyspace(report->recovered_keyspaces[0], false)->get("k").value(), "value");
}

TEST(Repair, WritesIntoNothingThatIsThere) {
  DamageSet set({});
  SimEnv env({}, set.disk());
  env.disk().put_file("occupied/file", "somebody's");
  EXPECT_TRUE(repair_in(env, kDamageDirectory, "occupied", {}).status().is(StatusCode::already_exists));
  EXPECT_TRUE(repair_in(env, kDamageDirectory, kDamageDirectory, {}).status().is(StatusCode::already_exists));
  EXPECT_TRUE(repair_in(env, "nothing", "into", {}).status().is(StatusCode::not_found));
  EXPECT_FALSE(env.disk().has_file("into/SUPER"));
}

}  // namespace
}  // namespace lightning
