// load: a file of entries, in batches; with --sorted as one ingestion.
//
// Batches are written as safe from a killed process, and all of them made safe from a power cut at the end:
// the same promise for the whole, at the speed of memory. A malformed line ends it; the lines before stay
// loaded.
#include <sys/stat.h>

#include <fstream>

#include "tools/lightning-cli/input.h"
#include "tools/lightning-cli/progress.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

constexpr size_t kBatchEntries = 1000;
constexpr size_t kBatchBytes = 1 * MiB;

/// 0 where it means nothing: a pipe, a terminal.
uint64_t file_bytes(const std::string& path) {
  struct stat info;
  return path != "-" && ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)
             ? static_cast<uint64_t>(info.st_size)
             : 0;
}

/// A batch on its way to the database.
class Loader {
 public:
  Loader(Session& session, uint64_t input_bytes)
      : session_(session),
        progress_(input_bytes),
        options_{.durability = durability(session.arguments), .ttl_ms = session.arguments.ttl_ms} {}

  Status add(const std::string& line) {
    ++lines_;
    bytes_ += line.size() + 1;
    if (line.empty()) return {};
    Result<EntryFormat::Parsed> entry = session_.arguments.format.parse(line);
    if (!entry) return at_line(entry.status());
    batch_.put(session_.keyspace, entry->key, entry->value);
    if (batch_.count() < kBatchEntries && batch_.bytes() < kBatchBytes) return {};
    return write();
  }

  Status write() {
    if (Status status = session_.database.write(batch_, options_); !status.ok()) return status;
    entries_ += batch_.count();
    batch_.clear();
    progress_.update(bytes_, std::to_string(entries_) + " entries");
    return {};
  }

  uint64_t entries() const { return entries_; }

 private:
  static Durability durability(const Arguments& arguments) {
    return arguments.durability.empty() ? Durability::process : Durability::standard;
  }

  Status at_line(const Status& status) const {
    return Status(status.code(), "line " + std::to_string(lines_) + ": " + std::string(status.message()));
  }

  Session& session_;
  Progress progress_;
  const WriteOptions options_;
  WriteBatch batch_;
  uint64_t lines_ = 0;
  uint64_t bytes_ = 0;
  uint64_t entries_ = 0;
};

/// All lines of `input`; ok at its end.
Status load_lines(std::istream& input, const std::string& file, Loader& loader) {
  std::string line;
  while (std::getline(input, line)) {
    if (Status status = loader.add(line); !status.ok()) {
      const Status written = loader.write();  // the lines before it
      return written.ok() ? status : written;
    }
  }
  return input.bad() ? input_error(file) : loader.write();
}

/// The lines of a file, to be ingested.
class LineSource final : public IngestSource {
 public:
  LineSource(Session& session, std::istream& input)
      : format_(session.arguments.format),
        file_(session.arguments.file),
        input_(input),
        progress_(file_bytes(file_)) {}

  bool next() override {
    while (std::getline(input_, line_)) {
      ++lines_;
      bytes_ += line_.size() + 1;
      if (line_.empty()) continue;
      Result<EntryFormat::Parsed> entry = format_.parse(line_);
      if (!entry) {
        status_ = at_line(entry.status());
        return false;
      }
      entry_ = *std::move(entry);
      if (++entries_ % kBatchEntries == 0) progress_.update(bytes_, std::to_string(entries_) + " entries");
      return true;
    }
    if (input_.bad()) status_ = input_error(file_);
    return false;
  }
  std::string_view key() const override { return entry_.key; }
  std::string_view value() const override { return entry_.value; }
  Status status() const override { return status_; }

  Status at_line(const Status& status) const {
    return Status(status.code(), "line " + std::to_string(lines_) + ": " + std::string(status.message()));
  }

 private:
  const EntryFormat& format_;
  const std::string file_;
  std::istream& input_;
  Progress progress_;
  std::string line_;
  EntryFormat::Parsed entry_;
  Status status_;
  uint64_t lines_ = 0;
  uint64_t bytes_ = 0;
  uint64_t entries_ = 0;
};

Result<uint64_t> load_sorted(Session& session, std::istream& input) {
  LineSource source(session, input);
  const Result<IngestReport> report = session.keyspace.ingest(source);
  if (report) return report->entries;
  // What is wrong with an entry is wrong with the line that was read last.
  const bool of_entry = report.status().is(StatusCode::invalid_argument) && source.status().ok();
  return of_entry ? source.at_line(report.status()) : report.status();
}

Result<uint64_t> load_batches(Session& session, std::istream& input) {
  Loader loader(session, file_bytes(session.arguments.file));
  if (Status status = load_lines(input, session.arguments.file, loader); !status.ok()) return status;
  if (Status status = session.database.sync(); !status.ok()) return status;
  return loader.entries();
}

}  // namespace

Status run_load(Session& session) {
  const std::string& path = session.arguments.file;
  std::ifstream file;
  const Result<std::istream*> input = open_input(path, &file);
  if (!input) return input.status();
  const Result<uint64_t> loaded =
      session.arguments.sorted ? load_sorted(session, **input) : load_batches(session, **input);
  if (!loaded) return loaded.status();
  const std::string digits = std::to_string(*loaded);
  session.output.write(session.arguments.format.json ? "{\"loaded\":" + digits + "}\n"
                                                     : digits + " loaded\n");
  return {};
}

}  // namespace lightning::cli
