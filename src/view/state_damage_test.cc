// What damage of SUPER and of a manifest does to an open.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/coding.h"
#include "testing/crash_images.h"
#include "testing/sim_env.h"
#include "view/state_history_test_util.h"
#include "view/state_store.h"

namespace lightning {
namespace {

class DamageTest : public testing::Test {
 protected:
  DamageTest() : directory_(directory_of(env_)), history_(5) {
    StorePtr store = *StateStore::create(*directory_, history_.initial());
    while (history_.last().runs.size() < 2 || history_.states().size() < 4) {
      EXPECT_TRUE(history_.advance(*store, *directory_).ok());
    }
    manifest_ = "db/" + manifest_file_name(store->manifest_id());
    generation_ = store->generation();
  }
  std::string& damaged(const std::string& path) {
    bytes_ = env_.disk().file_bytes(path);
    return bytes_;
  }
  void spoil_pair(uint64_t generation) {
    damaged("db/SUPER");
    for (const uint64_t slot : {generation % 2 * 2, generation % 2 * 2 + 1}) bytes_[slot * 4096 + 50] ^= 1;
    env_.disk().put_file("db/SUPER", bytes_);
  }

  SimEnv env_;
  std::unique_ptr<Directory> directory_;
  History history_;
  std::string manifest_;
  std::string bytes_;
  uint64_t generation_ = 0;
};

TEST_F(DamageTest, OfTheManifestIsCorruption) {
  const std::string whole = env_.disk().file_bytes(manifest_);
  for (size_t offset = 0; offset < whole.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes_ = whole;
      bytes_[offset] = static_cast<char>(bytes_[offset] ^ (1 << bit));
      env_.disk().put_file(manifest_, bytes_);
      const Result<StorePtr> store = StateStore::open(*directory_, StoreAccess::read_write);
      ASSERT_TRUE(store.status().is(StatusCode::corruption)) << offset;
      ASSERT_EQ("db/" + std::string(store.status().file()), manifest_);
    }
    env_.disk().put_file(manifest_, whole.substr(0, offset));
    ASSERT_TRUE(StateStore::open(*directory_, StoreAccess::read).status().is(StatusCode::corruption))
        << offset;
  }
  env_.disk().remove_file(manifest_);
  EXPECT_TRUE(StateStore::open(*directory_, StoreAccess::read).status().is(StatusCode::corruption));
}

TEST_F(DamageTest, OfOneSlotIsReportedAndMended) {
  for (uint64_t slot = 0; slot < 4; ++slot) {
    damaged("db/SUPER")[slot * 4096 + 100] ^= 1;
    env_.disk().put_file("db/SUPER", bytes_);
    env_.disk().put_file("db/0000000001.manifest", "a leftover");
    StorePtr store = *StateStore::open(*directory_, StoreAccess::read_write);
    EXPECT_NE(store->damage(), "");
    EXPECT_TRUE(same_state(store->state(), history_.last()));
    EXPECT_TRUE(store->orphans(*directory_->list()).empty());
    const uint64_t manifest = store->manifest_id();
    ASSERT_TRUE(store->commit([](DurableState&) {}).ok());
    EXPECT_TRUE(env_.disk().has_file("db/" + manifest_file_name(manifest))) << "removed in spite of damage";
    store = *StateStore::open(*directory_, StoreAccess::read_write);
    EXPECT_EQ(store->damage(), "");
    EXPECT_FALSE(store->orphans(*directory_->list()).empty());
    EXPECT_EQ(store->state().removal_floor, 0u);
  }
}

TEST_F(DamageTest, OfTheNewestPairIsMadeGoodByTheManifest) {
  spoil_pair(generation_);
  StorePtr store = *StateStore::open(*directory_, StoreAccess::read_write);
  EXPECT_NE(store->damage(), "");
  EXPECT_TRUE(same_state(store->state(), history_.last()));
  EXPECT_EQ(store->state().removal_floor, 0u);
  ASSERT_TRUE(history_.advance(*store, *directory_).ok());
  EXPECT_GT(store->generation(), generation_ + 1);
  store = *StateStore::open(*directory_, StoreAccess::read_write);
  EXPECT_EQ(store->damage(), "");
  EXPECT_TRUE(same_state(store->state(), history_.last()));
}

// Of a record that was appended and never synced, since then the process was killed.
TEST_F(DamageTest, WhatTheManifestMakesGoodIsDurableBehindTheOpen) {
  StorePtr store = *StateStore::open(*directory_, StoreAccess::read_write);
  ASSERT_TRUE(history_.advance(*store, *directory_).ok());
  const uint64_t generation = store->generation();
  env_.faults().add({.call = SimCall::sync, .name_part = ".manifest", .effect = FaultEffect::pages_clean});
  ASSERT_FALSE(history_.advance(*store, *directory_).ok());
  spoil_pair(generation + 1);
  store = *StateStore::open(*directory_, StoreAccess::read_write);
  ASSERT_TRUE(same_state(store->state(), history_.last()));
  SimDisk moment = env_.disk().kill_image();
  for_each_crash_image(moment, {}, [&](CrashImage image) {
    image.disk.evict_lost_pages();
    SimEnv later({}, std::move(image.disk));
    const auto again = directory_of(later);
    EXPECT_TRUE(same_state((*StateStore::open(*again, StoreAccess::read))->state(), history_.last()));
  });
}

TEST_F(DamageTest, OfTheOlderPairLosesNothing) {
  spoil_pair(generation_ - 1);
  env_.disk().put_file("db/0000123456.run", "x");
  StorePtr store = *StateStore::open(*directory_, StoreAccess::read_write);
  EXPECT_NE(store->damage(), "");
  DurableState expected = history_.last();
  expected.next_segment_number = 123'457;
  EXPECT_TRUE(same_state(store->state(), expected));
  EXPECT_EQ(store->state().removal_floor, 123'457u) << "nobody can tell whether there was a newer state";
}

// Below the floor, which counts for files of both kinds, what a crash leaves of them would stay for ever.
TEST_F(DamageTest, LeavesNoSegmentToComeBelowTheFloor) {
  spoil_pair(generation_ - 1);
  StorePtr store = *StateStore::open(*directory_, StoreAccess::read_write);
  EXPECT_GT(store->state().removal_floor, 1000u);
  EXPECT_GE(store->state().next_segment_number, store->state().removal_floor);
}

TEST_F(DamageTest, ThatLosesAStateRemovesNothing) {
  spoil_pair(generation_);
  const std::string whole = env_.disk().file_bytes(manifest_);
  env_.disk().put_file(manifest_, whole.substr(0, whole.size() - 1));
  env_.disk().put_file("db/0000005000.run", "of the lost state");
  env_.disk().put_file("db/0000006000.log", "of the lost state");
  StorePtr store = *StateStore::open(*directory_, StoreAccess::read_write);
  DurableState expected = history_.states()[history_.states().size() - 2];
  expected.next_segment_number = 6001;
  EXPECT_TRUE(same_state(store->state(), expected));
  EXPECT_EQ(store->state().removal_floor, 6001u);
  EXPECT_GT(*store->new_file_id(), 6000u);
  for (int i = 0; i < 2; ++i) {  // also when the damage itself is gone
    ASSERT_TRUE(store->commit([](DurableState&) {}).ok());
    EXPECT_TRUE(store->orphans(*directory_->list()).empty());
    store = *StateStore::open(*directory_, StoreAccess::read_write);
    EXPECT_EQ(store->damage(), "");
  }
}

TEST_F(DamageTest, ManifestOfAnotherState) {
  damaged("db/SUPER");
  for (uint64_t slot = 0; slot < 4; ++slot) {
    char* const at = bytes_.data() + slot * 4096;
    store<uint64_t>(at + 56, 12345);  // the log floor
    store(at, checksum(at + 8, 4096 - 8, slot));
  }
  env_.disk().put_file("db/SUPER", bytes_);
  EXPECT_TRUE(StateStore::open(*directory_, StoreAccess::read).status().is(StatusCode::corruption));
}

}  // namespace
}  // namespace lightning
