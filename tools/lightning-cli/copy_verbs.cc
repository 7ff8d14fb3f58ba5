// checkpoint, backup, restore: copies of a database.
//
// Ctrl-C ends them with the unfinished copy removed.
#include <lightning/admin.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/lightning-cli/progress.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

void interrupt(int) { interrupted = 1; }

/// Runs `copy` with a bar, and prints what it made.
template <typename Fn>
Status run_copy(Session& session, Fn&& copy) {
  std::signal(SIGINT, interrupt);
  std::optional<Progress> bar;
  const Result<CopyReport> report =
      copy({.on_progress = shown_on(bar), .cancelled = [] { return interrupted != 0; }});
  bar.reset();
  if (!report) return report.status();
  if (session.arguments.format.json) {
    session.output.write(nlohmann::ordered_json{{"lsn", report->lsn},
                                                {"files", report->files},
                                                {"bytes", report->bytes},
                                                {"linked_files", report->linked_files},
                                                {"linked_bytes", report->linked_bytes},
                                                {"run_entries", report->run_entries},
                                                {"log_records", report->log_records}}
                             .dump() +
                         "\n");
    return {};
  }
  std::string text = std::to_string(report->files) + " files, " + std::to_string(report->bytes) + " bytes";
  if (report->linked_files != 0) text += ", of these " + std::to_string(report->linked_files) + " linked";
  session.output.write(text + "\n");
  return {};
}

}  // namespace

Status run_checkpoint(Session& session) {
  return run_copy(session, [&](const BackupOptions& options) {
    return session.database.checkpoint(session.arguments.into, options);
  });
}

Status run_backup(Session& session) {
  return run_copy(session, [&](const BackupOptions& options) {
    return session.database.backup(session.arguments.into, options);
  });
}

Status run_restore(Session& session) {
  return run_copy(session, [&](const BackupOptions& options) {
    return restore(session.arguments.directory, session.arguments.into, options);
  });
}

}  // namespace lightning::cli
