#include "tools/lightning-cli/arguments.h"

#include <CLI/CLI.hpp>
#include <charconv>

namespace lightning::cli {

namespace {

// CLI11 takes a sign, other bases and what is too large, and makes other numbers of them.
const CLI::Validator kDecimal(
    [](std::string& word) -> std::string {
      uint64_t number = 0;
      const char* const end = word.data() + word.size();
      const auto [stop, error] = std::from_chars(word.data(), end, number);
      if (error != std::errc() || stop != end) return word + " is no number of decimal digits below 2^64";
      word = std::to_string(number);
      return {};
    },
    "NUMBER");
const CLI::Validator kNonempty(
    [](std::string& word) { return word.empty() ? "it needs a name" : std::string(); }, "NAME");

void add_positionals(CLI::App& app, uint32_t accepts, Arguments& arguments) {
  if (accepts & kDirectory)
    app.add_option("DB", arguments.directory, "Directory of the database")->required();
  if (accepts & kBackup)
    app.add_option("BACKUP", arguments.directory, "Directory of a backup or checkpoint")->required();
  if (accepts & kKey) app.add_option("KEY", arguments.key, "Key")->required();
  if (accepts & kValue) app.add_option("VALUE", arguments.value, "Value")->required();
  if (accepts & kFile) {
    app.add_option("FILE", arguments.file,
                   "Lines of fields with tabs between, KEY TAB VALUE but for tx, with the escapes \\t \\n "
                   "\\r \\\\ \\xHH, or JSON objects (--json); "
                   "-: standard input")
        ->required();
  }
  if (accepts & kInto)
    app.add_option("INTO", arguments.into, "Directory of the database to be made: empty, or not there")
        ->required();
  if (accepts & kGid) app.add_option("GID", arguments.gid, "Name of a prepared transaction")->required();
  if (accepts & kMillis)
    app.add_option("MS", arguments.ttl_ms, "Milliseconds; 0: for ever")->required()->check(kDecimal);
  if (accepts & kName) app.add_option("NAME", arguments.name, "Keyspace")->required();
  if (accepts & kQuery) {
    app.add_option(
           "QUERY", arguments.query,
           "Conditions with `and` between: FIELD = VALUE, < <= > >=, between V and V, prefix V, in (V, ...); "
           "then `order by FIELD [desc]`, `limit N`. A field is an index or the JSON pointer of one")
        ->required();
    app.add_flag("--explain", arguments.explain, "Print how the rows are found, and not the rows");
  }
  if (accepts & kIndexName) app.add_option("NAME", arguments.name, "Index")->required();
}

void add_index_fields(CLI::App& app, Arguments& arguments) {
  CLI::Option* pointer = app.add_option("--json-pointer", arguments.json_pointer,
                                        "Of what this points to in values that are JSON: /address/city");
  CLI::Option* column =
      app.add_option("--column", arguments.column, "Of this column of values, counted from 0")
          ->check(kDecimal);
  CLI::Option* key_column =
      app.add_option("--key-column", arguments.key_column, "Of this column of keys, counted from 0")
          ->check(kDecimal);
  pointer->excludes(column)->excludes(key_column);
  column->excludes(key_column);
  app.add_option("--delimiter", arguments.delimiter,
                 "The byte between columns; a comma of values, a colon of keys unless it is said");
  app.add_option("--type", arguments.type, "What it is kept as and ordered by; text unless it is said")
      ->check(CLI::IsMember({"bytes", "text", "integer", "floating", "timestamp"}));
  app.add_flag("--unique", arguments.unique, "No two entries have the same");
  app.add_flag("--hash", arguments.hash, "For whole keys only, without an order");
  app.add_flag("--refuse-missing", arguments.refuse_missing,
               "Refuse writes in which it is missing, instead of leaving them out of the index");
}

void add_range(CLI::App& app, uint32_t accepts, Arguments& arguments) {
  if (accepts & kRange) {
    CLI::Option* prefix = app.add_option("--prefix", arguments.prefix, "Keys that begin with this");
    app.add_option("--from", arguments.from, "Keys at or after this")->excludes(prefix);
    app.add_option("--to", arguments.to, "Keys before this")->excludes(prefix);
  }
  if (accepts & kDirection) {
    app.add_flag("--reverse", arguments.reverse, "From the last key to the first");
    app.add_option("--limit", arguments.limit, "At most so many entries")->check(kDecimal);
  }
  if (accepts & kSorted)
    app.add_flag("--sorted", arguments.sorted,
                 "The keys of the file ascend: all entries at once or none, and faster where there are many");
  if (accepts & kPrepare) {
    app.add_option("--prepare", arguments.gid,
                   "Do not commit, but promise to, under this name: commit-prepared, abort-prepared")
        ->check(kNonempty);
  }
  if (accepts & kKeysOnly) app.add_flag("--keys-only", arguments.keys_only, "Keys without values");
}

}  // namespace

void add_arguments(CLI::App& app, uint32_t accepts, Arguments& arguments) {
  add_positionals(app, accepts, arguments);
  add_range(app, accepts, arguments);
  if (accepts & kIndexFields) add_index_fields(app, arguments);
  if (accepts & kKeyspace)
    app.add_option("--keyspace", arguments.keyspace, "Keyspace instead of the default one");
  if (accepts & kJson) {
    app.add_flag("--json", arguments.format.json,
                 accepts & kHex
                     ? "JSON objects, one a line; bytes that are not UTF-8 in base64, marked by a field "
                       "key_base64 or value_base64"
                     : "A JSON object");
  }
  if (accepts & kHex) app.add_flag("--hex", arguments.format.hex, "Keys and values in hexadecimal digits");
  if (accepts & kOpenMetrics)
    app.add_flag("--openmetrics", arguments.openmetrics,
                 "OpenMetrics 1.0 instead of Prometheus' text format");
  if (accepts & kDurability) {
    app.add_option("--durability", arguments.durability, "What the write survives: process or power")
        ->check(CLI::IsMember({"process", "power"}));
  }
  if (accepts & kTtl) {
    CLI::Option* ttl = app.add_option(
        "--ttl-ms", arguments.ttl_ms,
        "How long what is written lives, in milliseconds; 18446744073709551615: for ever; else as "
        "set-ttl said");
    ttl->check(kDecimal);
    if (accepts & kSorted) ttl->excludes(app.get_option("--sorted"));
  }
  if (accepts & kOptions) {
    app.add_option("--option", arguments.options, "NAME=VALUE, an option of the database; may be repeated")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
  }
}

}  // namespace lightning::cli
