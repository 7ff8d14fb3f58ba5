#include "tools/lightning-cli/command_line.h"

#ifdef LIGHTNING_CLI_JSON
#include <lightning/json.h>
#endif

#include <CLI/CLI.hpp>

namespace lightning::cli {

Result<CommandLine> parse_command_line(const Verb& verb, int argc, const char* const* argv) {
  CLI::App app(std::string(verb.help), "lightning-cli " + std::string(verb.name));
  CommandLine line;
  add_arguments(app, verb.accepts, line.arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.help = app.help();
  } catch (const CLI::ParseError& error) {
    return Status(StatusCode::invalid_argument, error.what());
  }
  return line;
}

Result<Options> database_options(const Arguments& arguments) {
  Options options;
  for (const std::string& assignment : arguments.options) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos) {
      return Status(StatusCode::invalid_argument, "--option " + assignment + ": NAME=VALUE is meant");
    }
    const Status status =
        set_option(options, assignment.substr(0, equals), std::string_view(assignment).substr(equals + 1));
    if (!status.ok()) return status;
  }
#ifdef LIGHTNING_CLI_JSON
  options.extractors.push_back(json_extractor());  // behind a preset, which replaces all
#endif
  if (!arguments.durability.empty()) {
    const Status status = set_option(options, "durability", arguments.durability);
    if (!status.ok()) return status;
  }
  return options;
}

}  // namespace lightning::cli
