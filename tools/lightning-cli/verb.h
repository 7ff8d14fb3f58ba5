// Verb: one thing that lightning-cli does, and the table of them.
//
// A verb names what it takes from the command line and how it needs the database; main.cc parses, opens,
// runs, closes, and turns the outcome into one line and an exit code.
#pragma once

#include <lightning/database.h>
#include <lightning/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tools/lightning-cli/arguments.h"
#include "tools/lightning-cli/output.h"

namespace lightning::cli {

/// How a verb opens the database.
enum class Access : uint8_t {
  none,             // not at all
  read,             // without changing a byte
  write,            // one that is there
  write_or_create,  // made, and the keyspace too, where there is none
  create,           // made; there must be none
};

/// What a verb works with. Database and keyspace are open where its access says so.
struct Session {
  const Arguments& arguments;
  Output& output;
  Database database;
  Keyspace keyspace;
};

struct Verb {
  std::string_view name;
  std::string_view help;
  Access access;
  uint32_t accepts;  // bits of Accepts
  Status (*run)(Session& session);
};

std::span<const Verb> verbs();
/// Null when there is none.
const Verb* find_verb(std::string_view name);

// point_verbs.cc
Status run_create(Session& session);
Status run_put(Session& session);
Status run_get(Session& session);
Status run_delete(Session& session);
// range_verbs.cc
Status run_scan(Session& session);
Status run_count(Session& session);
Status run_dump(Session& session);
Status run_remove_range(Session& session);
Status run_compact(Session& session);
// load_verb.cc
Status run_load(Session& session);
// tx_verb.cc
Status run_tx(Session& session);
Status run_commit_prepared(Session& session);
Status run_abort_prepared(Session& session);
// admin_verbs.cc
Status run_stats(Session& session);
Status run_metrics(Session& session);
Status run_flush(Session& session);
Status run_keyspaces(Session& session);
Status run_set_ttl(Session& session);
Status run_drop(Session& session);
Status run_options(Session& session);
// index_verbs.cc
Status run_index_create(Session& session);
Status run_index_drop(Session& session);
Status run_index_list(Session& session);
Status run_index_stats(Session& session);
Status run_query(Session& session);
// copy_verbs.cc
Status run_checkpoint(Session& session);
Status run_backup(Session& session);
Status run_restore(Session& session);
// integrity_verbs.cc
Status run_verify(Session& session);
Status run_repair(Session& session);

}  // namespace lightning::cli
