// Standard streams that are closed, full, or a terminal.
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "tests/cli/program.h"

namespace lightning {
namespace {

class CliStreams : public CliTest {
 protected:
  CliStreams() {
    std::string lines;
    for (int i = 100'000; i < 120'000; ++i) lines += "key " + std::to_string(i) + "\tvalue\n";
    write_file(path("entries.tsv"), lines);
    cli_ok({"load", db_, path("entries.tsv")});
  }
};

TEST_F(CliStreams, AReaderThatHasGoneIsNoError) {
  const Outcome outcome = shell("set -o pipefail; \"$CLI\" scan \"$DB\" | head -n 1");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "key 100000\tvalue\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(CliStreams, WhatCannotBeWrittenIsAnError) {
  for (const std::string target : {">/dev/full", ">&-"}) {
    for (const std::string verb : {"scan", "get", "count"}) {
      const Outcome outcome =
          shell("\"$CLI\" " + verb + " \"$DB\"" + (verb == "get" ? " 'key 100000' " : " ") + target);
      EXPECT_EQ(outcome.exit_code, 5) << verb << target;
      EXPECT_EQ(outcome.err.rfind("lightning-cli: io_error: standard output: ", 0), 0u) << outcome.err;
    }
  }
}

// A database's file must not be given the number of a closed stream, and then what is printed.
TEST_F(CliStreams, ClosedStreamsDoNoHarm) {
  EXPECT_EQ(shell("\"$CLI\" put \"$DB\" k v <&- >&- 2>&-").exit_code, 0);
  EXPECT_EQ(shell("\"$CLI\" get \"$DB\" absent <&- >&- 2>&-").exit_code, 1);
  EXPECT_EQ(shell("\"$CLI\" load \"$DB\" - <&- ").exit_code, 5);
  EXPECT_EQ(cli_ok({"get", db_, "k"}), "v\n");
  EXPECT_EQ(cli_ok({"count", db_}), "20001\n");
}

// What cannot be read is not the end of the script.
TEST_F(CliStreams, AnErrorOfReadingIsNoEnd) {
  for (const std::string verb : {"tx", "load", "load --sorted"}) {
    const Outcome outcome = shell("\"$CLI\" " + verb + " \"$DB\" - < \"$DB\"");
    EXPECT_EQ(outcome.exit_code, 5) << verb << outcome.err;
    EXPECT_NE(outcome.err.find("Is a directory"), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(shell("\"$CLI\" tx \"$DB\" - <&- ").exit_code, 5);
  EXPECT_EQ(shell("\"$CLI\" tx \"$DB\" \"$DB\"").exit_code, 5);
  EXPECT_EQ(cli_ok({"tx", db_, "-"}), "");
  EXPECT_EQ(cli_ok({"count", db_}), "20000\n");
}

TEST_F(CliStreams, ATerminalIsShownProgress) {
  int terminal = -1;
  const std::string copy = path("copy"), file = path("entries.tsv");
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::execl(LIGHTNING_CLI, "lightning-cli", "load", copy.c_str(), file.c_str(), nullptr);
    ::_exit(127);
  }
  std::string shown;
  char buffer[4096];
  for (ssize_t count; (count = ::read(terminal, buffer, sizeof buffer)) > 0;) shown.append(buffer, count);
  ::close(terminal);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << shown;
  EXPECT_NE(shown.find("%  1000 entries"), std::string::npos) << shown;
  EXPECT_NE(shown.find("20000 loaded"), std::string::npos) << shown;
}

}  // namespace
}  // namespace lightning
