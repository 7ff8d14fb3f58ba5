#include "bench/driver.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "bench/fail.h"
#include "bench/workloads/runner.h"

namespace lightning::bench {
namespace {

volatile sig_atomic_t caught_signal = 0;

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = [](int number) { caught_signal = number; };
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

[[noreturn]] void become_child(std::vector<std::string> arguments, int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(output, STDOUT_FILENO);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv("/proc/self/exe", argv.data());
  fail("cannot start a child");
}

// What a child printed; nothing if it did not end with exit code 0.
std::optional<std::string> output_of_child(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = fork();
  if (child == 0) become_child(arguments, ends[1]);
  close(ends[1]);
  std::string printed;
  char buffer[4096];
  for (ssize_t got; child > 0 && (got = read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (got > 0) {
      printed.append(buffer, static_cast<size_t>(got));
    } else if (errno != EINTR || caught_signal != 0) {
      kill(child, SIGKILL);
      break;
    }
  }
  close(ends[0]);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (caught_signal != 0) return std::nullopt;
  if (WIFSIGNALED(status)) std::cerr << "\nlightning-bench: signal: " << strsignal(WTERMSIG(status));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return printed;
}

std::optional<std::vector<Result>> run_child(std::vector<std::string> arguments, const ChildTask& task) {
  arguments.insert(arguments.end(), {"--child-engine", task.engine, "--child-unit", std::to_string(task.unit),
                                     "--child-directory", task.directory});
  const std::optional<std::string> printed = output_of_child(arguments);
  if (!printed) return std::nullopt;
  std::vector<Result> results;
  std::istringstream lines(*printed);
  for (std::string line; std::getline(lines, line);) results.push_back(decode(line));
  return results;
}

// Repeats a disturbed run as often as the user allowed; the least disturbed one counts.
std::optional<std::vector<Result>> run_calmly(const Config& config, const std::vector<std::string>& arguments,
                                              const std::string& directory, ChildTask task) {
  const auto disturbance = [](const std::vector<Result>& results) {
    double most = 0;
    for (const Result& result : results) most = std::max(most, result.others_cores);
    return most;
  };
  std::optional<std::vector<Result>> calmest;
  for (unsigned attempt = 0; attempt <= config.retries; ++attempt) {
    const ScratchDirectory database(directory);
    task.directory = database.path();
    auto results = run_child(arguments, task);
    if (!results) return std::nullopt;
    if (!calmest || disturbance(*results) < disturbance(*calmest)) calmest = std::move(results);
    if (disturbance(*calmest) <= kDisturbedCores) break;
  }
  return calmest;
}

void show_progress(unsigned run, const Config& config, const std::string& engine, const Workload& first,
                   size_t workloads_of_unit) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::cerr << "\r\x1b[K"
            << "run " << run + 1 << " of " << config.runs << ": " << engine << " " << first.name;
  if (workloads_of_unit > 1) std::cerr << " and " << workloads_of_unit - 1 << " more";
  std::cerr << std::flush;
}

}  // namespace

ScratchDirectory::ScratchDirectory(std::string parent) {
  if (parent.empty()) {
    const char* chosen = std::getenv("TMPDIR");
    parent = chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
  }
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  path_ = parent + "/lightning-bench-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) fail("cannot make a directory in " + parent);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) std::cerr << "lightning-bench: cannot remove " << path_ << ": " << error.message() << "\n";
}

std::optional<std::vector<Result>> run_children(const Config& config,
                                                const std::vector<std::string>& arguments,
                                                const std::string& directory) {
  catch_signals();
  std::vector<Result> results;
  const std::vector<std::vector<const Workload*>> units = plan(config);
  for (size_t unit = 0; unit < units.size(); ++unit) {
    std::vector<std::string> engines = config.engines;
    if (units[unit][0]->name == kSyncedWorkload) engines.emplace_back(kRawEngine);
    for (unsigned run = 0; run < config.runs; ++run) {
      for (const std::string& engine : engines) {
        show_progress(run, config, engine, *units[unit][0], units[unit].size());
        const auto measured = run_calmly(config, arguments, directory, {engine, unit, ""});
        if (!measured) {
          std::cerr << "\nlightning-bench: the run of " << units[unit][0]->name << " on " << engine
                    << " failed\n";
          return std::nullopt;
        }
        results.insert(results.end(), measured->begin(), measured->end());
      }
      std::ranges::rotate(engines, engines.begin() + 1);
    }
  }
  if (isatty(STDERR_FILENO) != 0) std::cerr << "\r\x1b[K";
  return results;
}

}  // namespace lightning::bench
