// Flush: sealed memtables become a run. Merge: runs become one. Both write run files, make them durable, name
// them in the durable state, publish a View, and only then give up what they replace.

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "compaction/retention.h"
#include "engine/engine.h"
#include "format/internal_key.h"
#include "log/scan.h"
#include "run/run_writer.h"
#include "view/merge_cursor.h"

namespace lightning {

namespace {

// More sorted runs than this are merged into one.
constexpr size_t kSortedRunsMax = 8;
constexpr uint64_t kRetryDelayNs = 200'000'000;

SortedRunInfo run_info(std::vector<RunFileInfo> files) {
  SortedRunInfo info;
  for (RunFileInfo& file : files) info.pieces.push_back({.file = std::move(file), .from = {}, .to = {}});
  return info;
}

}  // namespace

void Engine::schedule_flush() {
  if (flush_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run(Lane::slow, [this] { flush_in_background(); })) {
    flush_scheduled_.store(false, std::memory_order_release);
  }
}

void Engine::flush_in_background() {
  flush_scheduled_.store(false, std::memory_order_release);
  Status status;
  try {
    status = flush_round();
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::out_of_memory, "a flush");
  }
  refuse_after_store_failure();
  note_background(status);
  if (status.ok() && view()->sealed.empty()) return;
  if (log_.failed() || flush_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  // More was sealed meanwhile; or it failed, and space or memory may return.
  if (!background_.run_after(Lane::slow, status.ok() ? 0 : kRetryDelayNs,
                             [this] { flush_in_background(); })) {
    flush_scheduled_.store(false, std::memory_order_release);
  }
}

// What is sealed now, and a merge if it is due: writers that keep sealing do not keep it from ending.
Status Engine::flush_round() {
  const std::shared_ptr<const View> now = view();
  if (!now->sealed.empty()) log_.wait_published(now->sealed.front()->end_lsn);
  MutexLock lock(flush_mutex_);
  if (!now->sealed.empty()) {
    if (Status status = flush_sealed(now->sealed.front()->end_lsn); !status.ok()) return status;
  }
  return merge_is_due() ? merge_all() : Status();
}

bool Engine::merge_is_due() const { return view()->runs.size() > kSortedRunsMax; }

Status Engine::flush_sealed(uint64_t end) {
  const std::shared_ptr<const View> now = view();
  std::vector<std::shared_ptr<const MemSource>> sources(now->sealed.rbegin(), now->sealed.rend());
  while (!sources.empty() && sources.back()->end_lsn > end) sources.pop_back();
  return sources.empty() ? Status() : flush_sources(sources);
}

void Engine::refuse_after_store_failure() {
  if (log_.failed()) return;
  if (const Status failure = store_->failure(); !failure.ok()) log_.refuse(failure);
}

Status Engine::flush_everything() {
  const std::shared_ptr<const View> now = view();
  std::vector<std::shared_ptr<const MemSource>> sources(now->sealed.rbegin(), now->sealed.rend());
  if (now->active != nullptr && log_.published() > now->active->segment->base_lsn()) {
    auto active = std::make_shared<MemSource>(*now->active);
    active->end_lsn = log_.published();
    sources.push_back(std::move(active));
  }
  return sources.empty() ? Status() : flush_sources(sources);
}

// `sources` oldest first: a prefix of what is not flushed yet (I8: flushes are installed in segment order).
Status Engine::flush_sources(const std::vector<std::shared_ptr<const MemSource>>& sources) {
  if (log_.failed()) return log_.failure();
  const uint64_t began = env_.clock().monotonic_ns();
  const uint64_t lsn_min = sources.front()->segment->base_lsn();
  const uint64_t lsn_max = sources.back()->end_lsn;
  // A run is durable, so what it holds must not outlive what the log loses.
  if (Status status = log_.wait_durable(lsn_max); !status.ok()) return status;
  std::vector<std::unique_ptr<SourceCursor>> cursors;
  for (auto source = sources.rbegin(); source != sources.rend(); ++source) {
    if (Status status = verify_source(**source); !status.ok()) return status;
    if (Status status = (*source)->order_up_to((*source)->end_lsn); !status.ok()) return status;
    if (Status status = (*source)->table->order_index().settle(); !status.ok()) return status;
    cursors.push_back((*source)->table->cursor(kReadAllLsn));
    if (cursors.back() == nullptr) throw std::bad_alloc();
  }
  const bool oldest = view()->runs.empty();
  RunOutput output;
  Status status = write_runs(std::move(cursors), oldest, lsn_min, lsn_max, &output);
  std::shared_ptr<const SortedRun> run;
  if (status.ok()) status = install_flush(sources, lsn_max, output);
  if (!status.ok()) return status;
  retire_segment_files(sources);
  const uint64_t took_us = (env_.clock().monotonic_ns() - began) / 1000;
  counters_.flushes.fetch_add(1, std::memory_order_relaxed);
  counters_.flush_bytes_written.fetch_add(output.bytes, std::memory_order_relaxed);
  report(EventKind::flush, "memtables became a run", output.bytes, took_us, {});
  return {};
}

Status Engine::install_flush(const std::vector<std::shared_ptr<const MemSource>>& sources, uint64_t floor,
                             const RunOutput& output) {
  std::shared_ptr<const SortedRun> run;
  SortedRunInfo info = run_info(output.files);
  if (!info.pieces.empty()) {
    Result<std::shared_ptr<const SortedRun>> opened = open_run(info);
    if (!opened) return opened.status();
    run = *std::move(opened);
  }
  const std::function<void(View&)> change = [&](View& next) {
    for (const auto& source : sources) {
      std::erase_if(next.sealed, [&](const auto& other) { return other->segment == source->segment; });
      if (next.active != nullptr && next.active->segment == source->segment) next.active = nullptr;
    }
    if (run != nullptr) next.runs.insert(next.runs.begin(), run);
  };
  // Nothing may fail behind the commit: a run that the durable state names and the View does not would be
  // missed by the next flush, which then gives up removals that it still needs.
  ViewRoom room = room_for_view(kSealedMax, 1);
  INTERLEAVE("flush.before_commit");
  const Status status = store_->commit([&](DurableState& next) {
    if (run != nullptr) next.runs.insert(next.runs.begin(), std::move(info));
    std::erase_if(next.log_segments, [&](const LogSegmentInfo& segment) { return segment.base_lsn < floor; });
    next.log_floor = floor;
    next.durable_lsn = std::max(next.durable_lsn, floor);
  });
  if (!status.ok()) {
    if (store_->failure().ok()) remove_runs(output.files);
    return status;
  }
  log_.forget_below(floor);
  install_view(change, std::move(room));
  return {};
}

// Memory can decay too: what goes into a run is what was committed.
Status Engine::verify_source(const MemSource& source) const {
  const Segment& segment = *source.segment;
  const uint64_t end =
      scan_records(segment, segment.base_lsn(), source.end_lsn, [](uint64_t, const RecordHeader&) {});
  if (end == source.end_lsn) return {};
  return Status(StatusCode::corruption, "a record in memory does not verify", segment.file_name(),
                kSegmentHeaderBytes + (end - segment.base_lsn()));
}

Status Engine::write_runs(std::vector<std::unique_ptr<SourceCursor>> sources, bool oldest, uint64_t lsn_min,
                          uint64_t lsn_max, RunOutput* output) {
  const std::vector<uint64_t> read_lsns = snapshots_.list();
  const std::vector<uint32_t> dropped = catalogue_.dropped_ids();
  VersionMerger merger(std::move(sources));
  std::unique_ptr<RunWriter> writer;
  std::vector<uint64_t> begun;    // ids of files, finished or not
  const bool closing = closing_;  // the analysis does not know which locks a lambda has
  const auto finish = [&]() -> Status {
    Result<RunFileInfo> info = writer->finish(lsn_min, lsn_max);
    if (!info) return info.status();
    output->bytes += info->size;
    output->files.push_back(*std::move(info));
    writer = nullptr;
    return {};
  };
  const auto write = [&]() -> Status {
    std::vector<Version> versions;
    for (merger.seek_first(); merger.valid(); merger.next()) {
      if (closed_.load(std::memory_order_relaxed) && !closing) return Status(StatusCode::closed, "closing");
      uint32_t keyspace = 0;
      (void)parse_keyspace_prefix(merger.key(), &keyspace);
      if (!dropped.empty() && std::binary_search(dropped.begin(), dropped.end(), keyspace)) continue;
      versions = merger.versions();
      retain_versions(read_lsns, oldest, &versions);
      if (versions.empty()) continue;
      if (writer != nullptr && writer->full()) {
        if (Status status = finish(); !status.ok()) return status;
      }
      if (writer == nullptr) {
        Result<uint64_t> id = store_->new_file_id();
        if (!id) return id.status();
        begun.push_back(*id);
        Result<std::unique_ptr<RunWriter>> made =
            RunWriter::create(*directory_, *id, {.value_separation = options_.value_separation});
        if (!made) return made.status();
        writer = *std::move(made);
      }
      if (Status status = writer->add(merger.key(), versions); !status.ok()) return status;
    }
    if (!merger.status().ok()) return merger.status();
    return writer == nullptr ? Status() : finish();
  };
  const Status status = write();
  if (!status.ok()) {
    writer = nullptr;
    for (const uint64_t id : begun) (void)directory_->remove(run_file_name(id));
    output->files.clear();
  }
  return status;
}

void Engine::remove_runs(const std::vector<RunFileInfo>& files) {
  for (const RunFileInfo& file : files) (void)directory_->remove(run_file_name(file.id));
}

Status Engine::merge_all() {
  if (log_.failed()) return log_.failure();  // a drop of a keyspace may not survive
  const uint64_t began = env_.clock().monotonic_ns();
  const std::shared_ptr<const View> now = view();
  if (now->runs.empty()) return {};
  std::vector<std::unique_ptr<SourceCursor>> cursors;
  std::vector<RunFileInfo> inputs;
  uint64_t lsn_min = UINT64_MAX;
  uint64_t lsn_max = 0;
  uint64_t bytes_read = 0;
  for (const auto& run : now->runs) {
    cursors.push_back(run->cursor(kReadAllLsn));
    if (cursors.back() == nullptr) throw std::bad_alloc();
    for (const RunPiece& piece : run->info().pieces) {
      inputs.push_back(piece.file);
      lsn_min = std::min(lsn_min, piece.file.lsn_min);
      lsn_max = std::max(lsn_max, piece.file.lsn_max);
      bytes_read += piece.file.size;
    }
  }
  RunOutput output;
  if (Status status = write_runs(std::move(cursors), true, lsn_min, lsn_max, &output); !status.ok())
    return status;
  SortedRunInfo info = run_info(output.files);
  std::shared_ptr<const SortedRun> run;
  if (!info.pieces.empty()) {
    Result<std::shared_ptr<const SortedRun>> opened = open_run(info);
    if (!opened) return opened.status();
    run = *std::move(opened);
  }
  const std::function<void(View&)> change = [&](View& next) {
    next.runs.clear();
    if (run != nullptr) next.runs.push_back(run);
  };
  ViewRoom room = room_for_view(kSealedMax, 1);
  INTERLEAVE("merge.before_commit");
  const Status status = store_->commit([&](DurableState& next) {
    next.runs.clear();  // flushes and merges exclude one another: these are the inputs
    if (run != nullptr) next.runs.push_back(std::move(info));
  });
  if (!status.ok()) {
    if (store_->failure().ok()) remove_runs(output.files);
    return status;
  }
  install_view(change, std::move(room));
  remove_runs(inputs);
  const uint64_t took_us = (env_.clock().monotonic_ns() - began) / 1000;
  counters_.merges.fetch_add(1, std::memory_order_relaxed);
  counters_.merge_bytes_read.fetch_add(bytes_read, std::memory_order_relaxed);
  counters_.merge_bytes_written.fetch_add(output.bytes, std::memory_order_relaxed);
  report(EventKind::merge, "runs became one", output.bytes, took_us, {});
  return {};
}

uint64_t Engine::seal_active() {
  MutexLock lock(switch_mutex_);
  if (const std::shared_ptr<const View> now = view();
      now->active != nullptr && now->active->segment->used() != 0) {
    end_active();
    install_view([](View& next) {
      next.sealed.insert(next.sealed.begin(), next.active);
      next.active = nullptr;
    });
  }
  const std::shared_ptr<const View> now = view();
  return now->sealed.empty() ? 0 : now->sealed.front()->end_lsn;
}

Status Engine::flush() {
  if (Status status = refused(); !status.ok()) return status;
  const uint64_t end = seal_active();
  log_.wait_published(end);
  MutexLock lock(flush_mutex_);
  const Status status = flush_sealed(end);
  refuse_after_store_failure();
  if (status.ok()) note_background(status);
  if (merge_is_due()) schedule_flush();
  return status;
}

Status Engine::compact() {
  if (Status status = flush(); !status.ok()) return status;
  MutexLock lock(flush_mutex_);
  return merge_all();
}

}  // namespace lightning
