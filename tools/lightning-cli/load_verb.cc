// load: a file of entries, in batches.
//
// Batches are written as safe from a killed process, and all of them made safe from a power cut at the end:
// the same promise for the whole, at the speed of memory. A malformed line ends it; the lines before stay
// loaded.
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

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

Status input_error(const std::string& file) {
  return Status(StatusCode::io_error, std::strerror(errno), file == "-" ? "standard input" : file,
                Status::kWholeFile);
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
  errno = 0;
  while (std::getline(input, line)) {
    if (Status status = loader.add(line); !status.ok()) {
      const Status written = loader.write();  // the lines before it
      return written.ok() ? status : written;
    }
  }
  return input.bad() ? input_error(file) : loader.write();
}

}  // namespace

Status run_load(Session& session) {
  const std::string& path = session.arguments.file;
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file.is_open()) return input_error(path);
  }
  std::ios::sync_with_stdio(false);
  Loader loader(session, file_bytes(path));
  if (Status status = load_lines(path == "-" ? std::cin : file, path, loader); !status.ok()) return status;
  if (Status status = session.database.sync(); !status.ok()) return status;
  const std::string digits = std::to_string(loader.entries());
  session.output.write(session.arguments.format.json ? "{\"loaded\":" + digits + "}\n"
                                                     : digits + " loaded\n");
  return {};
}

}  // namespace lightning::cli
