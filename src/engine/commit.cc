// The only write path. The numbers are the steps of the commit protocol in docs/ARCHITECTURE.md.

#include <algorithm>
#include <bit>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "engine/engine.h"
#include "engine/scopes.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

// Removals are looked at when they may hide an eighth of all that there is, or of a write buffer, more.
constexpr uint64_t kLooks = 8;
constexpr uint64_t kHiddenBytesMin = 1 << 20;

}  // namespace

Status check_batch(std::string_view encoded) {
  if (encoded.size() > kBatchBytesMax) {
    return Status(StatusCode::invalid_argument, "a batch is at most 1 GiB long when encoded");
  }
  BatchReader reader(encoded);
  LogEntry entry;
  while (reader.next(&entry)) {
    uint32_t keyspace = 0;
    const size_t prefix = parse_keyspace_prefix(entry.key, &keyspace);
    if (Status status = check_key(entry.key.substr(prefix)); !status.ok()) return status;
    if (entry.kind == EntryKind::remove_range) {
      const std::string_view to = entry.value.substr(std::min(prefix, entry.value.size()));
      if (Status status = check_key(to); !status.ok()) return status;
      continue;
    }
    const bool has_ttl = entry.kind == EntryKind::put_expiring;
    const std::string_view value = has_ttl ? entry.value.substr(kBatchTtlBytes) : entry.value;
    if (Status status = check_value(value); !status.ok()) return status;
  }
  return {};
}

Status unknown_outcome(const Status& cause) {
  try {
    return Status(StatusCode::unknown_outcome, "visible, but it may not survive: " + cause.to_string(),
                  cause.file(), cause.offset());
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::unknown_outcome, "visible, but it may not survive");
  }
}

Status Engine::put(uint32_t keyspace, std::string_view key, std::string_view value,
                   const WriteOptions& options) {
  if (Status status = check_value(value); !status.ok()) return status;
  return commit_one(keyspace, EntryKind::put, key, value, options);
}

Status Engine::remove(uint32_t keyspace, std::string_view key, const WriteOptions& options) {
  return commit_one(keyspace, EntryKind::remove, key, {}, options);
}

Status Engine::remove_range(uint32_t keyspace, std::string_view from, std::string_view to,
                            const WriteOptions& options) {
  if (Status status = check_key(from); !status.ok()) return status;
  if (Status status = check_key(to); !status.ok()) return status;
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = usable(keyspace); !status.ok()) return status;
  if (to <= from) return {};
  const InternalKey last(keyspace, to);
  if (!last.ok()) return Status(StatusCode::out_of_memory, "the key of a write");
  const RangeCommit announced(*this);
  return commit_one(keyspace, EntryKind::remove_range, from, last.view(), options);
}

Status Engine::commit_one(uint32_t keyspace, EntryKind kind, std::string_view key, std::string_view value,
                          const WriteOptions& options) {
  if (Status status = check_key(key); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of a write");
  Operation operation{.entry = {kind, internal.view(), value}};
  if (options.ttl_ms != 0 || catalogue_.has_default_ttls()) [[unlikely]] {
    uint64_t now = 0;
    set_expiry(operation, options.ttl_ms, &now);
  }
  CommitPlan plan(operation);
  return commit(plan, options);
}

Status Engine::write_as(std::string_view encoded, size_t operations, const WriteOptions& options,
                        LockOwner owner, uint64_t index_version) {
  if (operations == 0) return refused();
  if (Status status = check_batch(encoded); !status.ok()) return status;
  uint64_t now = 0;
  CommitPlan plan(encoded, operations, [&](Operation& operation) {
    uint64_t ttl_ms = options.ttl_ms;
    if (operation.entry.kind == EntryKind::put_expiring) ttl_ms = take_batch_ttl(&operation.entry);
    set_expiry(operation, ttl_ms, &now);
  });
  plan.index_version = index_version;
  if (!plan.has_ranges()) return commit(plan, options, nullptr, owner);
  if (Status status = refused(); !status.ok()) return status;
  const RangeCommit announced(*this);
  return commit(plan, options, nullptr, owner);
}

void Engine::set_expiry(Operation& operation, uint64_t ttl_ms, uint64_t* now) const {
  if (operation.entry.kind != EntryKind::put) return;
  if (ttl_ms == 0) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(operation.entry.key, &keyspace);
    ttl_ms = catalogue_.default_ttl(keyspace);
  }
  if (ttl_ms == 0 || ttl_ms == kNeverExpires) return;
  if (*now == 0) *now = expiry_clock_.now();
  operation.entry.kind = EntryKind::put_expiring;
  operation.expiry = expiry_after(*now, ttl_ms);
}

Status Engine::commit(CommitPlan& plan, const WriteOptions& options, CheckedCommit* checked,
                      LockOwner owner) {
  if (plan.length() > kRecordLengthMax) [[unlikely]] {
    return Status(StatusCode::invalid_argument, "a batch takes at most 4 GiB in the log");
  }
  const Durability durability =
      options.durability == Durability::standard ? options_.durability : options.durability;
  const bool mirror = durability == Durability::process;
  CommitTime time;
  if (!mirror || is_timed(Timed::commit)) [[unlikely]]
    time = begin_commit_time(mirror);
  if (pacer_.on() && plan.deadline == 0) [[unlikely]] {  // once, whatever it waits for later
    if (Status status = pace(plan, options); !status.ok()) return status;
  }
  for (;;) {
    Outcome outcome;
    Attempt attempt = checked == nullptr ? try_commit(plan, owner, mirror, &outcome)
                                         : try_checked(plan, *checked, owner, mirror, &outcome);
    if (attempt != Attempt::done && plan.deadline == 0) plan.deadline = deadline_of(options);
    // The one who crossed the end is the one who publishes the end record.
    if (outcome.end_record_length != 0) log_.publish(outcome.end_record_lsn, outcome.end_record_length);
    if (attempt == Attempt::oversized)
      attempt = commit_oversized(plan, checked, owner, plan.deadline, &outcome);
    switch (attempt) {
      case Attempt::failed:
        return outcome.status;
      case Attempt::need_segment:
        if (Status status = switch_segment(outcome.segment_number, plan.deadline); !status.ok())
          return status;
        continue;
      case Attempt::locked:
        if (owner == 0) return commit_as_owner(plan, options, checked);
        if (Status status = wait_for_lock(owner, *outcome.blocked, plan.deadline); !status.ok())
          return status;
        continue;
      case Attempt::again:
      case Attempt::oversized:
        continue;
      case Attempt::done:
        break;
    }
    const auto length = static_cast<uint32_t>(plan.length());
    if (!outcome.published) {
      log_.publish(outcome.lsn, length);
      if (mirror) mirror_published(outcome.segment_number, outcome.lsn + length);
    }
    if (outcome.ahead) [[unlikely]]
      prepare_ahead();
    if (outcome.repace) [[unlikely]]
      update_pace();
    if (outcome.faulted) [[unlikely]] {
      log_.refuse(Status(StatusCode::io_error, "a mapped page of the log was lost",
                         segment_file_name(outcome.segment_number), 0));
    }
    if (checked != nullptr && !outcome.status.ok()) return outcome.status;  // its record is empty
    Status status = wait_for(durability, outcome.lsn + plan.length());
    if (time.stands_for != 0) [[unlikely]]
      note_commit_time(time, mirror);
    return status;
  }
}

CommitTime Engine::begin_commit_time(bool mirror) const {
  return {.stands_for = mirror ? begin_timed(Timed::commit) : 1, .began_ns = env_.clock().stopwatch_ns()};
}

void Engine::note_commit_time(const CommitTime& time, bool mirror) const {
  (mirror ? latencies_.commit_process : latencies_.commit_power)
      .add(env_.clock().stopwatch_ns() - time.began_ns, time.stands_for);
}

Status Engine::pace(CommitPlan& plan, const WriteOptions& options) {
  const uint64_t bytes = plan.length() + plan.removals() * pacer_.removal_bytes();
  if (!pacer_.takes_turn(bytes)) return {};
  if (Status status = refused(); !status.ok()) return status;
  update_pace();
  plan.deadline = deadline_of(options);
  return pacer_.wait(bytes, plan.deadline, [this] { return refused(); });
}

bool Engine::note_removals(uint64_t count) {
  const uint64_t before = counters_.removals.add(count);
  return ((before ^ (before + count)) & -removal_grain_.load(std::memory_order_relaxed)) != 0;
}

uint64_t Engine::removals_since(const MemSource& source) const {
  return counters_.removals.sum() - source.removals_before;
}

void Engine::update_pace() {
  const std::shared_ptr<const View> now = view();
  uint64_t left = 0;
  Debt debt{.flush_bytes_per_s = pacer_.flush_bytes_per_s()};
  if (now->active != nullptr) {
    const Segment& segment = *now->active->segment;
    left = segment.capacity() - std::min(segment.used(), segment.capacity());
  }
  for (const auto& source : now->sealed) debt.backlog_bytes += source->segment->capacity();
  debt.backlog_bytes -= std::min(debt.backlog_bytes, pacer_.flushed_bytes());
  const uint64_t used = memory_bytes(*now);
  const uint64_t free = options_.memory_limit - std::min(options_.memory_limit, used);
  debt.free_bytes =
      std::min(left + free * kIndexShare / (kIndexShare + 1), kBacklogBuffers * options_.write_buffer_size);
  measure_runs(*now, &debt);
  const uint64_t hidden = std::clamp(debt.last_bytes + debt.upper_bytes, kHiddenBytesMin,
                                     std::max(kHiddenBytesMin, options_.write_buffer_size));
  removal_grain_.store(std::bit_floor(hidden / kLooks / (debt.entry_bytes + 1) + 1),
                       std::memory_order_relaxed);
  if (const uint64_t removals = now->active == nullptr ? 0 : removals_since(*now->active); removals != 0) {
    if (removals * debt.entry_bytes > options_.write_buffer_size) flush_early();
    watch_runs(kIdleNs);
  }
  debt.tier_bytes_min = PolicyLimits::of(options_.write_buffer_size).tier_bytes_min;
  pacer_.set(pace_of(debt));
}

// Steps 1 to 6, in one epoch, waiting for nothing but bucket locks, whose holders wait for nothing.
Engine::Attempt Engine::try_commit(CommitPlan& plan, LockOwner owner, bool mirror, Outcome* outcome) {
  EpochGuard epoch;
  if (outcome->status = refused(); !outcome->status.ok()) [[unlikely]]
    return Attempt::failed;
  if (outcome->status = check_keyspaces(plan); !outcome->status.ok()) [[unlikely]]
    return Attempt::failed;
  const View* view = view_.load(std::memory_order_seq_cst);  // partner: settle_key()
  if (view->active == nullptr) [[unlikely]]
    return Attempt::need_segment;
  const MemSource& source = *view->active;
  Segment& segment = *source.segment;
  outcome->segment_number = segment.number();
  if (plan.length() > segment.record_bytes_max()) [[unlikely]]
    return Attempt::oversized;
  if (segment.full()) [[unlikely]]
    return Attempt::need_segment;

  MemTable& table = *source.table;
  if (outcome->status = plan.lock(table); !outcome->status.ok()) return Attempt::failed;  // 2
  if (is_blocked(plan, owner, outcome)) [[unlikely]] {
    plan.unlock(table);
    return Attempt::locked;
  }
  INTERLEAVE("commit.locked");
  const Segment::Reserved reserved = segment.reserve(plan.length(), &outcome->lsn);  // 3
  INTERLEAVE("commit.reserved");
  if (reserved != Segment::Reserved::here) [[unlikely]] {
    plan.unlock(table);
    if (reserved == Segment::Reserved::crossed) close_segment(source, outcome->lsn, outcome);
    return Attempt::need_segment;
  }
  fill(plan, source, outcome->lsn);  // 4, 5
  plan.unlock(table);
  INTERLEAVE("commit.unlocked");
  if (vacancies_.any()) [[unlikely]]
    end_vacancies(plan, outcome->lsn);
  complete_record(segment, plan, mirror, outcome);  // 6
  counters_.commits.add(1);
  counters_.user_bytes_written.add(plan.user_bytes());
  if (plan.removals() != 0) outcome->repace = note_removals(plan.removals());
  return Attempt::done;
}

void Engine::end_vacancies(const CommitPlan& plan, uint64_t lsn) const {
  for (const Operation& operation : plan.operations()) {
    const EntryKind kind = operation.entry.kind;
    if (kind == EntryKind::put || kind == EntryKind::put_expiring)
      vacancies_.note_put(operation.entry.key, lsn);
  }
}

uint64_t Engine::tail_lsn() const {
  EpochGuard epoch;
  const View* view = view_.load(std::memory_order_seq_cst);
  if (view->active != nullptr) return view->active->segment->tail_lsn();
  return std::max(log_.published(), view->sealed.empty() ? 0 : view->sealed.front()->end_lsn);
}

void Engine::fill(CommitPlan& plan, const MemSource& source, uint64_t lsn) {
  char* const record = source.segment->at(lsn);
  const uint64_t salt = source.segment->salt();
  PointIndex& index = source.table->point_index();
  const auto length = static_cast<uint32_t>(plan.length());
  const uint32_t first = static_cast<uint32_t>((lsn - source.segment->base_lsn()) / kLogAlignment);
  put_record_header(record, RecordKind::commit, length, lsn, log_.durable(), salt);
  char* end = record + kRecordHeaderBytes;
  for (const Operation& operation : plan.operations()) {
    char* const entry = record + operation.offset;
    // The gap before the chain word; recycled memory may hold anything.
    for (; end < entry - kEntryChainBytes; ++end) *end = 0;
    const LogEntry& put = operation.entry;
    const uint32_t name = first + operation.offset / kLogAlignment;
    const bool range = put.kind == EntryKind::remove_range;
    const uint32_t before = range ? source.table->range_removals().head() : index.head(operation.hash);
    store<uint32_t>(entry - kEntryChainBytes, before);
    if (put.kind != EntryKind::put_expiring) [[likely]] {
      end = put_log_entry(entry, put.kind, put.key, put.value);
    } else {
      end = put_expiring_log_entry(entry, put.key, operation.expiry, put.value);
    }
    INTERLEAVE("commit.filled");
    // Readers pass over it until it is published (I3: under the bucket's lock, in LSN order).
    range ? source.table->range_removals().install(name) : index.install(operation.hash, name);
  }
  for (; end < record + length; ++end) *end = 0;
  seal_record_body(record, length, lsn, salt);
}

// The end record: from the reservation that did not fit to the segment's end.
void Engine::close_segment(const MemSource& source, uint64_t lsn, Outcome* outcome) {
  Segment& segment = *source.segment;
  const auto length = static_cast<uint32_t>(segment.end_lsn() - lsn);
  char* const record = segment.at(lsn);
  put_record_header(record, RecordKind::end, length, lsn, log_.durable(), segment.salt());
  const uint32_t bytes = record_bytes(RecordKind::end, length);
  for (char* at = record + kRecordHeaderBytes; at < record + bytes; ++at) *at = 0;
  seal_record_body(record, bytes, lsn, segment.salt());
  segment.complete(lsn, bytes);
  outcome->end_record_lsn = lsn;
  outcome->end_record_length = length;
}

void Engine::mirror_published(uint64_t segment_number, uint64_t lsn) {
  EpochGuard epoch;
  // close() gives the mapping back when every epoch was left that may have begun before closed_ was set.
  if (closed_.load(std::memory_order_acquire)) return;
  const View* view = view_.load(std::memory_order_acquire);
  if (view->active != nullptr && view->active->segment->number() == segment_number) {
    view->active->segment->mirror_published(lsn);
  }
}

// Makes room in the log for a segment of `capacity`: what is active is ended, the spare passed over.
Status Engine::end_log_for(uint64_t capacity, uint64_t deadline, MemoryQueue::Place& place) {
  for (;;) {
    if (Status status = refused(); !status.ok()) return status;
    end_active();
    if (spare_ != nullptr) {
      if (Status status = pass_over_spare(); !status.ok()) return status;
    }
    const uint64_t before = view_sequence();
    if (Status status = wait_for_memory(capacity, deadline, place); !status.ok()) return status;
    // A wait unlocks: others may have made a segment active or a spare meanwhile.
    if (spare_ == nullptr && view_sequence() == before) return {};
  }
}

Engine::Attempt Engine::commit_oversized(CommitPlan& plan, CheckedCommit* checked, LockOwner owner,
                                         uint64_t deadline, Outcome* outcome) {
  MutexLock lock(switch_mutex_);
  if (is_blocked(plan, owner, outcome)) return Attempt::locked;  // before much is done
  const uint64_t capacity = align_up(plan.length() + kEndRecordBytesMin, 4096);
  MemoryQueue::Place place(memory_queue_);
  if (outcome->status = end_log_for(capacity, deadline, place); !outcome->status.ok()) return Attempt::failed;
  if (outcome->status = check_keyspaces_once(plan); !outcome->status.ok()) return Attempt::failed;
  // Nobody can reserve: all that is committed is published.
  if (checked != nullptr) outcome->status = check_below(plan, checked, *view(), log_.published());
  if (!outcome->status.ok()) return Attempt::failed;
  Result<std::shared_ptr<const MemSource>> source = make_source(capacity);
  if (!source) {
    outcome->status = source.status();
    return Attempt::failed;
  }
  const MemSource& mine = **source;
  ViewRoom room;
  if (outcome->status = prepare_activation(mine, &room); !outcome->status.ok()) return Attempt::failed;
  const Unseen announced(*this);
  if (is_blocked(plan, owner, outcome)) {
    spare_ = mine.segment;
    return Attempt::locked;
  }
  // Range and buckets are taken before anybody else can see the segment (I3).
  if (outcome->status = plan.lock(*mine.table); !outcome->status.ok()) {
    spare_ = mine.segment;
    return Attempt::failed;
  }
  const UnseenPuts unseen(vacancies_);  // until the View has the segment
  mine.segment->reserve_first(plan.length());
  outcome->lsn = mine.segment->base_lsn();
  outcome->segment_number = mine.segment->number();
  fill(plan, mine, outcome->lsn);
  plan.unlock(*mine.table);
  {
    EpochGuard epoch;
    end_vacancies(plan, outcome->lsn);
  }
  mine.segment->complete(outcome->lsn, static_cast<uint32_t>(plan.length()));
  if (const Status status = activate(*source, std::move(room)); !status.ok()) {
    // The record is complete in the segment that comes next, whoever makes it active.
    outcome->status = unknown_outcome(status);
    return Attempt::failed;
  }
  outcome->faulted = mine.segment->faulted();
  counters_.commits.add(1);
  counters_.user_bytes_written.add(plan.user_bytes());
  if (plan.removals() != 0) outcome->repace = note_removals(plan.removals());
  return Attempt::done;
}

Status Engine::wait_for(Durability durability, uint64_t end_lsn) {
  Status status;
  if (durability == Durability::power) {
    status = log_.wait_durable(end_lsn);
  } else if (log_.has_written_segments()) {
    status = log_.wait_written(end_lsn);
  }
  if (status.ok() && log_.failed()) [[unlikely]]
    status = log_.failure();
  if (status.ok() && !timer_running_.load(std::memory_order_relaxed)) [[unlikely]]
    status = start_timer();
  if (status.ok()) [[likely]]
    return {};
  return unknown_outcome(status);
}

// Every View from now on says that there may be range removals, until the commit is over: then it has them.
Engine::RangeCommit::RangeCommit(Engine& engine) : engine_(engine) {
  MutexLock lock(engine_.view_mutex_);
  ++engine_.range_commits_;
  engine_.current_->range_removals.store(true, std::memory_order_relaxed);  // partner: the record's mark
}

Engine::RangeCommit::~RangeCommit() {
  const std::shared_ptr<const View> now = engine_.view();
  const uint64_t published = engine_.log_.published();
  if (now->active != nullptr) now->active->table->range_removals().gather(published);
  for (const auto& source : now->sealed) source->table->range_removals().gather(published);
  MutexLock lock(engine_.view_mutex_);
  --engine_.range_commits_;
}

Status Engine::check_keyspaces_once(const CommitPlan& plan) const {
  EpochGuard epoch;
  return check_keyspaces(plan);
}

// Whoever made the plan knew of the indexes of its keyspaces, and of these alone.
Status Engine::check_indexes(const CommitPlan& plan) const {
  const IndexedKeyspaces& indexed = *catalogue_.indexed();
  if (plan.index_version == indexed.version || plan.index_version == CommitPlan::kAnyIndexes) return {};
  const bool concerned =
      std::any_of(plan.operations().begin(), plan.operations().end(), [&](const Operation& operation) {
        uint32_t keyspace = 0;
        (void)parse_keyspace_prefix(operation.entry.key, &keyspace);
        return std::binary_search(indexed.ids.begin(), indexed.ids.end(), keyspace);
      });
  if (!concerned && plan.index_version == 0) return {};
  return Status(StatusCode::conflict, "the indexes of a keyspace changed meanwhile");
}

Status Engine::check_keyspaces(const CommitPlan& plan) const {
  if (catalogue_.has_indexes()) [[unlikely]] {
    if (Status status = check_indexes(plan); !status.ok()) return status;
  }
  for (const Operation& operation : plan.operations()) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(operation.entry.key, &keyspace);
    if (keyspace != kDefaultKeyspaceId && catalogue_.dropped(keyspace)) [[unlikely]] {
      return Status(StatusCode::not_found, "the keyspace was dropped");
    }
  }
  return {};
}

}  // namespace lightning
