// More than one process: two that race to open a directory, and children forked from one that has it open.
// And a clock that jumps by a century under a database.
//
// LIGHTNING_RACES=n  openings that each of the two processes is to win
// LIGHTNING_FORKS=n  children of a process whose other threads write
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <lightning/database.h>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/model.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace {
bool g_is_child = false;  // whose other threads are gone, and with them the way to what they had
}

// Asked by the leak checker at the end of a process.
extern "C" __attribute__((visibility("default"))) int __lsan_is_turned_off() { return g_is_child ? 1 : 0; }

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultRaces = 60;
constexpr uint64_t kDefaultForks = 300;
#else
constexpr uint64_t kDefaultRaces = 20;  // slow builds: sanitizers
[[maybe_unused]] constexpr uint64_t kDefaultForks = 30;
#endif
[[maybe_unused]] constexpr int kChildSecondsMax = 60;  // a child that takes longer hangs

Options quick() {
  Options options;
  options.write_buffer_size = 256 * KiB;
  options.durability = Durability::process;
  return options;
}

FILE* start_racer(const std::string& directory, uint64_t races) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "other_process";
  return popen((program + " race '" + directory + "' " + std::to_string(races)).c_str(), "r");
}

std::string end_racer(FILE* racer) {
  char text[1000] = {};
  if (fgets(text, sizeof(text), racer) == nullptr) text[0] = 0;
  EXPECT_EQ(pclose(racer), 0);
  return text;
}

// From the first opening on, which makes the database. Each winner counts one further in the database
// itself, so that two winners at a time would lose a count.
TEST(Processes, OfTwoThatRaceToOpenOneWins) {
  const uint64_t races = uint_from_environment("LIGHTNING_RACES", kDefaultRaces);
  constexpr uint64_t kRacesOfDirectory = 20;
  for (uint64_t done = 0; done < races; done += kRacesOfDirectory) {
    ScratchDirectory scratch;
    const std::array racers = {start_racer(scratch.path("db"), kRacesOfDirectory),
                               start_racer(scratch.path("db"), kRacesOfDirectory)};
    for (FILE* racer : racers) {
      ASSERT_NE(racer, nullptr);
      EXPECT_EQ(end_racer(racer), "ok\n");
    }
    Result<Database> database = Database::open(scratch.path("db"));
    ASSERT_TRUE(database) << database.status().to_string();
    const Lookup wins = database->get("wins");
    ASSERT_TRUE(wins);
    EXPECT_EQ(wins.value(), std::to_string(2 * kRacesOfDirectory));
  }
  count("operations", 2 * races);
}

/// Everything of a database that a child may have inherited.
struct Handles {
  Database database;
  Keyspace keyspace;
  Snapshot snapshot;
  Cursor cursor;
  Value value;
};

Handles handles_of(const std::string& directory) {
  Handles handles;
  Result<Database> opened = Database::open(directory, quick());
  EXPECT_TRUE(opened) << opened.status().to_string();
  handles.database = *std::move(opened);
  EXPECT_TRUE(handles.database.put("pinned", std::string(20'000, 'p')).ok());
  EXPECT_TRUE(handles.database.put("first", "1").ok());
  Result<Keyspace> keyspace = handles.database.keyspace("second");
  EXPECT_TRUE(keyspace) << keyspace.status().to_string();
  handles.keyspace = *std::move(keyspace);
  Result<Snapshot> snapshot = handles.database.snapshot();
  EXPECT_TRUE(snapshot) << snapshot.status().to_string();
  handles.snapshot = *std::move(snapshot);
  EXPECT_TRUE(handles.database.get("pinned", handles.value));
  handles.cursor = handles.database.cursor({.snapshot = &handles.snapshot});
  handles.cursor.seek_first();
  EXPECT_TRUE(handles.cursor.valid());
  return handles;
}

/// What a child does: asks for everything, then destroys everything. 0, or the number of the call whose
/// answer was wrong.
int use_and_destroy(Handles handles) {
  Database& database = handles.database;
  WriteBatch batch;
  batch.put("a", "b");
  Value value;
  const std::array said = {database.put("a", "b"),
                           database.remove("a"),
                           database.write(batch),
                           database.get("pinned").status(),
                           database.contains("pinned").status(),
                           database.scan().status(),
                           handles.keyspace.put("a", "b"),
                           handles.keyspace.get("a").status(),
                           database.get("a", value, {.snapshot = &handles.snapshot}).status(),
                           database.snapshot().status(),
                           database.keyspace("third").status(),
                           database.drop_keyspace("second"),
                           database.keyspaces().status(),
                           database.sync(),
                           database.flush(),
                           database.compact(),
                           database.stats().status(),
                           database.transactions().status(),
                           database.background_error()};
  for (size_t i = 0; i < said.size(); ++i) {
    if (!said[i].is(StatusCode::closed)) return static_cast<int>(i) + 1;
  }
  handles.cursor.next();
  if (handles.cursor.valid() || !handles.cursor.status().is(StatusCode::closed)) return 30;
  return 0;
}

size_t open_files() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

// Deterministic: the child gives up its handles and nothing behind them.
TEST(Fork, LeavesWhatIsBehindTheHandlesToTheParent) {
  ScratchDirectory scratch;
  Handles handles = handles_of(scratch.path("db"));
  EXPECT_TRUE(handles.database.flush().ok());
  EXPECT_EQ(run_in_child([&] {
              g_is_child = true;
              const size_t before = open_files();
              if (const int wrong = use_and_destroy(std::move(handles)); wrong != 0) return wrong;
              return open_files() == before ? 0 : 40;
            }),
            0);
  EXPECT_TRUE(handles.database.put("after", "1").ok());
  EXPECT_EQ(handles.cursor.key(), "first");
  EXPECT_TRUE(handles.database.close().ok());
}

// Writers, flushes, merges and new keyspaces are under way in other threads when the child is made:
// whatever they had half changed, the child destroys its handles and exits as any program does. Not under
// AddressSanitizer: its allocator's locks, other than malloc's, stay locked in a child made while another
// thread held one (seen: StackDepot's, below the first operator new of the child).
#if !defined(__SANITIZE_ADDRESS__)
TEST(Fork, AtRandomMomentsHarmsNeitherChildNorParent) {
  constexpr uint32_t kWriters = 3;
  const uint64_t forks = uint_from_environment("LIGHTNING_FORKS", kDefaultForks);
  ScratchDirectory scratch;
  Handles handles = handles_of(scratch.path("db"));
  Database& database = handles.database;
  std::atomic<bool> ended{false};
  std::array<uint64_t, kWriters> written = {};
  const auto write = [&](uint32_t writer) {
    for (uint64_t number = 0; !ended.load(); ++number) {
      const std::string name = std::to_string(writer) + "/" + std::to_string(number);
      const Status status = database.put(name, std::string(number % 3000, 'v'));
      EXPECT_TRUE(status.ok()) << status.to_string();
      if (!status.ok()) return;
      written[writer] = number + 1;
      const std::string own = "keyspace of " + std::to_string(writer);
      Status other;
      if (number % 100 == 50) other = database.keyspace(own).status();
      if (number % 100 == 70) other = database.drop_keyspace(own);
      if (number % 300 == 100) other = database.flush();
      if (number % 900 == 500) other = database.compact();
      if (number % 50 == 20) other = database.snapshot().status();
      EXPECT_TRUE(other.ok()) << other.to_string();
    }
  };
  std::vector<std::thread> writers;
  for (uint32_t writer = 0; writer < kWriters; ++writer) writers.emplace_back(write, writer);
  Random random(1);
  for (uint64_t i = 0; i < forks && !testing::Test::HasFailure(); ++i) {
    usleep(static_cast<useconds_t>(random.below(3000)));
    EXPECT_EQ(run_in_child([&] {
                g_is_child = true;
                alarm(kChildSecondsMax);
                const int wrong = use_and_destroy(std::move(handles));
                std::exit(wrong);
                return wrong;
              }),
              0)
        << "fork " << i;
  }
  ended = true;
  for (std::thread& writer : writers) writer.join();
  handles = Handles();  // the cursor and the snapshot before the database
  Result<Database> again = Database::open(scratch.path("db"), quick());
  ASSERT_TRUE(again) << again.status().to_string();
  for (uint32_t writer = 0; writer < kWriters; ++writer) {
    for (uint64_t number = 0; number < written[writer]; ++number) {
      const Lookup found = again->get(std::to_string(writer) + "/" + std::to_string(number));
      ASSERT_TRUE(found) << writer << "/" << number << ": " << found.status().to_string();
      ASSERT_EQ(found.value().size(), number % 3000);
    }
  }
  count("operations", forks);
}
#endif

TEST(Clock, JumpsByACenturyChangeNothing) {
  constexpr int64_t kCenturyMicros = int64_t{100} * 365 * 24 * 3600 * 1'000'000;
  constexpr int64_t kNow = 1'700'000'000'000'000;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimEnv env({.seed = seed, .unix_micros = kNow});
    Random random(seed);
    Model model;
    Options options = quick();
    options.write_buffer_size = 64 * KiB;
    Result<Database> database = open_in(env, "db", options, OpenKind::create);
    ASSERT_TRUE(database) << database.status().to_string();
    for (int i = 0; i < 200; ++i) {
      env.set_unix_micros(kNow + (static_cast<int64_t>(random.below(3)) - 1) * kCenturyMicros);
      const std::string key = std::to_string(random.below(30));
      const std::string value(random.below(4000), 'v');
      ASSERT_TRUE(database->put(key, value).ok());
      model.put("", key, value);
      if (random.chance(0.1)) env.sleep(200'000'000);
      const Status status = random.chance(0.05)   ? database->flush()
                            : random.chance(0.02) ? database->compact()
                                                  : Status();
      ASSERT_TRUE(status.ok()) << status.to_string();
      if (!random.chance(0.05)) continue;
      ASSERT_TRUE(database->close().ok());
      database = open_in(env, "db", options, OpenKind::open);
      ASSERT_TRUE(database) << database.status().to_string();
    }
    ASSERT_EQ(difference(model, *database), "");
  }
}

}  // namespace
}  // namespace lightning
