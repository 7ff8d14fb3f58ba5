// Arguments: command lines of lightning-cli, parsed without running a verb. Any words are taken or refused;
// words that were made from Arguments give them back.
//
// An input is a byte that chooses the verb, a byte that chooses between words as they are (even) and words
// made from Arguments (odd), then words, each with a NUL behind it.
#include <optional>
#include <vector>

#include "fuzz/target.h"
#include "tools/lightning-cli/command_line.h"

namespace lightning::fuzz {
namespace {

using cli::Arguments;
using cli::CommandLine;
using cli::Verb;
using Words = std::vector<std::string>;

constexpr size_t kWordsMax = 64;

Words words_of(std::string_view input) {
  Words words;
  while (!input.empty() && words.size() < kWordsMax) {
    const std::string_view word = input.substr(0, input.find('\0'));
    words.emplace_back(word);
    input.remove_prefix(std::min(input.size(), word.size() + 1));
  }
  return words;
}

Result<CommandLine> parse(const Verb& verb, const Words& words) {
  std::vector<const char*> argv = {"verb"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return cli::parse_command_line(verb, static_cast<int>(argv.size()), argv.data());
}

/// `next` gives the words one by one.
template <typename Fn>
void fill_index_fields(Fn&& next, Arguments* arguments) {
  switch (next().size() % 4) {
    case 0:
      arguments->json_pointer = next();
      break;
    case 1:
      arguments->column = next().size();
      break;
    case 2:
      arguments->key_column = next().size();
      break;
    default:
      break;
  }
  arguments->delimiter = next();
  arguments->type = std::array{"", "bytes", "text", "integer", "floating", "timestamp"}[next().size() % 6];
  arguments->unique = next().size() % 2 == 1;
  arguments->hash = next().size() % 2 == 1;
  arguments->refuse_missing = next().size() % 2 == 1;
}

/// Arguments that take their strings from `words` as far as the verb takes them.
Arguments made_of(const Verb& verb, Words words) {
  std::reverse(words.begin(), words.end());
  const auto next = [&] {
    std::string word;
    if (!words.empty()) {
      word = words.back();
      words.pop_back();
    }
    return word;
  };
  const auto maybe = [&]() -> std::optional<std::string> {
    std::string word = next();
    return word.starts_with('n') ? std::nullopt : std::optional(std::move(word));
  };
  const uint32_t accepts = verb.accepts;
  Arguments arguments;
  if (accepts & (cli::kDirectory | cli::kBackup)) arguments.directory = next();
  if (accepts & cli::kKey) arguments.key = next();
  if (accepts & cli::kValue) arguments.value = next();
  if (accepts & cli::kFile) arguments.file = next();
  if (accepts & cli::kInto) arguments.into = next();
  if (accepts & (cli::kGid | cli::kPrepare)) arguments.gid = next();
  if (accepts & (cli::kName | cli::kIndexName)) arguments.name = next();
  if (accepts & cli::kQuery) {
    arguments.query = next();
    arguments.explain = next().size() % 2 == 1;
  }
  if (accepts & cli::kIndexFields) fill_index_fields(next, &arguments);
  if (accepts & cli::kRange) arguments.prefix = maybe();
  if ((accepts & cli::kRange) && !arguments.prefix) {
    arguments.from = maybe();
    arguments.to = maybe();
  }
  if (accepts & cli::kDirection) {
    arguments.reverse = next().size() % 2 == 1;
    if (const auto limit = maybe()) arguments.limit = limit->size() << (limit->size() % 64);
  }
  if (accepts & cli::kSorted) arguments.sorted = next().size() % 2 == 1;
  if (accepts & cli::kKeysOnly) arguments.keys_only = next().size() % 2 == 1;
  if (accepts & cli::kKeyspace) arguments.keyspace = next();
  if (accepts & cli::kJson) arguments.format.json = next().size() % 2 == 1;
  if (accepts & cli::kHex) arguments.format.hex = next().size() % 2 == 1;
  if (accepts & cli::kDurability)
    arguments.durability = std::array{"", "process", "power"}[next().size() % 3];
  if (accepts & (cli::kTtl | cli::kMillis)) arguments.ttl_ms = next().size();
  if (arguments.sorted) arguments.ttl_ms = 0;  // not both
  if (accepts & cli::kOptions) {
    while (!words.empty()) arguments.options.push_back(next());
  }
  return arguments;
}

/// A command line of these arguments, nothing left to be guessed.
Words words_for(const Verb& verb, const Arguments& arguments) {
  Words words;
  const auto option = [&](const char* name, const std::string& value) {
    words.emplace_back(name);
    words.push_back(value);
  };
  const auto flag = [&](const char* name, bool set) {
    if (set) words.emplace_back(name);
  };
  if (arguments.prefix) option("--prefix", *arguments.prefix);
  if (arguments.from) option("--from", *arguments.from);
  if (arguments.to) option("--to", *arguments.to);
  if (arguments.limit) option("--limit", std::to_string(*arguments.limit));
  if ((verb.accepts & cli::kPrepare) && !arguments.gid.empty()) option("--prepare", arguments.gid);
  if (arguments.json_pointer) option("--json-pointer", *arguments.json_pointer);
  if (arguments.column) option("--column", std::to_string(*arguments.column));
  if (arguments.key_column) option("--key-column", std::to_string(*arguments.key_column));
  if (!arguments.delimiter.empty()) option("--delimiter", arguments.delimiter);
  if (!arguments.type.empty()) option("--type", arguments.type);
  flag("--unique", arguments.unique);
  flag("--hash", arguments.hash);
  flag("--refuse-missing", arguments.refuse_missing);
  flag("--explain", arguments.explain);
  flag("--reverse", arguments.reverse);
  flag("--sorted", arguments.sorted);
  flag("--keys-only", arguments.keys_only);
  flag("--json", arguments.format.json);
  flag("--hex", arguments.format.hex);
  if (!arguments.keyspace.empty()) option("--keyspace", arguments.keyspace);
  if (!arguments.durability.empty()) option("--durability", arguments.durability);
  if ((verb.accepts & cli::kTtl) && arguments.ttl_ms != 0)
    option("--ttl-ms", std::to_string(arguments.ttl_ms));
  for (const std::string& assignment : arguments.options) option("--option", assignment);
  words.emplace_back("--");
  if (verb.accepts & (cli::kDirectory | cli::kBackup)) words.push_back(arguments.directory);
  if (verb.accepts & cli::kKey) words.push_back(arguments.key);
  if (verb.accepts & cli::kValue) words.push_back(arguments.value);
  if (verb.accepts & cli::kFile) words.push_back(arguments.file);
  if (verb.accepts & cli::kInto) words.push_back(arguments.into);
  if (verb.accepts & cli::kGid) words.push_back(arguments.gid);
  if (verb.accepts & cli::kMillis) words.push_back(std::to_string(arguments.ttl_ms));
  if (verb.accepts & cli::kName) words.push_back(arguments.name);
  if (verb.accepts & cli::kQuery) words.push_back(arguments.query);
  if (verb.accepts & cli::kIndexName) words.push_back(arguments.name);
  return words;
}

bool same(const Arguments& a, const Arguments& b) {
  const auto all = [](const Arguments& x) {
    return std::tie(x.directory, x.key, x.value, x.file, x.into, x.gid, x.name, x.options, x.durability,
                    x.ttl_ms, x.keyspace, x.format.json, x.format.hex, x.prefix, x.from, x.to, x.limit,
                    x.reverse, x.keys_only, x.sorted, x.query, x.explain, x.json_pointer, x.column,
                    x.key_column, x.delimiter, x.type, x.unique, x.hash, x.refuse_missing);
  };
  return all(a) == all(b);
}

void check_words_for(const Verb& verb, const Arguments& arguments) {
  const Result<CommandLine> line = parse(verb, words_for(verb, arguments));
  expect(line.ok(), line.status().to_string());
  expect(line->help.empty() && same(line->arguments, arguments), "arguments change on the command line");
}

void check_options(const Arguments& arguments) {
  const Result<Options> options = cli::database_options(arguments);
  expect(options.ok() || options.status().is(StatusCode::invalid_argument), "the kind of error of an option");
}

bool run(std::string_view input) {
  Bytes bytes(input);
  const auto verbs = cli::verbs();
  const Verb& verb = verbs[bytes.byte() % verbs.size()];
  const bool made = bytes.byte() % 2 == 1;
  const Words words = words_of(bytes.rest());
  if (made) {
    check_words_for(verb, made_of(verb, words));
    return true;
  }
  const Result<CommandLine> line = parse(verb, words);
  if (!line) {
    expect(line.status().is(StatusCode::invalid_argument) && !line.status().message().empty(),
           "the kind of error");
    return false;
  }
  if (line->help.empty()) {
    check_options(line->arguments);
    check_words_for(verb, line->arguments);
  }
  return true;
}

void seeds(const SeedSink& sink) {
  struct Line {
    const char* verb;
    std::vector<std::string> words;
  };
  const Line lines[] = {
      {"put", {"db", "key", "value", "--durability", "power"}},
      {"get", {"--keyspace=accounts", "db", "--", "-key"}},
      {"scan", {"db", "--from", "a", "--to", "b", "--reverse", "--limit", "10", "--keys-only", "--hex"}},
      {"scan", {"db", "--prefix", "", "--json"}},
      {"load", {"db", "-", "--json", "--option", "memory_limit=64MiB", "--option", "preset=low_memory"}},
      {"stats", {"--help"}},
      {"load", {"db", "--sorted", "entries"}},
      {"restore", {"backup", "db"}},
      {"set-ttl", {"db", "1000", "--keyspace", "sessions"}},
      {"options", {}},
  };
  for (const Line& line : lines) {
    const auto verbs = cli::verbs();
    const auto at = static_cast<char>(cli::find_verb(line.verb) - verbs.data());
    for (const char made : {'\0', '\1'}) {
      std::string input = {at, made};
      for (const std::string& word : line.words) input.append(word).append(1, '\0');
      const char* const kind = made ? "-made" : "-words";
      sink(line.verb + std::to_string(&line - lines) + kind, input);
    }
  }
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
