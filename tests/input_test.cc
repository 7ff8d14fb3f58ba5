// What programs and people get wrong: wrong directories, two openers, forked children, handles that outlived
// their database, keys and values beyond the limits. Each gives a clear error, and nothing is lost.
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include <lightning/database.h>

#include "io/scratch_directory.h"
#include "testing/random.h"

namespace lightning {
namespace {

Options existing() {
  Options options;
  options.create = false;
  return options;
}

Options read_only() {
  Options options;
  options.read_only = true;
  return options;
}

/// Another process that opens a database (other_process.cc).
class OtherProcess {
 public:
  OtherProcess(const std::string& verb, const std::string& directory,
               const std::string& input = "/dev/null") {
    const std::string program =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "other_process";
    pipe_ = popen((program + " " + verb + " '" + directory + "' < '" + input + "'").c_str(), "r");
    if (pipe_ == nullptr) std::abort();
  }
  ~OtherProcess() { pclose(pipe_); }
  /// Its next line.
  std::string line() {
    char text[1000] = {};
    if (fgets(text, sizeof(text), pipe_) == nullptr) return "";
    std::string said = text;
    if (said.ends_with('\n')) said.pop_back();
    return said;
  }

 private:
  FILE* pipe_;
};

std::string outcome_elsewhere(const std::string& verb, const std::string& directory) {
  return OtherProcess(verb, directory).line();
}

/// Every file of a directory with its bytes and the time of its last change.
std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>> contents(
    const std::string& directory) {
  std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    files[entry.path().filename()] = {std::move(bytes), entry.last_write_time()};
  }
  return files;
}

class Input : public testing::Test {
 protected:
  /// A database with a run and a log, closed.
  std::string make_database() {
    const std::string directory = scratch_.path("db");
    Result<Database> database = Database::create(directory);
    EXPECT_TRUE(database) << database.status().to_string();
    for (int i = 0; i < 1000; ++i) {
      EXPECT_TRUE(
          database->put("key" + std::to_string(i), "value", {.durability = Durability::process}).ok());
    }
    EXPECT_TRUE(database->flush().ok());
    EXPECT_TRUE(database->put("last", "value").ok());
    EXPECT_TRUE(database->close().ok());
    return directory;
  }

  ScratchDirectory scratch_;
};

TEST_F(Input, ADirectoryThatIsNotThereIsNotMadeUnlessAsked) {
  const std::string directory = scratch_.path("none/below");
  for (const Options& options : {existing(), read_only()}) {
    const Status status = Database::open(directory, options).status();
    EXPECT_TRUE(status.is(StatusCode::not_found)) << status.to_string();
    EXPECT_NE(status.to_string().find(directory), std::string::npos) << status.to_string();
  }
  EXPECT_FALSE(std::filesystem::exists(scratch_.path("none")));
  EXPECT_TRUE(Database::open(directory).ok());
}

TEST_F(Input, NothingIsWrittenIntoADirectoryWithoutADatabase) {
  std::filesystem::create_directory(scratch_.path("other"));
  std::ofstream(scratch_.path("other/notes.txt")) << "mine";
  const auto before = contents(scratch_.path("other"));
  for (const Options& options : {existing(), read_only()}) {
    const Status status = Database::open(scratch_.path("other"), options).status();
    EXPECT_TRUE(status.is(StatusCode::not_found)) << status.to_string();
  }
  EXPECT_EQ(contents(scratch_.path("other")), before);
}

TEST_F(Input, AFileWhereADirectoryIsExpected) {
  std::ofstream(scratch_.path("file")) << "mine";
  for (const char* path : {"file", "file/below"}) {
    for (const Options& options : {Options(), existing(), read_only()}) {
      const Status status = Database::open(scratch_.path(path), options).status();
      EXPECT_TRUE(status.is(StatusCode::invalid_argument)) << status.to_string();
    }
  }
  EXPECT_TRUE(Database::open("").status().is(StatusCode::invalid_argument));
  EXPECT_EQ(std::filesystem::file_size(scratch_.path("file")), 4u);
}

TEST_F(Input, CreateMakesOnlyWhatIsNotThere) {
  const std::string directory = make_database();
  const auto before = contents(directory);
  const Status status = Database::create(directory).status();
  EXPECT_TRUE(status.is(StatusCode::already_exists)) << status.to_string();
  EXPECT_EQ(contents(directory), before);
}

TEST_F(Input, OptionsThatCannotBe) {
  Options options;
  options.write_buffer_size = 1;
  EXPECT_TRUE(Database::open(scratch_.path("db"), options).status().is(StatusCode::invalid_argument));
  options = {};
  options.memory_limit = options.write_buffer_size;
  EXPECT_TRUE(Database::open(scratch_.path("db"), options).status().is(StatusCode::invalid_argument));
  EXPECT_FALSE(std::filesystem::exists(scratch_.path("db")));
}

TEST_F(Input, FilesAndDirectoryAreTheOwnersAlone) {
  const mode_t former = umask(0);
  const std::string directory = make_database();
  umask(former);
  const auto mode = [](const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  };
  EXPECT_EQ(mode(directory), 0700u);
  for (const auto& [name, bytes] : contents(directory))
    EXPECT_EQ(mode(directory + "/" + name), 0600u) << name;
}

TEST_F(Input, ASecondOpenerIsToldWhoHoldsIt) {
  const std::string directory = make_database();
  Result<Database> first = Database::open(directory);
  ASSERT_TRUE(first);
  const std::string pid = std::to_string(getpid());
  for (const Options& options : {Options(), existing(), read_only()}) {
    const Status status = Database::open(directory, options).status();
    EXPECT_TRUE(status.is(StatusCode::busy)) << status.to_string();
    EXPECT_NE(status.message().find(pid), std::string_view::npos) << status.to_string();
  }
  for (const char* verb : {"open", "read"}) {
    const std::string said = outcome_elsewhere(verb, directory);
    EXPECT_TRUE(said.starts_with("busy")) << said;
    EXPECT_NE(said.find(pid), std::string::npos) << said;
  }
  ASSERT_TRUE(first->close().ok());
  EXPECT_EQ(outcome_elsewhere("open", directory), "ok");
}

TEST_F(Input, SeveralReadOnlyOpenersWriteNothing) {
  const std::string directory = make_database();
  const auto before = contents(directory);
  {
    Result<Database> first = Database::open(directory, read_only());
    Result<Database> second = Database::open(directory, read_only());
    ASSERT_TRUE(first && second) << first.status().to_string() << second.status().to_string();
    const std::string hold = scratch_.path("hold");
    ASSERT_EQ(mkfifo(hold.c_str(), 0600), 0);
    OtherProcess third("read-hold", directory, hold);
    std::ofstream release(hold);
    EXPECT_EQ(third.line(), "held");
    EXPECT_EQ(outcome_elsewhere("read", directory), "ok");
    EXPECT_TRUE(outcome_elsewhere("open", directory).starts_with("busy"));
    EXPECT_TRUE(Database::open(directory).status().is(StatusCode::busy));
    EXPECT_EQ(first->get("last").value(), "value");
    EXPECT_EQ(second->get("key1").value(), "value");
    for (const Status& status :
         {first->put("a", "b"), first->remove("a"), first->write(WriteBatch()), first->flush(),
          first->compact(), first->keyspace("new").status(), first->drop_keyspace("new")}) {
      EXPECT_TRUE(status.is(StatusCode::invalid_argument) || status.is(StatusCode::not_found))
          << status.to_string();
    }
    EXPECT_TRUE(first->close().ok());
    EXPECT_TRUE(second->close().ok());
    EXPECT_TRUE(Database::open(directory).status().is(StatusCode::busy)) << "the third still reads";
    release.close();
    EXPECT_EQ(third.line(), "ok");
  }
  EXPECT_EQ(contents(directory), before);
}

// A log that was not closed: what a read-only open finds of it, it finds in memory.
TEST_F(Input, ReadOnlyRecoversInMemory) {
  const std::string directory = make_database();
  std::filesystem::create_directory(scratch_.path("copy"));
  {
    Result<Database> database = Database::open(directory);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->put("not closed", "1").ok());
    // What a killed process leaves.
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      std::filesystem::copy_file(entry.path(), scratch_.path("copy") / entry.path().filename());
    }
  }
  const auto before = contents(scratch_.path("copy"));
  Result<Database> database = Database::open(scratch_.path("copy"), read_only());
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(database->get("not closed").value(), "1");
  EXPECT_EQ(database->get("last").value(), "value");
  EXPECT_TRUE(database->close().ok());
  EXPECT_EQ(contents(scratch_.path("copy")), before);
}

TEST_F(Input, AForkedChildsCallsAnswerClosed) {
  const std::string directory = make_database();
  Result<Database> database = Database::open(directory);
  ASSERT_TRUE(database);
  Keyspace keyspace = *database->keyspace("k");
  Cursor cursor = database->cursor();
  cursor.seek_first();
  ASSERT_TRUE(cursor.valid());
  // The parent's log goes on by itself: it states what is durable when it is idle.
  const auto beside_log = [&] {
    auto files = contents(directory);
    std::erase_if(files, [](const auto& file) { return file.first.ends_with(".log"); });
    return files;
  };
  const auto before = beside_log();
  EXPECT_EQ(run_in_child([&] {
              const std::array<Status, 8> said = {
                  database->put("a", "b"),   database->remove("a"),     database->get("last").status(),
                  database->scan().status(), keyspace.put("a", "b"),    database->snapshot().status(),
                  database->flush(),         database->stats().status()};
              for (size_t i = 0; i < said.size(); ++i) {
                if (!said[i].is(StatusCode::closed)) return static_cast<int>(i) + 1;
              }
              cursor.seek_first();
              if (cursor.valid() || !cursor.status().is(StatusCode::closed)) return 20;
              const Status other = Database::open(directory + "2").status();
              if (!other.is(StatusCode::closed) && !other.ok()) return 21;
              (void)database->close().ok();
              return 0;
            }),
            0);
  EXPECT_EQ(beside_log(), before);
  EXPECT_TRUE(database->get("a").absent());
  EXPECT_TRUE(database->put("a", "b").ok());
  EXPECT_EQ(database->get("last").value(), "value");
  EXPECT_TRUE(database->close().ok());
}

void expect_closed(Database& database) {
  EXPECT_TRUE(database.put("a", "b").is(StatusCode::closed));
  EXPECT_TRUE(database.remove("a").is(StatusCode::closed));
  EXPECT_TRUE(database.get("a").status().is(StatusCode::closed));
  EXPECT_TRUE(database.contains("a").status().is(StatusCode::closed));
  EXPECT_TRUE(database.scan().status().is(StatusCode::closed));
  EXPECT_TRUE(database.cursor().status().is(StatusCode::closed));
  EXPECT_TRUE(database.write(WriteBatch()).is(StatusCode::closed));
  EXPECT_TRUE(database.snapshot().status().is(StatusCode::closed));
  EXPECT_TRUE(database.keyspace("k").status().is(StatusCode::closed));
  EXPECT_TRUE(database.drop_keyspace("k").is(StatusCode::closed));
  EXPECT_TRUE(database.keyspaces().status().is(StatusCode::closed));
  EXPECT_TRUE(database.sync().is(StatusCode::closed));
  EXPECT_TRUE(database.flush().is(StatusCode::closed));
  EXPECT_TRUE(database.compact().is(StatusCode::closed));
  EXPECT_TRUE(database.stats().status().is(StatusCode::closed));
  EXPECT_TRUE(database.background_error().is(StatusCode::closed));
  EXPECT_TRUE(database.approximate_size("a", "b").status().is(StatusCode::closed));
  EXPECT_TRUE(database.close().is(StatusCode::closed));
}

TEST_F(Input, HandlesWithoutADatabaseAnswerClosed) {
  Database never;
  expect_closed(never);
  Result<Database> opened = Database::open(scratch_.path("db"));
  ASSERT_TRUE(opened);
  ASSERT_TRUE(opened->put("a", "b").ok());
  Database moved = std::move(*opened);
  expect_closed(*opened);
  Keyspace keyspace = *moved.keyspace("k");
  Snapshot snapshot = *moved.snapshot();
  Scan scan = moved.scan();
  ASSERT_TRUE(scan.advance());
  ASSERT_TRUE(moved.close().ok());
  expect_closed(moved);
  EXPECT_TRUE(keyspace.put("a", "b").is(StatusCode::closed));
  EXPECT_TRUE(keyspace.get("a", {.snapshot = &snapshot}).status().is(StatusCode::closed));
  while (scan.advance()) {
  }
  EXPECT_TRUE(scan.status().ok() || scan.status().is(StatusCode::closed)) << scan.status().to_string();
  Scan taken = std::move(scan);
  EXPECT_TRUE(scan.status().is(StatusCode::closed));
  Cursor cursor;
  EXPECT_FALSE(cursor.valid());
  EXPECT_TRUE(cursor.status().is(StatusCode::closed));
}

TEST_F(Input, ASnapshotOfAnotherDatabaseIsRefused) {
  Result<Database> one = Database::open(scratch_.path("one"));
  Result<Database> two = Database::open(scratch_.path("two"));
  ASSERT_TRUE(one && two);
  const Snapshot snapshot = *one->snapshot();
  EXPECT_TRUE(two->get("a", {.snapshot = &snapshot}).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(two->scan({.snapshot = &snapshot}).status().is(StatusCode::invalid_argument));
  const std::string_view key = "a";
  Value value;
  EXPECT_TRUE(
      two->get_many({&key, 1}, {&value, 1}, {.snapshot = &snapshot}).is(StatusCode::invalid_argument));
}

TEST_F(Input, KeysAndValuesBeyondTheLimitsAreRefused) {
  Result<Database> database = Database::open(scratch_.path("db"));
  ASSERT_TRUE(database);
  const std::string longest(kKeyBytesMax, 'k');
  EXPECT_TRUE(database->put(longest, "1").ok());
  EXPECT_EQ(database->get(longest).value(), "1");
  const Status key = database->put(longest + "k", "1");
  EXPECT_TRUE(key.is(StatusCode::invalid_argument));
  EXPECT_NE(key.message().find("65,535"), std::string_view::npos)
      << "the limit is stated: " << key.to_string();
  EXPECT_TRUE(database->get(longest + "k").status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(database->contains(longest + "k").status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(database->remove(longest + "k").is(StatusCode::invalid_argument));

  // Address space alone: nobody may look at it.
  const uint64_t size = kValueBytesMax + 1;
  void* const space = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(space, MAP_FAILED);
  const Status value = database->put("a", {static_cast<const char*>(space), size});
  EXPECT_TRUE(value.is(StatusCode::invalid_argument));
  EXPECT_NE(value.message().find("1 GiB"), std::string_view::npos)
      << "the limit is stated: " << value.to_string();
  munmap(space, size);
  EXPECT_TRUE(database->get("a").absent());
  EXPECT_TRUE(database->background_error().ok());
}

TEST_F(Input, ADirectoryThatWasMovedIsStillTheDatabase) {
  const std::string directory = make_database();
  Result<Database> database = Database::open(directory);
  ASSERT_TRUE(database);
  std::filesystem::rename(directory, scratch_.path("moved"));
  ASSERT_TRUE(database->put("after", "1").ok());
  ASSERT_TRUE(database->flush().ok());
  ASSERT_TRUE(database->close().ok());
  database = Database::open(scratch_.path("moved"), existing());
  ASSERT_TRUE(database) << database.status().to_string();
  EXPECT_EQ(database->get("after").value(), "1");
}

}  // namespace
}  // namespace lightning
