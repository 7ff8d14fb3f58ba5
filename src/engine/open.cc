// Opening, creating and closing a database.

#include <algorithm>
#include <new>

#include "base/check.h"
#include "engine/cursor_state.h"
#include "engine/engine.h"
#include "engine/recovery.h"
#include "format/codec.h"
#include "run/run_file_info.h"

namespace lightning {

namespace {

constexpr char kLockFileName[] = "LOCK";
// A log shorter than this is left for the next open to index; a longer one becomes a run first.
constexpr uint64_t kLogKeptAtCloseBytes = 256 * KiB;
constexpr size_t kSegmentsKeptAtClose = 8;

Status no_database(const std::string& path) {
  return Status(StatusCode::not_found, "there is no database in " + path);
}

}  // namespace

Result<std::shared_ptr<Engine>> Engine::open(Env& env, const std::string& path, const Options& options,
                                             OpenKind kind, uint64_t large_value_bytes) {
  if (Status status = check_options(options); !status.ok()) return status;
  if (options.read_only && kind == OpenKind::create) {
    return Status(StatusCode::invalid_argument, "a database cannot be created read-only");
  }
  // A forked child leaves the engine to its parent: other threads were changing it when the child was made.
  const std::shared_ptr<Engine> engine(new Engine(env, options, large_value_bytes), [](Engine* last) {
    if (last->in_this_process()) delete last;
  });
  Status status;
  try {
    status = engine->start(path, kind);
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::out_of_memory, "opening a database");
  }
  if (!status.ok()) {
    engine->abandon();
    return status;
  }
  return engine;
}

Status Engine::start(const std::string& path, OpenKind kind) {
  const uint64_t began = env_.clock().monotonic_ns();
  if (Status status = codec_of(codec_id(options_.compression)).status(); !status.ok()) return status;
  read_only_ = options_.read_only;
  const bool may_create = !options_.read_only && kind != OpenKind::open;
  Result<std::unique_ptr<Directory>> directory = env_.files().open_directory(path, may_create);
  if (!directory)
    return directory.status().is(StatusCode::not_found) ? no_database(path) : directory.status();
  directory_ = *std::move(directory);
  value_files_ = std::make_unique<ValueFiles>(*directory_, segment_file_name, mapped_);
  page_cache_id_ = page_cache_id(env_, *directory_);
  // Nothing is written into a directory that holds no database and is not to become one.
  if (!may_create) {
    Status status = directory_->open(kSuperFileName, OpenMode::read).status();
    // Without SUPER nobody writes there, so that it can be read without the lock: was it ever a database?
    if (status.is(StatusCode::not_found)) status = StateStore::open(*directory_, StoreAccess::read).status();
    if (!status.ok()) return status.is(StatusCode::not_found) ? no_database(path) : status;
  }
  if (kind != OpenKind::locked) {
    Result<std::unique_ptr<DirectoryLock>> lock =
        directory_->lock(kLockFileName, options_.read_only ? LockMode::shared : LockMode::exclusive);
    if (!lock) return lock.status();
    lock_ = *std::move(lock);
  }

  const bool looks = options_.read_only || kind == OpenKind::create;  // which changes no database
  Result<std::unique_ptr<StateStore>> store =
      StateStore::open(*directory_, looks ? StoreAccess::read : StoreAccess::read_write);
  if (store && kind == OpenKind::create) {
    return Status(StatusCode::already_exists, "there is a database in " + path);
  }
  if (!store && store.status().is(StatusCode::not_found)) {
    if (!may_create) return no_database(path);
    store = create_store();
  }
  if (!store) return store.status();
  store_ = *std::move(store);
  if (Status status = load_database(); !status.ok()) return status;
  counters_.recovery_us = (env_.clock().monotonic_ns() - began) / 1000;
  return {};
}

Result<std::unique_ptr<StateStore>> Engine::create_store() {
  DurableState initial;
  initial.database_id = env_.random();
  initial.incarnation = env_.random();
  initial.next_base_lsn = kLogAlignment;  // 0 means settled
  initial.log_floor = kLogAlignment;
  initial.next_keyspace_id = kFirstUserKeyspaceId;
  return StateStore::create(*directory_, initial);
}

Status Engine::load_database() {
  const DurableState state = store_->state();
  expiry_clock_.raise(static_cast<uint64_t>(std::max<int64_t>(state.time_max_us, 0)));
  Result<RecoveredLog> log = LogRecovery(env_, *directory_, state, options_.read_only).run();
  if (!log) return log.status();
  counters_.recovered_records = log->records;
  uint64_t files = 0;
  uint64_t bytes = 0;
  for (const SortedRunInfo& info : state.runs) {
    files += info.pieces.size();
    for (const RunPiece& piece : info.pieces) bytes += piece.file.size;
  }
  choose_page_source(files, bytes);
  std::vector<std::shared_ptr<const SortedRun>> runs;
  for (const SortedRunInfo& info : state.runs) {
    Result<std::shared_ptr<const SortedRun>> run = open_run(info);
    if (!run) return run.status();
    runs.push_back(*std::move(run));
  }
  if (Status status = note_unknown_files(); !status.ok()) return status;
  if (!options_.read_only) {
    if (Status status = settle_files(*log); !status.ok()) return status;
  }
  const uint64_t end = std::max(log->end_lsn, state.log_floor);
  log_.start_at(end, options_.read_only ? std::min(end, std::max(log->durable_lsn, state.durable_lsn)) : end);
  install_view([&](View& view) {
    view.sealed = std::move(log->sealed);
    view.runs = std::move(runs);
  });
  if (Status status = load_catalogue(); !status.ok()) return status;
  if (options_.read_only) return {};
  if (view()->sealed.size() >= kSegmentsKeptAtClose) schedule_flush();
  if (!view()->runs.empty()) schedule_merge();
  watch_garbage();
  if (store_->damage().empty()) {
    std::vector<uint64_t> numbers;
    for (const ValueFileInfo& file : state.value_files) numbers.push_back(file.number);
    reclaim_soon(numbers);
  }
  return {};
}

// Writes what recovery found into the durable state before anything is removed, and removes what it does not
// name.
Status Engine::settle_files(const RecoveredLog& log) {
  Result<std::vector<FileInfo>> files = directory_->list();
  if (!files) return files.status();
  const DurableState state = store_->state();
  std::vector<std::string> leftovers = store_->orphans(*files);
  uint64_t number_max = 0;
  for (const FileInfo& file : *files) {
    uint64_t number = 0;
    if (!parse_segment_file_name(file.name, &number)) continue;
    number_max = std::max(number_max, number);
    const bool kept = std::any_of(log.segments.begin(), log.segments.end(),
                                  [&](const LogSegmentInfo& info) { return info.number == number; }) ||
                      is_value_file(state, number);
    if (!kept && store_->damage().empty() && number >= state.removal_floor) leftovers.push_back(file.name);
  }
  if (!log.state_changed && leftovers.empty() && number_max < state.next_segment_number) return {};
  const uint64_t incarnation = env_.random();
  const Status status = store_->commit([&](DurableState& next) {
    next.log_segments = log.segments;
    next.next_segment_number = std::max(next.next_segment_number, number_max + 1);
    next.durable_lsn = std::max(next.durable_lsn, log.end_lsn);
    if (log.cut) next.incarnation = incarnation;
  });
  if (!status.ok()) return status;
  for (const std::string& name : leftovers) {
    if (Status removed = directory_->remove(name); !removed.ok() && !removed.is(StatusCode::not_found))
      return removed;
  }
  return leftovers.empty() ? Status() : directory_->sync();
}

Status Engine::note_unknown_files() {
  Result<std::vector<FileInfo>> files = directory_->list();
  if (!files) return files.status();
  const DurableState state = store_->state();
  const std::vector<std::string> leftovers = store_->orphans(*files);
  for (const FileInfo& file : *files) {
    uint64_t number = 0;
    if (parse_segment_file_name(file.name, &number) || known_file(state, file.name)) continue;
    if (std::find(leftovers.begin(), leftovers.end(), file.name) == leftovers.end())
      unknown_files_.push_back(file.name);
  }
  return {};
}

bool Engine::known_file(const DurableState& state, const std::string& name) const {
  if (name == kLockFileName || name == kSuperFileName || name == manifest_file_name(store_->manifest_id()))
    return true;
  for (const SortedRunInfo& run : state.runs) {
    for (const RunPiece& piece : run.pieces) {
      if (name == run_file_name(piece.file.id)) return true;
    }
  }
  return false;
}

Result<std::shared_ptr<const SortedRun>> Engine::open_run(const SortedRunInfo& info) const {
  std::vector<std::shared_ptr<const RunFile>> files;
  for (const RunPiece& piece : info.pieces) {
    Result<std::shared_ptr<const RunFile>> file = open_run_file(piece.file);
    if (!file) return file.status();
    files.push_back(*std::move(file));
  }
  return std::make_shared<const SortedRun>(info, std::move(files));
}

Result<std::shared_ptr<const RunFile>> Engine::open_run_file(const RunFileInfo& info) const {
  return RunFile::open(*directory_, info, mapped_ && maps_runs_.load(std::memory_order_relaxed),
                       value_files_.get(), page_cache_.get(),
                       reads_directly_.load(std::memory_order_relaxed));
}

Status Engine::load_catalogue() {
  const std::unique_ptr<CursorState> cursor = this->cursor(kCatalogueKeyspaceId, {});
  for (cursor->seek_first(); cursor->valid(); cursor->next()) {
    const std::string_view key = cursor->key();
    Status status = is_prepared_key(key) ? load_prepared(key.substr(1), cursor->value())
                                         : catalogue_.load(key, cursor->value());
    if (!status.ok()) return status;
  }
  if (!cursor->status().ok()) return cursor->status();
  return catalogue_.check(store_->state().next_keyspace_id);
}

Status Engine::close() {
  if (closed_.exchange(true, std::memory_order_seq_cst))
    return Status(StatusCode::closed, "the database is closed");
  if (!in_this_process()) return {};  // a forked child has no share in the files
  locks_.close();
  {
    // Whoever changes the catalogue ends before, as those below, or finds the database closed.
    MutexLock lock(catalogue_mutex_);
  }
  {
    // Whoever makes a segment or waits for memory ends before, or finds the database closed.
    MutexLock lock(switch_mutex_);
    memory_freed_.notify_all();
  }
  {
    // A call that flushes or merges has ended, and the next finds the database closed.
    MutexLock merge_lock(merge_mutex_);
  }
  {
    MutexLock flush_lock(flush_mutex_);
  }
  long_calls_.wait_for_all();  // they find the database closed, too
  epoch_synchronize();         // whoever did not see it has reserved, filled and completed
  background_.stop();
  log_.publish_complete();  // its writer may not have come to it yet
  Status status;
  try {
    if (store_ != nullptr && !options_.read_only && view_.load(std::memory_order_acquire) != nullptr)
      status = finish();
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::out_of_memory, "closing a database");
  }
  release_view();
  lock_ = nullptr;
  return status;
}

// An engine that was not opened: nothing is written.
void Engine::abandon() {
  closed_ = true;
  background_.stop();
}

// Gives memory and files back before the last handle does, if it gets the memory for that.
void Engine::release_view() try {
  MutexLock lock(view_mutex_);
  if (current_ == nullptr) return;
  auto empty = std::make_shared<View>();
  empty->sequence = current_->sequence;  // for those who wait for a View that stays
  auto former = std::make_unique<std::shared_ptr<const View>>(current_);
  current_ = std::move(empty);
  view_.store(current_.get(), std::memory_order_seq_cst);
  epoch_retire(former.release());
  (void)epoch_reclaim();
} catch (const std::bad_alloc&) {
}

// Nobody writes any more. Everything becomes durable, a long log becomes a run, what is kept of it is cut at
// its end.
Status Engine::finish() {
  if (log_.failed()) return log_.failure();
  const std::shared_ptr<const View> last = view();
  if (Status status = log_.wait_durable(log_.published()); !status.ok()) return status;
  uint64_t log_bytes = last->active == nullptr ? 0 : log_.published() - last->active->segment->base_lsn();
  for (const auto& source : last->sealed) log_bytes += source->end_lsn - source->segment->base_lsn();
  const bool flush = log_bytes > kLogKeptAtCloseBytes || last->sealed.size() >= kSegmentsKeptAtClose;
  if (flush) {
    MutexLock lock(flush_mutex_);
    closing_ = true;
    const Status status = flush_everything();
    closing_ = false;
    if (!status.ok()) return status;
  }
  reclaim_values();
  return keep_log_for_next_open();
}

Status Engine::keep_log_for_next_open() {
  std::vector<LogSegmentInfo> kept;
  std::vector<std::string> removed;
  MutexLock lock(switch_mutex_);
  const std::shared_ptr<const View> last = view();
  const uint64_t end = log_.published();
  for (auto source = last->sealed.rbegin(); source != last->sealed.rend(); ++source) {
    const Segment& segment = *(*source)->segment;
    kept.push_back(
        {.number = segment.number(), .base_lsn = segment.base_lsn(), .end_lsn = (*source)->end_lsn});
  }
  if (last->active != nullptr) {
    Segment& segment = *last->active->segment;
    if (end > segment.base_lsn()) {
      kept.push_back({.number = segment.number(), .base_lsn = segment.base_lsn(), .end_lsn = end});
      if (Status status = segment.cut(end); !status.ok()) return status;
    } else {
      removed.push_back(segment.file_name());
    }
  }
  if (spare_ != nullptr) removed.push_back(spare_->file_name());
  if (recycled_ != nullptr) removed.push_back(segment_file_name(recycled_number_));
  DurableState timed = store_->state();
  const bool recorded = timed.log_segments == kept;
  const int64_t time = timed.time_max_us;
  record_time(timed);
  if (recorded && removed.empty() && timed.time_max_us == time) return {};
  const Status status = store_->commit([&](DurableState& next) {
    next.log_segments = kept;
    record_time(next);
    next.durable_lsn = std::max(next.durable_lsn, end);
  });
  if (!status.ok()) return status;
  spare_ = nullptr;
  recycled_ = nullptr;
  for (const std::string& name : removed) {
    if (Status failed = directory_->remove(name); !failed.ok()) return failed;
  }
  return removed.empty() ? Status() : directory_->sync();
}

}  // namespace lightning
