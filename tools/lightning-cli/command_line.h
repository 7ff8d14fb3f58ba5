// CommandLine: the words behind a verb, taken apart.
#pragma once

#include <lightning/options.h>
#include <lightning/status.h>

#include <string>

#include "tools/lightning-cli/arguments.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

struct CommandLine {
  Arguments arguments;
  std::string help;  // asked for with --help: to be printed, and nothing else to be done
};

/// argv[0] is the verb's name. `invalid_argument` says what is wrong.
Result<CommandLine> parse_command_line(const Verb& verb, int argc, const char* const* argv);

/// The options that the database is opened with: --option and --durability.
Result<Options> database_options(const Arguments& arguments);

}  // namespace lightning::cli
