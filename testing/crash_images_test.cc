// The enumeration proves itself on a small application that is right, and on the same application with one
// step of its protocol left out: the right one survives every image, each wrong one fails in some.
#include "testing/crash_images.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <set>

#include "base/hash.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

TEST(CrashImages, TriesEverySubsetOfAFewUnitsAndSamplesMany) {
  SimEnv env;
  Result<std::unique_ptr<Directory>> dir = env.files().open_directory("db", true);
  Result<std::unique_ptr<File>> file = (*dir)->open("f", OpenMode::create);
  ASSERT_TRUE((*file)->truncate(64 * kSectorBytes).ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE((*dir)->sync().ok());
  const auto images = [&](const CrashOptions& options) {
    std::set<std::string> seen;
    SimDisk moment = env.disk().kill_image();
    for_each_crash_image(moment, options,
                         [&](CrashImage image) { seen.insert(image.disk.file_bytes("db/f")); });
    return seen.size();
  };
  ASSERT_TRUE((*file)->write(0, std::string(5 * kSectorBytes, 'x')).ok());
  EXPECT_EQ(images({}), 32u);
  EXPECT_EQ(images({.grain = {.block_bytes = kPageBytes}}), 2u);
  ASSERT_TRUE((*file)->write(0, std::string(20 * kSectorBytes, 'x')).ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE((*file)->write(0, std::string(20 * kSectorBytes, 'y')).ok());
  EXPECT_EQ(images({.limit = 150}), 150u);
  EXPECT_EQ(images({.limit = 10, .with_kill = false}), 10u);
  SimDisk moment = env.disk().kill_image();
  std::set<std::string> words;
  for_each_crash_image(moment, {}, [&](CrashImage image) { words.insert(image.what); });
  EXPECT_TRUE(words.contains("kill of the process"));
  EXPECT_TRUE(words.contains("power cut that loses 1 of 20, lost: f +512 at 1024"));
}

// --- a log of numbered records in a mapped file; CURRENT names the file

enum class Flaw {
  none,
  no_file_sync,          // a record is acknowledged before it is durable
  no_checksum,           // a torn record is taken for a whole one
  current_before_bytes,  // CURRENT names a file whose bytes are not durable
  current_before_name,   // CURRENT names a file whose name is not durable
  remove_before_rename,  // the former file is removed before its successor is named
  tail_not_cleared,      // what recovery refused is still there when later records follow
  names_not_synced,      // recovery trusts names that a killed process had not synced
};

constexpr uint64_t kLogBytes = 32 * 1024;
constexpr uint64_t kPayloadBytes = 700;  // more than a sector: can be torn

struct Record {
  uint64_t check;
  uint64_t number;
  char payload[kPayloadBytes];

  static Record make(uint64_t number, uint64_t salt) {
    Record record{.check = 0, .number = number, .payload = {}};
    std::memset(record.payload, static_cast<int>('a' + (number + salt) % 26), kPayloadBytes);
    record.check = checksum(record.payload, kPayloadBytes, number);
    return record;
  }
  bool whole(Flaw flaw) const {
    return number != 0 && (flaw == Flaw::no_checksum || check == checksum(payload, kPayloadBytes, number));
  }
  bool uniform() const { return std::memcmp(payload, payload + 1, kPayloadBytes - 1) == 0; }
};

class NumberLog {
 public:
  NumberLog(SimEnv& env, Flaw flaw) : env_(env), flaw_(flaw) {}

  /// Opens or makes the log; afterwards count() records are there.
  Status open() {
    Result<std::unique_ptr<Directory>> dir = env_.files().open_directory("app", true);
    if (!dir) return std::move(dir).status();
    dir_ = *std::move(dir);
    Result<std::unique_ptr<File>> current = dir_->open("CURRENT", OpenMode::read);
    if (current.status().is(StatusCode::not_found)) return rotate();
    if (!current) return std::move(current).status();
    char name[16] = {};
    if (Result<uint64_t> read = (*current)->read(0, name, 5); !read) return std::move(read).status();
    name_ = name;
    Result<std::unique_ptr<File>> log = dir_->open(name_, OpenMode::read_write);
    if (!log) return std::move(log).status();
    log_ = *std::move(log);
    return recover();
  }

  /// Adds a record; sync() makes it durable.
  void append() {
    const Record record = Record::make(count_ + 1, env_.random());
    std::memcpy(region_->data() + (count_ - base_) * sizeof(Record), &record, sizeof(Record));
    ++count_;
  }
  Status sync() { return flaw_ == Flaw::no_file_sync ? Status() : log_->sync(); }

  /// Goes on in a new file that holds the last record alone.
  Status rotate() {
    const std::string former = name_;
    std::string name = "log00";
    for (int n = 0; n < 10; ++n) {
      name[4] = static_cast<char>('0' + n);
      if (!dir_->open(name, OpenMode::read).ok()) break;
    }
    Result<std::unique_ptr<File>> file = dir_->open(name, OpenMode::create);
    if (!file) return std::move(file).status();
    if (Status s = (*file)->allocate(kLogBytes); !s.ok()) return s;
    Record last{};
    if (count_ > 0) {
      std::memcpy(&last, region_->data() + (count_ - base_ - 1) * sizeof(Record), sizeof(last));
      const std::string_view bytes(reinterpret_cast<const char*>(&last), sizeof(last));
      if (Status s = (*file)->write(0, bytes); !s.ok()) return s;
    }
    if (flaw_ != Flaw::current_before_bytes) {
      if (Status s = (*file)->sync(); !s.ok()) return s;
    }
    if (flaw_ != Flaw::current_before_name) {
      if (Status s = dir_->sync(); !s.ok()) return s;
    }
    if (flaw_ == Flaw::remove_before_rename && !former.empty()) {
      if (Status s = dir_->remove(former); !s.ok()) return s;
    }
    if (Status s = name_current(name); !s.ok()) return s;
    if (flaw_ != Flaw::remove_before_rename && !former.empty()) {
      if (Status s = dir_->remove(former); !s.ok()) return s;
    }
    name_ = name;
    region_.reset();
    log_ = *std::move(file);
    base_ = count_ > 0 ? count_ - 1 : 0;
    return map();
  }

  uint64_t count() const { return count_; }
  bool damaged() const { return damaged_; }

 private:
  Status name_current(const std::string& name) {
    (void)dir_->remove("CURRENT.tmp");
    Result<std::unique_ptr<File>> file = dir_->open("CURRENT.tmp", OpenMode::create);
    if (!file) return std::move(file).status();
    if (Status s = (*file)->write(0, name); !s.ok()) return s;
    if (Status s = (*file)->sync(); !s.ok()) return s;
    if (Status s = dir_->rename("CURRENT.tmp", "CURRENT"); !s.ok()) return s;
    return dir_->sync();
  }

  Status map() {
    Result<std::unique_ptr<MappedRegion>> region = log_->map(0, kLogBytes, MapMode::write);
    if (!region) return std::move(region).status();
    region_ = *std::move(region);
    return Status();
  }

  // Takes records while they are whole and follow one another; makes the rest zeros, and what was taken
  // durable.
  Status recover() {
    if (Status s = map(); !s.ok()) return s;
    const Record* records = reinterpret_cast<const Record*>(region_->data());
    uint64_t taken = 0;
    while (records[taken].whole(flaw_) &&
           (taken == 0 || records[taken].number == records[taken - 1].number + 1)) {
      damaged_ |= !records[taken].uniform();
      ++taken;
    }
    base_ = taken == 0 ? 0 : records[0].number - 1;
    count_ = base_ + taken;
    if (flaw_ != Flaw::tail_not_cleared) {
      const std::string zeros(kLogBytes - taken * sizeof(Record), '\0');
      if (Status s = log_->write(taken * sizeof(Record), zeros); !s.ok()) return s;
    }
    if (Status s = log_->sync(); !s.ok()) return s;
    return flaw_ == Flaw::names_not_synced ? Status() : dir_->sync();
  }

  SimEnv& env_;
  const Flaw flaw_;
  std::unique_ptr<Directory> dir_;
  std::string name_;
  std::unique_ptr<File> log_;
  std::unique_ptr<MappedRegion> region_;
  uint64_t base_ = 0;  // records before the first of this file
  uint64_t count_ = 0;
  bool damaged_ = false;
};

struct Moment {
  SimDisk disk;
  uint64_t acknowledged;
  uint64_t attempted;
};

/// Works on the log and keeps each moment of it.
std::vector<Moment> moments_of(SimDisk disk, Flaw flaw, int rounds, uint64_t acknowledged,
                               uint64_t attempted) {
  std::vector<Moment> moments;
  SimEnv env({.seed = 11}, std::move(disk));
  env.watch([&](const SimStep&) {
    if (env.disk_changed()) moments.push_back({env.disk().kill_image(), acknowledged, attempted});
  });
  NumberLog log(env, flaw);
  if (!log.open().ok()) return moments;
  acknowledged = attempted = log.count();  // what an open has shown stays, and nothing else comes back
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 1 + round % 2; ++i) {
      ++attempted;
      log.append();
    }
    if (!log.sync().ok()) return moments;
    acknowledged = log.count();
    if (round % 3 == 2 && !log.rotate().ok()) return moments;
  }
  moments.push_back({env.disk().kill_image(), acknowledged, attempted});
  return moments;
}

struct Verdict {
  uint64_t images = 0;
  std::string failure;
};

/// Checks every image of every moment; with a depth above 1 the images met during recovery and further work
/// too.
void check_moments(std::vector<Moment> moments, Flaw flaw, int depth, Verdict& verdict) {
  for (Moment& moment : moments) {
    for_each_crash_image(moment.disk, {.limit = depth > 1 ? 24u : 12u}, [&](CrashImage image) {
      if (!verdict.failure.empty()) return;
      ++verdict.images;
      SimDisk again = image.disk.kill_image();
      SimEnv env({.seed = 12}, std::move(image.disk));
      NumberLog log(env, flaw);
      const Status status = log.open();
      if (!status.ok()) {
        verdict.failure = status.to_string() + " after " + image.what;
      } else if (log.count() < moment.acknowledged || log.count() > moment.attempted || log.damaged()) {
        verdict.failure = std::to_string(log.count()) + " records of " + std::to_string(moment.acknowledged) +
                          " to " + std::to_string(moment.attempted) + " after " + image.what;
      } else if (depth > 1 && verdict.images % 20 == 0) {
        check_moments(moments_of(std::move(again), flaw, 2, moment.acknowledged, moment.attempted), flaw,
                      depth - 1, verdict);
      }
    });
  }
}

class NumberLogTest : public testing::TestWithParam<Flaw> {};

TEST_P(NumberLogTest, FailsExactlyWhenItHasAFlaw) {
  Verdict verdict;
  check_moments(moments_of(SimDisk(), GetParam(), 8, 0, 0), GetParam(), 3, verdict);
  EXPECT_EQ(verdict.failure.empty(), GetParam() == Flaw::none) << verdict.failure;
  RecordProperty("images", static_cast<int>(verdict.images));
  if (GetParam() == Flaw::none) {
    EXPECT_GT(verdict.images, 10000u);
  }
}

TEST_P(NumberLogTest, TheOrderCheckerSeesWrongOrderWithoutACrash) {
  SimEnv env;
  env.order().add({.name_prefix = "CURRENT",
                   .root = true,
                   .references = [](std::string_view name, std::string_view bytes) {
                     std::vector<FileReference> references;
                     if (name == "CURRENT") {
                       references.push_back({.name = std::string(bytes), .bytes_min = sizeof(Record)});
                     }
                     return references;
                   }});
  NumberLog log(env, GetParam());
  ASSERT_TRUE(log.open().ok());
  log.append();
  ASSERT_TRUE(log.sync().ok());
  ASSERT_TRUE(log.rotate().ok());
  const std::set<Flaw> wrong_order = {Flaw::no_file_sync, Flaw::current_before_bytes,
                                      Flaw::current_before_name, Flaw::remove_before_rename};
  EXPECT_EQ(!env.order().violations().empty(), wrong_order.contains(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Flaws, NumberLogTest,
                         testing::Values(Flaw::none, Flaw::no_file_sync, Flaw::no_checksum,
                                         Flaw::current_before_bytes, Flaw::current_before_name,
                                         Flaw::remove_before_rename, Flaw::tail_not_cleared,
                                         Flaw::names_not_synced));

}  // namespace
}  // namespace lightning
