#include "view/state_store.h"

#include <gtest/gtest.h>

#include <set>

#include "base/coding.h"
#include "testing/crash_images.h"
#include "testing/sim_env.h"
#include "view/state_test_util.h"

namespace lightning {
namespace {

using StorePtr = std::unique_ptr<StateStore>;

std::unique_ptr<Directory> directory_of(Env& env) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory("db", true);
  return directory ? *std::move(directory) : nullptr;
}

std::vector<std::string> files_of(SimEnv& env) { return env.disk().file_paths(); }

/// A state that commits lead through history, each with the files that it names, as an engine would.
class History {
 public:
  explicit History(uint64_t seed) : random_(seed), states_{sample_initial_state(random_)} {}

  const DurableState& initial() const { return states_.front(); }
  const std::vector<DurableState>& states() const { return states_; }
  const DurableState& last() const { return states_.back(); }

  /// One more state, made durable in `store`. The state is part of the history whatever comes of it.
  Status advance(StateStore& store, Directory& directory) {
    Status failure;
    DurableState next = states_.back();
    sample_edit(random_, &next, [&] {
      Result<uint64_t> id = store.new_file_id();
      if (!id) failure = id.status();
      if (!id) return uint64_t{1};
      if (!used_.insert(*id).second) ADD_FAILURE() << "file id " << *id << " given out twice";
      if (failure.ok()) failure = make_run(directory, *id);
      return *id;
    });
    if (!failure.ok()) return failure;
    states_.push_back(next);
    return store.commit([&](DurableState& state) { state = next; });
  }

  /// The number of the state in the history, -1 if it is none of them.
  int find(const DurableState& state) const {
    for (int i = static_cast<int>(states_.size()) - 1; i >= 0; --i) {
      if (same_state(states_[i], state)) return i;
    }
    return -1;
  }
  uint64_t file_id_max() const { return used_.empty() ? 0 : *used_.rbegin(); }
  int attempted() const { return static_cast<int>(states_.size()) - 1; }
  /// A crash took back what came behind them.
  void forget_after(int index) { states_.resize(index + 1); }
  void forget_file_ids_after(uint64_t id) { used_.erase(used_.upper_bound(id), used_.end()); }

 private:
  static Status make_run(Directory& directory, uint64_t id) {
    Result<std::unique_ptr<File>> file = directory.open(run_file_name(id), OpenMode::create);
    if (!file) return file.status();
    if (Status status = (*file)->write(0, "run"); !status.ok()) return status;
    return (*file)->sync();
  }

  Random random_;
  std::vector<DurableState> states_;
  std::set<uint64_t> used_;
};

/// Every file that the state names is there.
void expect_files(SimEnv& env, const DurableState& state) {
  for (const SortedRunInfo& run : state.runs) {
    for (const RunPiece& piece : run.pieces) {
      EXPECT_TRUE(env.disk().has_file("db/" + run_file_name(piece.file.id))) << piece.file.id;
    }
  }
}

TEST(StateStore, CreateAndOpen) {
  SimEnv env;
  const auto directory = directory_of(env);
  EXPECT_TRUE(StateStore::open(*directory, StoreAccess::read_write).status().is(StatusCode::not_found));
  History history(1);
  {
    const Result<StorePtr> store = StateStore::create(*directory, history.initial());
    ASSERT_TRUE(store) << store.status().to_string();
    EXPECT_TRUE(same_state((*store)->state(), history.initial()));
  }
  EXPECT_TRUE(StateStore::create(*directory, history.initial()).status().is(StatusCode::already_exists));
  const Result<StorePtr> store = StateStore::open(*directory, StoreAccess::read_write);
  ASSERT_TRUE(store) << store.status().to_string();
  EXPECT_TRUE(same_state((*store)->state(), history.initial()));
  EXPECT_EQ((*store)->damage(), "");
  DurableState wrong;
  EXPECT_TRUE(StateStore::create(**env.files().open_directory("other", true), wrong)
                  .status()
                  .is(StatusCode::invalid_argument));
}

TEST(StateStore, HistoriesSurviveReopening) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimEnv env({.seed = seed, .keeps_unsynced = false});
    const auto directory = directory_of(env);
    Random random(seed);
    History history(seed);
    StorePtr store = *StateStore::create(*directory, history.initial());
    for (int i = 0; i < 60; ++i) {
      if (random.chance(0.2)) {
        store = nullptr;
        store = *StateStore::open(*directory, StoreAccess::read_write);
      }
      const Status status = history.advance(*store, *directory);
      ASSERT_TRUE(status.ok()) << status.to_string();
      ASSERT_TRUE(same_state(store->state(), history.last()));
      const StorePtr reader = *StateStore::open(*directory, StoreAccess::read);
      ASSERT_TRUE(same_state(reader->state(), history.last()));
      ASSERT_EQ(reader->state().next_file_id, store->state().next_file_id);
      ASSERT_EQ(reader->damage(), "");
    }
  }
}

uint64_t manifests_of(SimEnv& env) {
  uint64_t count = 0;
  for (const std::string& path : files_of(env)) count += path.ends_with(".manifest") ? 1 : 0;
  return count;
}

TEST(StateStore, LongManifestIsWrittenAnew) {
  SimEnv env({.keeps_unsynced = false});
  const auto directory = directory_of(env);
  History history(1);
  StorePtr store = *StateStore::create(*directory, history.initial());
  std::set<uint64_t> manifests;
  uint64_t length_max = 0;
  for (int64_t i = 1; i <= 5000; ++i) {
    ASSERT_TRUE(store->commit([i](DurableState& state) { state.time_max_us = i << 40; }).ok());
    manifests.insert(store->manifest_id());
    length_max =
        std::max(length_max, env.disk().file_bytes("db/" + manifest_file_name(store->manifest_id())).size());
    ASSERT_EQ(manifests_of(env), 1u);
  }
  EXPECT_GT(manifests.size(), 1u);
  EXPECT_LT(manifests.size(), 10u);
  EXPECT_LT(length_max, 66u << 10);
  EXPECT_EQ((*StateStore::open(*directory, StoreAccess::read))->state().time_max_us, int64_t{5000} << 40);
}

TEST(StateStore, FirstCommitAfterAnOpenWritesAnew) {
  SimEnv env;
  const auto directory = directory_of(env);
  History history(1);
  StorePtr store = *StateStore::create(*directory, history.initial());
  ASSERT_TRUE(store->commit([](DurableState&) {}).ok());
  const uint64_t manifest = store->manifest_id();
  const uint64_t generation = store->generation();
  store = *StateStore::open(*directory, StoreAccess::read_write);
  ASSERT_TRUE(store->commit([](DurableState&) {}).ok());
  EXPECT_GT(store->manifest_id(), manifest);
  EXPECT_EQ(store->generation(), generation + 2);
  EXPECT_EQ(manifests_of(env), 1u);
  ASSERT_TRUE(store->commit([](DurableState&) {}).ok());
  EXPECT_EQ(store->generation(), generation + 3);
}

TEST(StateStore, EditsThatBreakTheRulesChangeNothing) {
  SimEnv env;
  const auto directory = directory_of(env);
  History history(1);
  StorePtr store = *StateStore::create(*directory, history.initial());
  ASSERT_TRUE(history.advance(*store, *directory).ok());
  const uint64_t generation = store->generation();
  const auto refused = [&](const std::function<void(DurableState&)>& edit) {
    return store->commit(edit).is(StatusCode::invalid_argument);
  };
  EXPECT_TRUE(refused([](DurableState& state) { state.database_id += 2; }));
  EXPECT_TRUE(refused([](DurableState& state) { --state.time_max_us; }));
  EXPECT_TRUE(refused([](DurableState& state) { state.log_floor = state.next_base_lsn + 1; }));
  EXPECT_TRUE(
      refused([](DurableState& state) { state.runs.push_back({.level = kLastLevel, .pieces = {}}); }));
  EXPECT_EQ(store->generation(), generation);
  EXPECT_TRUE(same_state(store->state(), history.last()));
  EXPECT_TRUE(history.advance(*store, *directory).ok());
  // The store's own counters are not the edit's to set.
  EXPECT_TRUE(store->commit([](DurableState& state) { state.next_file_id = state.removal_floor = 1; }).ok());
  EXPECT_GT(store->state().next_file_id, 1000u);
  EXPECT_EQ(store->state().removal_floor, 0u);
}

TEST(StateStore, ReadingWritesNothing) {
  SimEnv env;
  const auto directory = directory_of(env);
  ASSERT_TRUE(StateStore::create(*directory, History(1).initial()).ok());
  const uint64_t version = env.disk().version();
  const StorePtr store = *StateStore::open(*directory, StoreAccess::read);
  EXPECT_TRUE(store->commit([](DurableState&) {}).is(StatusCode::invalid_argument));
  EXPECT_FALSE(store->new_file_id());
  EXPECT_EQ(env.disk().version(), version);
}

TEST(StateStore, FileIdsBeyondWhatIsSetAside) {
  SimEnv env({.keeps_unsynced = false});
  const auto directory = directory_of(env);
  StorePtr store = *StateStore::create(*directory, History(1).initial());
  std::set<uint64_t> ids;
  for (int i = 0; i < 5000; ++i) {
    const Result<uint64_t> id = store->new_file_id();
    ASSERT_TRUE(id);
    EXPECT_TRUE(ids.insert(*id).second);
    EXPECT_LT(*id, (*StateStore::open(*directory, StoreAccess::read))->state().next_file_id);
  }
  store = *StateStore::open(*directory, StoreAccess::read_write);
  EXPECT_GT(*store->new_file_id(), *ids.rbegin());
}

// The first commit after an open takes an id for its manifest before any id is set aside.
TEST(StateStore, FileIdsAreSetAsideAfterAManifestThatWasNotMade) {
  for (const FaultEffect effect : {FaultEffect::none, FaultEffect::done}) {
    SimEnv env;
    const auto directory = directory_of(env);
    StorePtr store = *StateStore::create(*directory, History(1).initial());
    env.faults().add({.call = SimCall::create, .name_part = ".manifest", .effect = effect});
    EXPECT_FALSE(store->new_file_id());
    ASSERT_TRUE(store->failure().ok());
    const Result<uint64_t> id = store->new_file_id();
    ASSERT_TRUE(id);
    EXPECT_LT(*id, (*StateStore::open(*directory, StoreAccess::read))->state().next_file_id);
  }
}

TEST(StateStore, Orphans) {
  SimEnv env;
  const auto directory = directory_of(env);
  const auto touch = [&](uint64_t id, const char* kind) {
    std::string name = run_file_name(id);
    name.replace(name.find('.'), std::string::npos, kind);
    env.disk().put_file("db/" + name, "x");
    return name;
  };
  StorePtr store = *StateStore::create(*directory, History(1).initial());
  const uint64_t kept = *store->new_file_id();
  const uint64_t left = *store->new_file_id();
  Random random(1);
  ASSERT_TRUE(store
                  ->commit([&](DurableState& state) {
                    state.runs = {{.level = 0, .pieces = {sample_piece(random, kept, 1, 2)}}};
                  })
                  .ok());
  touch(kept, ".run");
  const std::string orphan = touch(left, ".run");
  store = *StateStore::open(*directory, StoreAccess::read_write);
  const std::string later = touch(*store->new_file_id(), ".run");  // of this session
  touch(1'000'000, ".run");                                        // not ours
  touch(left, ".log");
  env.disk().put_file("db/notes.run", "x");
  const std::string manifest = touch(left + 1, ".manifest");
  EXPECT_EQ(store->orphans(*directory->list()), (std::vector<std::string>{orphan, manifest}));
  // Commits that were cut behind an open had no ids for their manifests that were set aside.
  store = *StateStore::open(*directory, StoreAccess::read_write);
  const std::string cut = touch(store->state().next_file_id, ".manifest");
  const std::string again = touch(store->state().next_file_id + 1, ".manifest");
  touch(store->state().next_file_id, ".run");
  EXPECT_EQ(store->orphans(*directory->list()),
            (std::vector<std::string>{orphan, manifest, later, cut, again}));
  ASSERT_TRUE(store->commit([](DurableState&) {}).ok());
  EXPECT_EQ(store->manifest_id(), parse_numbered_name(again).number + 1);
}

TEST(StateStore, LostSuperIsNoFreshDirectory) {
  SimEnv env;
  const auto directory = directory_of(env);
  const DurableState initial = History(1).initial();
  ASSERT_TRUE(StateStore::create(*directory, initial).ok());
  env.disk().remove_file("db/SUPER");
  const auto files = files_of(env);
  EXPECT_TRUE(StateStore::open(*directory, StoreAccess::read_write).status().is(StatusCode::corruption));
  EXPECT_TRUE(StateStore::create(*directory, initial).status().is(StatusCode::corruption));
  EXPECT_EQ(files_of(env), files);
  for (const char* name : {"db/0000000001.log", "db/0000000009.run"}) {
    SimEnv other;
    const auto elsewhere = directory_of(other);
    other.disk().put_file(name, "x");
    EXPECT_TRUE(StateStore::create(*elsewhere, initial).status().is(StatusCode::corruption)) << name;
  }
  SimEnv strange;
  const auto elsewhere = directory_of(strange);
  for (const char* name : {"db/LOCK", "db/2024.log", "db/0000000001.txt", "db/a.manifest"}) {
    strange.disk().put_file(name, "x");
  }
  EXPECT_TRUE(StateStore::create(*elsewhere, initial).ok());
}

TEST(StateStore, NoSpaceIsNotFinal) {
  SimEnv env;
  const auto directory = directory_of(env);
  History history(1);
  StorePtr store = *StateStore::create(*directory, history.initial());
  for (int i = 0; i < 3; ++i) {  // the first one writes anew, the others append
    for (const FaultEffect effect : {FaultEffect::none, FaultEffect::half, FaultEffect::done}) {
      env.faults().add(
          {.call = SimCall::write, .name_part = ".manifest", .code = StatusCode::no_space, .effect = effect});
      const DurableState before = store->state();
      EXPECT_TRUE(store->commit([](DurableState& state) { ++state.time_max_us; }).is(StatusCode::no_space));
      EXPECT_TRUE(same_state(store->state(), before));
      EXPECT_EQ(manifests_of(env), 1u);
    }
    ASSERT_TRUE(store->commit([](DurableState& state) { state.time_max_us += 10; }).ok());
    EXPECT_TRUE(same_state((*StateStore::open(*directory, StoreAccess::read))->state(), store->state()));
  }
}

// Damage.

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

// Faults.

// Whatever call fails, and however: the store stops, its state stays, and the disk holds that state or the
// next.
TEST(StateStoreFaults, EveryCallFailsOnce) {
  for (const FaultEffect effect :
       {FaultEffect::none, FaultEffect::half, FaultEffect::done, FaultEffect::pages_clean}) {
    for (uint64_t after = 0;; ++after) {
      SCOPED_TRACE("effect " + std::to_string(static_cast<int>(effect)) + " after " + std::to_string(after));
      SimEnv env;
      const auto directory = directory_of(env);
      History history(3);
      env.faults().add({.after = after, .effect = effect});
      Result<StorePtr> store = StateStore::create(*directory, history.initial());
      for (int i = 0; store && i < 4; ++i) {
        const DurableState before = (*store)->state();
        const Status status = history.advance(**store, *directory);
        if (status.ok()) continue;
        EXPECT_TRUE(same_state((*store)->state(), before));
        // Only what touched neither SUPER nor its manifest may be followed by a success.
        const bool harmless = status.file().ends_with(".run") || status.message().ends_with("create");
        const Status next = (*store)->commit([](DurableState&) {});
        EXPECT_EQ(next.to_string(), harmless ? "ok" : status.to_string());
        break;
      }
      const bool injected = env.faults().injected() > 0;
      env.faults().clear();
      const int known = static_cast<int>(history.states().size()) - 1;
      store = Status(StatusCode::closed, "closed");
      SimDisk moment = env.disk().kill_image();
      for_each_crash_image(moment, {.limit = 16}, [&](CrashImage image) {
        SimEnv later({}, std::move(image.disk));
        const auto again = directory_of(later);
        const Result<StorePtr> reopened = StateStore::open(*again, StoreAccess::read_write);
        if (!reopened) {
          EXPECT_TRUE(known == 0 && reopened.status().is(StatusCode::not_found))
              << reopened.status().to_string();
          EXPECT_TRUE(StateStore::create(*again, history.initial()).ok());
          return;
        }
        EXPECT_GE(history.find((*reopened)->state()), known - 1) << image.what;
        EXPECT_EQ((*reopened)->damage(), "") << image.what;
        expect_files(later, (*reopened)->state());
        EXPECT_TRUE((*reopened)->commit([](DurableState& state) { ++state.time_max_us; }).ok());
      });
      if (!injected) break;
    }
  }
}

// Power cuts.

struct Moment {
  SimDisk disk;
  int acknowledged = -1;  // the last state whose commit returned; -1: not created
  int attempted = -1;     // the last one that a commit was given, or that an open found
  uint64_t file_id_max = 0;
};

/// What SUPER names must be durable when it is named.
OrderRule super_rule() {
  return {
      .name_prefix = kSuperFileName,
      .root = true,
      .references = [](std::string_view name, std::string_view bytes) {
        std::vector<FileReference> named;
        uint64_t newest = 0;
        for (uint64_t slot = 0; slot < 4 && name == kSuperFileName && bytes.size() == kSuperBytes; ++slot) {
          const char* const at = bytes.data() + slot * 4096;
          if (load<uint64_t>(at) != checksum(at + 8, 4096 - 8, slot) || load<uint64_t>(at + 32) < newest)
            continue;
          newest = load<uint64_t>(at + 32);
          named = {
              {.name = manifest_file_name(load<uint64_t>(at + 64)), .bytes_min = load<uint64_t>(at + 72)}};
        }
        return named;
      }};
}

void check_image(CrashImage image, const History& history, const Moment& moment) {
  const int acknowledged = moment.acknowledged;
  SCOPED_TRACE(image.what);
  SimEnv env({}, std::move(image.disk));
  const auto directory = directory_of(env);
  Result<StorePtr> store = StateStore::open(*directory, StoreAccess::read_write);
  if (!store) {
    ASSERT_TRUE(acknowledged < 0 && store.status().is(StatusCode::not_found)) << store.status().to_string();
    store = StateStore::create(*directory, history.initial());
    ASSERT_TRUE(store) << store.status().to_string();
  }
  EXPECT_EQ((*store)->damage(), "");
  const int found = history.find((*store)->state());
  ASSERT_GE(found, acknowledged);
  ASSERT_LE(found, std::max(moment.attempted, 0));
  EXPECT_GT((*store)->state().next_file_id, moment.file_id_max);
  expect_files(env, (*store)->state());
  for (const std::string& name : (*store)->orphans(*directory->list()))
    ASSERT_TRUE(directory->remove(name).ok());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE((*store)->commit([](DurableState& state) { ++state.time_max_us; }).ok());
  }
  DurableState expected = history.states()[found];
  expected.time_max_us += 2;
  EXPECT_TRUE(same_state((*StateStore::open(*directory, StoreAccess::read))->state(), expected));
  expect_files(env, expected);
}

/// Creates or opens, and commits; notes the moment before each change.
void run_and_watch(SimEnv& env, int commits, History* history, int* acknowledged,
                   std::vector<Moment>* moments) {
  env.order().add(super_rule());
  env.watch([&](const SimStep&) {
    if (env.disk_changed())
      moments->push_back(
          {env.disk().kill_image(), *acknowledged, history->attempted(), history->file_id_max()});
  });
  const auto directory = directory_of(env);
  Result<StorePtr> store = StateStore::open(*directory, StoreAccess::read_write);
  if (!store) store = StateStore::create(*directory, history->initial());
  ASSERT_TRUE(store) << store.status().to_string();
  const int found = history->find((*store)->state());
  ASSERT_GE(found, *acknowledged);
  *acknowledged = found;
  history->forget_after(found);
  for (int i = 0; i < commits; ++i) {
    const Status status = history->advance(**store, *directory);
    ASSERT_TRUE(status.ok()) << status.to_string();
    *acknowledged = static_cast<int>(history->states().size()) - 1;
  }
  moments->push_back({env.disk().kill_image(), *acknowledged, history->attempted(), history->file_id_max()});
  EXPECT_TRUE(env.order().violations().empty()) << env.order().violations().front();
}

TEST(StateStoreCrashes, EveryMomentOfAHistory) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    std::vector<Moment> moments;
    int acknowledged = -1;
    {
      SimEnv env({.seed = seed});
      run_and_watch(env, 5, &history, &acknowledged, &moments);
    }
    ASSERT_GT(moments.size(), 20u);
    for (Moment& moment : moments) {
      for_each_crash_image(moment.disk, {.limit = 24, .seed = seed},
                           [&](CrashImage image) { check_image(std::move(image), history, moment); });
    }
  }
}

// A crash, an open that goes on from what is left, and a crash of that.
TEST(StateStoreCrashes, CrashAfterCrash) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    History history(seed);
    SimDisk disk;
    int acknowledged = -1;
    for (int generation = 0; generation < 4; ++generation) {
      std::vector<Moment> moments;
      {
        SimEnv env({.seed = seed}, std::move(disk));
        run_and_watch(env, 3, &history, &acknowledged, &moments);
      }
      Moment& moment = moments[random.below(moments.size())];
      std::vector<SimDisk> images;
      for_each_crash_image(moment.disk, {.limit = 8, .seed = random.next()}, [&](CrashImage image) {
        images.push_back(image.disk.kill_image());
        check_image(std::move(image), history, moment);
      });
      disk = std::move(images[random.below(images.size())]);
      acknowledged = moment.acknowledged;
      history.forget_file_ids_after(moment.file_id_max);
    }
  }
}

// A process that is killed between the write and the sync of SUPER leaves a generation that the next one
// reads and the disk does not have. It goes on from there over the place of the only durable one.
TEST(StateStoreCrashes, BeforeTheSyncOfSuperAndOfTheNextOne) {
  History history(3);
  Moment killed;
  int acknowledged = -1;
  const auto watch_super = [&](SimEnv& env, int attempted, Moment* first) {
    env.watch([&env, &history, &acknowledged, attempted, first](const SimStep& step) {
      const bool sought = step.what == "sync" && step.name == kSuperFileName && first->attempted < 0;
      if (!sought || history.attempted() < attempted) return;
      *first = {env.disk().kill_image(), acknowledged, history.attempted(), history.file_id_max()};
    });
  };
  {
    SimEnv env({.seed = 3});
    const auto directory = directory_of(env);
    StorePtr store = *StateStore::create(*directory, history.initial());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(history.advance(*store, *directory).ok());
    acknowledged = history.attempted();
    watch_super(env, acknowledged + 1, &killed);
    ASSERT_TRUE(history.advance(*store, *directory).ok());
    env.watch(nullptr);
  }
  ASSERT_EQ(killed.attempted, acknowledged + 1);
  SimEnv env({.seed = 3}, std::move(killed.disk));
  const auto directory = directory_of(env);
  StorePtr store = *StateStore::open(*directory, StoreAccess::read_write);
  ASSERT_EQ(history.find(store->state()), acknowledged + 1);
  Moment cut;
  watch_super(env, 0, &cut);
  ASSERT_TRUE(history.advance(*store, *directory).ok());
  env.watch(nullptr);
  ASSERT_GE(cut.attempted, acknowledged + 1);
  for_each_crash_image(cut.disk, {.limit = 3000, .seed = 3},
                       [&](CrashImage image) { check_image(std::move(image), history, cut); });
}

// A failed sync leaves it there, too, and its pages look as if they were on the disk.
TEST(StateStoreCrashes, BehindAnOpenWhatItReadIsDurable) {
  History history(3);
  SimEnv env({.seed = 3});
  const auto directory = directory_of(env);
  StorePtr store = *StateStore::create(*directory, history.initial());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(history.advance(*store, *directory).ok());
  env.faults().add({.call = SimCall::sync, .name_part = kSuperFileName, .effect = FaultEffect::pages_clean});
  ASSERT_TRUE(history.advance(*store, *directory).is(StatusCode::io_error));
  store = *StateStore::open(*directory, StoreAccess::read_write);
  const int found = history.find(store->state());
  ASSERT_EQ(found, history.attempted());
  Moment moment = {env.disk().kill_image(), found, found, history.file_id_max()};
  for_each_crash_image(moment.disk, {.seed = 3}, [&](CrashImage image) {
    image.disk.evict_lost_pages();
    check_image(std::move(image), history, moment);
  });
}

}  // namespace
}  // namespace lightning
