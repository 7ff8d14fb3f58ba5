#include "admin/copy.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "admin/empty_directory.h"
#include "admin/verify.h"
#include "base/interleave.h"
#include "engine/copy_moment.h"
#include "log/scan.h"
#include "log/segment.h"
#include "run/run_file.h"
#include "view/manifest.h"
#include "view/state_store.h"
#include "view/super.h"

namespace lightning {

namespace {

constexpr uint64_t kPieceBytes = 2 << 20;

class Copy {
 public:
  Copy(Engine& engine, const BackupOptions& options, CopyKind kind)
      : engine_(engine), options_(options), kind_(kind) {}

  Result<CopyReport> run(const std::string& into) {
    into_path_ = into;
    Result<EmptyDirectory> empty = EmptyDirectory::open(engine_.env(), into);
    if (!empty) return empty.status();
    into_ = *std::move(empty);
    Status status;
    try {
      status = fill();
    } catch (const std::bad_alloc&) {
      status = Status(StatusCode::out_of_memory, "a copy of a database");
    }
    if (status.ok()) return report_;
    remove_all();
    return status;
  }

 private:
  Directory& to() { return *into_.directory; }

  Status fill() {
    made_.emplace_back(kUnfinishedSuperName);
    if (Status status = StateStore::announce(to()); !status.ok()) return status;
    Result<std::unique_ptr<CopyMoment>> moment = engine_.copy_moment();
    if (!moment) return moment.status();
    report_.lsn = (*moment)->lsn();
    count_bytes(**moment);
    if (Status status = copy_log(**moment); !status.ok()) return status;
    (*moment)->release_log();
    if (Status status = copy_values(**moment); !status.ok()) return status;
    if (Status status = copy_runs(**moment); !status.ok()) return status;
    progress_.bytes_done = progress_.bytes_total;
    if (Status status = go_on({}); !status.ok()) return status;
    return name(**moment);
  }

  /// Asked between any two pieces of work.
  Status go_on(std::string_view file) {
    INTERLEAVE("copy.piece");
    if (Status status = engine_.usable(); !status.ok()) return status;
    progress_.file = file;
    if (options_.on_progress) options_.on_progress(progress_);
    if (options_.cancelled && options_.cancelled())
      return Status(StatusCode::cancelled, "the copy was cancelled");
    return {};
  }

  void count_bytes(const CopyMoment& moment) {
    for (const auto& source : moment.log())
      progress_.bytes_total += std::min(source->end_lsn, moment.lsn()) - source->segment->base_lsn();
    // Read once to be copied and once to be verified.
    for (const RunFileInfo* file : files_of(moment)) progress_.bytes_total += 2 * file->size;
    for (const auto& [number, file] : moment.values()) progress_.bytes_total += bytes_of(file);
  }

  /// Each once.
  static std::vector<const RunFileInfo*> files_of(const CopyMoment& moment) {
    std::vector<const RunFileInfo*> files;
    std::set<uint64_t> seen;
    for (const SortedRunInfo& run : moment.runs()) {
      for (const RunPiece& piece : run.pieces) {
        if (seen.insert(piece.file.id).second) files.push_back(&piece.file);
      }
    }
    return files;
  }

  Result<std::unique_ptr<File>> make(const std::string& name) {
    made_.push_back(name);
    ++report_.files;
    return to().open(name, OpenMode::create);
  }

  // The log.

  Status copy_log(const CopyMoment& moment) {
    for (const auto& source : moment.log()) {
      const Segment& segment = *source->segment;
      const uint64_t end = std::min(source->end_lsn, moment.lsn());
      uint64_t records_end = end;
      uint64_t records = 0;
      const uint64_t verified =
          scan_records(segment, segment.base_lsn(), end, [&](uint64_t lsn, const RecordHeader& header) {
            // An end record says nothing that the state will not.
            if (header.kind == RecordKind::end) {
              records_end = lsn;
            } else {
              ++records;
            }
          });
      if (verified != end)
        return Status(StatusCode::corruption, "a record in memory does not verify", segment.file_name(),
                      kSegmentHeaderBytes + (verified - segment.base_lsn()));
      if (records_end == segment.base_lsn()) continue;
      if (Status status = copy_segment(segment, records_end); !status.ok()) return status;
      report_.log_records += records;
    }
    return {};
  }

  Status copy_segment(const Segment& segment, uint64_t end) {
    const std::string name = segment.file_name();
    SegmentIdentity identity = segment.identity();
    identity.page_cache_id = 0;
    Result<std::unique_ptr<File>> file = make(name);
    if (!file) return file.status();
    if (Status status = (*file)->write(0, Segment::header_page(identity)); !status.ok()) return status;
    for (uint64_t at = segment.base_lsn(); at < end;) {
      const uint64_t size = std::min(end - at, kPieceBytes);
      const uint64_t offset = kSegmentHeaderBytes + (at - segment.base_lsn());
      if (Status status = (*file)->write(offset, {segment.at(at), size}); !status.ok()) return status;
      at += size;
      progress_.bytes_done += size;
      if (Status status = go_on(name); !status.ok()) return status;
    }
    if (Status status = (*file)->sync(); !status.ok()) return status;
    report_.bytes += kSegmentHeaderBytes + (end - segment.base_lsn());
    segments_.push_back({.number = segment.number(), .base_lsn = segment.base_lsn(), .end_lsn = end});
    return verify_segment(segments_.back());
  }

  Status verify_segment(const LogSegmentInfo& info) {
    Result<std::shared_ptr<Segment>> copied = Segment::open(to(), info.number, false);
    if (!copied) return in_the_copy(copied.status());
    const uint64_t verified =
        scan_records(**copied, info.base_lsn, info.end_lsn, [](uint64_t, const RecordHeader&) {});
    if (verified == info.end_lsn) return {};
    return in_the_copy(Status(StatusCode::corruption, "a record of the log does not verify",
                              segment_file_name(info.number),
                              kSegmentHeaderBytes + (verified - info.base_lsn)));
  }

  // Value files. Values are verified with the runs that refer to them.

  static uint64_t bytes_of(const ValueExtents::OfFile& file) { return kSegmentHeaderBytes + file.live_bytes; }

  Status copy_values(const CopyMoment& moment) {
    for (const auto& [number, file] : moment.values()) {
      const std::string name = segment_file_name(number);
      const uint64_t done = progress_.bytes_done;
      uint64_t size = file.file_bytes;
      bool linked = false;
      if (Status status = link(name, size, &linked); !status.ok()) return status;
      if (!linked) {
        size = file.extents.empty() ? kSegmentHeaderBytes : file.extents.back().end;
        if (Status status = copy_value_file(number, name, file); !status.ok()) return status;
      }
      report_.bytes += size;
      values_.push_back({.number = number, .size = size});
      progress_.bytes_done = done + bytes_of(file);
      if (Status status = go_on(name); !status.ok()) return status;
    }
    return {};
  }

  // What no run refers to stays a hole; behind the last value the copy ends.
  Status copy_value_file(uint64_t number, const std::string& name, const ValueExtents::OfFile& values) {
    Result<std::unique_ptr<File>> from = engine_.directory().open(name, OpenMode::read);
    if (from.status().is(StatusCode::not_found))
      return Status(StatusCode::corruption, "a value file is missing", name, Status::kWholeFile);
    if (!from) return from.status();
    SegmentIdentity identity;
    uint64_t mirror = 0;
    if (Status status = Segment::read_header(**from, number, &identity, &mirror); !status.ok()) return status;
    identity.page_cache_id = 0;
    Result<std::unique_ptr<File>> file = make(name);
    if (!file) return file.status();
    if (Status status = (*file)->write(0, Segment::header_page(identity)); !status.ok()) return status;
    for (const ValueExtents::Extent& extent : values.extents) {
      if (Status status = copy_range(**from, **file, name, extent.offset, extent.end); !status.ok())
        return status;
    }
    return sync_copy(**file, values.extents.empty() ? kSegmentHeaderBytes : values.extents.back().end);
  }

  // Runs.

  /// Gives a file a second name in the checkpoint; not `linked` where that is not wanted, or cannot be.
  Status link(const std::string& name, uint64_t bytes, bool* linked) {
    if (kind_ != CopyKind::checkpoint) return {};
    made_.push_back(name);
    const Status status = engine_.directory().link(name, to(), name);
    if (status.is(StatusCode::not_supported)) return {};
    if (!status.ok()) return status;
    *linked = true;
    ++report_.files;
    ++report_.linked_files;
    report_.linked_bytes += bytes;
    return {};
  }

  Status copy_runs(const CopyMoment& moment) {
    for (const RunFileInfo* file : files_of(moment)) {
      const std::string name = run_file_name(file->id);
      const uint64_t done = progress_.bytes_done;
      bool linked = false;
      if (Status status = link(name, file->size, &linked); !status.ok()) return status;
      if (!linked) {
        if (Status status = copy_run(*file, name); !status.ok()) return status;
      }
      report_.bytes += file->size;
      report_.run_entries += file->entries;
      progress_.bytes_done = done + 2 * file->size;
      if (Status status = go_on(name); !status.ok()) return status;
    }
    return {};
  }

  Status copy_run(const RunFileInfo& info, const std::string& name) {
    if (Status status = copy_bytes(info, name); !status.ok()) return status;
    const Status status = verify_run(to(), info, name, true);
    if (!status.is(StatusCode::corruption)) return status;
    // Where is the damage? What is found in both is the database's.
    const Status source = verify_run(engine_.directory(), info, name, false);
    return source.ok() ? in_the_copy(status) : source;
  }

  Status copy_bytes(const RunFileInfo& info, const std::string& name) {
    Result<std::unique_ptr<File>> from = engine_.directory().open(name, OpenMode::read);
    if (from.status().is(StatusCode::not_found))
      return Status(StatusCode::corruption, "a run file is missing", name, Status::kWholeFile);
    if (!from) return from.status();
    Result<uint64_t> size = (*from)->size();
    if (!size) return size.status();
    if (*size != info.size) return Status(StatusCode::corruption, "size", name, Status::kWholeFile);
    Result<std::unique_ptr<File>> file = make(name);
    if (!file) return file.status();
    if (Status status = copy_range(**from, **file, name, 0, info.size); !status.ok()) return status;
    return sync_copy(**file, info.size);
  }

  Status copy_range(File& from, File& file, const std::string& name, uint64_t at, uint64_t end) {
    std::string piece(std::min(end - at, kPieceBytes), '\0');
    while (at < end) {
      const uint64_t wanted = std::min<uint64_t>(end - at, piece.size());
      Result<uint64_t> got = from.read(at, piece.data(), wanted);
      if (!got) return got.status();
      if (*got < wanted) return Status(StatusCode::corruption, "the file is cut off", name, at + *got);
      if (Status status = file.write(at, {piece.data(), wanted}); !status.ok()) return status;
      at += wanted;
      progress_.bytes_done += wanted;
      if (Status status = go_on(name); !status.ok()) return status;
    }
    return {};
  }

  Status sync_copy(File& file, uint64_t size) {
    if (Status status = file.sync(); !status.ok()) return status;
    // What is verified comes from the disk where the system lets go of the pages.
    file.drop_cache(0, size);
    return {};
  }

  Status verify_run(Directory& directory, const RunFileInfo& info, const std::string& name, bool tell) {
    const bool mapped = engine_.env().guards_mappings();
    ValueFiles values(directory, segment_file_name, mapped);
    Result<std::shared_ptr<const RunFile>> run = RunFile::open(directory, info, mapped, &values);
    if (!run) return run.status();
    const uint64_t begun = progress_.bytes_done;
    RunCheckEvents events;
    if (tell) {
      events.progressed = [&](uint64_t offset) {
        progress_.bytes_done = begun + std::min(offset, info.size);
        progress_.file = name;
        if (options_.on_progress) options_.on_progress(progress_);
      };
    }
    return (*run)->verify(events);
  }

  Status in_the_copy(const Status& status) const {
    if (!status.is(StatusCode::corruption)) return status;
    return Status(StatusCode::corruption,
                  "the copy is not what was written: " + std::string(status.message()),
                  into_path_ + "/" + std::string(status.file()), status.offset());
  }

  // The state.

  Status name(const CopyMoment& moment) {
    DurableState state = moment.state();
    state.incarnation = engine_.env().random();
    state.log_segments = segments_;
    state.runs = moment.runs();
    state.value_files = values_;
    state.log_floor = moment.log_floor();
    state.durable_lsn = moment.lsn();
    // Newest first, since what SUPER names goes after it.
    made_.push_back(manifest_file_name(state.next_file_id));
    made_.emplace_back(kSuperFileName);
    return StateStore::create(to(), state).status();
  }

  /// As far as it goes. Once SUPER may be there, nothing that it names goes before it.
  void remove_all() {
    bool all = true;
    for (auto name = made_.rbegin(); name != made_.rend() && all; ++name) {
      const Status status = to().remove(*name);
      all = status.ok() || status.is(StatusCode::not_found);
      if (*name == kSuperFileName && status.ok()) all = to().sync().ok();
    }
    (void)to().sync();
  }

  Engine& engine_;
  const BackupOptions& options_;
  const CopyKind kind_;
  std::string into_path_;
  EmptyDirectory into_;
  std::vector<std::string> made_;  // files, perhaps
  std::vector<LogSegmentInfo> segments_;
  std::vector<ValueFileInfo> values_;
  AdminProgress progress_;
  CopyReport report_;
};

Status first_finding(const VerifyReport& report) {
  const Finding& first = report.findings.front();
  return Status(first.code, first.what, first.file, first.offset);
}

}  // namespace

Result<CopyReport> copy_database(Engine& engine, const std::string& into, const BackupOptions& options,
                                 CopyKind kind) {
  if (Status status = engine.usable(); !status.ok()) return status;
  return Copy(engine, options, kind).run(into);
}

Result<CopyReport> restore_in(Env& env, const std::string& backup, const std::string& into,
                              const BackupOptions& options) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(backup, false);
  if (!directory) return directory.status();
  Result<std::unique_ptr<DirectoryLock>> lock = lock_as_reader(**directory);
  if (!lock) return lock.status();
  // Runs are verified where they are copied.
  Result<VerifyReport> verified = verify_directory(env, **directory, {}, VerifyScope::all_but_runs);
  if (!verified) return verified.status();
  if (!verified->ok()) return first_finding(*verified);
  Options read_only;
  read_only.read_only = true;
  Result<std::shared_ptr<Engine>> engine = Engine::open(env, backup, read_only, OpenKind::open);
  if (!engine) return engine.status();
  Result<CopyReport> report = copy_database(**engine, into, options, CopyKind::backup);
  const Status closed = (*engine)->close();
  return report && !closed.ok() ? closed : report;
}

}  // namespace lightning
