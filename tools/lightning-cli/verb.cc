#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

constexpr uint32_t kDatabase = kDirectory | kOptions;
constexpr uint32_t kWriting = kDatabase | kDurability;
constexpr uint32_t kEntries = kKeyspace | kHex;
constexpr uint32_t kPrinted = kEntries | kJson;

constexpr Verb kVerbs[] = {
    {"create", "Makes an empty database", Access::create, kDatabase, run_create},
    {"put", "Writes a value; makes the database and the keyspace if needed", Access::write_or_create,
     kWriting | kEntries | kTtl | kKey | kValue, run_put},
    {"get", "Prints the value of a key", Access::read, kDatabase | kPrinted | kKey, run_get},
    {"delete", "Removes a key, whether or not it is there", Access::write, kWriting | kEntries | kKey,
     run_delete},
    {"remove-range", "Removes all keys from --from up to --to, or with --prefix", Access::write,
     kWriting | kEntries | kRange, run_remove_range},
    {"scan", "Prints entries in order: KEY TAB VALUE", Access::read,
     kDatabase | kPrinted | kRange | kDirection | kKeysOnly, run_scan},
    {"count", "Counts entries", Access::read, kDatabase | kPrinted | kRange, run_count},
    {"load", "Writes the entries of a file; makes the database and the keyspace if needed",
     Access::write_or_create, kWriting | kPrinted | kTtl | kFile | kSorted, run_load},
    {"tx",
     "Runs a script as one transaction: lines of put KEY VALUE, delete KEY, remove-range FROM TO, get KEY, "
     "expect KEY VALUE, expect-absent KEY, with a tab between; exit code 6 where an expectation fails or "
     "somebody else was first",
     Access::write_or_create, kWriting | kPrinted | kFile | kPrepare, run_tx},
    {"commit-prepared", "Commits what tx --prepare promised under a name; stats lists the names",
     Access::write, kWriting | kGid, run_commit_prepared},
    {"abort-prepared", "Gives up what tx --prepare promised under a name", Access::write, kWriting | kGid,
     run_abort_prepared},
    {"dump", "Prints all entries in a form that load takes", Access::read, kDatabase | kPrinted, run_dump},
    {"stats", "Prints sizes and counters", Access::read, kDatabase | kJson, run_stats},
    {"metrics", "Prints sizes and counters for a monitoring system, by the names of docs/metrics.md",
     Access::read, kDatabase | kOpenMetrics, run_metrics},
    {"flush", "Turns what is in memory and in the log into sorted files", Access::write, kDatabase,
     run_flush},
    {"compact",
     "Merges all sorted files into one sorted run; with --from, --to or --prefix what they hold of these "
     "keys",
     Access::write, kDatabase | kEntries | kRange, run_compact},
    {"keyspaces", "Lists the keyspaces beside the default one", Access::read, kDatabase | kJson,
     run_keyspaces},
    {"set-ttl", "Says how long entries live that are put from now on; makes the keyspace if needed",
     Access::write_or_create, kDatabase | kKeyspace | kMillis, run_set_ttl},
    {"drop", "Removes a keyspace and its entries", Access::write, kDatabase | kName, run_drop},
    {"index create", "Makes an index of the whole value, or of a part of the entry, and builds it",
     Access::write_or_create, kDatabase | kIndexName | kKeyspace | kIndexFields, run_index_create},
    {"index drop", "Removes an index", Access::write, kDatabase | kIndexName | kKeyspace, run_index_drop},
    {"index list", "Lists the indexes of a keyspace", Access::read, kDatabase | kKeyspace | kJson,
     run_index_list},
    {"index stats", "Prints how many entries and keys an index has, and how many bytes", Access::read,
     kDatabase | kIndexName | kKeyspace | kJson, run_index_stats},
    {"query", "Prints the entries that meet conditions over indexed fields", Access::read,
     kDatabase | kPrinted | kQuery, run_query},
    {"verify-integrity",
     "Reads every byte of every file and names what is damaged; exit code 3 if anything is", Access::none,
     kDirectory | kJson, run_verify},
    {"repair",
     "Writes what survives of a damaged database into another directory; exit code 3 if keys are lost",
     Access::none, kDirectory | kInto | kJson, run_repair},
    {"checkpoint", "Makes a second database of this one, its files shared by hard links where that can be",
     Access::read, kDatabase | kInto | kJson, run_checkpoint},
    {"backup", "Copies the database into another directory, every checksum verified on the way", Access::read,
     kDatabase | kInto | kJson, run_backup},
    {"restore", "Verifies a backup and makes a database of it", Access::none, kBackup | kInto | kJson,
     run_restore},
    {"options", "Prints the table of options", Access::none, kJson, run_options},
};

}  // namespace

std::span<const Verb> verbs() { return kVerbs; }

const Verb* find_verb(std::string_view name) {
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

}  // namespace lightning::cli
