#include "admin/verify.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "admin/log_walk.h"
#include "admin/state_remains.h"
#include "engine/recovery.h"
#include "format/internal_key.h"
#include "index/index_check.h"
#include "index/index_set.h"
#include "log/segment.h"
#include "run/run_file.h"
#include "view/manifest.h"
#include "view/state_image.h"
#include "view/state_store.h"
#include "view/super.h"

namespace lightning {

namespace {

constexpr char kLockFileName[] = "LOCK";

class Verifier {
 public:
  Verifier(Env& env, Directory& directory, const VerifyOptions& options,
           VerifyScope scope = VerifyScope::everything)
      : env_(env),
        directory_(directory),
        options_(options),
        scope_(scope),
        value_files_(directory, segment_file_name, env.guards_mappings()) {}

  /// A directory that nobody writes in.
  Result<VerifyReport> settled() {
    if (Status status = list(); !status.ok()) return status;
    Result<StateRemains> remains = read_state_remains(directory_, files_);
    if (!remains) return remains.status();
    for (const Status& damage : remains->damage) note(damage);
    count_state_files(*remains);
    if (remains->certain) {
      if (Status status = check_runs(remains->state); !status.ok()) return status;
      if (Status status = check_value_files(remains->state); !status.ok()) return status;
      const uint64_t cache = page_cache_id(env_, directory_);
      if (Status status = check_log(remains->state, cache); !status.ok()) return status;
    }
    sort_out_files(*remains);
    return finish();
  }

  /// The directory of an engine that is open for writing.
  Result<VerifyReport> at_work(Engine& engine) {
    Result<StateRemains> remains = Status(StatusCode::closed, "the database is closed");
    Status status = engine.usable();
    if (!status.ok()) return status;
    // A segment is in the state before its first record, so all of these are in the state that is read now.
    const uint64_t durable = engine.durable_lsn();
    engine.state_store().without_commits([&](const DurableState& present) {
      status = list();
      if (!status.ok()) return;
      remains = read_state_remains(directory_, files_);
      if (!remains) return;
      if (remains->certain && engine.state_store().damage().empty() &&
          image_of(remains->state) != image_of(present)) {
        remains->damage.push_back(Status(StatusCode::corruption, "not the state that the database has",
                                         manifest_file_name(remains->manifest_id), Status::kWholeFile));
      }
      remains->state = present;
    });
    if (!status.ok()) return status;
    if (!remains) return remains.status();
    for (const Status& damage : remains->damage) note(damage);
    count_state_files(*remains);
    still_named_ = [&](const std::string& file) { return names_file(engine.state_store().state(), file); };
    still_logged_ = [&](uint64_t number) {
      const DurableState state = engine.state_store().state();
      return std::ranges::any_of(state.log_segments,
                                 [&](const LogSegmentInfo& segment) { return segment.number == number; });
    };
    if (status = check_runs(remains->state); !status.ok()) return status;
    if (status = check_value_files(remains->state); !status.ok()) return status;
    if (status = check_durable_log(remains->state, durable); !status.ok()) return status;
    report_.unknown_files = engine.unknown_files();
    if (status = check_indexes_of(engine); !status.ok()) return status;
    if (status = engine.usable(); !status.ok()) return status;
    return finish();
  }

  /// Adds what the indexes of an open engine say.
  Result<VerifyReport> indexes(Engine& engine, VerifyReport report) {
    report_ = std::move(report);
    if (Status status = check_indexes_of(engine); !status.ok()) return status;
    return std::move(report_);
  }

 private:
  Status list() {
    Result<std::vector<FileInfo>> files = directory_.list();
    if (!files) return files.status();
    files_ = *std::move(files);
    for (const FileInfo& file : files_) {
      sizes_[file.name] = file.size;
      progress_.bytes_total += file.size;
    }
    return {};
  }

  Result<VerifyReport> finish() {
    progress_.bytes_done = progress_.bytes_total;
    tell_progress({});
    return std::move(report_);
  }

  void note(const Status& status) {
    ++report_.finding_count;
    if (report_.findings.size() >= VerifyReport::kFindingsMax) return;
    report_.findings.push_back({.file = std::string(status.file()),
                                .offset = status.offset(),
                                .what = std::string(status.message()),
                                .code = status.code()});
  }

  Status check_indexes_of(Engine& engine) {
    IndexCheck check;
    Status status = check_indexes(engine, [this](const Status& found) { note(found); }, &check);
    report_.index_entries = check.entries;
    report_.unread_indexes = std::move(check.unread);
    return status;
  }

  void count_file(const std::string& name) {
    if (!sizes_.contains(name) || !counted_.insert(name).second) return;
    ++report_.files;
    report_.bytes += sizes_[name];
  }

  void tell_progress(std::string_view file) {
    progress_.file = file;
    if (options_.on_progress) options_.on_progress(progress_);
  }

  void count_state_files(const StateRemains& remains) {
    count_file(kLockFileName);
    count_file(kSuperFileName);
    if (sizes_.contains(kLockFileName)) report_.unused_bytes += sizes_[kLockFileName];
    const std::string manifest = manifest_file_name(remains.manifest_id);
    count_file(manifest);
    if (sizes_.contains(manifest) && sizes_[manifest] > remains.manifest_bytes)
      report_.unused_bytes += sizes_[manifest] - remains.manifest_bytes;
    progress_.bytes_done = report_.bytes;
  }

  // Runs.

  Status check_run(const RunFileInfo& info, uint64_t log_floor, std::vector<Status>* found) {
    const std::string name = run_file_name(info.id);
    Result<std::shared_ptr<const RunFile>> run =
        RunFile::open(directory_, info, env_.guards_mappings(), &value_files_);
    if (!run) {
      if (run.status().is(StatusCode::out_of_memory) || run.status().is(StatusCode::not_supported))
        return run.status();
      found->push_back(run.status());
      return {};
    }
    if (info.lsn_max > log_floor)
      found->push_back(
          Status(StatusCode::corruption, "a run beyond the log's floor", name, Status::kWholeFile));
    const ValueList& values = (*run)->values();
    for (uint64_t i = 0; i < values.size(); ++i) {
      const ValuePlace place = values.place(i);
      live_values_[place.file][place.offset] = place.size;
    }
    const uint64_t begun = progress_.bytes_done;
    const Status status = (*run)->verify({.found = [&](const Status& one) { found->push_back(one); },
                                          .progressed =
                                              [&](uint64_t offset) {
                                                progress_.bytes_done = begun + offset;
                                                tell_progress(name);
                                              }});
    progress_.bytes_done = begun + info.size;
    report_.run_entries += info.entries;
    return status.is(StatusCode::out_of_memory) ? status : Status();
  }

  Status check_runs(const DurableState& state) {
    std::set<uint64_t> seen;
    for (const SortedRunInfo& run : state.runs) {
      for (const RunPiece& piece : run.pieces) {
        if (!seen.insert(piece.file.id).second) continue;
        std::vector<Status> found;
        count_file(run_file_name(piece.file.id));
        if (scope_ == VerifyScope::all_but_runs) continue;
        if (Status status = check_run(piece.file, state.log_floor, &found); !status.ok()) return status;
        note_of(run_file_name(piece.file.id), found);
      }
    }
    return {};
  }

  // Their values were read with the runs that refer to them; nothing reads the rest.
  Status check_value_files(const DurableState& state) {
    for (const ValueFileInfo& info : state.value_files) {
      const std::string name = segment_file_name(info.number);
      std::vector<Status> found;
      count_file(name);
      if (Status status = check_value_file(info, state.database_id, &found); !status.ok()) return status;
      uint64_t used = kSegmentHeaderBytes;
      for (const auto& [offset, size] : live_values_[info.number]) used += size;
      report_.unused_bytes += sizes_[name] - std::min(sizes_[name], used);
      progress_.bytes_done += sizes_[name];
      tell_progress(name);
      note_of(name, found);
    }
    return {};
  }

  Status check_value_file(const ValueFileInfo& info, uint64_t database_id, std::vector<Status>* found) {
    const uint64_t number = info.number;
    const std::string name = segment_file_name(number);
    Result<std::unique_ptr<File>> file = directory_.open(name, OpenMode::read);
    Status status = file.status();
    if (status.is(StatusCode::not_found)) {
      // The runs that refer to it say so, too.
      status = Status(StatusCode::corruption, "a value file is missing", name, Status::kWholeFile);
    }
    SegmentIdentity identity;
    uint64_t mirror = 0;
    if (status.ok()) status = Segment::read_header(**file, number, &identity, &mirror);
    if (status.ok() && identity.database_id != database_id)
      status = Status(StatusCode::corruption, "a value file of another database", name, 48);
    if (status.is(StatusCode::not_supported) || status.is(StatusCode::out_of_memory)) return status;
    if (!status.ok()) found->push_back(status);
    if (!file) return {};
    check_header({.number = number}, found);
    if (sizes_[name] != info.size) {
      found->push_back(Status(StatusCode::corruption, "the size of a value file", name,
                              std::min(sizes_[name], info.size)));
    }
    return {};
  }

  static bool names_file(const DurableState& state, const std::string& file) {
    for (const LogSegmentInfo& segment : state.log_segments) {
      if (segment_file_name(segment.number) == file) return true;
    }
    for (const ValueFileInfo& info : state.value_files) {
      if (segment_file_name(info.number) == file) return true;
    }
    for (const SortedRunInfo& run : state.runs) {
      for (const RunPiece& piece : run.pieces) {
        if (run_file_name(piece.file.id) == file) return true;
      }
    }
    return false;
  }

  /// What was found of a file that was given up meanwhile means nothing.
  void note_of(const std::string& file, const std::vector<Status>& found) {
    if (found.empty() || (still_named_ && !still_named_(file))) return;
    for (const Status& status : found) note(status);
  }

  // The log.

  void check_header(const LogSegmentInfo& info, std::vector<Status>* found) {
    const std::string name = segment_file_name(info.number);
    Result<std::unique_ptr<File>> file = directory_.open(name, OpenMode::read);
    if (!file) return;  // the walk says so
    char page[kSegmentHeaderBytes] = {};
    Result<uint64_t> got = (*file)->read(0, page, sizeof(page));
    if (!got) return;
    if (const uint64_t stray = Segment::first_stray_byte(page); stray < kSegmentHeaderBytes)
      found->push_back(Status(StatusCode::corruption, "a byte of the header page is not zero", name, stray));
  }

  void check_rest(const Segment& segment, const LogSegmentInfo& info, uint64_t end_lsn, uint64_t used,
                  std::vector<Status>* found) {
    const std::string name = segment.file_name();
    const uint64_t data_bytes = sizes_[name] > kSegmentHeaderBytes ? sizes_[name] - kSegmentHeaderBytes : 0;
    if (data_bytes > segment.capacity())
      found->push_back(Status(StatusCode::corruption, "bytes behind the segment", name,
                              kSegmentHeaderBytes + segment.capacity()));
    uint64_t unused = data_bytes - std::min(used, data_bytes);
    if (info.end_lsn != kOpenEnd && end_lsn == info.end_lsn && end_lsn < segment.end_lsn()) {
      // Whoever recorded the end cut the file there or filled it with zeros.
      const char* const from = segment.data() + (end_lsn - segment.base_lsn());
      const char* const to = segment.data() + std::min(segment.loaded_bytes(), data_bytes);
      const char* const stray = std::find_if(from, std::max(from, to), [](char c) { return c != 0; });
      if (stray < to)
        found->push_back(Status(StatusCode::corruption, "a byte behind the log's end is not zero", name,
                                kSegmentHeaderBytes + static_cast<uint64_t>(stray - segment.data())));
      unused -= std::min(unused, static_cast<uint64_t>(std::max(from, to) - from));
    }
    report_.unused_bytes += unused;
  }

  void check_record(const Segment& segment, uint64_t lsn, const RecordHeader& header,
                    std::vector<Status>* found) {
    ++report_.log_records;
    if (header.kind != RecordKind::commit) return;
    for_each_entry(segment.at(lsn), header.length, [&](uint64_t offset, const LogEntry& entry) {
      uint32_t keyspace;
      const size_t prefix = parse_keyspace_prefix(entry.key, &keyspace);
      const bool known = entry.key.size() <= kInternalKeyBytesMax && prefix != 0;
      // A range removal ends in its keyspace, or where that ends.
      const bool inside = entry.kind != EntryKind::remove_range ||
                          entry.value.starts_with(entry.key.substr(0, prefix)) ||
                          (known && entry.value == end_of_keyspace(keyspace));
      if (known && inside) return;
      found->push_back(Status(StatusCode::corruption, "a key of no keyspace", segment.file_name(),
                              kSegmentHeaderBytes + (lsn + offset - segment.base_lsn())));
    });
  }

  Status walk_log(LogWalk::Source source, std::vector<Status>* found, bool whole) {
    const std::vector<LogSegmentInfo> infos = source.segments;
    size_t walked = 0;
    std::set<uint64_t> left;
    for (const LogSegmentInfo& info : infos) {
      count_file(segment_file_name(info.number));
      check_header(info, found);
      left.insert(info.number);
    }
    LogEvents events;
    events.damage = [&](const Status& status, bool) { found->push_back(status); };
    events.record = [&](const Segment& segment, uint64_t lsn, const RecordHeader& header) {
      check_record(segment, lsn, header, found);
    };
    events.segment = [&](const Segment& segment, uint64_t end_lsn, uint64_t used) {
      left.erase(segment.number());
      while (walked < infos.size() && infos[walked].number != segment.number()) ++walked;
      if (whole) check_rest(segment, infos[walked], end_lsn, used, found);
      progress_.bytes_done += sizes_[segment.file_name()];
      tell_progress(segment.file_name());
    };
    const Status status = LogWalk(directory_, std::move(source), std::move(events)).run();
    // Behind a torn tail nothing counts.
    for (const uint64_t number : left) {
      const uint64_t size = sizes_[segment_file_name(number)];
      if (whole) report_.unused_bytes += size - std::min(size, kSegmentHeaderBytes);
    }
    return status;
  }

  Status check_log(const DurableState& state, uint64_t page_cache) {
    std::vector<Status> found;
    const Status status = walk_log({.segments = state.log_segments,
                                    .database_id = state.database_id,
                                    .durable_lsn = state.durable_lsn,
                                    .page_cache_id = page_cache},
                                   &found, true);
    for (const Status& one : found) note(one);
    return status;
  }

  // Segments one by one, as far as they are durable. One that was flushed meanwhile may be a value file now,
  // and most of it given back.
  Status check_durable_log(const DurableState& state, uint64_t durable) {
    for (size_t i = 0; i < state.log_segments.size(); ++i) {
      LogSegmentInfo info = state.log_segments[i];
      if (info.base_lsn >= durable) break;
      const bool last = i + 1 == state.log_segments.size();
      info.end_lsn = std::min({info.end_lsn, durable, last ? kOpenEnd : state.log_segments[i + 1].base_lsn});
      std::vector<Status> found;
      Status status = walk_log({.segments = {info}, .database_id = state.database_id}, &found, false);
      if (!still_logged_(info.number)) continue;
      if (!status.ok()) return status;
      for (const Status& one : found) note(one);
    }
    return {};
  }

  // What is in the directory and was not looked into.
  void sort_out_files(const StateRemains& remains) {
    for (const FileInfo& file : files_) {
      const bool ours = !parse_numbered_name(file.name).kind.empty() || file.name == kSuperFileName;
      if (counted_.contains(file.name)) continue;
      (ours && !remains.certain ? report_.unread_files : report_.unknown_files).push_back(file.name);
    }
  }

  Env& env_;
  Directory& directory_;
  const VerifyOptions& options_;
  const VerifyScope scope_;
  ValueFiles value_files_;
  std::vector<FileInfo> files_;
  std::map<std::string, uint64_t> sizes_;
  std::set<std::string> counted_;
  std::map<uint64_t, std::map<uint64_t, uint64_t>> live_values_;  // of each value file: offset, size
  std::function<bool(const std::string&)> still_named_;           // null: nothing is given up meanwhile
  std::function<bool(uint64_t)> still_logged_;                    // of segments of the log; then
  AdminProgress progress_;
  VerifyReport report_;
};

}  // namespace

Result<std::unique_ptr<DirectoryLock>> lock_as_reader(Directory& directory) {
  Status found = directory.open(kLockFileName, OpenMode::read).status();
  // Without the file nobody has it open, and a reader makes no file.
  if (found.is(StatusCode::not_found)) return std::unique_ptr<DirectoryLock>();
  if (!found.ok()) return found;
  return directory.lock(kLockFileName, LockMode::shared);
}

Result<VerifyReport> verify_in(Env& env, const std::string& path, const VerifyOptions& options) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(path, false);
  if (!directory) return directory.status();
  Result<std::unique_ptr<DirectoryLock>> lock = lock_as_reader(**directory);
  if (!lock) return lock.status();
  Result<VerifyReport> report = verify_directory(env, **directory, options);
  if (!report || !report->ok()) return report;
  const Options read_only{.read_only = true};
  Result<std::shared_ptr<Engine>> engine = Engine::open(env, path, read_only, OpenKind::locked);
  if (!engine) return engine.status();
  (*engine)->attach(std::make_unique<IndexSet>(**engine, options.extractors));
  return Verifier(env, **directory, options).indexes(**engine, *std::move(report));
}

Result<VerifyReport> verify_directory(Env& env, Directory& directory, const VerifyOptions& options,
                                      VerifyScope scope) {
  return Verifier(env, directory, options, scope).settled();
}

Result<VerifyReport> verify_open(Engine& engine, const VerifyOptions& options) {
  Verifier verifier(engine.env(), engine.directory(), options);
  if (!engine.read_only()) return verifier.at_work(engine);
  Result<VerifyReport> report = verifier.settled();
  if (!report) return report;
  return Verifier(engine.env(), engine.directory(), options).indexes(engine, *std::move(report));
}

}  // namespace lightning
