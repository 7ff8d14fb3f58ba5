// scan, count, dump, remove-range, compact: verbs of a range of keys.
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

/// The entries that --prefix, --from and --to name.
Result<Scan> range(const Session& session) {
  const Arguments& arguments = session.arguments;
  const auto decoded = [&](const std::optional<std::string>& text) {
    return arguments.format.argument(text.value_or(""));
  };
  const Result<std::string> prefix = decoded(arguments.prefix), from = decoded(arguments.from),
                            to = decoded(arguments.to);
  for (const auto* bound : {&prefix, &from, &to}) {
    if (!*bound) return bound->status();
  }
  if (arguments.prefix) return session.keyspace.scan_prefix(*prefix);
  if (arguments.to) return session.keyspace.scan(*from, *to);
  return session.keyspace.scan_from(*from);
}

struct Bounds {
  std::string from;
  std::optional<std::string> to;  // nothing: to the end of the keyspace
};

Result<Bounds> bounds(const Arguments& arguments) {
  Result<std::string> from =
      arguments.format.argument(arguments.prefix.value_or(arguments.from.value_or("")));
  if (!from) return from.status();
  Bounds keys{.from = *std::move(from), .to = {}};
  if (arguments.to) {
    Result<std::string> to = arguments.format.argument(*arguments.to);
    if (!to) return to.status();
    keys.to = *std::move(to);
  } else if (arguments.prefix) {
    std::string end = keys.from;
    while (!end.empty() && end.back() == '\xff') end.pop_back();
    if (!end.empty()) {
      end.back() = static_cast<char>(end.back() + 1);
      keys.to = std::move(end);
    }
  }
  return keys;
}

}  // namespace

Status run_scan(Session& session) {
  const Arguments& arguments = session.arguments;
  Result<Scan> opened = range(session);
  if (!opened) return opened.status();
  Scan scan = *std::move(opened);
  if (arguments.reverse) scan = std::move(scan).reverse();
  if (arguments.limit) scan = std::move(scan).limit(*arguments.limit);
  for (const Entry& entry : scan) {
    const std::string line = arguments.keys_only ? arguments.format.print_key(entry.key())
                                                 : arguments.format.print(entry.key(), entry.value());
    if (!session.output.write(line)) break;
  }
  return scan.status();
}

Status run_count(Session& session) {
  Result<Scan> scan = range(session);
  if (!scan) return scan.status();
  uint64_t count = 0;
  while (scan->advance()) ++count;
  const std::string digits = std::to_string(count);
  session.output.write(session.arguments.format.json ? "{\"count\":" + digits + "}\n" : digits + "\n");
  return scan->status();
}

Status run_remove_range(Session& session) {
  if (!session.arguments.prefix && !session.arguments.to)
    return Status(StatusCode::invalid_argument, "remove-range needs --to or --prefix");
  const Result<Bounds> keys = bounds(session.arguments);
  if (!keys) return keys.status();
  if (!keys->to) return Status(StatusCode::invalid_argument, "no key lies behind those of this prefix");
  return session.keyspace.remove_range(keys->from, *keys->to);
}

Status run_compact(Session& session) {
  const Arguments& arguments = session.arguments;
  if (arguments.keyspace.empty() && !arguments.prefix && !arguments.from && !arguments.to)
    return session.database.compact();
  const Result<Bounds> keys = bounds(arguments);
  return keys ? session.keyspace.compact_range(keys->from, keys->to) : keys.status();
}

Status run_dump(Session& session) { return run_scan(session); }  // without any of its restrictions

}  // namespace lightning::cli
