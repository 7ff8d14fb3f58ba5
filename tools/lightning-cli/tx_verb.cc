// tx: a script of operations as one serializable transaction. Where an expectation does not hold, or somebody
// else is first, nothing is done, and the exit code says conflict. And the verbs that resolve a prepared one.
#include <fstream>
#include <optional>
#include <vector>

#include "tools/lightning-cli/input.h"
#include "tools/lightning-cli/text.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

/// The fields of a line, each as bytes.
std::optional<std::vector<std::string>> fields_of(std::string_view line, bool hex) {
  std::vector<std::string> fields;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find('\t', at), line.size());
    const std::string_view text = line.substr(at, end - at);
    std::optional<std::string> bytes = hex && !fields.empty() ? from_hex(text) : unescape(text);
    if (!bytes) return std::nullopt;
    fields.push_back(*std::move(bytes));
    at = end + 1;
  }
  return fields;
}

class Script {
 public:
  Script(Session& session, Transaction& transaction)
      : session_(session), in_(transaction.in(session.keyspace)) {}

  Status run(std::istream& input) {
    std::string line;
    for (uint64_t number = 1; std::getline(input, line); ++number) {
      if (line.empty()) continue;
      if (Status status = run_line(line); !status.ok()) {
        return Status(status.code(), "line " + std::to_string(number) + ": " + std::string(status.message()));
      }
    }
    return input.bad() ? input_error(session_.arguments.file) : Status();
  }
  /// What gets found.
  const std::string& printed() const { return printed_; }

 private:
  Status run_line(std::string_view line) {
    const std::optional<std::vector<std::string>> fields = fields_of(line, session_.arguments.format.hex);
    if (!fields) return Status(StatusCode::invalid_argument, "not in the form of its fields");
    const std::string& verb = (*fields)[0];
    const size_t count = fields->size();
    if (verb == "put" && count == 3) return in_.put((*fields)[1], (*fields)[2]);
    if (verb == "delete" && count == 2) return in_.remove((*fields)[1]);
    if (verb == "remove-range" && count == 3) return in_.remove_range((*fields)[1], (*fields)[2]);
    if (verb == "get" && count == 2) return get((*fields)[1]);
    if (verb == "expect" && count == 3) return expect((*fields)[1], (*fields)[2]);
    if (verb == "expect-absent" && count == 2) return expect((*fields)[1], std::nullopt);
    return Status(StatusCode::invalid_argument,
                  "possible are put KEY VALUE, delete KEY, remove-range FROM TO, get KEY, expect KEY VALUE, "
                  "expect-absent KEY, with a tab between");
  }

  Status get(const std::string& key) {
    const Lookup found = in_.get(key);
    if (found) printed_.append(session_.arguments.format.print(key, found.value()));
    return found.status();
  }

  Status expect(const std::string& key, const std::optional<std::string_view>& value) {
    const Lookup found = in_.get(key);
    if (!found.status().ok()) return found.status();
    const bool holds = value ? found && found.value() == *value : found.absent();
    return holds ? Status() : Status(StatusCode::conflict, "the key holds something else");
  }

  Session& session_;
  TransactionKeyspace in_;
  std::string printed_;
};

}  // namespace

Status run_tx(Session& session) {
  const std::string& path = session.arguments.file;
  std::ifstream file;
  const Result<std::istream*> input = open_input(path, &file);
  if (!input) return input.status();
  Transaction transaction = session.database.begin({.isolation = Isolation::serializable});
  if (Status status = transaction.status(); !status.ok()) return status;
  Script script(session, transaction);
  if (Status status = script.run(**input); !status.ok()) return status;
  const std::string& gid = session.arguments.gid;
  if (Status status = gid.empty() ? transaction.commit() : transaction.prepare(gid); !status.ok())
    return status;
  session.output.write(script.printed());
  return {};
}

Status run_commit_prepared(Session& session) {
  return session.database.commit_prepared(session.arguments.gid);
}

Status run_abort_prepared(Session& session) { return session.database.abort_prepared(session.arguments.gid); }

}  // namespace lightning::cli
