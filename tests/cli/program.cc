#include "tests/cli/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace lightning {

namespace fs = std::filesystem;

namespace {

fs::path make_scratch() {
  std::string name = (fs::temp_directory_path() / "lightning-cli-XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  return name;
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::string& input) {
  const fs::path streams = make_scratch();
  const std::string in = streams / "in", out = streams / "out", err = streams / "err";
  write_file(in, input);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);

  Outcome outcome;
  int status = 0;
  EXPECT_EQ(error, 0) << program;
  if (error == 0 && ::waitpid(child, &status, 0) == child) {
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    outcome.out = read_file(out);
    outcome.err = read_file(err);
  }
  fs::remove_all(streams);
  return outcome;
}

DirectoryImage directory_image(const fs::path& directory) {
  DirectoryImage image;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    image[entry.path().filename()] = {read_file(entry.path()), entry.last_write_time()};
  }
  return image;
}

CliTest::CliTest() : scratch_(make_scratch()), db_(path("db")) {}

CliTest::~CliTest() { fs::remove_all(scratch_); }

std::string CliTest::cli_ok(const std::vector<std::string>& arguments, const std::string& input) const {
  const Outcome outcome = cli(arguments, input);
  EXPECT_EQ(outcome.exit_code, 0) << arguments[0];
  EXPECT_EQ(outcome.err, "") << arguments[0];
  return outcome.out;
}

Outcome CliTest::shell(const std::string& script) const {
  return run_program("bash", {"-c", "CLI=$0 DB=$1; " + script, LIGHTNING_CLI, db_});
}

}  // namespace lightning
