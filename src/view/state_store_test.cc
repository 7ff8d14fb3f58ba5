#include "view/state_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/coding.h"
#include "testing/crash_images.h"
#include "testing/sim_env.h"
#include "view/state_history_test_util.h"
#include "view/state_test_util.h"

namespace lightning {
namespace {

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
  EXPECT_FALSE(env.disk().has_file("db/" + cut) || env.disk().has_file("db/" + again));
  // No number of ours is so large.
  EXPECT_TRUE(parse_numbered_name("4611686018427387905.run").kind.empty());
  EXPECT_EQ(parse_numbered_name("4611686018427387904.run").kind, ".run");
}

// Whatever fails or is killed before SUPER names it: an open that finds a thousand of them cannot write.
TEST(StateStore, AManifestThatSuperDoesNotNameGoes) {
  for (const SimCall call : {SimCall::write, SimCall::sync, SimCall::sync_directory}) {
    SimEnv env({.keeps_unsynced = false});
    const auto directory = directory_of(env);
    ASSERT_TRUE(StateStore::create(*directory, History(1).initial()).ok());
    for (int i = 0; i < 3; ++i) {
      StorePtr store = *StateStore::open(*directory, StoreAccess::read_write);
      env.faults().add({.call = call, .name_part = call == SimCall::sync_directory ? "" : ".manifest"});
      EXPECT_FALSE(store->commit([](DurableState&) {}).ok());
      EXPECT_EQ(manifests_of(env), 1u);
    }
  }
  SimEnv env({.keeps_unsynced = false});
  const auto directory = directory_of(env);
  ASSERT_TRUE(StateStore::create(*directory, History(1).initial()).ok());
  const uint64_t next = (*StateStore::open(*directory, StoreAccess::read))->state().next_file_id;
  for (uint64_t id = next; id < next + 1000; ++id)
    env.disk().put_file("db/" + manifest_file_name(id), "killed");
  StorePtr store = *StateStore::open(*directory, StoreAccess::read_write);
  EXPECT_EQ(store->commit([](DurableState&) {}).to_string(), "ok");
}

TEST(StateStore, AStateThatNoOpenWouldAcceptIsRefused) {
  constexpr uint64_t kBytesMax = 8192;
  SimEnv env({.keeps_unsynced = false});
  const auto directory = directory_of(env);
  ASSERT_TRUE(StateStore::create(*directory, History(1).initial()).ok());
  StorePtr store = *StateStore::open(*directory, StoreAccess::read_write, kBytesMax);
  Random random(1);
  const auto add_runs = [&](size_t count) {
    std::vector<uint64_t> ids(count);
    for (uint64_t& id : ids) id = *store->new_file_id();
    return store->commit([&](DurableState& state) {
      for (const uint64_t id : ids)
        state.runs.insert(state.runs.begin(), {.level = 0, .pieces = {sample_piece(random, id, 1, 2)}});
    });
  };
  ASSERT_TRUE(add_runs(5).ok());
  const DurableState before = store->state();
  EXPECT_EQ(add_runs(500).code(), StatusCode::out_of_memory);
  EXPECT_TRUE(store->failure().ok());
  EXPECT_TRUE(same_state(store->state(), before));
  EXPECT_EQ(manifests_of(env), 1u);
  ASSERT_TRUE(add_runs(1).ok());
  EXPECT_LE(env.disk().file_bytes("db/" + manifest_file_name(store->manifest_id())).size(), kBytesMax);
  const DurableState last = store->state();
  store = *StateStore::open(*directory, StoreAccess::read_write);
  EXPECT_TRUE(same_state(store->state(), last));
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
