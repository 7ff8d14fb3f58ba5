// Engine: one open database. The API's handles share it; it owns log, View, runs, background work and the
// directory.
//
// A put runs through commit.cc, log/log.cc and memtable/point_index.cc; a get through view/lookup.cc. The
// commit and read protocol with its numbered steps and invariants is in docs/ARCHITECTURE.md, the order of
// locks in docs/LOCKING.md.
//
// Thread safety: internally synchronised; any threads. close() may run beside other calls: those that come
// later answer `closed`.
// Ownership: shared by Database, Keyspace, Snapshot and Cursor handles; the last one frees it.
#pragma once

#include <lightning/ingest.h>
#include <lightning/options.h>
#include <lightning/stats.h>
#include <lightning/status.h>
#include <lightning/value.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/epoch.h"
#include "base/memory_share.h"
#include "base/mutex.h"
#include "cache/page_cache.h"
#include "compaction/outcome.h"
#include "compaction/policy.h"
#include "compaction/run_set_writer.h"
#include "compaction/sieve.h"
#include "engine/active_transactions.h"
#include "engine/background.h"
#include "engine/catalogue.h"
#include "engine/commit_check.h"
#include "engine/commit_outcome.h"
#include "engine/commit_plan.h"
#include "engine/compactions.h"
#include "engine/copy_moment.h"
#include "engine/counters.h"
#include "engine/guide.h"
#include "engine/held_memory.h"
#include "engine/ingestion.h"
#include "engine/latency.h"
#include "engine/lock_table.h"
#include "engine/long_calls.h"
#include "engine/memory_queue.h"
#include "engine/pacer.h"
#include "engine/page_source.h"
#include "engine/prepared.h"
#include "engine/purge.h"
#include "engine/retired_files.h"
#include "engine/snapshots.h"
#include "engine/stored_row.h"
#include "engine/vacancies.h"
#include "io/env.h"
#include "log/log.h"
#include "value/value_files.h"
#include "view/expiry_clock.h"
#include "view/lookup.h"
#include "view/state_store.h"
#include "view/view.h"

namespace lightning {

class CursorOverlay;
class CursorState;
class VersionMerger;
struct RecoveredLog;
class SnapshotState;

/// `locked`: to read a database that the caller keeps writers away from.
enum class OpenKind { open_or_create, open, create, locked };

/// Values from this size on stay where their commit put them: the segment becomes a value file.
inline constexpr uint64_t kLargeValueBytes = 1 << 20;

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  static Result<std::shared_ptr<Engine>> open(Env& env, const std::string& path, const Options& options,
                                              OpenKind kind, uint64_t large_value_bytes = kLargeValueBytes);
  Engine(Env& env, const Options& options, uint64_t large_value_bytes);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Status close();

  // Writing (commit.cc).
  Status put(uint32_t keyspace, std::string_view key, std::string_view value, const WriteOptions& options);
  Status remove(uint32_t keyspace, std::string_view key, const WriteOptions& options);
  Status remove_range(uint32_t keyspace, std::string_view from, std::string_view to,
                      const WriteOptions& options);
  /// `encoded` as format/batch_codec.h says.
  Status write(std::string_view encoded, size_t operations, const WriteOptions& options) {
    return write_as(encoded, operations, options, 0, 0);
  }

  /// A commit that holds only if nobody was first where `check` says, else `conflict` (commit_checked.cc).
  /// The operations' `expiry` is their time to live in milliseconds. Range removals come before others.
  Status commit_checked(std::span<Operation> operations, const CommitCheck& check,
                        const WriteOptions& options);

  // Locks (commit_locks.cc).
  /// LockTable::acquire() of an internal key; whatever was written to it before is published then, and
  /// nobody else writes it until it is released.
  Status lock_key(LockOwner owner, std::string_view key, KeyLock mode, uint64_t deadline);
  Status lock_range(LockOwner owner, std::string_view from, std::string_view to, KeyLock mode,
                    uint64_t deadline);
  /// A forked child's copy of the table may be locked for ever.
  void release_locks(LockOwner owner) {
    if (in_this_process()) locks_.release_all(owner);
  }
  const LockTable& locks() const { return locks_; }
  /// `conflict` if a locked key was written since the reader's moment. The reader is a transaction's.
  Status check_unchanged(std::string_view key, const RegisteredReader& reader) const;
  /// `timeout_ms` from now, on the monotonic clock.
  uint64_t deadline_after(uint64_t timeout_ms) const;
  class WriteLocks;  // scopes.h has these

  // Two-phase commit (two_phase.cc).
  struct Preparation {
    std::span<const Operation> operations;  // as of commit_checked()
    const PreparedGuards& guards;           // as of encode_prepared()
    const CommitCheck& check;               // its owner holds the locks, and keeps them if this succeeds
  };
  Status prepare(std::string_view gid, const Preparation& preparation, const WriteOptions& options);
  /// Commits operations, as of commit_checked(), whose locks `owner` has.
  using CommitOwned = std::function<Status(std::vector<Operation>& operations, LockOwner owner)>;
  Status commit_prepared(std::string_view gid, const CommitOwned& commit);
  Status abort_prepared(std::string_view gid, const WriteOptions& options);

  // Ingestion (ingest.cc).
  Result<IngestReport> ingest(uint32_t keyspace, IngestSource& source);
  /// Holds only if nobody wrote since where `check` reads; `conflict` where somebody did.
  Result<IngestReport> ingest_checked(uint32_t keyspace, ExpiringSource& source, const CommitCheck& check,
                                      const WriteOptions& options);

  // Reading (read.cc).
  /// Fills `value`, if it is not null, with what it finds.
  Lookup get(uint32_t keyspace, std::string_view key, const ReadOptions& options, Value* value) const;
  Status get_many(uint32_t keyspace, std::span<const std::string_view> keys, std::span<Value> values,
                  const ReadOptions& options) const;
  /// Of what a reader that is registered sees at `moment`; 0: now.
  Lookup get_as(uint32_t keyspace, std::string_view key, const RegisteredReader& reader, uint64_t moment,
                Value* value) const;
  Status get_many_as(uint32_t keyspace, std::span<const std::string_view> keys, std::span<Value> values,
                     const RegisteredReader& reader, uint64_t moment) const;
  /// Whether or not it has expired.
  Status find_row(uint32_t keyspace, std::string_view key, const ReadOptions& options, StoredRow* row) const;
  /// The row in `target` and its entry, of one moment. Nothing: it takes a cursor to say.
  std::optional<Lookup> get_through(const Guide& guide, uint32_t target, const ReadOptions& options,
                                    Value* value, std::string* found) const;
  /// Never null; a cursor that could not be made has a status that says so.
  std::unique_ptr<CursorState> cursor(uint32_t keyspace, const ReadOptions& options,
                                      std::shared_ptr<CursorOverlay> overlay = nullptr);
  Result<std::shared_ptr<const SnapshotState>> snapshot(ReadLevel level = ReadLevel::latest) {
    return snapshot_of(ReaderKind::snapshot, level);
  }
  /// The moment of a transaction: what came since can be found until it is gone or too old, by
  /// commit_checked().
  Result<std::shared_ptr<const SnapshotState>> checked_snapshot() {
    return snapshot_of(ReaderKind::transaction, ReadLevel::latest);
  }
  Result<uint64_t> approximate_size(uint32_t keyspace, std::string_view from, std::string_view to) const;

  // Keyspaces (keyspaces.cc).
  Result<uint32_t> keyspace(std::string_view name, const KeyspaceOptions& options);
  Status set_default_ttl(uint32_t keyspace, uint64_t ttl_ms);
  Result<uint64_t> default_ttl(uint32_t keyspace) const;
  Status set_compression(uint32_t keyspace, std::optional<Compression> compression);
  Result<std::optional<Compression>> compression(uint32_t keyspace) const;
  Status drop_keyspace(std::string_view name);
  Result<std::vector<std::string>> keyspaces() const;

  // Indexes, as far as the engine knows them (keyspaces.cc): a commit into a keyspace that has some is
  // refused with `conflict` unless its maker knew them (CommitCheck::index_version). src/index makes them.
  bool has_indexes() const { return catalogue_.has_indexes(); }
  uint64_t index_version() const { return catalogue_.index_version(); }
  std::shared_ptr<const IndexRecords> index_records() const { return catalogue_.index_records(); }
  bool are_index_records(const IndexRecords& records) const { return catalogue_.are_index_records(records); }
  /// When it returns, whoever did not know of the index has committed or will be refused. Survives a power
  /// cut, as the others.
  Result<IndexRecord> add_index(uint32_t keyspace, std::string_view name, std::string_view definition);
  /// Of the index whose entries are in the keyspace `entries`.
  Status change_index(uint32_t entries, std::string_view definition);
  Status drop_index(uint32_t keyspace, std::string_view name);
  /// Once, before anybody else has the engine.
  void attach(std::unique_ptr<EngineAttachment> attachment) { attachment_ = std::move(attachment); }
  EngineAttachment* attachment() const { return attachment_.get(); }
  /// In the background, not before `delay_ns` have passed, unless writes have ended; a task is to be short.
  void run_later(uint64_t delay_ns, std::function<void()> task) {
    if (!log_.failed()) background_.run_after(Lane::slow, delay_ns, std::move(task), true);
  }

  // Maintenance.
  Status sync();
  Status flush();
  /// The same in the background, of what is there now.
  void begin_flush();
  Status compact(const CompactOptions& options);
  Status compact_range(uint32_t keyspace, std::string_view from, std::optional<std::string_view> to,
                       const CompactOptions& options);

  Result<Stats> stats() const;
  Result<std::vector<Reader>> readers() const;
  Status background_error() const;

  // For cursors and snapshots.
  [[gnu::always_inline]] Status usable() const {
    if (!closed_.load(std::memory_order_acquire) && in_this_process()) [[likely]]
      return {};
    return unusable();
  }
  [[gnu::always_inline]] Status usable(uint32_t keyspace) const {
    if (Status status = usable(); !status.ok()) [[unlikely]]
      return status;
    return keyspace == kDefaultKeyspaceId ? Status() : not_dropped(keyspace);
  }
  /// What MemoryShares of work on runs count in.
  std::atomic<uint64_t>& working_memory() { return merge_bytes_; }
  uint64_t view_sequence() const { return view_sequence_.load(std::memory_order_acquire); }
  std::shared_ptr<const View> view() const;
  /// So many walks began at this internal key of the View: where newer runs lie over it for nothing they are
  /// merged.
  void note_seeks(const View& view, std::string_view key, uint64_t seeks);
  /// Registers a reader of what `level` shows at `now_ns`, until remove_reader().
  void add_reader(RegisteredReader* reader, ReaderKind kind, ReadLevel level, uint64_t now_ns);
  /// If it was added. False in a forked child, whose copy of the registry may be locked for ever.
  bool remove_reader(RegisteredReader* reader) {
    if (!in_this_process()) return false;
    if (reader->number() != 0) snapshots_.remove(reader);
    return true;
  }
  /// A cursor holds this View from now on, and so much memory of its own.
  void attach(RegisteredReader* reader, IdleCursor* cursor, const std::shared_ptr<const View>& view,
              uint64_t bytes);
  void wait_for_turn() { snapshots_.wait_for_turn(); }
  static Status too_old();
  ExpiryClock& expiry_clock() const { return expiry_clock_; }
  /// A moment by which a cursor judges, registered until remove_moment().
  uint64_t add_moment(RegisteredReader* reader);
  void remove_moment(RegisteredReader* reader) {
    if (in_this_process()) snapshots_.remove_moment(reader);
  }
  uint64_t read_lsn(const View& view, const ReadOptions& options) const;
  /// Of what a reader without a snapshot sees that begins now.
  uint64_t lsn_now(ReadLevel level) const;
  Vacancies& vacancies() { return vacancies_; }
  /// Every commit that is not below it is reserved later than this call.
  uint64_t tail_lsn() const;
  bool is_mine(const Snapshot& snapshot) const;
  ActiveTransactions& transactions() { return transactions_; }
  const ActiveTransactions& transactions() const { return transactions_; }
  /// A forked child's copy of the list may be locked for ever.
  void remove_transaction(ActiveTransaction* transaction) {
    if (in_this_process()) transactions_.remove(transaction);
  }
  /// Aborts transactions without a call for Options::max_transaction_idle_ms, as long as there are any;
  /// looks first after `delay_ns` (readers.cc).
  void watch_transactions(uint64_t delay_ns);
  uint64_t transaction_idle_ns() const;
  uint64_t published_lsn() const { return log_.published(); }
  static bool is_too_old(const ReadOptions& options);
  Counters& counters() const { return counters_; }
  Latencies& latencies() const { return latencies_; }

  /// All that is committed now, to be copied. What it names stays until it is gone; close() waits for that,
  /// and whoever holds it asks usable() often.
  Result<std::unique_ptr<CopyMoment>> copy_moment();

  // For verify() and copies.
  Env& env() const { return env_; }
  Directory& directory() const { return *directory_; }
  const StateStore& state_store() const { return *store_; }
  uint64_t durable_lsn() const { return log_.durable(); }
  const Options& options() const { return options_; }
  bool read_only() const { return read_only_.load(std::memory_order_relaxed); }
  const std::vector<std::string>& unknown_files() const { return unknown_files_; }

 private:
  // Opening and closing (open.cc).
  Status start(const std::string& path, OpenKind kind);
  Result<std::unique_ptr<StateStore>> create_store();
  Status load_database();
  Status settle_files(const RecoveredLog& log);
  Status note_unknown_files();
  bool known_file(const DurableState& state, const std::string& name) const;
  Result<std::shared_ptr<const SortedRun>> open_run(const SortedRunInfo& info) const;
  Result<std::shared_ptr<const RunFile>> open_run_file(const RunFileInfo& info) const;
  Status load_catalogue();
  void abandon();
  void release_view();
  Status finish();
  Status keep_log_for_next_open();

  // Committing (commit.cc).
  using Attempt = CommitAttempt;
  using Outcome = CommitOutcome;
  Status commit_one(uint32_t keyspace, EntryKind kind, std::string_view key, std::string_view value,
                    const WriteOptions& options);
  Status write_as(std::string_view encoded, size_t operations, const WriteOptions& options, LockOwner owner,
                  uint64_t index_version);
  /// `owner`: whose locks do not stop it; 0: nobody's.
  Status commit(CommitPlan& plan, const WriteOptions& options, CheckedCommit* checked = nullptr,
                LockOwner owner = 0);
  [[gnu::cold]] CommitTime begin_commit_time(bool mirror) const;
  [[gnu::cold]] void note_commit_time(const CommitTime& time, bool mirror) const;
  /// Lets the writer wait for background work that is behind.
  [[gnu::cold]] Status pace(CommitPlan& plan, const WriteOptions& options);
  void update_pace();
  Attempt try_commit(CommitPlan& plan, LockOwner owner, bool mirror, Outcome* outcome);
  Attempt commit_oversized(CommitPlan& plan, CheckedCommit* checked, LockOwner owner, uint64_t deadline,
                           Outcome* outcome) EXCLUDES(switch_mutex_);
  Status end_log_for(uint64_t capacity, uint64_t deadline, MemoryQueue::Place& place) REQUIRES(switch_mutex_);
  void mirror_published(uint64_t segment_number, uint64_t lsn);
  /// Ends the vacancies that it puts something into, before anybody can see that.
  void end_vacancies(const CommitPlan& plan, uint64_t lsn) const;
  void fill(CommitPlan& plan, const MemSource& source, uint64_t lsn);
  void close_segment(const MemSource& source, uint64_t lsn, Outcome* outcome);
  /// Step 6, of the record at outcome->lsn.
  void complete_record(Segment& segment, const CommitPlan& plan, bool mirror, Outcome* outcome) {
    const auto length = static_cast<uint32_t>(plan.length());
    segment.complete(outcome->lsn, length);
    outcome->published = log_.publish_if_next(outcome->lsn, length);
    if (mirror && outcome->published) segment.mirror_published(outcome->lsn + length);
    outcome->ahead = segment.take_ahead_trigger(outcome->lsn);
    outcome->faulted = segment.faulted();
  }

  // Committing under a check (commit_checked.cc).
  Attempt try_checked(CommitPlan& plan, CheckedCommit& checked, LockOwner owner, bool mirror,
                      Outcome* outcome);
  /// Checks up to a place that is near enough to the log's end. Not inside an epoch.
  Status bring_check_up(const CommitPlan& plan, CheckedCommit* checked);
  static bool is_near(const CommitPlan& plan, const CheckedCommit& checked, const View& view,
                      uint64_t published);
  Status check_below(const CommitPlan& plan, CheckedCommit* checked, const View& view,
                     uint64_t published) const;
  /// Of what `check` reads; it has a reader.
  Status check_reads(const CommitCheck& check, const View& view, uint64_t since, uint64_t published) const;
  Status check_key_unchanged(const View& view, std::string_view key, uint64_t hash, uint64_t since) const;
  Status check_range(const View& view, std::string_view from, std::string_view to, uint64_t since,
                     uint64_t published) const;
  bool keyspace_gone(std::string_view key) const;
  /// Under the locks of the plan's buckets: an operation whose key was written since; null if there is none.
  static const Operation* overtaken_write(const CommitPlan& plan, const CheckedCommit& checked,
                                          const MemSource& source);
  /// Behind the reservation at `lsn`. False: `key` was written since.
  bool is_first(const CommitPlan& plan, const CheckedCommit& checked, const MemSource& source, uint64_t lsn,
                std::string_view* key);
  void fill_empty(const MemSource& source, uint64_t lsn, uint32_t length);
  class RangeCommit;
  // Commits and locks (commit_locks.cc).
  /// Under the locks of the plan's buckets: does somebody else hold a lock of what it writes?
  bool is_blocked(const CommitPlan& plan, LockOwner owner, Outcome* outcome) const {
    if (locks_.count() == 0) [[likely]]
      return false;
    outcome->blocked = locks_.first_blocked(owner, plan.operations());
    return outcome->blocked != nullptr;
  }
  Status commit_as_owner(CommitPlan& plan, const WriteOptions& options, CheckedCommit* checked);
  /// Until `owner` has the lock of what it was blocked by.
  Status wait_for_lock(LockOwner owner, const Operation& blocked, uint64_t deadline);
  /// Behind a new lock: until those are over that looked at the table before.
  void settle_unseen() EXCLUDES(switch_mutex_);
  void settle_key(uint64_t hash);
  class Unseen;

  // Two-phase commit (two_phase.cc).
  /// `commit(owner of its locks, removal of its record)`.
  template <typename Fn>
  Status resolve_prepared(std::string_view gid, Fn&& commit);
  /// What an open finds in the catalogue.
  Status load_prepared(std::string_view gid, std::string_view record);

  Status wait_for(Durability durability, uint64_t end_lsn);
  Status check_keyspaces(const CommitPlan& plan) const;
  Status check_keyspaces_once(const CommitPlan& plan) const;
  Status check_indexes(const CommitPlan& plan) const;
  Status lock_all_of(uint32_t keyspace, LockOwner owner);
  Status lock_with_entries(uint32_t keyspace, LockOwner owner);
  Status write_catalogue(const std::string& encoded, size_t operations, LockOwner owner = 0)
      REQUIRES(catalogue_mutex_);
  void settle_indexes() EXCLUDES(switch_mutex_);
  /// Gives a put its expiry. `now` is 0 until it was needed.
  void set_expiry(Operation& operation, uint64_t ttl_ms, uint64_t* now) const;

  /// However much memory there is, a backlog of more write buffers than this is flushed no faster.
  static constexpr uint64_t kBacklogBuffers = 6;
  static constexpr uint64_t kIdleNs = 1'000'000'000;  // without a commit: nobody writes
  /// Of a memtable's log memory, the part that its indexes take beside it with records of a hundred bytes.
  static constexpr uint64_t kIndexShare = 5;
  /// Sealed memtables that may wait for their flush, whatever the memory limit.
  static constexpr size_t kSealedMax = 64;
  /// More runs than a merge can add to a View while somebody else makes the next one.
  static constexpr size_t kRunsRoom = 64;
  /// What the next View is made in; with enough of it, installing cannot fail.
  struct ViewRoom {
    std::shared_ptr<View> next;
    std::unique_ptr<std::shared_ptr<const View>> former;
  };

  // Segments (segments.cc).
  /// Makes a segment active after the one called `full_number` (0: there is none); ok when somebody else did
  /// it.
  Status switch_segment(uint64_t full_number, uint64_t deadline) EXCLUDES(switch_mutex_);
  /// Of the spare if there is one, else of a segment made for it.
  Result<std::shared_ptr<const MemSource>> make_source(uint64_t capacity) REQUIRES(switch_mutex_);
  Result<std::shared_ptr<Segment>> make_segment(uint64_t capacity) REQUIRES(switch_mutex_);
  /// Takes what the activation of `source` needs; without memory `source` is kept as the spare.
  Status prepare_activation(const MemSource& source, ViewRoom* room) REQUIRES(switch_mutex_);
  Status activate(std::shared_ptr<const MemSource> source, ViewRoom room) REQUIRES(switch_mutex_);
  /// Ends the active segment, if any, and waits until all of it is published.
  void end_active() REQUIRES(switch_mutex_);
  /// Until there is memory for a segment of `capacity` and its indexes and it is the turn of `place`, or
  /// until the View changes.
  Status wait_for_memory(uint64_t capacity, uint64_t deadline, MemoryQueue::Place& place)
      REQUIRES(switch_mutex_);
  bool memory_allows(uint64_t capacity) const REQUIRES(switch_mutex_);
  uint64_t next_capacity() const REQUIRES(switch_mutex_);
  void prepare_ahead();
  void prepare_spare() EXCLUDES(switch_mutex_);
  Status pass_over_spare() REQUIRES(switch_mutex_);
  void retire_segment_files(const std::vector<std::shared_ptr<const MemSource>>& sources)
      EXCLUDES(switch_mutex_);

  // Views (engine.cc).
  ViewRoom room_for_view(size_t more_sealed, size_t more_runs) const;
  void install_view(const std::function<void(View&)>& change, ViewRoom room) EXCLUDES(view_mutex_);
  void install_view(const std::function<void(View&)>& change) { install_view(change, room_for_view(0, 0)); }
  void reclaim_later();

  // Readers (readers.cc).
  /// Looks for cursors that stand still and hold a View that was replaced, as long as any does that.
  void watch_views();
  void look_at_views();
  /// Gives readers up that are too old, as long as there are any that will be.
  void watch_ages(uint64_t delay_ns);
  void look_at_ages();
  void look_at_transactions();
  uint64_t reader_age_ns() const;
  /// All that memory_limit counts.
  uint64_t memory_bytes(const View& view) const;

  class Releasing;
  void memory_released() EXCLUDES(switch_mutex_);
  Status count_disk_bytes(Stats* stats) const;

  // Large values (values.cc).
  /// Says where the large values of a key's versions stand; null: as it is.
  using PlaceValues = std::function<Status(std::span<Version>)>;
  bool large(const Version& version) const { return version.value_size() >= large_value_bytes_; }
  /// Is a segment worth keeping for so many bytes of large values?
  bool becomes_value_file(const Segment& segment, uint64_t large_bytes) const;
  PlaceValues stay_in_segments(std::vector<const Segment*> segments) const;
  PlaceValues leave_wasteful_files(const View& view,
                                   std::span<const std::shared_ptr<const SortedRun>> inputs);
  /// What these value files hold beside the values of present runs is given back soon; others were retired.
  void reclaim_soon(const std::vector<uint64_t>& numbers, bool retired = false) noexcept
      EXCLUDES(reclaim_mutex_);
  void reclaim_in_background(uint64_t delay_ns);
  void reclaim_values() EXCLUDES(reclaim_mutex_);
  /// True when some are to be tried again soon.
  bool punch_values() EXCLUDES(reclaim_mutex_);

  // Flush (flush.cc).
  void schedule_flush();
  /// Seals what is active, too.
  void flush_early();
  enum class Flush : uint8_t { sealed, active_too };
  void flush_in_background(Flush what);
  /// Seals what is active; the end of all that is sealed then, published.
  uint64_t seal_active() EXCLUDES(switch_mutex_);
  Status flush_round() EXCLUDES(flush_mutex_);
  /// Where the newest sealed memtable ends; 0 when there is none.
  uint64_t sealed_end() const;
  /// Flushes what is sealed and ends at or below `end`, all of it published.
  Status flush_sealed(uint64_t end) REQUIRES(flush_mutex_);
  /// At close: what is active, too.
  Status flush_everything() REQUIRES(flush_mutex_);
  Status await_drops();
  Status flush_sources(const std::vector<std::shared_ptr<const MemSource>>& sources) REQUIRES(flush_mutex_);
  /// All of flush_sources() but giving the segments' files up.
  Status flush_into_run(const std::vector<std::shared_ptr<const MemSource>>& sources) REQUIRES(flush_mutex_);
  Status install_flush(const std::vector<std::shared_ptr<const MemSource>>& sources, uint64_t floor,
                       RunSetWriter& writer) REQUIRES(flush_mutex_);
  /// Adds up the bytes of large values.
  Status verify_source(const MemSource& source, uint64_t* large_bytes) const;
  /// `file_bytes`: about where files are cut. `settled`: it is, or may become, one of the last level.
  RunWriterOptions run_options(uint64_t file_bytes, size_t parts = 1) const;
  CodecChoice codecs(bool settled) const;
  Status write_versions(VersionMerger& merger, Sieve& sieve, RunSetWriter& writer, bool closing,
                        const PlaceValues& place, const std::function<bool(std::string_view)>& ends_at);

  // Ingestion (ingest.cc).
  using Sources = std::vector<std::shared_ptr<const MemSource>>;
  Result<IngestReport> ingest(uint32_t keyspace, ExpiringSource& source, const CommitCheck* check,
                              const WriteOptions& options);
  Status write_ingested(Ingestion& ingestion, IngestReport* report);
  Status install_ingested(Ingestion& ingestion, const SortedRun& run);
  /// `blocked`: nothing was done, since somebody else holds a lock among its keys.
  Status try_install_ingested(Ingestion& ingestion, const SortedRun& run, LockOwner owner, bool* blocked);
  Status check_ingestion(Ingestion& ingestion) const;
  /// Ends the log and turns all of it into runs; `flushed` were the memtables. Writers that come wait.
  Status flush_log(Sources* flushed) REQUIRES(flush_mutex_, switch_mutex_);
  Status name_ingested(Ingestion& ingestion, const SortedRun& run, LockOwner owner, bool* blocked)
      REQUIRES(flush_mutex_, switch_mutex_);

  // Moves and merges (merge.cc).
  void schedule_merge();
  void merge_in_background();
  enum class Step : uint8_t { made, none, later };  // later: somebody else merges
  /// Makes the next move or merge, if there is one to be made.
  Result<Step> guarded_step(Goal goal) EXCLUDES(merge_mutex_);
  void leave_merge() EXCLUDES(merge_mutex_);
  Result<Step> merge_step(Goal goal) REQUIRES(merge_mutex_);

  // Where pages of runs come from (page_source.cc).
  void choose_page_source(uint64_t files, uint64_t bytes);
  /// Notes what is right for the runs of a View, and has it brought about.
  void measure_page_source(const View& view);
  /// Opens the files of one run anew that should have the other source.
  Result<Step> switch_page_source(const View& view) REQUIRES(merge_mutex_);
  Status execute(const Choice& choice, const View& view) REQUIRES(merge_mutex_);
  size_t merge_parts(Goal goal) const;  // side by side, at most
  class Merge;
  Status merge(const Choice& choice, const View& view) REQUIRES(merge_mutex_);
  /// Gives up files that range removals cover.
  Status drop(const std::vector<FileAt>& files, const View& view) REQUIRES(merge_mutex_);
  Status drop_empty() REQUIRES(merge_mutex_);
  Status install_runs(const std::function<void(std::vector<SortedRunInfo>*)>& apply,
                      const MergeOutput& output, RunSetWriter* writer) REQUIRES(merge_mutex_);

  // Compaction that is asked for, by a caller, by scans or by the age of garbage (compact.cc).
  Status begin_compaction(const KeySpan& span) REQUIRES(merge_mutex_);
  Status compact_runs(const KeySpan& span) REQUIRES(merge_mutex_);
  Status compact_all(std::vector<Compactions::Range> ranges, const CompactOptions& options);
  Result<Step> begin_compactions() EXCLUDES(merge_mutex_);
  /// Counts what merges owe.
  void measure_runs(const View& view, Debt* debt) const;
  uint64_t reclaimable_bytes(const View& view) const;
  /// Are these removals many enough, with those before, to look at the pace?
  bool note_removals(uint64_t count);
  /// Of keys, that commits made since a memtable began.
  uint64_t removals_since(const MemSource& source) const;
  Shape shape_of_runs(const View& view) const;
  void settle_when_idle();
  /// Looks at the runs again after `delay_ns`.
  void watch_runs(uint64_t delay_ns);
  void look_at_runs();
  /// Has what is older than Options::max_garbage_age_ms flushed and merged, from time to time.
  void watch_garbage();
  void look_at_garbage();
  /// For RunFileInfo::since_us: who limits no age does not ask the clock.
  uint64_t garbage_time() const { return options_.max_garbage_age_ms == 0 ? 0 : expiry_clock_.now(); }
  /// What was written before is to go from the tiers; 0: nothing is.
  uint64_t garbage_due_before() const;
  bool removals_in_memory_hide_much() const;
  /// How long it takes until a file of the View may hold so much that has expired, or that no reader needs
  /// now, that it is worth a rewrite; UINT64_MAX: no file ever will.
  uint64_t next_look_ns(const View& view) const;
  /// What has expired by it would be given up by a merge that begins now.
  uint64_t purge_time() const;
  /// Into a state that is to be durable (T2).
  void record_time(DurableState& state) const;

  enum class Work : uint8_t { flush, merge, log };
  void note_background(Work work, const Status& status) EXCLUDES(error_mutex_);
  /// A state store that failed for good ends all writing: nothing that is flushed could be named any more.
  void refuse_after_store_failure();
  void report(EventKind kind, std::string_view message, uint64_t bytes, uint64_t duration_us,
              const Status& status) const;

  // The timer that keeps process-class writes from staying exposed and notes what is durable (segments.cc).
  Status start_timer();
  void on_timer();
  bool timer_step();
  bool append_empty_record();

  Status refused() const;
  Result<std::shared_ptr<const SnapshotState>> snapshot_of(ReaderKind kind, ReadLevel level);
  class OutsideEpoch;
  Lookup find(const View& view, std::string_view key, uint64_t hash, const ReadOptions& options, Value* value,
              OutsideEpoch& outside) const;
  struct ManyReads;
  Status fill_many(const ManyReads& as, std::span<const std::string_view> keys, std::span<Value> to) const;
  template <size_t most>
  Status fill_staged(const ManyReads& as, std::span<const std::string_view> keys, std::span<Value> to,
                     uint64_t* moment) const;
  Found wait_for(const View& view, std::string_view key, uint64_t hash, const ReadPoint& point, Hit* hit,
                 OutsideEpoch& outside) const;
  /// Of a hit that has an expiry: false if it has passed, else its value is left. `moment` is 0 until the
  /// clock was asked.
  bool take_expiring(Hit* hit, uint64_t* moment) const;
  bool has_expired(uint64_t expiry_us, uint64_t* moment) const;
  Status unusable() const;
  Status not_dropped(uint32_t keyspace) const;
  bool in_this_process() const { return process_word_.load(std::memory_order_relaxed) == 1; }
  uint64_t deadline_of(const WriteOptions& options) const { return deadline_after(options.timeout_ms); }

  // What every read touches; nobody writes these lines while the database works.
  Env& env_;
  const std::atomic<uint32_t>& process_word_;
  const Options options_;
  const uint64_t large_value_bytes_;
  const bool mapped_;  // runs and log may be mapped
  const uint64_t mapped_bytes_max_;
  const uint64_t machine_bytes_max_;
  // Of runs that are opened now. Not mapped they are read directly where they do not fit into the machine.
  std::atomic<bool> maps_runs_{true};
  std::atomic<bool> reads_directly_{false};
  const std::shared_ptr<PageCache> page_cache_;
  std::atomic<const View*> view_{nullptr};  // partner: EpochGuard
  std::atomic<bool> closed_{false};
  std::atomic<bool> read_only_{false};
  Catalogue catalogue_;
  mutable ExpiryClock expiry_clock_;

  alignas(64) Log log_;
  mutable Counters counters_;
  mutable Latencies latencies_;
  Snapshots snapshots_;
  Pacer pacer_;
  std::atomic<uint64_t> removal_grain_{1 << 12};  // a power of two: after so many the pace is looked at
  Vacancies vacancies_;
  ActiveTransactions transactions_;
  LockTable locks_;
  PreparedTransactions prepared_;
  std::atomic<uint64_t> unseen_commits_{0};  // partner: settle_unseen()

  std::unique_ptr<Directory> directory_;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<ValueFiles> value_files_;
  std::vector<std::string> unknown_files_;
  uint64_t page_cache_id_ = 0;

  Mutex catalogue_mutex_;  // creating and dropping keyspaces; before switch_mutex_
  Mutex switch_mutex_;     // who makes the active segment; before store and view_mutex_
  CondVar memory_freed_;
  MemoryQueue memory_queue_ GUARDED_BY(switch_mutex_){memory_freed_};
  mutable HeldMemory held_memory_;
  std::atomic<uint64_t> merge_bytes_{0};  // of MemoryShares
  std::atomic<bool> releasing_{false};
  std::shared_ptr<Segment> spare_ GUARDED_BY(switch_mutex_);
  std::unique_ptr<File> recycled_ GUARDED_BY(switch_mutex_);  // a file whose blocks can be used again
  uint64_t recycled_number_ GUARDED_BY(switch_mutex_) = 0;
  uint64_t recycled_capacity_ GUARDED_BY(switch_mutex_) = 0;
  uint64_t last_capacity_ GUARDED_BY(switch_mutex_) = 0;
  uint64_t next_segment_number_ GUARDED_BY(switch_mutex_) = 0;  // when it is above that of the durable state
  bool log_started_ GUARDED_BY(switch_mutex_) = false;          // a segment was active since the open

  Mutex merge_mutex_;  // one move or merge at a time; before store and view_mutex_
  bool compacting_ GUARDED_BY(merge_mutex_) = false;  // a compaction in the background is in the drain
  UnswitchedRuns unswitched_ GUARDED_BY(merge_mutex_);
  std::atomic<bool> merge_scheduled_{false}, merge_missed_{false}, idle_watch_{false};
  std::atomic<uint64_t> idle_commits_{0};  // when the idle watch last looked
  std::atomic<bool> garbage_watch_{false};
  Compactions compactions_;
  RetiredFiles retired_files_;
  LongCalls long_calls_;

  Mutex flush_mutex_;  // one flush at a time; before switch_mutex_, store and view_mutex_
  bool closing_ GUARDED_BY(flush_mutex_) = false;  // the flush that close() itself makes
  std::atomic<bool> flush_scheduled_{false};

  Mutex reclaim_mutex_;
  std::vector<uint64_t> reclaim_ GUARDED_BY(reclaim_mutex_);  // value files that may hold garbage
  std::atomic<bool> reclaim_all_{false};                      // all of them may
  std::atomic<bool> reclaim_scheduled_{false};
  std::atomic<bool> punches_{true};  // until the file system says that it cannot

  mutable Mutex view_mutex_;
  std::shared_ptr<const View> current_ GUARDED_BY(view_mutex_);
  uint64_t range_commits_ GUARDED_BY(view_mutex_) = 0;  // commits with range removals under way
  std::atomic<uint64_t> view_sequence_{0};

  mutable Mutex error_mutex_;
  std::array<Status, 3> background_errors_ GUARDED_BY(error_mutex_);  // by Work

  std::atomic<bool> view_watch_{false};
  std::atomic<bool> age_watch_{false};
  std::atomic<bool> transaction_watch_{false};
  std::atomic<bool> timer_running_{false};
  // Of the one timer task that runs at a time.
  uint64_t idle_marked_lsn_ = 0;   // an empty record before it states that everything is durable
  uint64_t exposed_from_lsn_ = 0;  // what was durable when the timer last looked, and since when
  uint64_t exposed_since_ns_ = 0;

  std::unique_ptr<EngineAttachment> attachment_;
  Background background_;
};

}  // namespace lightning
