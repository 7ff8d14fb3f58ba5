// Arguments: what the command line of a verb says.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/lightning-cli/entry_format.h"

namespace lightning::cli {

/// What a verb takes, bits to be combined.
enum Accepts : uint32_t {
  kDirectory = 1 << 0,
  kKey = 1 << 1,
  kValue = 1 << 2,
  kFile = 1 << 3,
  kName = 1 << 4,
  kOptions = 1 << 5,
  kDurability = 1 << 6,
  kKeyspace = 1 << 7,
  kJson = 1 << 8,
  kHex = 1 << 9,
  kRange = 1 << 10,
  kDirection = 1 << 11,
  kKeysOnly = 1 << 12,
  kInto = 1 << 13,
  kTtl = 1 << 14,     // --ttl-ms
  kMillis = 1 << 15,  // the same as a word of its own
  kBackup = 1 << 16,
  kSorted = 1 << 17,
  kPrepare = 1 << 18,
  kGid = 1 << 19,  // the same as a word of its own
  kOpenMetrics = 1 << 20,
  kIndexName = 1 << 21,
  kIndexFields = 1 << 22,
  kQuery = 1 << 23,  // a query, and --explain
};

struct Arguments {
  std::string directory;
  std::string key;
  std::string value;
  std::string file;
  std::string name;
  std::string into;
  std::string gid;
  std::vector<std::string> options;  // NAME=VALUE
  std::string durability;
  uint64_t ttl_ms = 0;
  std::string keyspace;  // empty: the default one
  EntryFormat format;
  std::optional<std::string> prefix;
  std::optional<std::string> from;
  std::optional<std::string> to;
  std::optional<uint64_t> limit;
  bool reverse = false;
  bool keys_only = false;
  bool sorted = false;
  bool openmetrics = false;
  std::string query;
  bool explain = false;
  // Of an index.
  std::optional<std::string> json_pointer;
  std::optional<uint64_t> column;
  std::optional<uint64_t> key_column;
  std::string delimiter;
  std::string type;  // empty: text
  bool unique = false;
  bool hash = false;
  bool refuse_missing = false;
};

/// Lets `app` take what `accepts` says, into `arguments`, which must outlive the parse.
void add_arguments(CLI::App& app, uint32_t accepts, Arguments& arguments);

}  // namespace lightning::cli
