#include "tests/kill_driver.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <numeric>

namespace lightning {

KillCounts KillAcknowledged::safe_from_power_cut(uint64_t seed) const {
  KillCounts safe = {};
  for (uint32_t thread = 0; thread < kKillThreadsMax; ++thread) {
    for (uint32_t number = operations[thread]; number > 0 && safe[thread] == 0; --number) {
      if (kill_operation(seed, thread, number - 1).durability == Durability::power) safe[thread] = number;
    }
  }
  return safe;
}

uint64_t KillAcknowledged::operations_of_all() const {
  return std::accumulate(operations.begin(), operations.end(), uint64_t{0});
}

KillWriter::KillWriter(const std::string& directory, uint64_t seed, uint32_t threads) {
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

KillWriter::~KillWriter() { close(messages_); }

void KillWriter::listen(int ms, uint64_t operations) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    if (left <= 0 || (said_.opened && said_.operations_of_all() >= operations)) return;
    pollfd ready{.fd = messages_, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, static_cast<int>(left)) == 1 && !take_one()) return;
  }
}

KillAcknowledged KillWriter::kill(bool* ended_by_itself) {
  ::kill(child_, SIGKILL);
  int status = 0;
  if (waitpid(child_, &status, 0) != child_) std::abort();
  while (take_one()) {
  }
  *ended_by_itself = !WIFSIGNALED(status);
  return said_;
}

// Messages are written whole: a pipe never tears what is that short.
bool KillWriter::take_one() {
  KillMessage message;
  if (read(messages_, &message, sizeof(message)) != sizeof(message)) return false;
  if (message.thread == KillMessage::kOpened) {
    said_.opened = true;
  } else if (message.thread == KillMessage::kFailed) {
    said_.failed = true;
  } else {
    said_.operations.at(message.thread) = message.operations;
  }
  return true;
}

namespace {

/// The digests of what each thread's keys hold. Empty, or what was wrong, an entry of nobody for one.
std::string digests_of(Database& database, std::array<uint64_t, kKillThreadsMax>* digests) {
  std::string stranger;
  const auto add = [&](const std::string& keyspace, std::string_view key, std::string_view value) {
    for (uint32_t thread = 0; thread < kKillThreadsMax; ++thread) {
      if (!key.starts_with(kill_key_prefix(thread))) continue;
      (*digests)[thread] += Model::digest_of_entry(keyspace, key, value);
      return;
    }
    stranger = "a key that nobody wrote: " + abbreviated(key);
  };
  Status status =
      for_each(database.scan(), [&](std::string_view key, std::string_view value) { add("", key, value); });
  if (!status.ok()) return status.to_string();
  const Result<Keyspace> second = database.keyspace(kKillKeyspace, false);
  if (second.status().is(StatusCode::not_found)) return stranger;
  if (!second) return second.status().to_string();
  status = for_each(second->scan(),
                    [&](std::string_view key, std::string_view value) { add(kKillKeyspace, key, value); });
  return status.ok() ? stranger : status.to_string();
}

}  // namespace

KillExpected::KillExpected() {
  for (Model& model : models_) model.create_keyspace(kKillKeyspace);
}

std::string KillExpected::compare(uint64_t seed, const KillCounts& least, const KillCounts& most,
                                  Database& database) {
  std::array<uint64_t, kKillThreadsMax> found = {};
  if (std::string said = digests_of(database, &found); !said.empty()) return said;
  for (uint32_t thread = 0; thread < kKillThreadsMax; ++thread) {
    uint32_t number = 0;
    while (number < least[thread]) apply(seed, thread, number++);
    while (number <= most[thread] && found[thread] != digest(thread)) apply(seed, thread, number++);
    if (found[thread] == digest(thread)) continue;
    return "thread " + std::to_string(thread) + ": none of the states after " +
           std::to_string(least[thread]) + " to " + std::to_string(most[thread] + 1) + " operations";
  }
  return {};
}

}  // namespace lightning
