// Flush: sealed memtables become a run. Its files are written and made durable, named in the durable state,
// and a View with them is published; only then are the memtables' segments given up.

#include <algorithm>
#include <bit>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "compaction/older_keys.h"
#include "compaction/sieve.h"
#include "engine/engine.h"
#include "engine/scopes.h"
#include "engine/value_extents.h"
#include "log/scan.h"
#include "run/run_writer.h"
#include "view/merge_cursor.h"

namespace lightning {

namespace {

constexpr uint64_t kRetryDelayNs = 200'000'000;
constexpr uint64_t kNanosPerMicro = 1000;
constexpr uint64_t kKeysBetweenCounts = 1024;
// What a run file is written in is at most such a part of memory_limit.
constexpr uint64_t kPiecesOfMemory = 32;
constexpr uint64_t kPieceBytesMin = 128 << 10;
constexpr size_t kMergePartsMax = 4;

OlderKeys keys_of(const View& view) {
  OlderKeys keys;
  for (const auto& run : view.runs) keys.add(run->ranges());
  return keys;
}

/// Has an older run keys between those of the memtables?
bool overlap(const std::vector<std::unique_ptr<SourceCursor>>& tables, const OlderKeys& older) {
  std::string smallest;
  std::string largest;
  for (const auto& table : tables) {
    table->seek_last();
    if (!table->valid()) continue;
    largest = std::max<std::string_view>(largest, table->key());
    table->seek_first();
    if (smallest.empty() || table->key() < smallest) smallest = table->key();
  }
  return !largest.empty() && older.may_hold_any(smallest, largest);
}

uint64_t begun_of(const std::shared_ptr<const MemSource>& source) { return source->begun_us; }

}  // namespace

void Engine::schedule_flush() {
  if (flush_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run(Lane::slow, [this] { flush_in_background(Flush::sealed); })) {
    flush_scheduled_.store(false, std::memory_order_release);
  }
}

// A removal takes little of the log and may hide much: what waits in memory counts by what it hides.
void Engine::flush_early() {
  if (flush_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run(Lane::slow, [this] { flush_in_background(Flush::active_too); }))
    flush_scheduled_.store(false, std::memory_order_release);
}

void Engine::flush_in_background(Flush what) {
  flush_scheduled_.store(false, std::memory_order_release);
  Status status;
  try {
    if (what == Flush::active_too && refused().ok()) seal_active();
    what = Flush::sealed;
    status = flush_round();
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::out_of_memory, "a flush");
  }
  refuse_after_store_failure();
  note_background(Work::flush, status);
  if (status.ok() && view()->sealed.empty()) return;
  if (log_.failed() || flush_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  // More was sealed meanwhile; or it failed, and space or memory may return.
  if (!background_.run_after(Lane::slow, status.ok() ? 0 : kRetryDelayNs,
                             [this, what] { flush_in_background(what); })) {
    flush_scheduled_.store(false, std::memory_order_release);
  }
}

// What is sealed now: writers that keep sealing do not keep it from ending.
Status Engine::flush_round() {
  const uint64_t end = sealed_end();
  if (end == 0) return {};
  log_.wait_published(end);
  MutexLock lock(flush_mutex_);
  return flush_sealed(end);
}

uint64_t Engine::sealed_end() const {
  const std::shared_ptr<const View> now = view();
  return now->sealed.empty() ? 0 : now->sealed.front()->end_lsn;
}

Status Engine::flush_sealed(uint64_t end) {
  const Releasing releasing(*this);  // outlives what holds the memory here
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
  if (Status status = flush_into_run(sources); !status.ok()) return status;
  retire_segment_files(sources);
  schedule_merge();
  return {};
}

Status Engine::flush_into_run(const std::vector<std::shared_ptr<const MemSource>>& sources) {
  if (closed_.load(std::memory_order_relaxed) && !closing_) return Status(StatusCode::closed, "closing");
  if (log_.failed()) return log_.failure();
  const uint64_t began = env_.clock().monotonic_ns();
  uint64_t log_bytes = 0;
  for (const auto& source : sources) log_bytes += source->end_lsn - source->segment->base_lsn();
  Pacer::Flush pace(pacer_, log_bytes);
  const uint64_t lsn_min = sources.front()->segment->base_lsn();
  const uint64_t lsn_max = sources.back()->end_lsn;
  // A run is durable, so what it holds must not outlive what the log loses.
  if (Status status = log_.wait_durable(lsn_max); !status.ok()) return status;
  std::vector<std::unique_ptr<SourceCursor>> cursors;
  std::vector<const Segment*> value_segments;
  for (auto source = sources.rbegin(); source != sources.rend(); ++source) {
    uint64_t large_bytes = 0;
    if (Status status = verify_source(**source, &large_bytes); !status.ok()) return status;
    const Segment& segment = *(*source)->segment;
    if (becomes_value_file(segment, large_bytes)) value_segments.push_back(&segment);
    if (Status status = (*source)->order_up_to((*source)->end_lsn); !status.ok()) return status;
    if (Status status = (*source)->table->order_index().settle(); !status.ok()) return status;
    cursors.push_back((*source)->table->cursor(kReadAllLsn));
    if (cursors.back() == nullptr) throw std::bad_alloc();
  }
  const std::shared_ptr<const View> before = view();
  Purge purge(expiry_clock_, snapshots_);
  OlderKeys older = keys_of(*before);
  const bool overlaps = overlap(cursors, older);
  const uint64_t file_bytes = flush_file_bytes(overlaps, PolicyLimits::of(options_.write_buffer_size));
  std::vector<uint64_t> read_lsns = snapshots_.list();
  INTERLEAVE("flush.before_sieve");
  Sieve sieve(std::move(read_lsns), catalogue_.dropped_ids(), std::move(older), purge,
              snapshots_.oldest_checked());
  if (Status status = await_drops(); !status.ok()) return status;
  std::vector<RangeRemoval> removals;
  for (const auto& source : sources) source->table->range_removals().list(source->end_lsn, &removals);
  const RangeMap ranges = RangeMap::of(removals, sieve.read_lsns());
  VersionMerger merger(std::move(cursors), {.by_lsn = ranges.empty() ? nullptr : &ranges, .by_source = {}});
  RunSetWriter writer(*directory_, *store_, run_options(file_bytes), codecs(!overlaps), lsn_min, lsn_max);
  writer.set_since(std::ranges::min(sources, {}, begun_of)->begun_us);
  writer.set_ranges(sieve.keep_ranges(ranges));
  merger.seek_first();
  const PlaceValues place = stay_in_segments(std::move(value_segments));
  if (Status status = write_versions(merger, sieve, writer, closing_, place, nullptr); !status.ok())
    return status;
  if (Status status = install_flush(sources, lsn_max, writer); !status.ok()) return status;
  pace.succeeded();
  const uint64_t took_ns = env_.clock().monotonic_ns() - began;
  latencies_.flush.add(took_ns, 1);
  counters_.flushes.fetch_add(1, std::memory_order_relaxed);
  counters_.flush_bytes_written.fetch_add(writer.bytes(), std::memory_order_relaxed);
  report(EventKind::flush, "memtables became a run", writer.bytes(), took_ns / kNanosPerMicro, {});
  return {};
}

Status Engine::install_flush(const std::vector<std::shared_ptr<const MemSource>>& sources, uint64_t floor,
                             RunSetWriter& writer) {
  std::shared_ptr<const SortedRun> run;
  std::vector<uint64_t> value_files;
  SortedRunInfo info;
  for (const RunFileInfo& file : writer.files()) info.pieces.push_back({.file = file, .from = {}, .to = {}});
  if (!info.pieces.empty()) {
    Result<std::shared_ptr<const SortedRun>> opened = open_run(info);
    if (!opened) return opened.status();
    run = *std::move(opened);
    value_files = value_files_of(run->files());
  }
  std::vector<ValueFileInfo> value_infos;
  for (const auto& source : sources) {
    Segment& segment = *source->segment;
    if (!std::ranges::binary_search(value_files, segment.number())) continue;
    Result<uint64_t> size = segment.file().size();
    if (!size) return size.status();
    value_infos.push_back({.number = segment.number(), .size = *size});
  }
  const std::function<void(View&)> change = [&](View& next) {
    for (const auto& source : sources) {
      std::erase_if(next.sealed, [&](const auto& other) { return other->segment == source->segment; });
      if (next.active != nullptr && next.active->segment == source->segment) next.active = nullptr;
    }
    if (run != nullptr) next.runs.insert(next.runs.begin(), run);
  };
  // Of the log behind them; what comes meanwhile is later.
  uint64_t log_since_us = garbage_time();
  const std::shared_ptr<const View> before = view();
  const auto look = [&](const std::shared_ptr<const MemSource>& source) {
    if (source != nullptr && source->segment->base_lsn() >= floor)
      log_since_us = std::min(log_since_us, source->begun_us);
  };
  std::ranges::for_each(before->sealed, look);
  look(before->active);
  // Nothing may fail behind the commit: a run that the durable state names and the View does not would be
  // missed by the next flush, which then gives up removals that it still needs.
  ViewRoom room = room_for_view(kSealedMax, kRunsRoom);
  held_memory_.reserve(sources.size());
  INTERLEAVE("flush.before_commit");
  const Status status = writer.commit([&](DurableState& next) {
    if (run != nullptr) next.runs.insert(next.runs.begin(), std::move(info));
    std::erase_if(next.log_segments, [&](const LogSegmentInfo& segment) { return segment.base_lsn < floor; });
    next.log_floor = floor;
    next.log_since_us = log_since_us;
    // Their numbers are above those of all others (I8).
    next.value_files.insert(next.value_files.end(), value_infos.begin(), value_infos.end());
    next.durable_lsn = std::max(next.durable_lsn, floor);
    record_time(next);
  });
  if (!status.ok()) return status;
  log_.forget_below(floor);
  for (const auto& source : sources) held_memory_.add(*source);
  install_view(change, std::move(room));
  for (const auto& source : sources) {
    if (std::ranges::binary_search(value_files, source->segment->number())) source->segment->keep_file();
  }
  reclaim_soon(value_files);
  watch_garbage();
  return {};
}

// What a drop leaves out of a run must not be gone where a power cut takes the drop: called behind the list
// that is left out.
Status Engine::await_drops() {
  if (log_.failed()) return log_.failure();
  return catalogue_.dropped_ids().empty() ? Status() : log_.wait_durable(log_.published());
}

// Memory can decay too: what goes into a run is what was committed.
Status Engine::verify_source(const MemSource& source, uint64_t* large_bytes) const {
  const Segment& segment = *source.segment;
  const auto look = [&](uint64_t lsn, const RecordHeader& header) {
    if (header.kind != RecordKind::commit || header.length < large_value_bytes_) return;
    for_each_entry(segment.at(lsn), header.length, [&](uint64_t, const LogEntry& entry) {
      if (entry.value.size() >= large_value_bytes_) *large_bytes += entry.value.size();
    });
  };
  const uint64_t end = scan_records(segment, segment.base_lsn(), source.end_lsn, look);
  if (end == source.end_lsn) return {};
  return Status(StatusCode::corruption, "a record in memory does not verify", segment.file_name(),
                kSegmentHeaderBytes + (end - segment.base_lsn()));
}

CodecChoice Engine::codecs(bool settled) const {
  if (!settled) return {};
  return {.usual = options_.compression, .own = catalogue_.compressions()};
}

RunWriterOptions Engine::run_options(uint64_t file_bytes, size_t parts) const {
  const uint64_t piece = std::bit_floor(options_.memory_limit / kPiecesOfMemory / parts);
  return {.value_separation = options_.value_separation,
          .file_bytes_max = file_bytes,
          .piece_bytes = std::clamp(piece, kPieceBytesMin, RunOutput::kPieceBytes),
          .compression_level = options_.compression_level};
}

// A merge is divided in as many parts as can run beside the program's threads, or on all processors while it
// writes nothing.
size_t Engine::merge_parts(Goal goal) const {
  const size_t processors = env_.processors();
  const bool idle = goal == Goal::settle || goal == Goal::compact;
  const uint64_t pieces = options_.memory_limit / kPiecesOfMemory / kPieceBytesMin;
  const size_t most = std::min<uint64_t>(kMergePartsMax, pieces);
  return std::clamp<size_t>(idle ? processors : processors - 1, 1, std::max<size_t>(most, 1));
}

// From where `merger` stands to its end, or to the key that `ends_at` says.
Status Engine::write_versions(VersionMerger& merger, Sieve& sieve, RunSetWriter& writer, bool closing,
                              const PlaceValues& place,
                              const std::function<bool(std::string_view)>& ends_at) {
  MemoryShare memory(merge_bytes_);
  for (uint64_t keys = 0; merger.valid(); merger.next()) {
    if (closed_.load(std::memory_order_relaxed) && !closing) return Status(StatusCode::closed, "closing");
    if (ends_at != nullptr && ends_at(merger.key())) break;
    const std::span<Version> kept = sieve.keep(merger.key(), merger.versions());
    if (kept.empty()) continue;
    if (place != nullptr && std::ranges::any_of(kept, [&](const Version& one) { return large(one); })) {
      if (Status status = place(kept); !status.ok()) return status;
    }
    if (Status status = writer.add(merger.key(), kept); !status.ok()) return status;
    if (keys++ % kKeysBetweenCounts == 0) memory.set(writer.memory_bytes());
  }
  if (!merger.status().ok()) return merger.status();
  return writer.finish({});
}

uint64_t Engine::seal_active() {
  MutexLock lock(switch_mutex_);
  // close() has told the log's end, or will, and gives the View back.
  if (closed_.load(std::memory_order_relaxed)) return sealed_end();
  if (const std::shared_ptr<const View> now = view();
      now->active != nullptr && now->active->segment->used() != 0) {
    end_active();
    install_view([](View& next) {
      next.sealed.insert(next.sealed.begin(), next.active);
      next.active = nullptr;
    });
  }
  return sealed_end();
}

Status Engine::flush() {
  if (Status status = refused(); !status.ok()) return status;
  INTERLEAVE("flush.asked");
  const uint64_t end = seal_active();
  log_.wait_published(end);
  MutexLock lock(flush_mutex_);
  if (Status status = refused(); !status.ok()) return status;
  const Status status = flush_sealed(end);
  refuse_after_store_failure();
  if (status.ok()) note_background(Work::flush, status);
  return status;
}

void Engine::begin_flush() {
  INTERLEAVE("flush.begins");
  seal_active();
  schedule_flush();
}

}  // namespace lightning
