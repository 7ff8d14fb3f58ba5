// create, put, get, delete: verbs of one key, and of none.
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

Status run_create(Session&) { return {}; }  // its access says it all

Status run_put(Session& session) {
  const Arguments& arguments = session.arguments;
  const Result<std::string> key = arguments.format.argument(arguments.key);
  if (!key) return key.status();
  const Result<std::string> value = arguments.format.argument(arguments.value);
  if (!value) return value.status();
  return session.keyspace.put(*key, *value, {.ttl_ms = arguments.ttl_ms});
}

Status run_get(Session& session) {
  const EntryFormat& format = session.arguments.format;
  const Result<std::string> key = format.argument(session.arguments.key);
  if (!key) return key.status();
  const Lookup found = session.keyspace.get(*key);
  if (found.absent()) return Status(StatusCode::not_found, "there is no such key");
  if (!found) return found.status();
  session.output.write(format.print_value(found.value()));
  return {};
}

Status run_delete(Session& session) {
  const Result<std::string> key = session.arguments.format.argument(session.arguments.key);
  if (!key) return key.status();
  return session.keyspace.remove(*key);
}

}  // namespace lightning::cli
