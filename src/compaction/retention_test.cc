#include "compaction/retention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "compaction/sieve.h"

namespace lightning {
namespace {

// What a reader at `read_lsn` sees of the versions: index of the version, -1 for nothing or a removal.
std::string_view visible(const std::vector<Version>& versions, uint64_t read_lsn) {
  for (const Version& version : versions) {
    if (version.lsn < read_lsn) return version.kind == EntryKind::put ? version.value : "absent";
  }
  return "absent";
}

std::vector<Version> retained(std::vector<Version> versions, std::vector<uint64_t> readers, bool oldest) {
  retain_versions(readers, oldest, &versions);
  return versions;
}

TEST(Retention, WithoutReadersTheNewestVersionStaysAndSettles) {
  const auto kept = retained({{30, EntryKind::put, "c"}, {20, EntryKind::put, "b"}}, {}, false);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].value, "c");
  EXPECT_EQ(kept[0].lsn, kSettledLsn);
}

TEST(Retention, ASnapshotKeepsExactlyWhatItSees) {
  // A snapshot at 25 sees 20; 22 and 15 are nobody's (the middle versions of a much overwritten key).
  const auto kept = retained({{90, EntryKind::put, "e"},
                              {30, EntryKind::put, "d"},
                              {22, EntryKind::put, "c"},
                              {20, EntryKind::put, "b"},
                              {15, EntryKind::put, "a"}},
                             {25}, false);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].lsn, 90u);
  EXPECT_EQ(kept[1].value, "c");
}

TEST(Retention, AReaderAtTheVersionsOwnLsnDoesNotSeeIt) {
  const auto kept = retained({{30, EntryKind::put, "b"}, {20, EntryKind::put, "a"}}, {30}, false);
  ASSERT_EQ(kept.size(), 2u);
}

TEST(Retention, ARemovalStaysUnlessNothingOlderExists) {
  EXPECT_EQ(retained({{30, EntryKind::remove, ""}}, {}, false).size(), 1u);
  EXPECT_TRUE(retained({{30, EntryKind::remove, ""}}, {}, true).empty());
  // An older version that a snapshot needs keeps the removal above it.
  EXPECT_EQ(retained({{30, EntryKind::remove, ""}, {20, EntryKind::put, "a"}}, {25}, true).size(), 2u);
}

TEST(Retention, NoReaderSeesADifference) {
  std::mt19937_64 random(20261122);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<Version> versions;
    std::vector<std::string> values;
    for (int i = 0; i < 12; ++i) values.push_back(std::to_string(i));
    uint64_t lsn = 100;
    for (uint64_t i = 0, count = 1 + random() % 10; i < count; ++i) {
      lsn -= 1 + random() % 8;
      const bool removal = random() % 3 == 0;
      const std::string_view value = removal ? std::string_view() : values[i];
      versions.push_back({lsn, removal ? EntryKind::remove : EntryKind::put, value});
    }
    std::vector<uint64_t> readers;
    for (uint64_t i = 0, count = random() % 4; i < count; ++i) readers.push_back(10 + random() % 95);
    std::sort(readers.begin(), readers.end());
    const auto kept = retained(versions, readers, true);
    for (const uint64_t reader : readers)
      ASSERT_EQ(visible(kept, reader), visible(versions, reader)) << round;
    ASSERT_EQ(visible(kept, 1000), visible(versions, 1000)) << round;
    ASSERT_LE(kept.size(), readers.size() + 1) << round;
  }
}

class ExpiredBefore final : public ExpiryJudge {
 public:
  explicit ExpiredBefore(uint64_t time) : time_(time) {}
  bool has_expired(uint64_t expiry_us) override {
    ++asked_;
    return expiry_us <= time_;
  }
  int asked() const { return asked_; }

 private:
  const uint64_t time_;
  int asked_ = 0;
};

std::string expiring_at(uint64_t expiry) {
  std::string stored(kExpiryBytes, '\0');
  store<uint64_t>(stored.data(), expiry);
  return stored;
}

// What the sieve leaves: "p" a put, "e" one with an expiry, "r" a removal.
std::string kinds_kept(std::vector<Version> versions, std::vector<uint64_t> readers, bool older,
                       ExpiryJudge& judge) {
  OlderKeys keys;
  if (older) keys.add({{.smallest = "a", .largest = "z"}});
  Sieve sieve(std::move(readers), {}, std::move(keys), judge);
  std::string kinds;
  for (const Version& version : sieve.keep("k", versions)) kinds += "pre"[static_cast<int>(version.kind) - 1];
  return kinds;
}

TEST(Sieve, WhatHasExpiredIsARemoval) {
  const std::string soon = expiring_at(10), later = expiring_at(30);
  const Version put{20, EntryKind::put, "v"};
  const Version expired{30, EntryKind::put_expiring, soon};
  const Version alive{30, EntryKind::put_expiring, later};
  ExpiredBefore judge(29);
  EXPECT_EQ(kinds_kept({expired, put}, {}, false, judge), "");
  EXPECT_EQ(kinds_kept({expired, put}, {}, true, judge), "r");      // an older version must not come back
  EXPECT_EQ(kinds_kept({expired, put}, {25}, false, judge), "rp");  // a snapshot sees the older one
  EXPECT_EQ(kinds_kept({alive, put}, {}, true, judge), "e");
  EXPECT_EQ(kinds_kept({{40, EntryKind::put, "w"}, expired}, {35}, false, judge), "p");
  EXPECT_EQ(kinds_kept({{40, EntryKind::put, "w"}, expired}, {35}, true, judge), "pr");
  ExpiredBefore unasked(UINT64_MAX);
  EXPECT_EQ(kinds_kept({put}, {}, true, unasked), "p");
  EXPECT_EQ(unasked.asked(), 0);
}

Version range(uint64_t lsn) { return {.lsn = lsn, .kind = EntryKind::remove, .value = {}, .of_range = true}; }

TEST(Retention, ARangeRemovalHidesAndIsNotWrittenAtItsKeys) {
  EXPECT_TRUE(retained({range(50), {20, EntryKind::put, "b"}}, {}, false).empty());
  const auto kept = retained({{90, EntryKind::put, "c"}, range(50), {20, EntryKind::put, "b"}}, {}, false);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].lsn, kSettledLsn);
}

TEST(Retention, ARangeRemovalAboveWhatASnapshotSeesBecomesARemoval) {
  const auto kept = retained({range(50), {20, EntryKind::put, "b"}, {10, EntryKind::put, "a"}}, {30}, false);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].lsn, 50u);
  EXPECT_EQ(kept[0].kind, EntryKind::remove);
  EXPECT_EQ(kept[1].value, "b");
  // A snapshot above it sees no more of the key.
  EXPECT_TRUE(retained({range(50), {20, EntryKind::put, "b"}}, {60}, false).empty());
}

// What has expired is a removal of its key, wherever range removals stand.
TEST(Sieve, WhatHasExpiredUnderAndOverARangeRemoval) {
  const std::string soon = expiring_at(10), later = expiring_at(30);
  const Version put{20, EntryKind::put, "v"};
  const auto expired = [&](uint64_t lsn) { return Version{lsn, EntryKind::put_expiring, soon}; };
  const auto alive = [&](uint64_t lsn) { return Version{lsn, EntryKind::put_expiring, later}; };
  ExpiredBefore judge(29);
  for (const bool older : {false, true}) {
    EXPECT_EQ(kinds_kept({range(50), expired(30), put}, {}, older, judge), "");
    EXPECT_EQ(kinds_kept({range(50), alive(30), put}, {}, older, judge), "");
    EXPECT_EQ(kinds_kept({alive(60), range(50), expired(30)}, {}, older, judge), "e");
    EXPECT_EQ(kinds_kept({range(50), alive(30), put}, {40}, older, judge), "re");
    EXPECT_EQ(kinds_kept({alive(60), range(50), put}, {40}, older, judge), "ep");
    EXPECT_EQ(kinds_kept({expired(60), range(50), put}, {40}, older, judge), "rp");
    EXPECT_EQ(kinds_kept({expired(60), range(50), expired(30)}, {55}, older, judge), older ? "r" : "");
  }
  // The range removal is written where an older source is under it; the removal of the key not in its stead.
  EXPECT_EQ(kinds_kept({expired(60), range(50), put}, {}, true, judge), "r");
  EXPECT_EQ(kinds_kept({expired(60), range(50), put}, {}, false, judge), "");
  EXPECT_EQ(kinds_kept({range(50), expired(30), put}, {40}, false, judge), "");
  EXPECT_EQ(kinds_kept({range(50), expired(30), put}, {40}, true, judge), "rr");
}

TEST(Retention, RangesStayOverOlderKeysAlone) {
  const std::vector<KeyRange> ranges = {{.smallest = "c", .largest = "e"}};
  OlderKeys older;
  older.add(ranges);
  RangeMap all;
  all.append("a", "b", std::vector<uint64_t>{70});
  all.append("b", "d", std::vector<uint64_t>{90, 70, 20});
  all.append("e", "f", std::vector<uint64_t>{20});
  all.append("f", "g", std::vector<uint64_t>{70});
  const RangeMap kept = retained_ranges(all, std::vector<uint64_t>{30, 80}, older);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept.from(0), "b");
  EXPECT_EQ(std::vector<uint64_t>(kept.lsns(0).begin(), kept.lsns(0).end()),
            (std::vector<uint64_t>{90, 70, kSettledRangeLsn}));
  EXPECT_EQ(kept.from(1), "e");
  EXPECT_EQ(kept.lsns(1)[0], kSettledRangeLsn);
}

}  // namespace
}  // namespace lightning
