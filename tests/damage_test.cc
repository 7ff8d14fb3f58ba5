// A database whose files are missing, cut, damaged or of a newer format: an open and every read give the
// right answer or an error that names the file, nothing is changed on disk, and with the file as it was
// everything is there again.
//
// LIGHTNING_DAMAGE_SEED=s   other bits are flipped, files cut elsewhere; 488 in a row are each bit and length
#include <gtest/gtest.h>

#include "api/open_in.h"
#include "base/coding.h"
#include "base/hash.h"
#include "log/segment.h"
#include "testing/counts.h"
#include "testing/model.h"
#include "testing/sim_env.h"
#include "view/super.h"

namespace lightning {
namespace {

constexpr char kDirectory[] = "db";
constexpr uint64_t kFlipStride = 61;  // of the bytes that are flipped, one after the other
constexpr uint64_t kCutStride = 8 * kFlipStride;

Options options() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.memory_limit = 8 * MiB;  // each opening makes the frames of its page cache
  return options;
}

constexpr uint64_t kLargeBytes = 4000;  // values from this size on stand in value files

/// A closed database with a run, a value file, a log, two keyspaces, removals and a long value.
struct DamageForm {
  Compression compression;
  PageSource source;
};

class Damage : public testing::TestWithParam<DamageForm> {
 protected:
  Damage() {
    SimEnv env;
    Options how = options();
    how.compression = GetParam().compression;
    Result<Database> database = open_in(env, kDirectory, how, OpenKind::create, kLargeBytes);
    Keyspace second = *database->keyspace("second");
    model_.create_keyspace("second");
    for (int i = 0; i < 200; ++i) put(*database, "key" + std::to_string(i), std::string(50, 'x'));
    put(*database, "long", std::string(5000, 'l'));
    EXPECT_TRUE(database->flush().ok());
    for (int i = 0; i < 20; ++i) put(*database, "key" + std::to_string(3 * i), "later");
    EXPECT_TRUE(database->remove("key7").ok());
    model_.remove("", "key7");
    EXPECT_TRUE(second.put("a", "1").ok());
    model_.put("second", "a", "1");
    EXPECT_TRUE(database->close().ok());
    disk_ = env.disk().kill_image();
    for (const std::string& path : disk_.file_paths()) {
      if (!path.ends_with("/LOCK")) paths_.push_back(path);
    }
  }

  void put(Database& database, const std::string& key, const std::string& value) {
    ASSERT_TRUE(database.put(key, value, {.durability = Durability::process}).ok());
    model_.put("", key, value);
  }

  static std::string name_of(const std::string& path) { return path.substr(path.find('/') + 1); }
  /// SUPER, manifest, run or log.
  std::string path_of(std::string_view ending) const {
    for (const std::string& path : paths_) {
      if (path.ends_with(ending)) return path;
    }
    ADD_FAILURE() << "no file like " << ending;
    return {};
  }

  /// Opens a disk and looks at everything; the first error, or ok when every answer is right.
  Status look(SimDisk disk, bool read_only = false) {
    SimEnv env({}, std::move(disk));
    Options how = options();
    how.read_only = read_only;
    how.page_source = GetParam().source;
    Result<Database> database = open_in(env, kDirectory, how, OpenKind::open);
    if (!database) return database.status();
    Status failed;
    for (const bool reverse : {false, true}) {
      Scan scan = reverse ? database->scan().reverse() : database->scan();
      for (const Entry& entry : scan) check_entry(entry.key(), entry.value());
      if (!scan.status().ok()) failed = scan.status();
    }
    for (auto entry = model_.first_from("", "", true); entry;
         entry = model_.first_from("", entry->key, false)) {
      const Lookup found = database->get(entry->key);
      if (!found.status().ok()) {
        failed = found.status();
      } else {
        EXPECT_TRUE(found) << entry->key;
        EXPECT_EQ(found.value(), entry->value) << entry->key;
      }
    }
    const Lookup removed = database->get("key7");
    EXPECT_FALSE(removed);
    if (failed.ok()) {
      EXPECT_EQ(difference(model_, *database), "");
    }
    const Status closed = database->close();
    return failed.ok() ? closed : failed;
  }

  void check_entry(std::string_view key, std::string_view value) {
    EXPECT_EQ(model_.get("", key), value) << key;
  }

  Model model_;
  SimDisk disk_;
  std::vector<std::string> paths_;
};

TEST_P(Damage, ADatabaseWithoutDamageIsRight) {
  EXPECT_EQ(look(disk_.kill_image()).to_string(), "ok");
  EXPECT_EQ(look(disk_.kill_image(), true).to_string(), "ok");
  EXPECT_EQ(paths_.size(), 5u) << "SUPER, a manifest, a run, a value file and a log segment";
}

TEST_P(Damage, AMissingFileIsNamedAndNothingElseIsTouched) {
  for (const std::string& path : paths_) {
    SCOPED_TRACE(path);
    const std::string bytes = disk_.file_bytes(path);
    SimDisk without = disk_.kill_image();
    without.remove_file(path);
    SimEnv env({}, std::move(without));
    for (const bool read_only : {false, true}) {
      Options how = options();
      how.read_only = read_only;
      // SUPER apart, an open that may create must not do so either.
      const Status status =
          open_in(env, kDirectory, how, read_only ? OpenKind::open : OpenKind::open_or_create).status();
      EXPECT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
      EXPECT_EQ(status.file(), name_of(path)) << status.to_string();
    }
    for (const std::string& other : paths_) {
      if (other == path) continue;
      ASSERT_TRUE(env.disk().has_file(other)) << other;
      EXPECT_EQ(env.disk().file_bytes(other), disk_.file_bytes(other)) << other;
    }
    env.disk().put_file(path, bytes);
    EXPECT_EQ(look(env.disk().kill_image()).to_string(), "ok");
  }
}

TEST_P(Damage, AMissingLockFileIsMadeAgain) {
  SimDisk without = disk_.kill_image();
  without.remove_file(std::string(kDirectory) + "/LOCK");
  EXPECT_EQ(look(std::move(without)).to_string(), "ok");
}

TEST_P(Damage, AFileThatWasCutIsCorruption) {
  for (const std::string& path : paths_) {
    const std::string bytes = disk_.file_bytes(path);
    // Nothing reads a value file behind its last value.
    const uint64_t values_end = bytes.find(std::string(5000, 'l')) + 5000;
    const bool value_file = path.ends_with(segment_file_name(1));
    ASSERT_EQ(value_file, bytes.find(std::string(5000, 'l')) != std::string::npos);
    for (uint64_t part = 0; part < 16; ++part) {
      if (value_file && bytes.size() * part / 16 >= values_end) break;
      SCOPED_TRACE(path + " cut at " + std::to_string(part) + "/16");
      SimDisk cut = disk_.kill_image();
      cut.put_file(path, bytes.substr(0, bytes.size() * part / 16));
      const Status status = look(std::move(cut));
      // One slot of SUPER is enough.
      if (path.ends_with("SUPER") && status.ok()) continue;
      EXPECT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
      EXPECT_EQ(status.file(), name_of(path)) << status.to_string();
    }
  }
}

// After a clean close everything that is read is known to have been durable, so no flipped bit may go
// unnoticed as a torn tail.
TEST_P(Damage, AFlippedBitGivesTheRightAnswerOrCorruption) {
  const uint64_t seed = uint_from_environment("LIGHTNING_DAMAGE_SEED", 0);
  uint64_t noticed = 0;
  for (const std::string& path : paths_) {
    const std::string bytes = disk_.file_bytes(path);
    for (uint64_t at = seed % kFlipStride; at < bytes.size(); at += kFlipStride) {
      SCOPED_TRACE(path + " flipped at " + std::to_string(at));
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at + seed / kFlipStride) % 8));
      SimDisk damaged = disk_.kill_image();
      damaged.put_file(path, flipped);
      const Status status = look(std::move(damaged), at % 2 == 0);
      if (HasFailure()) return;
      count("damages", 1);
      if (status.ok()) continue;
      ++noticed;
      // A magic number or version that is not ours may be called that.
      ASSERT_TRUE(status.is(StatusCode::corruption) || status.is(StatusCode::not_supported))
          << status.to_string();
      ASSERT_EQ(status.file(), name_of(path)) << status.to_string();
    }
  }
  EXPECT_GT(noticed, 100u);
}

TEST_P(Damage, AFileCutAnywhereGivesTheRightAnswerOrCorruption) {
  const uint64_t seed = uint_from_environment("LIGHTNING_DAMAGE_SEED", 0);
  for (const std::string& path : paths_) {
    const std::string bytes = disk_.file_bytes(path);
    for (uint64_t size = seed % kCutStride; size < bytes.size(); size += kCutStride) {
      SCOPED_TRACE(path + " cut at " + std::to_string(size));
      SimDisk damaged = disk_.kill_image();
      damaged.put_file(path, bytes.substr(0, size));
      const Status status = look(std::move(damaged), size % 2 == 0);
      if (HasFailure()) return;
      count("cuts", 1);
      if (status.ok()) continue;
      ASSERT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
      ASSERT_EQ(status.file(), name_of(path)) << status.to_string();
    }
  }
}

// A process that was killed and a machine that went down leave a log without a recorded end: what a later
// record states to be durable is what tells damage from a torn tail.
TEST_P(Damage, AFlippedBitBeforeADurableRecordIsNoTornTail) {
  SimEnv env;
  Result<Database> database = open_in(env, kDirectory, options(), OpenKind::create);
  ASSERT_TRUE(database);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(database->put("key" + std::to_string(i), "value", {.durability = Durability::power}).ok());
  }
  SimDisk killed = env.disk().kill_image();
  const std::string path = std::string(kDirectory) + "/" + segment_file_name(1);
  const std::string bytes = killed.file_bytes(path);
  for (uint64_t at = kSegmentHeaderBytes; at < kSegmentHeaderBytes + 50 * kRecordBytesMin; at += 7) {
    for (const uint64_t boots : {0, 1}) {
      SCOPED_TRACE("flipped at " + std::to_string(at) + ", " + std::to_string(boots) + " boots later");
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
      SimDisk damaged = killed.kill_image();
      damaged.put_file(path, flipped);
      damaged.set_boot_id(killed.boot_id() + boots);
      SimEnv after({}, std::move(damaged));
      const Status status = open_in(after, kDirectory, options(), OpenKind::open).status();
      ASSERT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
      ASSERT_EQ(status.file(), segment_file_name(1));
    }
  }
}

TEST_P(Damage, AFileOfAnotherDatabaseIsCorruption) {
  SimEnv env({.seed = 99});
  {
    Result<Database> other = open_in(env, kDirectory, options(), OpenKind::create);
    ASSERT_TRUE(other);
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(other->put("key" + std::to_string(i), std::string(50, 'y')).ok());
    ASSERT_TRUE(other->flush().ok());
    ASSERT_TRUE(other->put("z", "z").ok());
    ASSERT_TRUE(other->close().ok());
  }
  for (const std::string& path : env.disk().file_paths()) {
    if (!disk_.has_file(path) || path.ends_with("/LOCK")) continue;
    SCOPED_TRACE(path);
    SimDisk mixed = disk_.kill_image();
    mixed.put_file(path, env.disk().file_bytes(path));
    const Status status = look(std::move(mixed));
    EXPECT_TRUE(status.is(StatusCode::corruption)) << status.to_string();
  }
}

TEST_P(Damage, ANewerFormatIsNotSupported) {
  const std::string path = path_of("SUPER");
  std::string bytes = disk_.file_bytes(path);
  for (uint64_t slot = 0; slot < kSuperSlots; ++slot) {
    char* const at = bytes.data() + slot * kSuperSlotBytes;
    store<uint32_t>(at + 16, kFormatVersion + 1);
    store<uint64_t>(at, checksum(at + 8, kSuperSlotBytes - 8, slot));
  }
  SimDisk newer = disk_.kill_image();
  newer.put_file(path, bytes);
  SimEnv env({}, std::move(newer));
  const Status status = open_in(env, kDirectory, options(), OpenKind::open_or_create).status();
  EXPECT_TRUE(status.is(StatusCode::not_supported)) << status.to_string();
  EXPECT_NE(status.message().find(std::to_string(kFormatVersion + 1)), std::string_view::npos)
      << status.to_string();
  for (const std::string& other : paths_) {
    if (other == path) continue;
    EXPECT_EQ(env.disk().file_bytes(other), disk_.file_bytes(other)) << other;
  }
}

TEST_P(Damage, OfADatabaseWhoseStateWasDamagedUnknownSegmentsStay) {
  const std::string stray = std::string(kDirectory) + "/" + segment_file_name(77);
  for (const bool damaged : {false, true}) {
    SimDisk disk = disk_.kill_image();
    disk.put_file(stray, "left by a crash, or named by a state that was lost");
    if (damaged) {
      std::string super = disk.file_bytes(path_of("SUPER"));
      super[100] = static_cast<char>(super[100] ^ 1);
      disk.put_file(path_of("SUPER"), super);
    }
    SimEnv env({}, std::move(disk));
    Result<Database> database = open_in(env, kDirectory, options(), OpenKind::open);
    ASSERT_TRUE(database) << database.status().to_string();
    EXPECT_EQ(env.disk().has_file(stray), damaged);
  }
}

TEST_P(Damage, UnknownFilesAreReportedAndLeftAlone) {
  SimDisk more = disk_.kill_image();
  for (const char* name : {"notes.txt", "0000009999.run", "SUPER.old"}) {
    more.put_file(std::string(kDirectory) + "/" + name, "somebody's");
  }
  SimEnv env({}, std::move(more));
  Result<Database> database = open_in(env, kDirectory, options(), OpenKind::open);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(difference(model_, *database), "");
  EXPECT_EQ(database->stats()->unknown_files,
            (std::vector<std::string>{"0000009999.run", "SUPER.old", "notes.txt"}));
  ASSERT_TRUE(database->close().ok());
  for (const char* name : {"notes.txt", "0000009999.run", "SUPER.old"}) {
    EXPECT_EQ(env.disk().file_bytes(std::string(kDirectory) + "/" + name), "somebody's");
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, Damage,
                         testing::Values(DamageForm{Compression::none, PageSource::mapped},
                                         DamageForm{Compression::lz4, PageSource::mapped},
                                         DamageForm{Compression::none, PageSource::pooled},
                                         DamageForm{Compression::lz4, PageSource::pooled}),
                         [](const auto& form) {
                           return std::string(form.param.compression == Compression::none ? "Plain" : "Lz4") +
                                  (form.param.source == PageSource::pooled ? "Pooled" : "");
                         });

}  // namespace
}  // namespace lightning
