// Segments of the log as the engine sees them: switching to the next one, preparing it ahead, giving old ones
// up, and the timer that bounds what a power cut can take.

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "engine/engine.h"

namespace lightning {

namespace {

constexpr uint64_t kFirstCapacity = 1 << 20;
constexpr uint64_t kNanosPerMilli = 1'000'000;
// How far ahead of the writers pages of memory and of the mapped file are made present, and how early that
// begins.
constexpr uint64_t kAheadBytes = 4 << 20;
constexpr uint64_t kAheadTriggerBytes = 2 << 20;
constexpr uint64_t kMemoryWaitNs = 100 * kNanosPerMilli;
constexpr uint64_t kTimerPeriodNs = 100 * kNanosPerMilli;

// The whole file, header included, is a power of two.
uint64_t capacity_of(uint64_t file_bytes) { return file_bytes - kSegmentHeaderBytes; }

}  // namespace

uint64_t Engine::next_capacity() const {
  const uint64_t most = capacity_of(options_.write_buffer_size);
  if (last_capacity_ == 0) return std::min(most, capacity_of(kFirstCapacity));
  return std::min(most, capacity_of(2 * (last_capacity_ + kSegmentHeaderBytes)));
}

Status Engine::switch_segment(uint64_t full_number, uint64_t deadline) {
  MutexLock lock(switch_mutex_);
  MemoryQueue::Place place(memory_queue_);
  for (;;) {
    if (Status status = refused(); !status.ok()) return status;
    const std::shared_ptr<const View> view = this->view();
    const uint64_t active = view->active == nullptr ? 0 : view->active->segment->number();
    if (active != full_number) return {};
    const uint64_t capacity = next_capacity();
    const uint64_t before = view_sequence();
    if (Status status = wait_for_memory(capacity, deadline, place); !status.ok()) return status;
    if (view_sequence() != before) continue;  // it waited, and unlocked
    Result<std::shared_ptr<const MemSource>> source = make_source(capacity);
    if (!source) return source.status();
    INTERLEAVE("switch.made");
    last_capacity_ = (*source)->segment->capacity();
    ViewRoom room;
    if (Status status = prepare_activation(**source, &room); !status.ok()) return status;
    return activate(*std::move(source), std::move(room));
  }
}

bool Engine::memory_allows(uint64_t capacity) const {
  const std::shared_ptr<const View> view = this->view();
  if (view->sealed.size() >= kSealedMax) return false;
  const uint64_t held = memory_bytes(*view);
  const uint64_t more = spare_ != nullptr ? spare_->memory_bytes() : capacity;
  return held + more + more / kIndexShare <= options_.memory_limit;
}

Status Engine::wait_for_memory(uint64_t capacity, uint64_t deadline, MemoryQueue::Place& place) {
  const uint64_t before = view_sequence();
  uint64_t began = 0;
  Status status;
  place.join();
  // Once the View changed the caller looks again: what it wanted memory for may be there.
  while (view_sequence() == before) {
    if (status = refused(); !status.ok()) break;
    if (place.first()) {
      if (memory_allows(capacity)) break;
      // With nothing to wait for the write goes on: one active memtable is always allowed.
      const std::shared_ptr<const View> view = this->view();
      const bool alone = view->sealed.empty() && (view->active == nullptr || view->active->segment->full());
      if (alone && !releasing_.load()) break;
    }
    const uint64_t now = env_.clock().monotonic_ns();
    if (began == 0) {
      began = now;
      counters_.stalls.fetch_add(1, std::memory_order_relaxed);
      report(EventKind::stall, "a write waits for memory", capacity, 0, {});
    }
    if (now >= deadline) {
      const Status cause = background_error();
      status =
          cause.is(StatusCode::no_space) ? cause : Status(StatusCode::busy, "no memory before the deadline");
      break;
    }
    schedule_flush();
    // Looks again in any case: what it waits for may end without a word, as a close does.
    memory_freed_.wait(switch_mutex_, std::min(deadline - now, kMemoryWaitNs));
  }
  if (began != 0) {
    counters_.stall_us.fetch_add((env_.clock().monotonic_ns() - began) / 1000, std::memory_order_relaxed);
  }
  return status;
}

Result<std::shared_ptr<Segment>> Engine::make_segment(uint64_t capacity) {
  // Whether the disk names the segment of a failed commit is not known: its file stays as it is.
  if (Status status = store_->failure(); !status.ok()) return status;
  const DurableState state = store_->state();
  // No number is tried twice: the file of a failed attempt may be there still.
  next_segment_number_ = std::max(next_segment_number_, state.next_segment_number);
  const SegmentIdentity identity{.number = next_segment_number_++,
                                 .base_lsn = state.next_base_lsn,
                                 .capacity = capacity,
                                 .salt = env_.random(),
                                 .database_id = state.database_id,
                                 .incarnation = state.incarnation,
                                 .page_cache_id = page_cache_id_};
  const std::string name = segment_file_name(identity.number);
  const auto give_up = [&](const Status& status) {
    (void)directory_->remove(name);
    return status;
  };
  const uint64_t now_us = garbage_time();
  const std::function<void(DurableState&)> edit = [&](DurableState& next) {  // before there is a file
    if (next.log_segments.empty()) next.log_since_us = now_us;
    next.log_segments.push_back({.number = identity.number, .base_lsn = identity.base_lsn});
    next.next_segment_number = identity.number + 1;
    next.next_base_lsn = identity.base_lsn + capacity;
  };
  std::unique_ptr<File> recycled;
  if (recycled_ != nullptr && recycled_capacity_ == capacity) {
    recycled = std::move(recycled_);
    const std::string former = segment_file_name(recycled_number_);
    if (Status status = directory_->rename(former, name); !status.ok()) {
      (void)directory_->remove(former);  // under which name it is now is not known
      return give_up(status);
    }
  }
  Result<std::shared_ptr<Segment>> segment(Status(StatusCode::out_of_memory, "a segment of the log"));
  try {
    segment =
        Segment::create(*directory_, identity, mapped_ ? SegmentFileKind::mapped : SegmentFileKind::written,
                        std::move(recycled));
  } catch (const std::bad_alloc&) {
    return give_up(segment.status());
  }
  if (!segment) return give_up(segment.status());
  // Before its first record: its name and its place in the log are durable.
  const Status status = store_->commit(edit);
  if (!status.ok()) {
    refuse_after_store_failure();
    return store_->failure().ok() ? give_up(status) : status;
  }
  return segment;
}

Result<std::shared_ptr<const MemSource>> Engine::make_source(uint64_t capacity) {
  auto source = std::make_shared<MemSource>();
  std::shared_ptr<Segment> segment = std::move(spare_);
  if (segment == nullptr) {
    Result<std::shared_ptr<Segment>> made = make_segment(capacity);
    if (!made) return made.status();
    segment = *std::move(made);
  }
  Result<std::shared_ptr<MemTable>> table =
      MemTable::create(segment->data(), segment->base_lsn(), segment->capacity(), segment);
  if (!table) {
    spare_ = std::move(segment);
    return table.status();
  }
  LIGHTNING_INVARIANT("I1", segment->capacity() >= capacity || capacity == next_capacity());
  source->end_lsn = segment->end_lsn();
  source->removals_before = counters_.removals.sum();
  source->begun_us = garbage_time();
  source->segment = std::move(segment);
  source->table = *std::move(table);
  return std::shared_ptr<const MemSource>(std::move(source));
}

// Ends the spare unused: its place in the log cannot be given to another segment.
Status Engine::pass_over_spare() {
  Result<std::shared_ptr<const MemSource>> source = make_source(0);
  if (!source) return source.status();
  const std::shared_ptr<const MemSource> passed = *std::move(source);
  ViewRoom room;
  if (Status status = prepare_activation(*passed, &room); !status.ok()) return status;
  Outcome outcome;
  passed->segment->reserve_first(passed->segment->capacity());
  close_segment(*passed, passed->segment->base_lsn(), &outcome);
  if (Status status = activate(passed, std::move(room)); !status.ok()) return status;
  log_.publish(outcome.end_record_lsn, outcome.end_record_length);
  return {};
}

// Its place in the log cannot be given to another: without memory it waits as the spare.
Status Engine::prepare_activation(const MemSource& source, ViewRoom* room) {
  constexpr size_t kRunsMeanwhile = 8;  // that flushes may install beside this
  const uint64_t base_lsn = source.segment->base_lsn();
  try {
    *room = room_for_view(1, kRunsMeanwhile);
    if (!log_started_) {
      // A recovery leaves a gap before the next segment.
      log_started_ = true;
      log_.start_at(base_lsn, base_lsn);
      counters_.log_start_lsn.store(base_lsn, std::memory_order_relaxed);
    }
    log_.append_segment(source.segment);
    return {};
  } catch (const std::bad_alloc&) {
    spare_ = source.segment;
    return Status(StatusCode::out_of_memory, "a new View");
  }
}

// The View with the new memtable comes first; whoever loads it may reserve.
Status Engine::activate(std::shared_ptr<const MemSource> source, ViewRoom room) {
  const std::shared_ptr<Segment> segment = source->segment;
  bool sealed = false;
  segment->set_ahead_trigger(segment->base_lsn());
  try {
    install_view(
        [&](View& next) {
          sealed = next.active != nullptr;
          if (sealed) next.sealed.insert(next.sealed.begin(), next.active);
          next.active = std::move(source);
        },
        std::move(room));
  } catch (const std::bad_alloc&) {
    spare_ = segment;
    return Status(StatusCode::out_of_memory, "a new View");
  }
  if (sealed) schedule_flush();
  return {};
}

void Engine::end_active() {
  const std::shared_ptr<const View> now = view();
  if (now->active == nullptr) return;
  const MemSource& active = *now->active;
  Outcome outcome;
  if (active.segment->reserve(active.segment->record_bytes_max() + 1, &outcome.lsn) ==
      Segment::Reserved::crossed) {
    close_segment(active, outcome.lsn, &outcome);
  }
  // Whoever else crossed the end, or still fills a record, waits for nothing that is held here.
  log_.wait_published(active.end_lsn);
}

// Called by the writer that met the trigger: keeps a window of memory and mapping present, and the next
// segment ready.
void Engine::prepare_ahead() {
  update_pace();
  const auto prepare = [this] {
    const std::shared_ptr<const View> now = view();
    if (now->active == nullptr) return;
    Segment& segment = *now->active->segment;
    const uint64_t used = segment.used();
    const uint64_t to = std::min(used + kAheadBytes, segment.capacity());
    segment.populate(used, to);
    if (used > segment.capacity() / 2) prepare_spare();
    if (to < segment.capacity()) segment.set_ahead_trigger(segment.base_lsn() + to - kAheadTriggerBytes);
  };
  background_.run(Lane::quick, prepare);
}

void Engine::prepare_spare() {
  MutexLock lock(switch_mutex_);
  if (spare_ != nullptr || !refused().ok()) return;
  if (view()->active == nullptr || !memory_queue_.empty() || !memory_allows(next_capacity())) return;
  // A failure is no news yet: whoever needs the segment tries again and reports.
  Result<std::shared_ptr<Segment>> made = make_segment(next_capacity());
  if (made) spare_ = *std::move(made);
}

// The manifest that names their runs instead is durable (I7).
void Engine::retire_segment_files(const std::vector<std::shared_ptr<const MemSource>>& sources) {
  epoch_synchronize();  // a writer may still look at the mapping behind its mark
  MutexLock lock(switch_mutex_);
  for (const auto& source : sources) {
    Segment& segment = *source->segment;
    segment.drop_mapping();
    if (segment.keeps_file()) continue;
    const bool keep = recycled_ == nullptr && segment.capacity() == capacity_of(options_.write_buffer_size) &&
                      segment.kind() == SegmentFileKind::mapped && segment.file().recyclable() &&
                      refused().ok();
    if (keep) {
      recycled_ = segment.take_file();
      recycled_number_ = segment.number();
      recycled_capacity_ = segment.capacity();
    } else {
      (void)directory_->remove(segment.file_name());
    }
  }
}

void Engine::memory_released() {
  try {
    epoch_reclaim();
  } catch (const std::bad_alloc&) {
    // The next one frees it.
  }
  releasing_.store(false);
  update_pace();
  MutexLock lock(switch_mutex_);
  memory_freed_.notify_all();
}

// Runs while there is something that is published and not durable; ends once all is, and the log says so.
// Where it cannot run, what it would make durable is made so here.
Status Engine::start_timer() {
  if (timer_running_.exchange(true, std::memory_order_acq_rel)) return {};
  if (background_.run_after(Lane::slow, kTimerPeriodNs, [this] { on_timer(); })) return {};
  timer_running_.store(false, std::memory_order_seq_cst);
  // Whoever wrote while the flag was up relies on this, too.
  return options_.flush_interval_ms == 0 ? Status() : log_.wait_durable(log_.published());
}

void Engine::on_timer() {
  bool again = true;
  try {
    again = timer_step();
  } catch (const std::bad_alloc&) {
    // The next step may have memory.
  }
  timer_running_.store(false, std::memory_order_seq_cst);
  // Whoever wrote while the flag was still up relies on this look.
  const bool exposed = options_.flush_interval_ms != 0 && log_.durable() < log_.published();
  if (refused().ok() && !log_.failed() && (again || exposed)) (void)start_timer().ok();
}

bool Engine::timer_step() {
  if (!refused().ok() || log_.failed()) return false;
  const uint64_t published = log_.published();
  const uint64_t durable = log_.durable();
  if (durable == published) {
    note_background(Work::log, {});  // whoever made it durable
    return idle_marked_lsn_ != published && append_empty_record();
  }
  const uint64_t interval = options_.flush_interval_ms * kNanosPerMilli;
  if (interval == 0) return false;
  const uint64_t now = env_.clock().monotonic_ns();
  if (exposed_from_lsn_ != durable) {
    exposed_from_lsn_ = durable;
    exposed_since_ns_ = now;
  }
  if (now - exposed_since_ns_ + kTimerPeriodNs >= interval)
    note_background(Work::log, log_.wait_durable(published));
  return true;
}

// States in the log itself, and once, that everything before is durable: narrows what damage could be taken
// for a torn tail after a power cut. False: there is no place for it.
bool Engine::append_empty_record() {
  uint64_t lsn = 0;
  uint32_t length = kRecordBytesMin;
  {
    EpochGuard epoch;
    const View* view = view_.load(std::memory_order_acquire);
    if (view->active == nullptr || !refused().ok()) return false;
    Segment& segment = *view->active->segment;
    const Segment::Reserved reserved = segment.reserve(kRecordBytesMin, &lsn);
    if (reserved == Segment::Reserved::beyond) return false;
    if (reserved == Segment::Reserved::crossed) {
      Outcome outcome;
      close_segment(*view->active, lsn, &outcome);
      length = outcome.end_record_length;
    } else {
      char* const record = segment.at(lsn);
      put_record_header(record, RecordKind::empty, kRecordBytesMin, lsn, log_.durable(), segment.salt());
      for (uint64_t at = kRecordHeaderBytes; at < kRecordBytesMin; ++at) record[at] = 0;
      seal_record_body(record, kRecordBytesMin, lsn, segment.salt());
      segment.complete(lsn, kRecordBytesMin);
    }
  }
  log_.publish(lsn, length);
  const uint64_t published = log_.published();
  note_background(Work::log, log_.wait_durable(published));
  idle_marked_lsn_ = published;
  return true;
}

}  // namespace lightning
