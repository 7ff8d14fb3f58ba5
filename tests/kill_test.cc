// Kills a process that writes from several threads, with SIGKILL and at random moments, its opening included.
// Each time the database opens, every acknowledged write is there, batches are whole, and each thread's
// writes are a prefix of what it wrote: at most the one that was under way is there beside the acknowledged
// ones.
//
// LIGHTNING_KILLS=n, LIGHTNING_KILL_SEED=s
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <lightning/database.h>

#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "tests/kill_script.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultKills = 200;
#else
constexpr uint64_t kDefaultKills = 40;  // slow builds: sanitizers
#endif
constexpr uint64_t kKillsOfDatabase = 20;  // then a fresh one

/// What one run of the writer acknowledged.
struct Acknowledged {
  bool opened = false;
  bool failed = false;
  std::array<uint32_t, kKillThreadsMax> operations = {};

  void take(const KillMessage& message) {
    if (message.thread == KillMessage::kOpened) {
      opened = true;
    } else if (message.thread == KillMessage::kFailed) {
      failed = true;
    } else {
      operations.at(message.thread) = message.operations;
    }
  }
};

class Writer {
 public:
  Writer(const std::string& directory, uint64_t seed, uint32_t threads) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "kill_writer";
    const std::string seed_text = std::to_string(seed);
    const std::string threads_text = std::to_string(threads);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    child_ = fork();
    if (child_ < 0) std::abort();
    if (child_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl(program.c_str(), program.c_str(), directory.c_str(), seed_text.c_str(), threads_text.c_str(),
            nullptr);
      _exit(127);
    }
    close(ends[1]);
    messages_ = ends[0];
  }
  ~Writer() { close(messages_); }

  /// Takes what it says for `ms` milliseconds, or, with `until_opened`, until it has opened the database.
  void listen(int ms, bool until_opened) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      if (left <= 0 || (until_opened && said_.opened)) return;
      pollfd ready{.fd = messages_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, static_cast<int>(left)) == 1 && !take_one()) return;
    }
  }

  /// Kills it; what it had said until then.
  Acknowledged kill() {
    ::kill(child_, SIGKILL);
    int status = 0;
    if (waitpid(child_, &status, 0) != child_) std::abort();
    while (take_one()) {
    }
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself, code " << WEXITSTATUS(status);
    return said_;
  }

 private:
  // Messages are written whole: a pipe never tears what is that short.
  bool take_one() {
    KillMessage message;
    if (read(messages_, &message, sizeof(message)) != sizeof(message)) return false;
    said_.take(message);
    return true;
  }

  pid_t child_;
  int messages_;
  Acknowledged said_;
};

/// The digests of what each thread's keys hold; an entry of nobody is a failure.
std::array<uint64_t, kKillThreadsMax> digests_of(Database& database) {
  std::array<uint64_t, kKillThreadsMax> digests = {};
  const auto add = [&](const std::string& keyspace, std::string_view key, std::string_view value) {
    for (uint32_t thread = 0; thread < kKillThreadsMax; ++thread) {
      if (!key.starts_with(kill_key_prefix(thread))) continue;
      digests[thread] += Model::digest_of_entry(keyspace, key, value);
      return;
    }
    ADD_FAILURE() << "a key that nobody wrote: " << abbreviated(key);
  };
  Status status =
      for_each(database.scan(), [&](std::string_view key, std::string_view value) { add("", key, value); });
  EXPECT_TRUE(status.ok()) << status.to_string();
  const Result<Keyspace> second = database.keyspace(kKillKeyspace, false);
  if (second.status().is(StatusCode::not_found)) return digests;
  EXPECT_TRUE(second) << second.status().to_string();
  if (!second) return digests;
  status = for_each(second->scan(),
                    [&](std::string_view key, std::string_view value) { add(kKillKeyspace, key, value); });
  EXPECT_TRUE(status.ok()) << status.to_string();
  return digests;
}

/// What each thread's keys must hold.
class Expected {
 public:
  Expected() {
    for (Model& model : models_) model.create_keyspace(kKillKeyspace);
  }

  void acknowledge(uint64_t seed, const Acknowledged& acknowledged) {
    for (uint32_t thread = 0; thread < kKillThreadsMax; ++thread) {
      for (uint32_t number = 0; number < acknowledged.operations[thread]; ++number)
        apply(seed, thread, number);
    }
  }
  /// Each thread is where it was acknowledged to be, or one operation further; this then becomes what is
  /// expected.
  void compare(uint64_t seed, const Acknowledged& acknowledged, Database& database) {
    const std::array<uint64_t, kKillThreadsMax> found = digests_of(database);
    for (uint32_t thread = 0; thread < kKillThreadsMax; ++thread) {
      if (found[thread] == digest(thread)) continue;
      const uint32_t number = acknowledged.operations[thread];
      apply(seed, thread, number);
      ASSERT_EQ(found[thread], digest(thread))
          << "thread " << thread << " of seed " << seed << " after " << number << " acknowledged operations";
    }
  }

 private:
  uint64_t digest(uint32_t thread) const {
    return models_[thread].digest() - Model::digest_of_keyspace(kKillKeyspace);
  }
  void apply(uint64_t seed, uint32_t thread, uint32_t number) {
    models_[thread].write(kill_operation(seed, thread, number).writes);
  }

  std::array<Model, kKillThreadsMax> models_;
};

TEST(Kill, LosesNothingThatWasAcknowledged) {
  const uint64_t kills = uint_from_environment("LIGHTNING_KILLS", kDefaultKills);
  const uint64_t first_seed = uint_from_environment("LIGHTNING_KILL_SEED", 1);
  std::unique_ptr<ScratchDirectory> scratch;
  std::unique_ptr<Expected> expected;
  uint64_t operations = 0;
  for (uint64_t kill = 0; kill < kills; ++kill) {
    const uint64_t seed = first_seed + kill;
    Random random(seed);
    SCOPED_TRACE("kill " + std::to_string(kill) + ", seed " + std::to_string(seed));
    if (kill % kKillsOfDatabase == 0) {
      scratch = std::make_unique<ScratchDirectory>();
      expected = std::make_unique<Expected>();
    }
    const std::string directory = scratch->path("db");
    Writer writer(directory, seed, std::array{1u, 2u, 4u}[random.below(3)]);
    if (random.chance(0.2)) {
      writer.listen(static_cast<int>(random.below(30)), false);
    } else {
      writer.listen(20'000, true);
      writer.listen(static_cast<int>(random.below(250)), false);
    }
    const Acknowledged acknowledged = writer.kill();
    ASSERT_FALSE(acknowledged.failed);
    for (const uint32_t count : acknowledged.operations) operations += count;
    expected->acknowledge(seed, acknowledged);
    // Read-only, what the killed process left stays for the next one to recover.
    Options options;
    options.read_only = acknowledged.opened && random.chance(0.4);
    Result<Database> database = Database::open(directory, options);
    ASSERT_TRUE(database) << database.status().to_string();
    expected->compare(seed, acknowledged, *database);
    const Status closed = database->close();
    ASSERT_TRUE(closed.ok()) << closed.to_string();
    if (HasFailure()) return;
  }
  EXPECT_GT(operations, kills * 10);
  count("kills", kills);
  count("operations", operations);
}

}  // namespace
}  // namespace lightning
