// One merge: its inputs are read once, in key order, and become files of the level that the Choice says; in
// parts side by side where that divides it (policy.h).

#include <algorithm>
#include <new>

#include "base/interleave.h"
#include "compaction/older_keys.h"
#include "engine/engine.h"
#include "engine/side_by_side.h"
#include "format/log_entry.h"
#include "view/merge_cursor.h"

namespace lightning {

namespace {

constexpr uint64_t kNanosPerMicro = 1000;
// More of a file than what is estimated for it, before another one begins.
constexpr uint64_t kFileSlack = 8;

/// Files [first, end) of a run as a run of their own.
std::shared_ptr<const SortedRun> part_of(const SortedRun& run, size_t first, size_t end) {
  const auto begin = static_cast<ptrdiff_t>(first);
  const auto behind = static_cast<ptrdiff_t>(end);
  SortedRunInfo info{.level = run.info().level, .pieces = {}};
  info.pieces.assign(run.info().pieces.begin() + begin, run.info().pieces.begin() + behind);
  return std::make_shared<const SortedRun>(
      std::move(info),
      std::vector<std::shared_ptr<const RunFile>>(run.files().begin() + begin, run.files().begin() + behind));
}

/// The keys of the runs that are older than what the Choice merges.
OlderKeys keys_below(const Choice& choice, const View& view) {
  OlderKeys keys;
  for (size_t i = choice.end; i < view.runs.size(); ++i) {
    std::vector<KeyRange> ranges = view.runs[i]->ranges();
    if (choice.level == kLastLevel) {
      ranges.erase(ranges.begin() + static_cast<ptrdiff_t>(choice.file_first),
                   ranges.begin() + static_cast<ptrdiff_t>(choice.file_end));
    }
    keys.add(std::move(ranges));
  }
  return keys;
}

/// The first key at or above `to` of what the runs [first, end) hold or remove by range: `key` is their first
/// one among entries, empty if there is none.
std::string next_from(const View& view, size_t first, size_t end, std::string_view to, std::string_view key) {
  std::string_view next = key;
  for (size_t i = first; i < end; ++i) {
    const RangeMap& removals = view.runs[i]->removals();
    const size_t at = removals.find(to);
    if (at == removals.size()) continue;
    const std::string_view from = std::max(removals.from(at), to);
    if (next.empty() || from < next) next = from;
  }
  return std::string(next);
}

/// What all keys of the runs begin with.
std::string_view prefix_of(const std::vector<std::shared_ptr<const SortedRun>>& runs) {
  std::string_view prefix = runs.front()->ranges().front().smallest;
  for (const auto& run : runs) {
    for (const std::string_view key : {run->ranges().front().smallest, run->ranges().back().largest}) {
      prefix = prefix.substr(0, common_prefix(prefix, key));
    }
  }
  return prefix;
}

}  // namespace

/// What a Choice makes of the runs of a View.
class Engine::Merge {
 public:
  Merge(Engine& engine, const Choice& choice, const View& view);

  /// Writes the files.
  Status run();
  /// All of them, and what they are of.
  RunSetWriter& writer() { return parts_.front()->writer; }
  const MergeOutput& output() const { return output_; }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  /// The keys from `from` to `to`; empty bounds are none.
  struct Part {
    Part(const Merge& merge, std::string_view first, std::string_view end, const RunWriterOptions& options);

    const std::string_view from;
    const std::string_view to;
    Purge purge;
    RunSetWriter writer;
    PlaceValues place;
    Status status;
    uint64_t bytes_read = 0;
  };

  bool into_last() const { return choice_.level == kLastLevel; }
  uint64_t even_file_bytes(std::string_view from, std::string_view to) const;
  void divide();
  void run_part(Part& part);
  Status write(Part& part);
  bool ends_at(std::string_view key, Part& part);
  /// The first key at or above this one of the runs that come down, range removals included; empty: none.
  std::string drained_from(std::string_view key) const;
  /// Does no file of the last level end between these keys?
  bool are_together(std::string_view key, std::string_view later) const;

  Engine& engine_;
  const Choice& choice_;
  const View& view_;
  std::vector<std::shared_ptr<const SortedRun>> inputs_;
  // Of the runs that come down; a rewrite of files of the last level has none, and goes to its end.
  std::string_view smallest_;
  std::string_view largest_;
  RangeMap removals_;
  std::vector<uint64_t> read_lsns_;
  uint64_t checked_from_ = 0;
  std::vector<uint32_t> dropped_;
  uint64_t lsn_min_ = UINT64_MAX;
  uint64_t lsn_max_ = 0;
  std::vector<std::unique_ptr<Part>> parts_;  // in the order of keys
  std::atomic<bool> failed_{false};           // one of them
  MergeOutput output_;
  uint64_t bytes_read_ = 0;
};

Engine::Merge::Part::Part(const Merge& merge, std::string_view first, std::string_view end,
                          const RunWriterOptions& options)
    : from(first),
      to(end),
      purge(merge.engine_.expiry_clock_, merge.engine_.snapshots_),
      writer(*merge.engine_.directory_, *merge.engine_.store_, options,
             merge.engine_.codecs(merge.into_last() || merge.choice_.alone), merge.lsn_min_, merge.lsn_max_) {
}

Engine::Merge::Merge(Engine& engine, const Choice& choice, const View& view)
    : engine_(engine),
      choice_(choice),
      view_(view),
      inputs_(view.runs.begin() + static_cast<ptrdiff_t>(choice.first),
              view.runs.begin() + static_cast<ptrdiff_t>(choice.end)) {
  if (!inputs_.empty()) smallest_ = inputs_.front()->ranges().front().smallest;
  for (const auto& run : inputs_) {
    smallest_ = std::min(smallest_, run->ranges().front().smallest);
    largest_ = std::max(largest_, run->ranges().back().largest);
  }
  if (into_last() && choice.file_end > choice.file_first)
    inputs_.push_back(part_of(*view.runs.back(), choice.file_first, choice.file_end));
  for (const auto& run : view.runs) {
    for (const RunPiece& piece : run->info().pieces) {
      lsn_min_ = std::min(lsn_min_, piece.file.lsn_min);
      lsn_max_ = std::max(lsn_max_, piece.file.lsn_max);
      if (piece.ingested_at != 0) lsn_max_ = std::max(lsn_max_, piece.ingested_at + kLogAlignment);
    }
  }
}

Status Engine::Merge::run() {
  read_lsns_ = engine_.snapshots_.list();
  checked_from_ = engine_.snapshots_.oldest_checked();
  dropped_ = engine_.catalogue_.dropped_ids();
  std::vector<const RangeMap*> by_source;
  for (const auto& run : inputs_) by_source.push_back(&run->removals());
  removals_ = RangeMap::merge(by_source, read_lsns_);
  if (Status status = engine_.await_drops(); !status.ok()) return status;
  divide();
  const size_t parts = parts_.size();
  if (parts > 1) {
    run_side_by_side(engine_.background_, Lane::merge, parts, parts, [&](size_t i) { run_part(*parts_[i]); });
  } else {
    run_part(*parts_.front());
  }
  for (const auto& part : parts_) {
    if (!part->status.ok()) return part->status;
    bytes_read_ += part->bytes_read;
    if (part != parts_.front()) writer().append(std::move(part->writer));
  }
  output_.files = writer().files();
  return {};
}

void Engine::Merge::divide() {
  const PlaceValues place = engine_.leave_wasteful_files(view_, inputs_);
  uint64_t since_us = engine_.garbage_time();
  for (size_t i = choice_.first; i < choice_.end && !into_last(); ++i) {
    for (const RunPiece& piece : view_.runs[i]->info().pieces)
      since_us = std::min(since_us, piece.file.since_us);
  }
  const size_t parts = choice_.cuts.size() + 1;
  for (size_t i = 0; i < parts; ++i) {
    const bool last = i + 1 == parts;
    const std::string_view from = i == 0 ? std::string_view() : choice_.cuts[i - 1];
    const std::string_view to = last ? choice_.to : choice_.cuts[i];
    const uint64_t file_bytes = last ? choice_.file_bytes : even_file_bytes(from, to);
    parts_.push_back(std::make_unique<Part>(*this, from, to, engine_.run_options(file_bytes, parts)));
    parts_.back()->writer.set_since(since_us);
    parts_.back()->place = place;
  }
}

// A part that goes to its end writes files of about equal sizes. What is fixed in a file is not counted here.
uint64_t Engine::Merge::even_file_bytes(std::string_view from, std::string_view to) const {
  uint64_t bytes = 0;
  for (const auto& run : inputs_) {
    for (const auto& file : run->files())
      bytes += file->approximate_bytes(from.empty() ? file->info().smallest : from, to);
  }
  const uint64_t files = bytes / choice_.file_bytes + 1;
  return files == 1 ? choice_.file_bytes : bytes / files + bytes / files / kFileSlack;
}

// Where one has failed the others need not come to their ends.
void Engine::Merge::run_part(Part& part) {
  if (failed_.load(std::memory_order_relaxed)) return;
  try {
    part.status = write(part);
  } catch (const std::bad_alloc&) {
    part.status = Status(StatusCode::out_of_memory, "a merge");
  }
  if (!part.status.ok()) failed_.store(true, std::memory_order_relaxed);
}

// The last part of a merge into the last level ends with the first file that is full, if its runs go on
// behind it, in the same file of the last level: what was merged is then given back. Of a file in which they
// do not go on no rest is left, which the next step would have to rewrite. It takes one key of theirs at
// least, so that steps come to an end.
bool Engine::Merge::ends_at(std::string_view key, Part& part) {
  if (failed_.load(std::memory_order_relaxed)) return true;
  const bool last = &part == parts_.back().get();
  if (!part.to.empty() && key >= part.to) {
    if (last) output_.next = next_from(view_, choice_.first, choice_.end, part.to, key);
    return true;
  }
  if (!last || !into_last() || !part.writer.full() || key <= smallest_ || key > largest_) return false;
  std::string drained = drained_from(key);
  if (drained.empty() || !are_together(key, drained)) return false;
  output_.next = std::move(drained);
  output_.last_from = key;
  return true;
}

// What cannot be read is taken for one.
std::string Engine::Merge::drained_from(std::string_view key) const {
  std::string first;
  for (size_t i = choice_.first; i < choice_.end; ++i) {
    const std::unique_ptr<SourceCursor> cursor = view_.runs[i]->cursor(kReadAllLsn);
    if (cursor == nullptr) throw std::bad_alloc();
    cursor->seek(key);
    if (!cursor->status().ok()) return std::string(key);
    if (cursor->valid() && (first.empty() || cursor->key() < first)) first = cursor->key();
  }
  return next_from(view_, choice_.first, choice_.end, key, first);
}

bool Engine::Merge::are_together(std::string_view key, std::string_view later) const {
  if (choice_.file_first == choice_.file_end) return true;
  const std::vector<KeyRange>& ranges = view_.runs.back()->ranges();
  const auto begin = ranges.begin() + static_cast<ptrdiff_t>(choice_.file_first);
  return std::none_of(
      begin, ranges.begin() + static_cast<ptrdiff_t>(choice_.file_end),
      [&](const KeyRange& range) { return !range.ends_before(key) && range.ends_before(later); });
}

Status Engine::Merge::write(Part& part) {
  std::vector<std::unique_ptr<SourceCursor>> cursors;
  VersionRanges ranges;
  for (const auto& run : inputs_) {
    cursors.push_back(run->cursor(kReadAllLsn));
    if (cursors.back() == nullptr) throw std::bad_alloc();
    if (!removals_.empty()) ranges.by_source.push_back(&run->removals());
  }
  VersionMerger merger(std::move(cursors), std::move(ranges), prefix_of(inputs_));
  part.from.empty() ? merger.seek_first() : merger.seek(part.from);
  const std::string first(merger.valid() ? merger.key() : std::string_view());
  Sieve sieve(read_lsns_, dropped_, keys_below(choice_, view_), part.purge, checked_from_);
  // Nothing is older than what goes into the last level.
  if (!into_last()) part.writer.set_ranges(sieve.keep_ranges(removals_), part.from, part.to);
  const auto ends = [&](std::string_view key) { return ends_at(key, part); };
  if (Status status = engine_.write_versions(merger, sieve, part.writer, false, part.place, ends);
      !status.ok())
    return status;
  const bool last = &part == parts_.back().get();
  if (last && output_.next.empty() && !part.to.empty())
    output_.next = next_from(view_, choice_.first, choice_.end, part.to, {});
  std::string_view end = part.to;
  if (last) end = output_.last_from.empty() ? output_.next : output_.last_from;  // its alone
  for (const auto& run : inputs_) {
    for (const auto& file : run->files())
      part.bytes_read += file->approximate_bytes(first, end.empty() ? file->info().largest : end);
  }
  return {};
}

Status Engine::merge(const Choice& choice, const View& view) {
  const uint64_t began = env_.clock().monotonic_ns();
  Merge merge(*this, choice, view);
  if (Status status = merge.run(); !status.ok()) return status;
  INTERLEAVE("merge.before_commit");
  const auto apply = [&](std::vector<SortedRunInfo>* runs) {
    apply_choice(choice, view.runs.size(), merge.output(), runs);
  };
  if (Status status = install_runs(apply, merge.output(), &merge.writer()); !status.ok()) return status;
  const uint64_t bytes = merge.writer().bytes();
  const uint64_t took_ns = env_.clock().monotonic_ns() - began;
  latencies_.merge.add(took_ns, 1);
  counters_.merges.fetch_add(1, std::memory_order_relaxed);
  counters_.merge_bytes_read.fetch_add(merge.bytes_read(), std::memory_order_relaxed);
  counters_.merge_bytes_written.fetch_add(bytes, std::memory_order_relaxed);
  report(EventKind::merge, "runs were merged", bytes, took_ns / kNanosPerMicro, {});
  return {};
}

}  // namespace lightning
