// Compaction that is asked for, by a caller, by scans or by the age of garbage: what is begun here the moves
// and merges of merge.cc carry out.

#include <algorithm>
#include <new>

#include "base/check.h"
#include "compaction/shape.h"
#include "engine/engine.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

constexpr uint64_t kNanosPerMicro = 1000;
// After so many seeks into one run more the policy is asked whether that is worth a merge.
constexpr uint64_t kExtraSeeksPerLook = 1024;
constexpr uint64_t kMicrosPerMilli = 1000;
constexpr uint64_t kGarbageAgeMsMin = 1000;
// Looks at the age of garbage, in one age; within the period that is left of it merges do their work.
constexpr uint64_t kGarbageLooks = 16;
constexpr uint64_t kGarbageWatchNsMax = 60'000'000'000;

}  // namespace

// A file of the oldest run stands for the keys from its first one to that of the next file.
void Engine::note_seeks(const View& view, std::string_view key, uint64_t seeks) {
  if (view.runs.size() < 2 || read_only()) return;
  const std::vector<KeyRange>& places = view.runs.back()->ranges();
  const auto behind = std::partition_point(places.begin(), places.end(),
                                           [key](const KeyRange& range) { return range.smallest <= key; });
  const size_t place = behind == places.begin() ? 0 : static_cast<size_t>(behind - places.begin()) - 1;
  KeySpan span;
  if (place > 0) span.from = places[place].smallest;
  if (place + 1 < places.size()) span.to = places[place + 1].smallest;
  uint64_t runs = 0;
  for (size_t i = 0; i + 1 < view.runs.size(); ++i) {
    const std::vector<KeyRange>& ranges = view.runs[i]->ranges();
    const auto at = std::partition_point(ranges.begin(), ranges.end(), [&](const KeyRange& range) {
      return !span.from.empty() && range.ends_before(span.from);
    });
    if (at != ranges.end() && span.meets(*at)) ++runs;
  }
  if (runs == 0) return;
  const uint64_t after = view.runs.back()->files()[place]->note_extra_seeks(runs * seeks);
  if (after / kExtraSeeksPerLook != (after - runs * seeks) / kExtraSeeksPerLook) schedule_merge();
}

// Three quarters of an age: the last one is for flushes and merges.
uint64_t Engine::garbage_due_before() const {
  if (options_.max_garbage_age_ms == 0) return 0;
  const uint64_t now = purge_time();
  const uint64_t age_ms = std::max(options_.max_garbage_age_ms, kGarbageAgeMsMin);
  const uint64_t age_us = age_ms > now / kMicrosPerMilli ? now : age_ms * kMicrosPerMilli;
  return now - age_us / 4 * 3;
}

// Where it cannot be scheduled, the next flush does that.
void Engine::watch_garbage() {
  if (options_.max_garbage_age_ms == 0 || read_only()) return;
  if (garbage_watch_.exchange(true, std::memory_order_acq_rel)) return;
  const uint64_t age_ms = std::max(options_.max_garbage_age_ms, kGarbageAgeMsMin);
  const uint64_t age_ns = std::min(age_ms, kGarbageWatchNsMax) * kNanosPerMicro * kMicrosPerMilli;
  const uint64_t delay_ns = std::min(age_ns / kGarbageLooks, kGarbageWatchNsMax);
  if (!background_.run_after(Lane::slow, delay_ns, [this] { look_at_garbage(); }))
    garbage_watch_.store(false, std::memory_order_release);
}

// What is in memory may hide what is in runs, too.
void Engine::look_at_garbage() {
  garbage_watch_.store(false, std::memory_order_release);
  watch_garbage();
  const std::shared_ptr<const View> now = view();
  const MemSource* const oldest = now->sealed.empty() ? now->active.get() : now->sealed.back().get();
  const bool due =
      oldest != nullptr && oldest->segment->used() != 0 && oldest->begun_us < garbage_due_before();
  due ? flush_early() : schedule_merge();
}

Status Engine::compact(const CompactOptions& options) { return compact_all({Compactions::Range()}, options); }

Status Engine::compact_range(uint32_t keyspace, std::string_view from, std::optional<std::string_view> to,
                             const CompactOptions& options) {
  if (Status status = check_key(from); !status.ok()) return status;
  if (Status status = check_key(to.value_or("")); !status.ok()) return status;
  if (Status status = usable(keyspace); !status.ok()) return status;
  if (to && *to <= from) return refused();
  std::vector<Compactions::Range> ranges;
  const InternalKey first(keyspace, from);
  const InternalKey last(keyspace, to.value_or(""));
  if (!first.ok() || !last.ok()) return Status(StatusCode::out_of_memory, "the keys of a compaction");
  ranges.push_back(
      {.from = std::string(first.view()), .to = to ? std::string(last.view()) : end_of_keyspace(keyspace)});
  if (from.empty() && !to && has_indexes()) {
    const std::shared_ptr<const IndexRecords> indexes = index_records();
    for (const IndexRecord& index : indexes->all) {
      if (index.keyspace != keyspace) continue;
      const InternalKey entries(index.entries, "");
      ranges.push_back({.from = std::string(entries.view()), .to = end_of_keyspace(index.entries)});
    }
  }
  return compact_all(std::move(ranges), options);
}

Status Engine::compact_all(std::vector<Compactions::Range> ranges, const CompactOptions& options) {
  if (!options.wait) {
    if (Status status = refused(); !status.ok()) return status;
    for (Compactions::Range& range : ranges) compactions_.add(std::move(range));
    schedule_merge();
    return {};
  }
  if (Status status = flush(); !status.ok()) return status;
  Status status;
  for (size_t i = 0; i < ranges.size() && status.ok(); ++i) {
    MutexLock lock(merge_mutex_);
    try {
      status = compact_runs(ranges[i].span());
    } catch (const std::bad_alloc&) {
      status = Status(StatusCode::out_of_memory, "a compaction");
    }
  }
  refuse_after_store_failure();
  schedule_merge();
  reclaim_values();
  return status;
}

// What flushes add meanwhile is left to others: it ends whatever writers do. So it does of a drain that was
// under way: what of it stands behind the span.
Status Engine::compact_runs(const KeySpan& span) {
  if (Status status = begin_compaction(span); !status.ok()) return status;
  const auto meets = [&](const KeyRange& range) { return span.meets(range); };
  const auto drains = [&](const std::shared_ptr<const SortedRun>& run) {
    return run->info().level == kDrainLevel && std::ranges::any_of(run->ranges(), meets);
  };
  while (std::ranges::any_of(view()->runs, drains)) {
    Result<Step> step = merge_step(Goal::compact);
    if (!step) return step.status();
    // An ingestion is in the View and not seen yet: it ends under this mutex.
    if (*step == Step::none) MutexLock ingested(switch_mutex_);
  }
  return {};
}

Status Engine::begin_compaction(const KeySpan& span) {
  const std::shared_ptr<const View> now = view();
  const Shape shape = shape_of_runs(*now);
  const Choice choice =
      lightning::begin_compaction(shape, PolicyLimits::of(options_.write_buffer_size), span);
  LIGHTNING_INVARIANT("I8", check_choice(shape, choice).empty());
  return choice.kind == Choice::Kind::nothing ? Status() : execute(choice, *now);
}

// In the background they are only begun: the steps of a drain follow, beside others.
Result<Engine::Step> Engine::begin_compactions() {
  // Before anything is flushed for a compaction that cannot begin.
  if (!merge_mutex_.try_lock()) return Step::later;
  merge_mutex_.unlock();
  try {
    // What is sealed first: where that fails again and again, no more is sealed each time.
    Status flushed = flush_round();
    if (flushed.ok()) flushed = flush();
    if (!flushed.ok()) {
      // What merges give up meanwhile may be the space that it lacks.
      (void)guarded_step(Goal::keep_up).status().ok();
      return flushed;
    }
    while (!compactions_.empty()) {
      const Compactions::Range range = compactions_.first();
      if (!merge_mutex_.try_lock()) return Step::later;
      MutexLock lock(merge_mutex_, MutexLock::Held());
      if (Status status = begin_compaction(range.span()); !status.ok()) return status;
      compacting_ = true;
      compactions_.remove(range);
    }
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "a compaction");
  }
  return Step::made;
}

}  // namespace lightning
