#include "testing/sim_file_system.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "testing/crash_images.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

std::unique_ptr<Directory> directory(SimEnv& env) {
  Result<std::unique_ptr<Directory>> opened = env.files().open_directory("db", true);
  EXPECT_TRUE(opened.ok()) << opened.status().to_string();
  return *std::move(opened);
}

std::unique_ptr<File> open(Directory& in, const std::string& name, OpenMode mode = OpenMode::create) {
  Result<std::unique_ptr<File>> opened = in.open(name, mode);
  EXPECT_TRUE(opened.ok()) << opened.status().to_string();
  return *std::move(opened);
}

std::unique_ptr<MappedRegion> map(File& file, uint64_t size, MapMode mode = MapMode::write) {
  Result<std::unique_ptr<MappedRegion>> mapped = file.map(0, size, mode);
  EXPECT_TRUE(mapped.ok()) << mapped.status().to_string();
  return *std::move(mapped);
}

std::string bytes_of(File& file) {
  std::string bytes(*file.size(), '?');
  Result<uint64_t> read = file.read(0, bytes.data(), bytes.size());
  EXPECT_TRUE(read.ok() && *read == bytes.size());
  return bytes;
}

/// A file "f" of `size` bytes 'o', durable with its name.
std::unique_ptr<File> durable_file(Directory& in, uint64_t size) {
  std::unique_ptr<File> file = open(in, "f");
  EXPECT_TRUE(file->write(0, std::string(size, 'o')).ok());
  EXPECT_TRUE(file->sync().ok());
  EXPECT_TRUE(in.sync().ok());
  return file;
}

/// What db/f reads in each image of a power cut; "absent" without the file.
std::set<std::string> outcomes(SimEnv& env, CrashOptions options = {}) {
  options.with_kill = false;
  std::set<std::string> found;
  SimDisk moment = env.disk().kill_image();
  for_each_crash_image(moment, options, [&](CrashImage image) {
    found.insert(image.disk.has_file("db/f") ? image.disk.file_bytes("db/f") : "absent");
  });
  return found;
}

using Strings = std::set<std::string>;

TEST(SimFileSystem, ReadsWhatWasWritten) {
  SimEnv env;
  auto dir = directory(env);
  auto file = open(*dir, "f");
  ASSERT_TRUE(file->write(5000, "hello").ok());
  EXPECT_EQ(*file->size(), 5005u);
  EXPECT_EQ(bytes_of(*file), std::string(5000, '\0') + "hello");
  char tail[10];
  EXPECT_EQ(*file->read(5003, tail, 10), 2u);
  EXPECT_EQ(*file->read(9000, tail, 10), 0u);
  ASSERT_TRUE(file->truncate(2).ok());
  ASSERT_TRUE(file->truncate(5005).ok());
  EXPECT_EQ(bytes_of(*file), std::string(5005, '\0'));
  EXPECT_EQ(env.open_files(), 1u);
}

TEST(SimFileSystem, MappingAndCallsSeeTheSameBytes) {
  SimEnv env;
  auto dir = directory(env);
  auto file = open(*dir, "f");
  ASSERT_TRUE(file->allocate(1 << 20).ok());
  auto region = map(*file, 1 << 20);
  auto reader = map(*file, 8192, MapMode::read);
  std::memcpy(region->data() + 4090, "0123456789", 10);
  EXPECT_EQ(bytes_of(*file).substr(4090, 10), "0123456789");
  EXPECT_EQ(std::string(reader->data() + 4090, 10), "0123456789");
  ASSERT_TRUE(file->write(4092, "xx").ok());
  EXPECT_EQ(std::string(region->data() + 4090, 10), "01xx456789");
  region.reset();
  reader.reset();
  EXPECT_EQ(bytes_of(*file).substr(4090, 10), "01xx456789");
}

TEST(SimFileSystem, RefusesWhatLinuxWouldAnswerWithASignalOrWrongBytes) {
  SimEnv env;
  auto dir = directory(env);
  auto file = open(*dir, "f");
  ASSERT_TRUE(file->truncate(8192).ok());
  EXPECT_TRUE(file->map(0, 8193, MapMode::read).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(file->map(100, 10, MapMode::read).status().is(StatusCode::invalid_argument));
  auto region = map(*file, 4096);
  EXPECT_TRUE(file->map(0, 8192, MapMode::read).status().is(StatusCode::invalid_argument));
  auto readable = open(*dir, "f", OpenMode::read);
  EXPECT_TRUE(readable->write(0, "x").is(StatusCode::io_error));
  EXPECT_TRUE(readable->map(0, 4096, MapMode::write).status().is(StatusCode::invalid_argument));
}

TEST(SimFileSystem, NamesAreChecked) {
  SimEnv env;
  EXPECT_TRUE(env.files().open_directory("db", false).status().is(StatusCode::not_found));
  auto dir = directory(env);
  EXPECT_TRUE(dir->open("a/b", OpenMode::create).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(dir->open("..", OpenMode::create).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(dir->open("f", OpenMode::read).status().is(StatusCode::not_found));
  EXPECT_TRUE(dir->remove("f").is(StatusCode::not_found));
  EXPECT_TRUE(dir->rename("f", "g").is(StatusCode::not_found));
  auto file = open(*dir, "f");
  EXPECT_TRUE(dir->open("f", OpenMode::create).status().is(StatusCode::already_exists));
  EXPECT_TRUE(env.files().open_directory("db/f/g", true).status().is(StatusCode::io_error));
  ASSERT_TRUE(env.files().open_directory("./db//sub/", true).ok());
  EXPECT_TRUE(dir->open("sub", OpenMode::create).status().is(StatusCode::io_error));
  Result<std::vector<FileInfo>> list = dir->list();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].name, "f");
  EXPECT_TRUE((*list)[1].is_directory);
}

TEST(SimFileSystem, LockIsExclusiveOrShared) {
  SimEnv env;
  auto dir = directory(env);
  {
    Result<std::unique_ptr<DirectoryLock>> first = dir->lock("LOCK", LockMode::shared);
    Result<std::unique_ptr<DirectoryLock>> second = dir->lock("LOCK", LockMode::shared);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_TRUE(dir->lock("LOCK", LockMode::exclusive).status().is(StatusCode::busy));
  }
  Result<std::unique_ptr<DirectoryLock>> alone = dir->lock("LOCK", LockMode::exclusive);
  ASSERT_TRUE(alone.ok());
  EXPECT_TRUE(dir->lock("LOCK", LockMode::shared).status().is(StatusCode::busy));
  SimEnv next({}, env.kill());  // a lock dies with its process
  EXPECT_TRUE(directory(next)->lock("LOCK", LockMode::exclusive).ok());
}

TEST(SimFileSystem, LinksCountAndShareBytes) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1);
  EXPECT_TRUE(file->recyclable());
  Result<std::unique_ptr<Directory>> copy = env.files().open_directory("copy", true);
  ASSERT_TRUE(copy.ok());
  ASSERT_TRUE(dir->link("f", **copy, "g").ok());
  EXPECT_TRUE(dir->link("f", **copy, "g").is(StatusCode::already_exists));
  EXPECT_FALSE(file->recyclable());
  ASSERT_TRUE(dir->remove("f").ok());
  EXPECT_TRUE(file->recyclable());
  EXPECT_EQ(bytes_of(*open(**copy, "g", OpenMode::read)), "o");
}

TEST(SimFileSystem, AHoleReadsAsZerosAndTakesNoSpace) {
  for (const bool reserved : {false, true}) {
    SimEnv env;
    auto dir = directory(env);
    auto file = open(*dir, "f");
    if (reserved) {
      ASSERT_TRUE(file->allocate(10 * kPageBytes).ok());
    }
    ASSERT_TRUE(file->write(0, std::string(10 * kPageBytes, 'o')).ok());
    ASSERT_TRUE(file->sync().ok());
    const auto mapping = map(*file, 10 * kPageBytes, MapMode::read);
    ASSERT_EQ(*file->disk_bytes(), 10 * kPageBytes);
    ASSERT_TRUE(file->punch(kPageBytes - 1, 3 * kPageBytes + 1).ok());
    EXPECT_EQ(*file->size(), 10 * kPageBytes);
    EXPECT_EQ(*file->disk_bytes(), 7 * kPageBytes);
    const std::string expected = std::string(kPageBytes - 1, 'o') + std::string(3 * kPageBytes + 1, '\0') +
                                 std::string(6 * kPageBytes, 'o');
    EXPECT_EQ(bytes_of(*file), expected);
    EXPECT_EQ(std::string_view(mapping->data(), mapping->size()), expected);
    ASSERT_TRUE(file->write(2 * kPageBytes, "x").ok());
    EXPECT_EQ(*file->disk_bytes(), 8 * kPageBytes);
  }
  SimEnv without({.supports_punch = false});
  auto dir = directory(without);
  EXPECT_TRUE(durable_file(*dir, 10000)->punch(0, 8192).is(StatusCode::not_supported));
}

// --- power cuts

TEST(SimFileSystem, APowerCutKeepsOrLosesEachSectorOfAHole) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1024);
  ASSERT_TRUE(file->punch(0, 1024).ok());
  const std::string zeros(512, '\0');
  const std::string ones(512, 'o');
  EXPECT_EQ(outcomes(env), (Strings{ones + ones, zeros + ones, ones + zeros, zeros + zeros}));
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), Strings{zeros + zeros});
}

TEST(SimFileSystem, EachSectorOfAWriteIsLostByItself) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1536);
  ASSERT_TRUE(file->write(512, std::string(1024, 'n')).ok());
  const std::string o(512, 'o'), n(512, 'n');
  EXPECT_EQ(outcomes(env), (Strings{o + o + o, o + n + o, o + o + n, o + n + n}));
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{o + n + n}));
}

TEST(SimFileSystem, ASectorMayGoBackToEachStateSinceTheSync) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 3);
  ASSERT_TRUE(file->write(0, "1").ok());
  ASSERT_TRUE(file->write(1, "2").ok());
  EXPECT_EQ(outcomes(env), (Strings{"ooo", "1oo", "12o"}));
}

TEST(SimFileSystem, StoresIntoAMappingAreCapturedAtEachWatchedStep) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1024);
  auto region = map(*file, 1024);
  env.watch([](const SimStep&) {});
  region->data()[0] = '1';
  EXPECT_TRUE(file->size().ok());  // a step
  region->data()[0] = '2';
  region->data()[1000] = '3';
  Strings firsts, lasts;
  for (const std::string& outcome : outcomes(env)) {
    firsts.insert(outcome.substr(0, 1));
    lasts.insert(outcome.substr(1000, 1));
  }
  EXPECT_EQ(firsts, (Strings{"o", "1", "2"}));
  EXPECT_EQ(lasts, (Strings{"o", "3"}));
  EXPECT_EQ(outcomes(env).size(), 6u);
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{bytes_of(*file)}));
}

TEST(SimFileSystem, SizeAndBytesAreIndependent) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 512);
  ASSERT_TRUE(file->write(512, "new").ok());
  const std::string o(512, 'o');
  EXPECT_EQ(outcomes(env), (Strings{o, o + "new", o + std::string(3, '\0')}));
  ASSERT_TRUE(file->truncate(0).ok());
  EXPECT_TRUE(outcomes(env).contains(""));
}

TEST(SimFileSystem, TheFileMayExistWithoutItsBytesAndTheBytesWithoutTheFile) {
  SimEnv env;
  auto dir = directory(env);
  auto file = open(*dir, "f");
  ASSERT_TRUE(file->write(0, "x").ok());
  EXPECT_EQ(outcomes(env), (Strings{"absent", "", "x", std::string(1, '\0')}));
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{"absent", "x"}));
  ASSERT_TRUE(dir->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{"x"}));
}

TEST(SimFileSystem, RenameIsAtomicUnlessTornOnPurpose) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1);
  auto other = open(*dir, "new");
  ASSERT_TRUE(other->write(0, "n").ok());
  ASSERT_TRUE(other->sync().ok());
  ASSERT_TRUE(dir->sync().ok());
  ASSERT_TRUE(dir->rename("new", "f").ok());
  const auto states = [&](bool split) {
    Strings found;
    SimDisk moment = env.disk().kill_image();
    const CrashOptions options{.grain = {.split_renames = split}, .with_kill = false};
    for_each_crash_image(moment, options, [&](CrashImage image) {
      found.insert(image.disk.file_bytes("db/f") + (image.disk.has_file("db/new") ? "+" : ""));
    });
    return found;
  };
  EXPECT_EQ(states(false), (Strings{"o+", "n"}));
  EXPECT_EQ(states(true), (Strings{"o+", "n", "n+", "o"}));
  ASSERT_TRUE(dir->sync().ok());
  EXPECT_EQ(states(true), (Strings{"n"}));
}

TEST(SimFileSystem, ARemovedFileComesBackUntilTheDirectoryIsSynced) {
  SimEnv env;
  auto dir = directory(env);
  durable_file(*dir, 1);
  ASSERT_TRUE(dir->remove("f").ok());
  EXPECT_EQ(outcomes(env), (Strings{"o", "absent"}));
  ASSERT_TRUE(dir->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{"absent"}));
}

TEST(SimFileSystem, AKillLosesNothingButALaterPowerCutStillDoes) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1);
  ASSERT_TRUE(file->write(0, "n").ok());
  SimEnv next({}, env.kill());
  EXPECT_EQ(next.boot_id(), env.boot_id());
  EXPECT_NE(next.random(), SimEnv().random());
  EXPECT_EQ(bytes_of(*open(*directory(next), "f", OpenMode::read)), "n");
  EXPECT_EQ(outcomes(next), (Strings{"o", "n"}));
  SimEnv rebooted({}, next.disk().power_cut_image({}));
  EXPECT_NE(rebooted.boot_id(), env.boot_id());
}

TEST(SimFileSystem, NothingReachesTheMomentOfAKill) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 4096);
  auto region = map(*file, 4096);
  SimDisk moment = env.kill();
  region->data()[0] = 'x';
  EXPECT_TRUE(file->write(1, "y").is(StatusCode::io_error));
  EXPECT_TRUE(file->sync().is(StatusCode::io_error));
  EXPECT_TRUE(dir->remove("f").is(StatusCode::io_error));
  EXPECT_TRUE(env.executor().schedule(Lane::quick, 0, [] {}).is(StatusCode::io_error));
  EXPECT_EQ(moment.file_bytes("db/f"), std::string(4096, 'o'));
}

TEST(SimFileSystem, ASyncCoversOnlyWhatWasThereWhenItBegan) {
  bool missed = false;
  for (uint64_t seed = 1; seed < 100 && !missed; ++seed) {
    SimEnv env({.seed = seed, .switch_probability = 0.5});
    auto dir = directory(env);
    auto file = durable_file(*dir, 1);
    Strings after_sync;
    env.spawn("syncer", [&] {
      ASSERT_TRUE(file->sync().ok());
      after_sync = outcomes(env);
    });
    env.spawn("writer", [&] { ASSERT_TRUE(file->write(0, "n").ok()); });
    ASSERT_TRUE(env.run().ok());
    missed = bytes_of(*file) == "n" && after_sync == Strings{"o", "n"};
  }
  EXPECT_TRUE(missed);
}

// --- faults

TEST(SimFileSystem, AFailedSyncMayLeaveCleanPagesAndOldBytesOnDisk) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1024);
  const std::string old = bytes_of(*file);
  ASSERT_TRUE(file->write(0, std::string(600, 'n')).ok());
  const std::string written = bytes_of(*file);
  env.faults().add({.call = SimCall::sync, .effect = FaultEffect::pages_clean});
  EXPECT_TRUE(file->sync().is(StatusCode::io_error));
  EXPECT_TRUE(file->sync().ok());  // as on Linux: the second one reports success
  EXPECT_EQ(bytes_of(*file), written);
  EXPECT_EQ(outcomes(env), (Strings{old}));
  {
    SimEnv next({}, env.disk().kill_image());  // the page cache still shows what the disk has not
    EXPECT_EQ(next.disk().file_bytes("db/f"), written);
    EXPECT_EQ(outcomes(next), (Strings{old}));
    // Writing the bytes once more is what makes them durable.
    auto again = open(*directory(next), "f", OpenMode::read_write);
    ASSERT_TRUE(again->write(0, written).ok());
    ASSERT_TRUE(again->sync().ok());
    EXPECT_EQ(outcomes(next), (Strings{written}));
  }
  // And under memory pressure the old bytes come back by themselves.
  auto region = map(*file, 1024, MapMode::read);
  env.disk().evict_lost_pages();
  EXPECT_EQ(bytes_of(*file), old);
  EXPECT_EQ(std::string(region->data(), 1024), old);
}

TEST(SimFileSystem, AFailedSyncMayChangeNothing) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1);
  ASSERT_TRUE(file->write(0, "n").ok());
  env.faults().add({.call = SimCall::sync, .name_part = "f"});
  EXPECT_TRUE(file->sync().is(StatusCode::io_error));
  EXPECT_EQ(outcomes(env), (Strings{"o", "n"}));
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{"n"}));
}

TEST(SimFileSystem, FaultsMeetTheCallsThatTheScriptNames) {
  SimEnv env;
  auto dir = directory(env);
  auto file = open(*dir, "a.log");
  auto other = open(*dir, "b.run");
  env.faults().add({.call = SimCall::write,
                    .name_part = ".log",
                    .after = 1,
                    .times = 2,
                    .code = StatusCode::no_space,
                    .effect = FaultEffect::half});
  EXPECT_TRUE(file->write(0, "1234").ok());
  EXPECT_TRUE(other->write(0, "1234").ok());
  Status failed = file->write(0, "abcd");
  EXPECT_TRUE(failed.is(StatusCode::no_space));
  EXPECT_EQ(failed.file(), "a.log");
  EXPECT_EQ(bytes_of(*file), "ab34");
  EXPECT_TRUE(file->write(0, "abcd").is(StatusCode::no_space));
  EXPECT_TRUE(file->write(0, "abcd").ok());
  EXPECT_EQ(env.faults().injected(), 2u);
  env.faults().add({.call = SimCall::rename, .times = kForever, .effect = FaultEffect::done});
  EXPECT_TRUE(dir->rename("a.log", "c.log").is(StatusCode::io_error));
  EXPECT_TRUE(env.disk().has_file("db/c.log"));
  env.faults().clear();
  env.faults().add({.call = SimCall::size, .code = StatusCode::ok, .delay_ns = 5'000'000'000});
  const uint64_t before = env.clock().monotonic_ns();
  EXPECT_TRUE(file->size().ok());
  EXPECT_GE(env.clock().monotonic_ns() - before, 5'000'000'000u);
}

TEST(SimFileSystem, EveryCallCanFail) {
  const auto workload = [](SimEnv& env) -> Status {
    Result<std::unique_ptr<Directory>> dir = env.files().open_directory("db", true);
    if (!dir) return std::move(dir).status();
    Result<std::unique_ptr<File>> file = (*dir)->open("f", OpenMode::create);
    if (!file) return std::move(file).status();
    if (Status s = (*file)->allocate(8192); !s.ok()) return s;
    if (Status s = (*file)->write(0, "x"); !s.ok()) return s;
    if (Status s = (*file)->sync(); !s.ok()) return s;
    if (Status s = (*dir)->sync(); !s.ok()) return s;
    if (Status s = (*dir)->rename("f", "g"); !s.ok()) return s;
    return (*dir)->remove("g");
  };
  uint64_t k = 0;
  for (;; ++k) {
    SimEnv env;
    env.faults().add({.after = k});
    const Status status = workload(env);
    if (env.faults().injected() == 0) {
      EXPECT_TRUE(status.ok());
      break;
    }
    EXPECT_TRUE(status.is(StatusCode::io_error)) << k;
  }
  EXPECT_EQ(k, 8u);
}

TEST(SimFileSystem, AFullDiskTakesWhatFitsAndResumes) {
  SimEnv env;
  auto dir = directory(env);
  env.disk().set_capacity(4 * kPageBytes);
  auto file = open(*dir, "f");
  ASSERT_TRUE(file->allocate(2 * kPageBytes).ok());
  EXPECT_EQ(*file->disk_bytes(), 2 * kPageBytes);
  auto other = open(*dir, "g");
  EXPECT_TRUE(other->allocate(3 * kPageBytes).is(StatusCode::no_space));
  EXPECT_TRUE(other->write(0, std::string(3 * kPageBytes, 'x')).is(StatusCode::no_space));
  EXPECT_EQ(*other->size(), 2 * kPageBytes);
  EXPECT_EQ(*dir->free_bytes(), 0u);
  EXPECT_TRUE(file->write(0, std::string(2 * kPageBytes, 'y')).ok());  // reserved
  ASSERT_TRUE(other->truncate(0).ok());
  EXPECT_EQ(*dir->free_bytes(), 2 * kPageBytes);
  auto sparse = open(*dir, "h");
  ASSERT_TRUE(sparse->truncate(8 * kPageBytes).ok());
  auto region = map(*sparse, 8 * kPageBytes);
  EXPECT_TRUE(region->populate(0, 2 * kPageBytes).ok());
  EXPECT_TRUE(region->populate(0, 3 * kPageBytes).is(StatusCode::no_space));
  env.disk().set_capacity(100 * kPageBytes);
  EXPECT_TRUE(other->write(0, std::string(3 * kPageBytes, 'x')).ok());
}

TEST(SimFileSystem, OptionsTakeAbilitiesAway) {
  SimEnv env({.supports_allocate = false, .guards_mappings = false, .open_files_max = 1});
  auto dir = directory(env);
  auto file = open(*dir, "f");
  EXPECT_TRUE(file->allocate(4096).is(StatusCode::not_supported));
  EXPECT_FALSE(env.guards_mappings());
  EXPECT_TRUE(dir->open("g", OpenMode::create).status().is(StatusCode::io_error));
  file.reset();
  EXPECT_TRUE(dir->open("g", OpenMode::create).ok());
}

TEST(SimFileSystem, ABrokenMappingKeepsItsStoresToItself) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 4096);
  auto region = map(*file, 4096);
  EXPECT_FALSE(region->faulted());
  env.disk().break_mappings("db/f");
  EXPECT_TRUE(region->faulted());
  region->data()[0] = 'x';
  EXPECT_EQ(region->data()[0], 'x');
  EXPECT_EQ(bytes_of(*file)[0], 'o');
}

TEST(SimFileSystem, WithoutLossesADiskKeepsNothingPending) {
  SimEnv env({.keeps_unsynced = false});
  auto dir = directory(env);
  auto file = open(*dir, "f");
  ASSERT_TRUE(file->write(0, "x").ok());
  EXPECT_TRUE(env.disk().pending_units().empty());
  EXPECT_EQ(env.disk().power_cut_image({}).file_bytes("db/f"), "x");
}

TEST(SimFileSystem, AWriteFaultMakesLostPagesDirtyAgain) {
  SimEnv env;
  auto dir = directory(env);
  auto file = durable_file(*dir, 1024);
  auto region = map(*file, 1024);
  region->data()[0] = 'n';
  env.faults().add({.call = SimCall::sync, .effect = FaultEffect::pages_clean});
  EXPECT_FALSE(file->sync().ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{std::string(1024, 'o')}));
  ASSERT_TRUE(region->populate(0, 512).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(env), (Strings{"n" + std::string(1023, 'o')}));
}

// --- the order checker: SUPER names one file, which must be durable

OrderRule super_rule() {
  return {.name_prefix = "SUPER", .root = true, .references = [](std::string_view, std::string_view bytes) {
            return std::vector<FileReference>{{.name = std::string(bytes), .bytes_min = 4}};
          }};
}

TEST(OrderChecker, AcceptsTheRightOrder) {
  SimEnv env;
  env.order().add(super_rule());
  auto dir = directory(env);
  auto data = open(*dir, "data1");
  ASSERT_TRUE(data->write(0, "1234").ok());
  ASSERT_TRUE(data->sync().ok());
  ASSERT_TRUE(dir->sync().ok());
  auto super = open(*dir, "SUPER");
  ASSERT_TRUE(super->write(0, "data1").ok());
  ASSERT_TRUE(super->sync().ok());
  ASSERT_TRUE(dir->sync().ok());
  EXPECT_TRUE(env.order().violations().empty()) << env.order().violations().front();
}

TEST(OrderChecker, FindsBytesNamesAndRemovalsOutOfOrder) {
  SimEnv env;
  env.order().add(super_rule());
  auto dir = directory(env);
  auto data = open(*dir, "data1");
  ASSERT_TRUE(data->write(0, "1234").ok());
  auto super = open(*dir, "SUPER");
  ASSERT_TRUE(super->write(0, "data1").ok());
  ASSERT_EQ(env.order().violations().size(), 1u);
  EXPECT_NE(env.order().violations()[0].find("whose name is not durable"), std::string::npos);
  ASSERT_TRUE(dir->sync().ok());
  ASSERT_TRUE(super->sync().ok());
  EXPECT_NE(env.order().violations().back().find("which are not durable"), std::string::npos);
  const size_t before = env.order().violations().size();
  ASSERT_TRUE(data->sync().ok());
  ASSERT_TRUE(super->sync().ok());
  EXPECT_EQ(env.order().violations().size(), before);
  ASSERT_TRUE(dir->remove("data1").ok());
  EXPECT_NE(env.order().violations().back().find("removed"), std::string::npos);
}

}  // namespace
}  // namespace lightning
