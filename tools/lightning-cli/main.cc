// lightning-cli: a database from the command line.
//
// Exit codes: exit_code.h. Errors are one line on standard error. A verb that only reads changes no byte and
// makes no file.
#include <cstdio>
#include <exception>

#include "tools/lightning-cli/command_line.h"
#include "tools/lightning-cli/exit_code.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {
namespace {

constexpr std::string_view kExitCodes =
    "Exit codes: 0 ok, 1 not found, 2 usage, 3 corruption, 4 busy, 5 input or output, and all else.\n";

std::string overview() {
  std::string text = "Usage: lightning-cli VERB [ARGUMENTS...]; lightning-cli VERB --help says more.\n\n";
  for (const Verb& verb : verbs()) {
    std::string name(verb.name);
    name.resize(18, ' ');
    text.append("  ").append(name).append(verb.help).append("\n");
  }
  return text.append("\n").append(kExitCodes);
}

void complain(std::string_view what) {
  std::string line = "lightning-cli: ";
  // One line, whatever a name in it holds.
  for (const char c : what) line.push_back(c == '\n' || c == '\r' ? ' ' : c);
  line.push_back('\n');
  std::fputs(line.c_str(), stderr);
}

ExitCode report(const Status& status) {
  if (!status.ok()) complain(status.to_string());
  return exit_code(status);
}

Status open(Access access, Session& session) {
  if (access == Access::none) return {};
  const Arguments& arguments = session.arguments;
  Result<Options> options = database_options(arguments);
  if (!options) return options.status();
  if (access == Access::read) options->read_only = true;
  if (access != Access::write_or_create) options->create = false;
  Result<Database> opened = access == Access::create ? Database::create(arguments.directory, *options)
                                                     : Database::open(arguments.directory, *options);
  if (!opened) return opened.status();
  session.database = *std::move(opened);
  if (arguments.keyspace.empty()) {
    session.keyspace = session.database;
    return {};
  }
  Result<Keyspace> keyspace = session.database.keyspace(arguments.keyspace, options->create);
  if (!keyspace) return keyspace.status();
  session.keyspace = *std::move(keyspace);
  return {};
}

/// The first failure of all steps counts; each is taken where it makes sense.
Status run(const Verb& verb, const Arguments& arguments) {
  Output output;
  Session session{arguments, output, {}, {}};
  if (Status status = open(verb.access, session); !status.ok()) return status;
  Status status = verb.run(session);
  if (Status finished = output.finish(); status.ok()) status = finished;
  if (verb.access == Access::none) return status;
  if (Status closed = session.database.close(); status.ok()) status = closed;
  return status;
}

ExitCode print(const std::string& text) {
  Output output;
  output.write(text);
  return report(output.finish());
}

ExitCode run_line(const Verb& verb, int argc, char** argv) {
  const Result<CommandLine> line = parse_command_line(verb, argc, argv);
  if (!line) {
    const std::string name(verb.name);
    complain(name + ": " + std::string(line.status().message()) + " (lightning-cli " + name + " --help)");
    return kExitUsage;
  }
  return line->help.empty() ? report(run(verb, line->arguments)) : print(line->help);
}

ExitCode run_arguments(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") return print(overview());
  if (name == "--version") return print("lightning-cli " LIGHTNING_VERSION "\n");
  const Verb* verb = find_verb(name);
  if (verb != nullptr) return run_line(*verb, argc - 1, argv + 1);
  if (name == "index" && argc > 2) {  // of two words
    verb = find_verb("index " + std::string(argv[2]));
    if (verb != nullptr) return run_line(*verb, argc - 2, argv + 2);
    complain("index is followed by create, drop, list or stats (lightning-cli --help)");
    return kExitUsage;
  }
  complain(name.empty() ? "a verb is missing (lightning-cli --help)"
                        : "there is no verb \"" + std::string(name) + "\" (lightning-cli --help)");
  return kExitUsage;
}

}  // namespace
}  // namespace lightning::cli

int main(int argc, char** argv) {
  lightning::cli::guard_standard_streams();
  try {
    return lightning::cli::run_arguments(argc, argv);
  } catch (const std::exception& error) {  // memory refused
    lightning::cli::complain(error.what());
    return lightning::cli::kExitIo;
  }
}
