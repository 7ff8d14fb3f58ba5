// A page that is damaged is quarantined: its keys answer `corruption` with file and offset, all others go on
// working, and no flush, merge or close makes the damage worse.
#include <gtest/gtest.h>

#include "api/open_in.h"
#include "run/run_format.h"
#include "tests/damage_set.h"

namespace lightning {
namespace {

constexpr uint64_t kBadPage = 1;  // of the older run: keys of the default keyspace
constexpr uint64_t kSecondNs = 1'000'000'000;

class Quarantine : public testing::TestWithParam<PageSource> {
 protected:
  Quarantine() : env_({}, damaged_disk()) {
    Result<Database> database = open_in(env_, kDamageDirectory, options(), OpenKind::open);
    EXPECT_TRUE(database) << database.status().to_string();
    database_ = *std::move(database);
    for (auto entry = set_.model().first_from("", "", true); entry;
         entry = set_.model().first_from("", entry->key, false)) {
      const Lookup found = database_.get(entry->key);
      if (found.status().ok()) {
        EXPECT_TRUE(found && found.value() == entry->value) << entry->key;
        good_.emplace_back(entry->key);
      } else {
        EXPECT_TRUE(is_the_damage(found.status())) << found.status().to_string();
        bad_.emplace_back(entry->key);
      }
    }
    EXPECT_GT(good_.size(), 100u);
    EXPECT_GT(bad_.size(), 10u);
  }

  static Options options() {
    Options options = DamageSet::options();
    options.page_source = GetParam();
    return options;
  }

  SimDisk damaged_disk() {
    path_ = set_.paths(".run").front();
    bytes_ = set_.bytes(path_);
    std::string bytes = bytes_;
    bytes[kBadPage * kUnitBytes + 777] = static_cast<char>(bytes[kBadPage * kUnitBytes + 777] ^ 4);
    return set_.with(path_, bytes);
  }

  bool is_the_damage(const Status& status) const {
    return status.is(StatusCode::corruption) && status.file() == DamageSet::name_of(path_) &&
           status.offset() == kBadPage * kUnitBytes;
  }

  void check_good_keys() {
    for (const std::string& key : good_) {
      const Lookup found = database_.get(key);
      ASSERT_TRUE(found) << key << ": " << found.status().to_string();
      ASSERT_EQ(found.value(), set_.model().get("", key)) << key;
    }
    for (const std::string& key : bad_) {
      ASSERT_TRUE(is_the_damage(database_.get(key).status())) << key;
    }
  }

  DamageSet set_{{}};
  std::string path_;
  std::string bytes_;
  SimEnv env_;
  Database database_;
  std::vector<std::string> good_;
  std::vector<std::string> bad_;
};

TEST_P(Quarantine, ScansStopAtTheDamage) {
  for (const bool reverse : {false, true}) {
    Scan scan = reverse ? database_.scan().reverse() : database_.scan();
    std::vector<std::string> seen;
    for (const Entry& entry : scan) {
      EXPECT_EQ(set_.model().get("", entry.key()), entry.value());
      seen.emplace_back(entry.key());
    }
    EXPECT_TRUE(is_the_damage(scan.status())) << scan.status().to_string();
    EXPECT_GT(seen.size(), 5u);
    // In order and without a hole up to there.
    auto expected = reverse ? set_.model().last_to("", {}, true) : set_.model().first_from("", "", true);
    for (const std::string& key : seen) {
      ASSERT_TRUE(expected);
      ASSERT_EQ(key, expected->key);
      expected = reverse ? set_.model().last_to("", key, false) : set_.model().first_from("", key, false);
    }
  }
  // Behind its page, and in other keyspaces, all is well.
  Scan rest = database_.scan_from("key99");
  uint64_t entries = 0;
  for (const Entry& entry : rest) {
    (void)entry;
    ++entries;
  }
  EXPECT_TRUE(rest.status().ok()) << rest.status().to_string();
  EXPECT_GT(entries, 0u);
  Result<Keyspace> second = database_.keyspace("second", false);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->get("a1"));
}

TEST_P(Quarantine, WritesAndFlushesGoOn) {
  ASSERT_TRUE(database_.put(bad_.front(), "written anew").ok());
  EXPECT_EQ(database_.get(bad_.front()).value(), "written anew");
  ASSERT_TRUE(database_.flush().ok());
  EXPECT_EQ(database_.get(bad_.front()).value(), "written anew");
  bad_.erase(bad_.begin());
  check_good_keys();
}

TEST_P(Quarantine, AMergeOverItFailsAndLosesNothing) {
  const Status compacted = database_.compact();
  EXPECT_TRUE(is_the_damage(compacted)) << compacted.to_string();
  check_good_keys();
  ASSERT_TRUE(database_.close().ok());
  // With the page as it was everything is there again.
  ASSERT_TRUE(env_.disk().has_file(path_));
  env_.disk().put_file(path_, bytes_);
  Result<Database> database = open_in(env_, kDamageDirectory, options(), OpenKind::open);
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(difference(set_.model(), *database), "");
  EXPECT_TRUE(database->compact().ok());
  EXPECT_EQ(difference(set_.model(), *database), "");
  EXPECT_TRUE(database->verify()->ok());
}

TEST_P(Quarantine, BackgroundWorkReportsIt) {
  EXPECT_TRUE(database_.background_error().ok());
  // Runs over all keys, until a merge of them with the damaged one is due.
  for (int i = 0; i < 24 && database_.background_error().ok(); ++i) {
    for (const char* key : {"a", "key5", "z"}) ASSERT_TRUE(database_.put(key, std::to_string(i)).ok());
    ASSERT_TRUE(database_.flush().ok());
    env_.sleep(kSecondNs);
  }
  EXPECT_TRUE(is_the_damage(database_.background_error())) << database_.background_error().to_string();
  // It will not pass: so many merges that end there would only wear the disk.
  env_.faults().add(
      {.call = SimCall::create, .name_part = ".run", .times = kForever, .code = StatusCode::ok});
  for (int i = 0; i < 50; ++i) env_.sleep(kSecondNs);
  EXPECT_LE(env_.faults().injected(), 4u);
  for (int i = 0; i < 200; ++i) env_.sleep(kSecondNs);
  EXPECT_GE(env_.faults().injected(), 2u);
  EXPECT_TRUE(is_the_damage(database_.background_error()));
  std::erase(bad_, "key5");
  std::erase(good_, "key5");
  check_good_keys();
  ASSERT_TRUE(database_.put("more", "writes").ok());
  EXPECT_TRUE(env_.disk().has_file(path_));
  ASSERT_TRUE(database_.close().ok());
}

TEST_P(Quarantine, VerifyNamesItAndRepairReportsItsKeys) {
  const Result<VerifyReport> report = database_.verify();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->finding_count, 1u);
  EXPECT_EQ(report->findings[0].file, DamageSet::name_of(path_));
  EXPECT_EQ(report->findings[0].offset, kBadPage * kUnitBytes);
  ASSERT_TRUE(database_.close().ok());
  RepairReport repaired;
  EXPECT_EQ(set_.check_repair(env_.disk().kill_image(), &repaired), "");
  for (const std::string& key : bad_) {
    bool reported = false;
    for (const LostRange& range : repaired.lost) reported |= range.contains("", key);
    EXPECT_TRUE(reported) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, Quarantine, testing::Values(PageSource::mapped, PageSource::pooled),
                         [](const auto& source) {
                           return std::string(source.param == PageSource::mapped ? "Mapped" : "Pooled");
                         });

}  // namespace
}  // namespace lightning
