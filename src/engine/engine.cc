#include "engine/engine.h"

#include <algorithm>
#include <new>
#include <set>

#include "base/check.h"
#include "base/interleave.h"
#include "engine/value_extents.h"

namespace lightning {

namespace {
constexpr uint64_t kReclaimDelayNs = 1'000'000;
// What merges and flushes may take at any time.
constexpr uint64_t kMergeShareOfLimit = 8;
constexpr uint64_t kMergeBytes = 4 * MiB;
constexpr uint64_t kNanosPerMilli = 1'000'000;
}  // namespace

// Of what two write buffers leave of the limit, half.
// What is left serves fences, merges, cursors, and writes that come in bursts.
static uint64_t cache_limit(const Options& options) {
  constexpr uint64_t kOthers = 16 * MiB;
  const uint64_t left = options.memory_limit - 2 * options.write_buffer_size;
  return left - std::min(left / 2, std::max(left / 4, kOthers));
}

Engine::Engine(Env& env, const Options& options, uint64_t large_value_bytes)
    : env_(env),
      process_word_(env.process_word()),
      options_(options),
      large_value_bytes_(large_value_bytes),
      mapped_(options.sigbus_guard && env.guards_mappings()),
      mapped_bytes_max_(mapped_limit(env, options)),
      machine_bytes_max_(machine_limit(env, options)),
      page_cache_(std::make_shared<PageCache>(cache_limit(options), kLargeLeafBytes)),
      expiry_clock_(env.clock()),
      pacer_(env.clock()),
      locks_(env.clock()),
      background_(env.executor()) {}

Engine::~Engine() {
  // The last handle is gone; nobody reads.
  (void)close();
}

Status Engine::unusable() const {
  return Status(StatusCode::closed, in_this_process()
                                        ? "the database is closed"
                                        : "the database was opened by the process that forked this one");
}

Status Engine::not_dropped(uint32_t keyspace) const {
  EpochGuard epoch;
  if (!catalogue_.dropped(keyspace)) [[likely]]
    return {};
  return Status(StatusCode::not_found, "the keyspace was dropped");
}

Status Engine::refused() const {
  if (Status status = usable(); !status.ok()) [[unlikely]]
    return status;
  if (read_only_.load(std::memory_order_relaxed)) [[unlikely]] {
    return Status(StatusCode::invalid_argument, "the database was opened read-only");
  }
  if (log_.failed()) [[unlikely]] {
    const Status failure = log_.failure();
    return Status(StatusCode::io_error,
                  "writes are refused until the database is opened again: " + failure.to_string(),
                  failure.file(), failure.offset());
  }
  return {};
}

uint64_t Engine::deadline_after(uint64_t timeout_ms) const {
  const uint64_t now = env_.clock().monotonic_ns();
  const uint64_t wait = timeout_ms > UINT64_MAX / kNanosPerMilli ? UINT64_MAX : timeout_ms * kNanosPerMilli;
  return wait > UINT64_MAX - now ? UINT64_MAX : now + wait;
}

std::shared_ptr<const View> Engine::view() const {
  EpochGuard epoch;
  return view_.load(std::memory_order_acquire)->shared_from_this();
}

Engine::ViewRoom Engine::room_for_view(size_t more_sealed, size_t more_runs) const {
  ViewRoom room{.next = std::make_shared<View>(), .former = std::make_unique<std::shared_ptr<const View>>()};
  MutexLock lock(view_mutex_);
  if (current_ == nullptr) return room;
  room.next->sealed.reserve(current_->sealed.size() + more_sealed);
  room.next->runs.reserve(current_->runs.size() + more_runs);
  return room;
}

void Engine::install_view(const std::function<void(View&)>& change, ViewRoom room) {
  const std::shared_ptr<View> next = std::move(room.next);
  {
    MutexLock lock(view_mutex_);
    if (current_ != nullptr) {
      next->active = current_->active;
      next->sealed = current_->sealed;
      next->runs = current_->runs;
      next->sequence = current_->sequence + 1;
    }
    change(*next);
    next->range_removals.store(range_commits_ != 0 || next->has_range_removals(), std::memory_order_relaxed);
    // The former one is kept by a note until no reader can be using it without a count.
    *room.former = std::move(current_);
    current_ = next;
    view_.store(next.get(), std::memory_order_seq_cst);
    view_sequence_.store(next->sequence, std::memory_order_release);
    if (*room.former != nullptr) epoch_retire(room.former.release());
  }
  INTERLEAVE("view.installed");
  update_pace();
  if (!read_only()) measure_page_source(*next);
  reclaim_later();
  if (snapshots_.views_left(view_sequence())) watch_views();
}

void Engine::reclaim_later() {
  background_.run_after(Lane::quick, kReclaimDelayNs, [this] {
    bool left = true;
    try {
      left = epoch_reclaim() != 0;
    } catch (const std::bad_alloc&) {
      // What is retired waits for the next try.
    }
    if (left) reclaim_later();
    memory_freed_.notify_all();
  });
}

// What writers must not take: what is in use, and what the cache and merges may yet ask for.
uint64_t Engine::memory_bytes(const View& view) const {
  const bool mapped = maps_runs_.load(std::memory_order_relaxed);
  uint64_t bytes = held_memory_.bytes() + snapshots_.memory_bytes();
  bytes += std::max(merge_bytes_.load(), std::min(options_.memory_limit / kMergeShareOfLimit, kMergeBytes));
  bytes += mapped ? page_cache_->memory_bytes() : page_cache_->capacity_bytes();
  if (view.active != nullptr) bytes += view.active->memory_bytes();
  for (const auto& source : view.sealed) bytes += source->memory_bytes();
  for (const auto& run : view.runs) {
    for (const auto& file : run->files()) bytes += file->memory_bytes();
  }
  return bytes;
}

Status Engine::sync() {
  if (Status status = usable(); !status.ok()) return status;
  if (read_only_.load(std::memory_order_relaxed)) return {};
  return log_.wait_durable(log_.published());
}

Status Engine::background_error() const {
  if (log_.failed()) return log_.failure();
  MutexLock lock(error_mutex_);
  for (const Status& error : background_errors_) {
    if (!error.ok()) return error;
  }
  return {};
}

void Engine::note_background(Work work, const Status& status) {
  {
    MutexLock lock(error_mutex_);
    Status& known = background_errors_[static_cast<size_t>(work)];
    if (status.ok() == known.ok()) return;
    known = status;
  }
  if (!status.ok()) report(EventKind::error, status.message(), 0, 0, status);
}

void Engine::report(EventKind kind, std::string_view message, uint64_t bytes, uint64_t duration_us,
                    const Status& status) const {
  if (!options_.on_event) return;
  options_.on_event(
      {.kind = kind, .message = message, .bytes = bytes, .duration_us = duration_us, .status = status});
}

namespace {

using SeenFiles = std::set<std::pair<uint64_t, uint32_t>>;  // id and level

// A file of which two levels have a part counts once at each, and once among all.
void count_run(const SortedRun& run, Stats* stats, SeenFiles* seen) {
  const uint32_t number = run.info().level;
  if (stats->levels.empty() || stats->levels.back().number != number)
    stats->levels.push_back({.number = number});
  Stats::Level& level = stats->levels.back();
  ++level.runs;
  for (const auto& file : run.files()) {
    const uint64_t id = file->info().id;
    const auto [at, is_new_here] = seen->emplace(id, number);
    if (!is_new_here) continue;
    ++level.files;
    level.bytes += file->info().size;
    level.entries += file->info().entries;
    level.removals += file->info().removals;
    level.expiring += file->info().expiry.expiring;
    level.range_removals += file->info().range_removals;
    level.pooled_files += file->mapped() ? 0 : 1;
    file->count_cached(&level.cache_leaf_bytes, &level.cache_index_bytes);
    if (file->compressed()) {
      ++level.compressed_files;
      level.compressed_bytes += file->packed_bytes();
      level.plain_bytes += file->unpacked_bytes();
    }
    const bool counted = (at != seen->begin() && std::prev(at)->first == id) ||
                         (std::next(at) != seen->end() && std::next(at)->first == id);
    if (counted) continue;
    ++stats->run_files;
    stats->run_entries += file->info().entries;
    stats->fence_bytes += file->fence_bytes();
    stats->run_memory_bytes += file->memory_bytes() - file->fence_bytes();
    stats->mapped_bytes += file->mapped_bytes();
  }
}

void count_cache(const PageCache& cache, Stats* stats) {
  const PageCache::Counts counts = cache.counts();
  stats->cache_bytes = counts.bytes;
  stats->cache_limit_bytes = cache.capacity_bytes();
  stats->cache_page_bytes = counts.page_bytes;
  stats->cache_frequent_bytes = counts.frequent_bytes;
  stats->cache_target_bytes = counts.target_bytes;
  stats->cache_hits = counts.hits;
  stats->cache_misses = counts.misses;
  stats->cache_ghost_hits = counts.ghost_hits;
  stats->cache_evictions = counts.evictions;
  const auto& point = counts.reads[static_cast<size_t>(PageCache::Reader::point)];
  const auto& scan = counts.reads[static_cast<size_t>(PageCache::Reader::scan)];
  stats->point_pages_read = point.pages;
  stats->point_bytes_read = point.bytes;
  stats->scan_pages_read = scan.pages;
  stats->scan_bytes_read = scan.bytes;
  stats->page_bytes_read = point.bytes + scan.bytes;
}

void count_source(const MemSource& source, Stats* stats) {
  ++stats->memtables;
  stats->memtable_bytes += source.segment->memory_bytes();
  stats->point_index_bytes += source.table->point_index_bytes();
  stats->order_index_bytes += source.table->order_index_bytes();
}

}  // namespace

Result<Stats> Engine::stats() const {
  if (Status status = usable(); !status.ok()) return status;
  const std::shared_ptr<const View> view = this->view();
  Stats stats;
  if (view->active != nullptr) count_source(*view->active, &stats);
  for (const auto& source : view->sealed) count_source(*source, &stats);
  SeenFiles seen;
  for (const auto& run : view->runs) count_run(*run, &stats, &seen);
  stats.sorted_runs = view->runs.size();
  const ValueExtents values(*view, nullptr);
  for (const auto& [number, file] : values.files()) {
    ++stats.value_files;
    stats.value_live_bytes += file.live_bytes;
  }
  count_cache(*page_cache_, &stats);
  stats.held_bytes = held_memory_.bytes();
  stats.cursor_bytes = snapshots_.memory_bytes();
  stats.merge_bytes = merge_bytes_.load();
  stats.memory_bytes = stats.memtable_bytes + stats.point_index_bytes + stats.order_index_bytes +
                       stats.fence_bytes + stats.run_memory_bytes + stats.held_bytes + stats.cursor_bytes +
                       stats.merge_bytes + stats.cache_bytes;
  stats.keyspaces = 1 + catalogue_.names().size();
  stats.snapshots = snapshots_.count();
  stats.published_lsn = log_.published();
  stats.durable_lsn = log_.durable();
  stats.commits = counters_.commits.sum();
  stats.user_bytes_written = counters_.user_bytes_written.sum();
  const uint64_t log_start = counters_.log_start_lsn.load(std::memory_order_relaxed);
  stats.log_bytes_written = log_start == 0 ? 0 : stats.published_lsn - log_start;
  stats.log_flushes = log_.flushes();
  stats.flushes = counters_.flushes;
  stats.flush_bytes_written = counters_.flush_bytes_written;
  stats.merges = counters_.merges;
  stats.merge_bytes_read = counters_.merge_bytes_read;
  stats.merge_bytes_written = counters_.merge_bytes_written;
  stats.moves = counters_.moves;
  stats.move_bytes = counters_.move_bytes;
  stats.drops = counters_.drops;
  stats.drop_bytes = counters_.drop_bytes;
  stats.stalls = counters_.stalls;
  stats.stall_us = counters_.stall_us;
  stats.paced_memory_us = pacer_.waited_us(PaceReason::memory);
  stats.paced_merges_us = pacer_.waited_us(PaceReason::merges);
  stats.reclaimable_bytes = reclaimable_bytes(*view);
  stats.transactions_active = transactions_.count();
  stats.transaction_conflicts = counters_.transaction_conflicts;
  stats.prepared_transactions = prepared_.list();
  stats.unasked_scan_errors = counters_.unasked_scan_errors;
  stats.recovered_records = counters_.recovered_records;
  stats.recovery_us = counters_.recovery_us;
  stats.unknown_files = unknown_files_;
  if (Status status = count_disk_bytes(&stats); !status.ok()) return status;
  return stats;
}

Status Engine::count_disk_bytes(Stats* stats) const {
  Result<std::vector<FileInfo>> files = directory_->list();
  if (!files) return files.status();
  const DurableState state = store_->state();
  for (const FileInfo& file : *files) {
    if (file.is_directory) continue;
    Result<std::unique_ptr<File>> opened = directory_->open(file.name, OpenMode::read);
    if (!opened) continue;  // removed meanwhile
    Result<uint64_t> bytes = (*opened)->disk_bytes();
    if (!bytes) return bytes.status();
    uint64_t number = 0;
    const bool segment = parse_segment_file_name(file.name, &number);
    const bool values = segment && is_value_file(state, number);
    (segment && !values ? stats->log_bytes : stats->disk_bytes) += *bytes;
    if (values) stats->value_file_bytes += *bytes;
  }
  return {};
}

}  // namespace lightning
