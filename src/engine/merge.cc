// Moves and merges of runs: what the policy chooses (compaction/policy.h) is carried out beside writers,
// readers and flushes.
//
// A merge writes its files, makes them durable, names them in the durable state instead of what they replace,
// publishes a View, and only then removes files. Flushes only add runs in front meanwhile, so that a Choice
// stays right: it names runs counted from the oldest. Snapshots that are registered while a merge runs read
// above everything in it.

#include <algorithm>
#include <iterator>
#include <new>
#include <unordered_map>

#include "base/check.h"
#include "base/interleave.h"
#include "compaction/older_keys.h"
#include "compaction/shape.h"
#include "engine/engine.h"
#include "engine/value_extents.h"
#include "format/codec.h"
#include "format/log_entry.h"
#include "view/merge_cursor.h"

namespace lightning {

namespace {

constexpr uint64_t kRetryDelayNs = 200'000'000;
// Damage does not pass: a merge that ends there is tried now and then, and behind each flush.
constexpr uint64_t kDamageDelayNs = 60'000'000'000;
// Nobody writes: less than this part of the runs is not worth a flush.
constexpr uint64_t kHiddenShareSettled = 10;
constexpr uint64_t kExpiryWatchNs = 60'000'000'000;
constexpr uint64_t kOldWatchUs = 5'000'000;
constexpr uint64_t kNanosPerMicro = 1000;

/// The part of the file that counts.
double share_of(const RunFile& file, const KeyRange& range) {
  if (!range.clipped) return 1;
  const uint64_t whole = file.approximate_bytes(file.info().smallest, file.info().largest);
  if (whole == 0) return 1;
  return static_cast<double>(file.approximate_bytes(range.smallest, range.largest)) /
         static_cast<double>(whole);
}

/// Looks into the runs of a View.
class ViewProbe final : public RunProbe {
 public:
  ViewProbe(const View& view, CodecChoice codecs, const std::vector<uint64_t>& read_lsns, uint64_t due_before)
      : view_(view),
        codecs_(std::move(codecs)),
        due_before_(due_before),
        cursors_(view.runs.size()),
        first_reader_(read_lsns.empty() ? UINT64_MAX : read_lsns[0]) {}

  double share(size_t run, size_t piece) const override {
    return share_of(*view_.runs[run]->files()[piece], view_.runs[run]->ranges()[piece]);
  }
  uint8_t codec(size_t run, size_t piece) const override { return view_.runs[run]->files()[piece]->codec(); }
  // Of keyspaces between its ends those count that have keys there: no rewrite gains anything by others.
  bool other_codec(size_t run, size_t piece) const override {
    const KeyRange& range = view_.runs[run]->ranges()[piece];
    const auto is = static_cast<Compression>(codec(run, piece));
    std::string key(range.smallest);
    while (codecs_.of(key) == is) {
      const std::string next = codecs_.next_other(key, is);
      if (next.empty() || range.ends_before(next) || !first_key_from(run, next, &key)) return false;
      if (range.ends_before(key)) return false;
    }
    return true;
  }
  uint64_t extra_seeks(size_t run, size_t piece) const override {
    return view_.runs[run]->files()[piece]->extra_seeks();
  }
  uint64_t due_before() const override { return due_before_; }
  uint64_t first_reader() const override { return first_reader_; }
  // What cannot be read is taken for touched.
  bool first_key_from(size_t run, std::string_view key, std::string* found) const override {
    std::unique_ptr<SourceCursor>& cursor = cursors_[run];
    if (cursor == nullptr) cursor = view_.runs[run]->cursor(kReadAllLsn);
    if (cursor != nullptr) cursor->seek(key);
    const bool known = cursor != nullptr && cursor->status().ok();
    const RangeMap& removals = view_.runs[run]->removals();
    const size_t range = removals.find(key);
    const bool covered = range < removals.size();
    if (known && !cursor->valid() && !covered) return false;
    std::string_view first = known && cursor->valid() ? cursor->key() : key;
    if (covered) {
      const std::string_view from = std::max(removals.from(range), key);
      first = known && !cursor->valid() ? from : std::min(first, from);
    }
    *found = first;
    return true;
  }
  uint64_t covered_bytes(size_t run, size_t under) const override {
    constexpr size_t kAsked = 1024;
    const RangeMap& removals = view_.runs[run]->removals();
    const std::vector<KeyRange>& ranges = view_.runs[under]->ranges();
    const size_t stride = removals.size() / kAsked + 1;
    uint64_t bytes = 0;
    for (size_t i = 0; i < removals.size(); i += stride) {
      // What somebody reads below it, a merge could not leave out.
      if (removals.lsns(i).back() >= first_reader_) continue;
      auto at = std::partition_point(ranges.begin(), ranges.end(), [&](const KeyRange& range) {
        return range.ends_before(removals.from(i));
      });
      for (; at != ranges.end() && at->smallest < removals.to(i); ++at) {
        const RunFile& file = *view_.runs[under]->files()[static_cast<size_t>(at - ranges.begin())];
        const std::string_view from = std::max(removals.from(i), at->smallest);
        const std::string_view to = at->ends_before(removals.to(i)) ? at->largest : removals.to(i);
        bytes += (file.approximate_bytes(from, to) + file.approximate_value_bytes(from, to)) * stride;
      }
    }
    return bytes;
  }

 private:
  const View& view_;
  const CodecChoice codecs_;
  const uint64_t due_before_;
  mutable std::vector<std::unique_ptr<SourceCursor>> cursors_;
  const uint64_t first_reader_;
};

std::vector<SortedRunInfo> infos_of(const View& view) {
  std::vector<SortedRunInfo> infos;
  for (const auto& run : view.runs) infos.push_back(run->info());
  return infos;
}

/// Puts value files that a change of runs leaves without a reference among `gone`, whose runs go; answers
/// those that it leaves with fewer.
std::vector<uint64_t> value_files_touched(std::span<const std::shared_ptr<const SortedRun>> before,
                                          std::span<const std::shared_ptr<const SortedRun>> after,
                                          RetiredFiles::Files* gone_files) {
  const std::vector<uint64_t>& gone_runs = gone_files->runs;
  std::vector<std::shared_ptr<const RunFile>> gone;
  for (const auto& run : before) {
    for (const auto& file : run->files()) {
      if (std::ranges::find(gone_runs, file->info().id) != gone_runs.end()) gone.push_back(file);
    }
  }
  const std::vector<uint64_t> were_used = value_files_of(gone);
  if (were_used.empty()) return {};
  std::vector<std::shared_ptr<const RunFile>> present;
  for (const auto& run : after) present.insert(present.end(), run->files().begin(), run->files().end());
  const std::vector<uint64_t> are_used = value_files_of(present);
  std::vector<uint64_t> touched;
  for (const uint64_t number : were_used) {
    if (std::ranges::binary_search(are_used, number)) {
      touched.push_back(number);
    } else {
      gone_files->values.push_back(value_file_of(gone, number));
    }
  }
  return touched;
}

bool is_gone(const RetiredFiles::Files& gone, const ValueFileInfo& info) {
  return std::ranges::any_of(gone.values, [&](const auto& file) { return file->number() == info.number; });
}

// What a merge that lasts holds: memtables that are flushed meanwhile are freed.
std::shared_ptr<const View> without_memtables(const View& view) {
  auto runs = std::make_shared<View>();
  runs->runs = view.runs;
  return runs;
}

/// Files that are wholly under range removals that every reader sees.
std::vector<FileAt> covered_in(const Shape& shape, const View& view, const std::vector<uint64_t>& read_lsns) {
  std::vector<const RangeMap*> covers;
  for (const auto& run : view.runs) covers.push_back(&run->removals());
  const bool none = std::all_of(covers.begin(), covers.end(), [](const auto* one) { return one->empty(); });
  return none ? std::vector<FileAt>() : covered_files(shape, covers, read_lsns);
}

bool same_pieces(const SortedRunInfo& a, const SortedRunInfo& b) {
  return a.level == b.level && std::equal(a.pieces.begin(), a.pieces.end(), b.pieces.begin(), b.pieces.end(),
                                          [](const RunPiece& one, const RunPiece& other) {
                                            return one.file.id == other.file.id && one.from == other.from &&
                                                   one.to == other.to;
                                          });
}

using OpenFiles = std::unordered_map<uint64_t, std::shared_ptr<const RunFile>>;

/// `infos` as runs, those of `before` that are the same again taken over.
std::vector<std::shared_ptr<const SortedRun>> runs_of(
    std::vector<SortedRunInfo> infos, const std::vector<std::shared_ptr<const SortedRun>>& before,
    OpenFiles files) {
  for (const auto& run : before) {
    for (const auto& file : run->files()) files[file->info().id] = file;
  }
  std::vector<std::shared_ptr<const SortedRun>> runs;
  for (SortedRunInfo& info : infos) {
    const auto same = std::find_if(before.begin(), before.end(),
                                   [&](const auto& run) { return same_pieces(run->info(), info); });
    if (same != before.end()) {
      runs.push_back(*same);
      continue;
    }
    std::vector<std::shared_ptr<const RunFile>> of_run;
    for (const RunPiece& piece : info.pieces) of_run.push_back(files.at(piece.file.id));
    runs.push_back(std::make_shared<const SortedRun>(std::move(info), std::move(of_run)));
  }
  return runs;
}

}  // namespace

void Engine::schedule_merge() {
  if (merge_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run_after(Lane::merge, 0, [this] { merge_in_background(); }, true))
    merge_scheduled_.store(false, std::memory_order_release);
}

Result<Engine::Step> Engine::guarded_step(Goal goal) {
  // compact() may hold it for long, and the threads of the background are few.
  if (!merge_mutex_.try_lock()) return Step::later;
  MutexLock lock(merge_mutex_, MutexLock::Held());
  try {
    return merge_step(goal);
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "a merge");
  }
}

// Whoever merges now schedules what this would have done, unless that has just ended.
void Engine::leave_merge() {
  merge_missed_.store(true, std::memory_order_seq_cst);
  if (!merge_mutex_.try_lock()) return;
  merge_mutex_.unlock();
  if (merge_missed_.exchange(false, std::memory_order_acq_rel)) schedule_merge();
}

// One step a task: others of the lane come between.
void Engine::merge_in_background() {
  merge_scheduled_.store(false, std::memory_order_release);
  const Result<Step> step = compactions_.empty() ? guarded_step(Goal::keep_up) : begin_compactions();
  refuse_after_store_failure();
  if (step.status().is(StatusCode::closed)) return;
  if (step && *step == Step::later) return leave_merge();
  note_background(Work::merge, step.status());
  if (merge_missed_.exchange(false, std::memory_order_acq_rel)) schedule_merge();
  if (step && *step == Step::none) return settle_when_idle();
  if (step.status().is(StatusCode::corruption)) return watch_runs(kDamageDelayNs);
  if (log_.failed() || merge_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run_after(Lane::merge, step ? 0 : kRetryDelayNs, [this] { merge_in_background(); })) {
    merge_scheduled_.store(false, std::memory_order_release);
  }
}

// While nobody writes, less garbage is worth a merge, or a flush of removals. Watches as long as there are
// tiers or removals in memory and writers, or entries that will expire.
void Engine::settle_when_idle() {
  const std::shared_ptr<const View> now = view();
  const bool tiers = !now->runs.empty() && now->runs.front()->info().level != kLastLevel;
  const bool removals = now->active != nullptr && removals_since(*now->active) != 0;
  const uint64_t purge_ns = tiers || removals ? kIdleNs : next_look_ns(*now);
  if (purge_ns != UINT64_MAX) watch_runs(purge_ns);
}

void Engine::watch_runs(uint64_t delay_ns) {
  if (idle_watch_.exchange(true, std::memory_order_acq_rel)) return;
  idle_commits_.store(counters_.commits.sum(), std::memory_order_relaxed);
  if (!background_.run_after(Lane::merge, delay_ns, [this] { look_at_runs(); }))
    idle_watch_.store(false, std::memory_order_release);
}

void Engine::look_at_runs() {
  idle_watch_.store(false, std::memory_order_release);
  if (!compactions_.empty()) return schedule_merge();
  const bool idle = counters_.commits.sum() == idle_commits_.load(std::memory_order_relaxed);
  const uint64_t purge_ns = next_look_ns(*view());
  if (!idle && purge_ns > kIdleNs) return settle_when_idle();
  if (idle && removals_in_memory_hide_much()) return flush_early();
  const Result<Step> step = guarded_step(idle ? Goal::settle : Goal::keep_up);
  refuse_after_store_failure();
  if (step && *step == Step::later) return leave_merge();
  if (merge_missed_.exchange(false, std::memory_order_acq_rel)) schedule_merge();
  if (step.status().is(StatusCode::corruption)) {
    note_background(Work::merge, step.status());
    return watch_runs(kDamageDelayNs);
  }
  if (!step || *step == Step::made) return schedule_merge();
  if (!idle) return settle_when_idle();
  if (const uint64_t next_ns = next_look_ns(*view()); next_ns != UINT64_MAX) watch_runs(next_ns);
}

bool Engine::removals_in_memory_hide_much() const {
  const std::shared_ptr<const View> now = view();
  if (now->active == nullptr) return false;
  Debt debt;
  measure_runs(*now, &debt);
  return removals_since(*now->active) * debt.entry_bytes * kHiddenShareSettled >
         debt.last_bytes + debt.upper_bytes;
}

uint64_t Engine::next_look_ns(const View& view) const {
  uint64_t now = 0;
  uint64_t next = UINT64_MAX;
  for (const auto& run : view.runs) {
    for (const auto& file : run->files()) {
      // Who made it keep more may be gone at any time.
      if (run->info().level == kLastLevel && file->info().old_bytes != 0) next = std::min(next, kOldWatchUs);
      const RunExpiry& expiry = file->info().expiry;
      if (expiry.quarter_us == 0) continue;
      if (now == 0) now = purge_time();
      next = std::min(next, expiry.quarter_us > now ? expiry.quarter_us - now : 0);
    }
  }
  if (next == UINT64_MAX) return UINT64_MAX;
  // The clock may jump: it is looked at from time to time.
  return std::clamp(next, kIdleNs / kNanosPerMicro, kExpiryWatchNs / kNanosPerMicro) * kNanosPerMicro;
}

uint64_t Engine::purge_time() const { return snapshots_.next_purge(expiry_clock_.now()); }

void Engine::record_time(DurableState& state) const {
  state.time_max_us = std::max(state.time_max_us, static_cast<int64_t>(expiry_clock_.floor()));
}

void Engine::measure_runs(const View& view, Debt* debt) const {
  uint64_t last_entries = 0;
  double upper_entries = 0;
  double upper_bytes = 0;
  double removals = 0;
  for (const auto& run : view.runs) {
    const bool last = run->info().level == kLastLevel;
    debt->runs += last ? 0 : 1;
    for (size_t i = 0; i < run->files().size(); ++i) {
      const RunFileInfo& file = run->files()[i]->info();
      if (last) {
        debt->last_bytes += file.size;
        last_entries += file.entries;
        continue;
      }
      const double share = share_of(*run->files()[i], run->ranges()[i]);
      upper_entries += share * static_cast<double>(file.entries);
      upper_bytes += share * static_cast<double>(file.size);
      removals += share * static_cast<double>(file.removals);
    }
  }
  double average = upper_bytes / std::max(upper_entries, 1.0);
  if (last_entries != 0) average = static_cast<double>(debt->last_bytes) / static_cast<double>(last_entries);
  const MemSource* const oldest = view.sealed.empty() ? view.active.get() : view.sealed.back().get();
  if (oldest != nullptr) removals += static_cast<double>(removals_since(*oldest));
  debt->upper_bytes = static_cast<uint64_t>(upper_bytes);
  debt->removed_bytes = static_cast<uint64_t>(removals * average);
  debt->entry_bytes = static_cast<uint64_t>(average);
}

uint64_t Engine::reclaimable_bytes(const View& view) const {
  Debt debt;
  measure_runs(view, &debt);
  uint64_t hidden = debt.upper_bytes + debt.removed_bytes;
  for (const RunShape& run : shape_of_runs(view).runs) hidden += run.covered;
  return std::min(hidden, debt.last_bytes + debt.upper_bytes);
}

Shape Engine::shape_of_runs(const View& view) const {
  std::vector<const SortedRunInfo*> infos;
  for (const auto& run : view.runs) infos.push_back(&run->info());
  return shape_of(infos, catalogue_.dropped_ids(),
                  ViewProbe(view, codecs(true), snapshots_.list(), garbage_due_before()),
                  [this] { return purge_time(); });
}

Result<Engine::Step> Engine::merge_step(Goal goal) {
  const std::shared_ptr<const View> now = without_memtables(*view());
  Result<Step> switched = switch_page_source(*now);
  if (!switched || *switched == Step::made) return switched;
  // What is not yet visible may be hidden from a snapshot to come. Whoever ingests it schedules a merge.
  // `durable` moves last.
  if (now->ingested_at() >= log_.durable()) return log_.failed() ? Result<Step>(log_.failure()) : Step::none;
  const Shape shape = shape_of_runs(*now);
  if (const std::vector<FileAt> covered = covered_in(shape, *now, snapshots_.list()); !covered.empty()) {
    if (Status status = drop(covered, *now); !status.ok()) return status;
    return Step::made;
  }
  const bool drains = shape.tier_runs() != shape.upper_runs();
  compacting_ = compacting_ && drains;
  if (compacting_ && goal != Goal::compact) goal = Goal::compact_beside;
  const Choice choice = choose(shape, goal, PolicyLimits::of(options_.write_buffer_size, merge_parts(goal)));
  LIGHTNING_INVARIANT("I8", check_choice(shape, choice).empty());
  if (choice.kind == Choice::Kind::nothing) return Step::none;
  if (Status status = execute(choice, *now); !status.ok()) return status;
  return Step::made;
}

Status Engine::execute(const Choice& choice, const View& view) {
  if (closed_.load(std::memory_order_relaxed)) return Status(StatusCode::closed, "closing");
  if (log_.failed()) return log_.failure();
  if (choice.kind == Choice::Kind::move) {
    const auto apply = [&](std::vector<SortedRunInfo>* runs) {
      apply_choice(choice, view.runs.size(), {}, runs);
    };
    if (Status status = install_runs(apply, {}, nullptr); !status.ok()) return status;
    if (choice.level != kLastLevel) return choice.from.empty() && choice.to.empty() ? Status() : drop_empty();
    uint64_t bytes = 0;
    for (size_t i = choice.file_first; i < choice.file_end; ++i) {
      bytes += view.runs[choice.first]->files()[i]->info().size;
    }
    counters_.moves.fetch_add(choice.file_end - choice.file_first, std::memory_order_relaxed);
    counters_.move_bytes.fetch_add(bytes, std::memory_order_relaxed);
    return {};
  }
  return merge(choice, view);
}

// What is under a range removal is nobody's any more: its files go as they are.
Status Engine::drop(const std::vector<FileAt>& files, const View& view) {
  if (closed_.load(std::memory_order_relaxed)) return Status(StatusCode::closed, "closing");
  if (log_.failed()) return log_.failure();
  const auto apply = [&](std::vector<SortedRunInfo>* runs) { apply_drop(files, view.runs.size(), runs); };
  if (Status status = install_runs(apply, {}, nullptr); !status.ok()) return status;
  uint64_t bytes = 0;
  for (const FileAt& at : files) bytes += view.runs[at.run]->files()[at.file]->info().size;
  counters_.drops.fetch_add(files.size(), std::memory_order_relaxed);
  counters_.drop_bytes.fetch_add(bytes, std::memory_order_relaxed);
  report(EventKind::merge, "files under range removals were given up", bytes, 0, {});
  return {};
}

// Of a file that was cut, a part may hold nothing.
Status Engine::drop_empty() {
  const std::shared_ptr<const View> now = view();
  const ViewProbe probe(*now, {}, {}, 0);
  std::vector<FileAt> files;
  for (size_t run = 0; run < now->runs.size() && now->runs[run]->info().level < kTiers; ++run) {
    const std::vector<KeyRange>& ranges = now->runs[run]->ranges();
    for (size_t file = 0; file < ranges.size(); ++file) {
      std::string found;
      if (!ranges[file].clipped) continue;
      const bool some = probe.first_key_from(run, ranges[file].smallest, &found);
      if (!some || ranges[file].ends_before(found)) files.push_back({.run = run, .file = file});
    }
  }
  if (files.empty()) return {};
  const auto apply = [&](std::vector<SortedRunInfo>* runs) { apply_drop(files, now->runs.size(), runs); };
  return install_runs(apply, {}, nullptr);
}

// One function, `apply`, changes the durable state and the View. Meanwhile flushes only add runs in front.
// `writer` wrote the files of `output`, if there are any.
Status Engine::install_runs(const std::function<void(std::vector<SortedRunInfo>*)>& apply,
                            const MergeOutput& output, RunSetWriter* writer) {
  OpenFiles opened;
  for (const RunFileInfo& info : output.files) {
    Result<std::shared_ptr<const RunFile>> file = open_run_file(info);
    if (!file) return file.status();
    opened[info.id] = *std::move(file);
  }
  const std::shared_ptr<const View> now = this->view();
  const std::vector<SortedRunInfo> before = infos_of(*now);
  std::vector<SortedRunInfo> after = before;
  apply(&after);
  RetiredFiles::List gone(1);
  gone.front().runs = files_gone(before, after);
  const std::vector<std::shared_ptr<const SortedRun>> runs = runs_of(std::move(after), now->runs, opened);
  const std::vector<uint64_t> touched = value_files_touched(now->runs, runs, &gone.front());
  const std::function<void(View&)> change = [&](View& next) {
    const size_t added = next.runs.size() - now->runs.size();
    next.runs.resize(added);
    next.runs.insert(next.runs.end(), runs.begin(), runs.end());
  };
  // Nothing may fail behind the commit.
  const size_t more = runs.size() - std::min(runs.size(), now->runs.size());
  ViewRoom room = room_for_view(kSealedMax, kRunsRoom + more);
  const std::function<void(DurableState&)> edit = [&](DurableState& next) {
    apply(&next.runs);
    std::erase_if(next.value_files, [&](const ValueFileInfo& file) { return is_gone(gone.front(), file); });
    record_time(next);
  };
  const Status status = writer != nullptr ? writer->commit(edit) : store_->commit(edit);
  if (!status.ok()) return status;
  install_view(change, std::move(room));
  const bool gone_values = !gone.front().values.empty();
  retired_files_.retire(*directory_, std::move(gone));
  reclaim_soon(touched, gone_values);
  return {};
}

}  // namespace lightning
