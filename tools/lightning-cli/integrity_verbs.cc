// verify-integrity, repair: verbs for a database that may be damaged.
#include <lightning/admin.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "tools/lightning-cli/command_line.h"
#include "tools/lightning-cli/progress.h"
#include "tools/lightning-cli/text.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string place(const std::string& file, uint64_t offset) {
  return file + (offset == Status::kWholeFile ? "" : " at " + std::to_string(offset));
}

Json json_of(const std::vector<std::string>& names) {
  Json array = Json::array();
  for (const std::string& name : names) array.push_back(printable(name));
  return array;
}

Json json_of(const std::vector<Finding>& findings) {
  Json array = Json::array();
  for (const Finding& finding : findings) {
    Json object{{"file", printable(finding.file)}};
    if (finding.offset != Status::kWholeFile) object["offset"] = finding.offset;
    object["what"] = printable(finding.what);
    object["code"] = status_code_name(finding.code);
    array.push_back(object);
  }
  return array;
}

std::string_view scope_name(LostScope scope) {
  switch (scope) {
    case LostScope::keys:
      return "keys";
    case LostScope::named_keyspaces:
      return "named_keyspaces";
    case LostScope::everything:
      return "everything";
  }
  return "";
}

Json json_of(const LostRange& range) {
  Json object{{"file", printable(range.file)}};
  if (range.offset != Status::kWholeFile) object["offset"] = range.offset;
  object["reason"] = printable(range.reason);
  object["scope"] = scope_name(range.scope);
  if (range.scope != LostScope::keys) return object;
  // Escaped, all of them: what can be read in two ways names two keys.
  object["keyspace"] = escape(range.keyspace);
  object["from"] = escape(range.from);
  if (range.to) object["to"] = escape(*range.to);
  return object;
}

std::string text_of(const LostRange& range) {
  const std::string why = ": " + range.reason + " (" + place(range.file, range.offset) + ")\n";
  if (range.scope == LostScope::everything) return "lost  perhaps any change" + why;
  if (range.scope == LostScope::named_keyspaces) return "lost  perhaps names and entries of keyspaces" + why;
  return "lost  keys" + (range.keyspace.empty() ? "" : " of " + escape(range.keyspace)) + " from \"" +
         escape(range.from) + "\"" + (range.to ? " to before \"" + escape(*range.to) + "\"" : " on") + why;
}

std::string text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    text += "found  " + finding.what + " (" + place(escape(finding.file), finding.offset) + ")\n";
  return text;
}

std::string count(uint64_t number, std::string_view of) {
  return std::to_string(number) + " " + std::string(of);
}

}  // namespace

Status run_verify(Session& session) {
  std::optional<Progress> bar;
  const Result<Options> options = database_options(session.arguments);
  if (!options) return options.status();
  const Result<VerifyReport> report =
      verify(session.arguments.directory, {.on_progress = shown_on(bar), .extractors = options->extractors});
  bar.reset();
  if (!report) return report.status();
  if (session.arguments.format.json) {
    session.output.write(Json{{"ok", report->ok()},
                              {"files", report->files},
                              {"bytes", report->bytes},
                              {"unused_bytes", report->unused_bytes},
                              {"run_entries", report->run_entries},
                              {"log_records", report->log_records},
                              {"index_entries", report->index_entries},
                              {"finding_count", report->finding_count},
                              {"findings", json_of(report->findings)},
                              {"unknown_files", json_of(report->unknown_files)},
                              {"unread_files", json_of(report->unread_files)},
                              {"unread_indexes", json_of(report->unread_indexes)}}
                             .dump() +
                         "\n");
  } else {
    session.output.write(text_of(report->findings));
    for (const std::string& name : report->unknown_files)
      session.output.write("unknown file  " + escape(name) + "\n");
    for (const std::string& name : report->unread_files)
      session.output.write("not read  " + escape(name) + "\n");
    for (const std::string& name : report->unread_indexes)
      session.output.write("index not read  " + escape(name) + "\n");
    session.output.write(
        count(report->files, "files, ") + count(report->bytes, "bytes, ") +
        count(report->run_entries, "keys in runs, ") + count(report->log_records, "records in the log, ") +
        count(report->index_entries, "entries of indexes: ") +
        (report->ok() ? "all is as it was written\n" : count(report->finding_count, "findings\n")));
  }
  if (report->ok()) return {};
  const Finding& first = report->findings.front();
  return Status(first.code, first.what, first.file, first.offset);
}

Status run_repair(Session& session) {
  std::optional<Progress> bar;
  const Result<RepairReport> report =
      repair(session.arguments.directory, session.arguments.into, {.on_progress = shown_on(bar)});
  bar.reset();
  if (!report) return report.status();
  if (session.arguments.format.json) {
    Json lost = Json::array();
    for (const LostRange& range : report->lost) lost.push_back(json_of(range));
    session.output.write(Json{{"complete", report->complete()},
                              {"entries", report->entries},
                              {"raw_bytes", report->raw_bytes},
                              {"runs_read", report->runs_read},
                              {"log_records", report->log_records},
                              {"lost", lost},
                              {"findings", json_of(report->findings)},
                              {"left_out", json_of(report->left_out)},
                              {"recovered_keyspaces", json_of(report->recovered_keyspaces)}}
                             .dump() +
                         "\n");
  } else {
    session.output.write(text_of(report->findings));
    for (const std::string& name : report->left_out) session.output.write("left out  " + escape(name) + "\n");
    for (const LostRange& range : report->lost) session.output.write(text_of(range));
    for (const std::string& name : report->recovered_keyspaces)
      session.output.write("keyspace without a name, now  " + escape(name) + "\n");
    session.output.write(count(report->entries, "entries written") +
                         (report->complete() ? ", nothing is lost\n" : "; keys may be lost, see above\n"));
  }
  if (report->complete()) return {};
  const LostRange& first = report->lost.front();
  return Status(StatusCode::corruption, "keys may be lost: " + first.reason, first.file, first.offset);
}

}  // namespace lightning::cli
