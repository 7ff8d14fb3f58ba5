// Commits that hold only if nobody overtook them: those of transactions. Between its moment (CommitCheck) and
// its place L in the log nobody may have written what it names.
//
// The check goes along the log, in up to three parts:
//  a. [since, upto), outside of the epoch, on a counted View: memtables by point index or in order, runs that
//     may hold something so young by lookup and walk. Only where `since` lies in an older segment, or far
//     back: so that the rest lies in the active segment and is short.
//  b. [upto, L) for the keys that it writes: the heads of their chains, under their buckets' locks. Nobody
//     else who holds a place below L for one of these keys can still be without his entry (I3), since all of
//     older segments is published by then.
//  c. [upto, L) for what has no lock: keys and ranges that it read, range removals of its own and, while
//     there are any, of others. It reserves L, waits until `published` is L, so that all before it can be
//     read, and looks through the log. Where somebody was first its place is left to an empty record.

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "engine/engine.h"
#include "engine/scopes.h"
#include "format/internal_key.h"
#include "log/scan.h"

namespace lightning {

namespace {

// So much log is looked through record by record; more is asked of the indexes.
constexpr uint64_t kScannedBytesMax = 128 << 10;

// What a commit writes, by its range removals.
bool ranges_touch(const CommitPlan& plan, const LogEntry& entry) {
  const bool removes_range = entry.kind == EntryKind::remove_range;
  if (!removes_range && !plan.has_ranges()) return false;
  return std::any_of(plan.operations().begin(), plan.operations().end(), [&](const Operation& operation) {
    const LogEntry& mine = operation.entry;
    if (mine.kind != EntryKind::remove_range)
      return removes_range && entry.key <= mine.key && mine.key < entry.value;
    if (removes_range) return entry.key < mine.value && mine.key < entry.value;
    return mine.key <= entry.key && entry.key < mine.value;
  });
}

// The first entry of [from, to) that touches; the records are published. False: none does.
template <typename Fn>
bool find_in_log(const Segment& segment, uint64_t from, uint64_t to, Fn&& touches, std::string_view* key) {
  for (uint64_t at = from; at < to;) {
    const char* record = segment.at(at);
    const uint32_t length = record_length_of(record);
    if (record_kind_of(record) == RecordKind::commit) {
      bool found = false;
      for_each_entry(record, length, [&](uint64_t, const LogEntry& entry) {
        if (found || !touches(entry)) return;
        found = true;
        *key = entry.key;
      });
      if (found) return true;
    }
    at += length;
  }
  return false;
}

bool newer_in_memory(const MemSource& source, std::string_view key, uint64_t hash, uint64_t since) {
  const MemTable& table = *source.table;
  const uint32_t head = table.point_index().find(hash);
  if (head == kNoEntry) return false;
  const uint32_t entry = table.visible(head, key, kReadAllLsn);
  return entry != kNoEntry && table.lsn_of(entry) >= since;
}

}  // namespace

std::string printable_key(std::string_view key) {
  constexpr size_t kShown = 60;
  constexpr char kDigits[] = "0123456789abcdef";
  uint32_t keyspace = 0;
  const size_t prefix = parse_keyspace_prefix(key, &keyspace);
  std::string text = "\"";
  for (const char c : key.substr(prefix, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      text.push_back(c);
    } else {
      text.append("\\x").push_back(kDigits[byte >> 4]);
      text.push_back(kDigits[byte & 15]);
    }
  }
  text.append(key.size() - prefix > kShown ? "\"..." : "\"");
  if (keyspace != kDefaultKeyspaceId) text.append(" in keyspace ").append(std::to_string(keyspace));
  return text;
}

Status conflict_over(std::string_view key) {
  try {
    return Status(StatusCode::conflict, "another commit was first to write " + printable_key(key));
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::conflict, "another commit was first");
  }
}

Status Engine::commit_checked(std::span<Operation> operations, const CommitCheck& check,
                              const WriteOptions& options) {
  uint64_t now = 0;
  uint64_t bytes = 0;
  const bool default_ttls = catalogue_.has_default_ttls();
  for (Operation& operation : operations) {
    if (operation.expiry != 0 || default_ttls) set_expiry(operation, operation.expiry, &now);
    bytes += operation.entry.key.size() + operation.entry.value.size();
  }
  if (bytes > kBatchBytesMax) {
    return Status(StatusCode::invalid_argument, "a transaction writes at most 1 GiB");
  }
  CommitPlan plan(operations);
  plan.index_version = check.index_version;
  if (check.deadline != nullptr) plan.deadline = *check.deadline;
  CheckedCommit checked{.check = check, .upto = check.since};
  CheckedCommit* const given = check.any() ? &checked : nullptr;
  Status status;
  if (plan.has_ranges()) {
    if (status = refused(); !status.ok()) return status;
    const RangeCommit announced(*this);
    status = commit(plan, options, given, check.owner);
  } else {
    status = commit(plan, options, given, check.owner);
  }
  if (check.deadline != nullptr) *check.deadline = plan.deadline;
  if (status.is(StatusCode::conflict))
    counters_.transaction_conflicts.fetch_add(1, std::memory_order_relaxed);
  return status;
}

// Steps 1 to 6 as of try_commit(), in one epoch. Behind its reservation it waits for the commits in front of
// it, which hold all that they need: nobody waits for anybody in a circle.
Engine::Attempt Engine::try_checked(CommitPlan& plan, CheckedCommit& checked, LockOwner owner, bool mirror,
                                    Outcome* outcome) {
  if (outcome->status = bring_check_up(plan, &checked); !outcome->status.ok()) return Attempt::failed;
  INTERLEAVE("checked.below");
  EpochGuard epoch;
  if (outcome->status = refused(); !outcome->status.ok()) return Attempt::failed;
  if (outcome->status = check_keyspaces(plan); !outcome->status.ok()) return Attempt::failed;
  const View* view = view_.load(std::memory_order_seq_cst);  // partner: settle_key()
  if (view->active == nullptr) return Attempt::need_segment;
  const MemSource& source = *view->active;
  Segment& segment = *source.segment;
  outcome->segment_number = segment.number();
  if (plan.length() > segment.record_bytes_max()) return Attempt::oversized;
  if (segment.full()) return Attempt::need_segment;
  if (segment.base_lsn() > checked.upto) return Attempt::again;
  LIGHTNING_INVARIANT("X2", checked.upto <= log_.published());

  MemTable& table = *source.table;
  if (outcome->status = plan.lock(table); !outcome->status.ok()) return Attempt::failed;  // 2
  if (is_blocked(plan, owner, outcome)) {
    plan.unlock(table);
    return Attempt::locked;
  }
  INTERLEAVE("checked.locked");
  if (const Operation* overtaken = overtaken_write(plan, checked, source)) {
    plan.unlock(table);
    outcome->status = conflict_over(overtaken->entry.key);
    return Attempt::failed;
  }
  const Segment::Reserved reserved = segment.reserve(plan.length(), &outcome->lsn);  // 3
  INTERLEAVE("checked.reserved");
  if (reserved != Segment::Reserved::here) {
    plan.unlock(table);
    if (reserved == Segment::Reserved::crossed) close_segment(source, outcome->lsn, outcome);
    return Attempt::need_segment;
  }
  std::string_view key;
  const bool first = is_first(plan, checked, source, outcome->lsn, &key);
  if (first) fill(plan, source, outcome->lsn);  // 4, 5
  plan.unlock(table);
  if (first) {
    if (vacancies_.any()) end_vacancies(plan, outcome->lsn);
    counters_.commits.add(1);
    counters_.user_bytes_written.add(plan.user_bytes());
    if (plan.removals() != 0) outcome->repace = note_removals(plan.removals());
  } else {
    fill_empty(source, outcome->lsn, static_cast<uint32_t>(plan.length()));
  }
  complete_record(segment, plan, mirror, outcome);  // 6
  if (!first) outcome->status = conflict_over(key);
  return Attempt::done;
}

const Operation* Engine::overtaken_write(const CommitPlan& plan, const CheckedCommit& checked,
                                         const MemSource& source) {
  if (!checked.check.writes) return nullptr;
  for (const Operation& operation : plan.operations()) {
    if (operation.entry.kind != EntryKind::remove_range &&
        newer_in_memory(source, operation.entry.key, operation.hash, checked.upto)) {
      return &operation;
    }
  }
  return nullptr;
}

// A commit with a range removal says so in the View before it reserves: who reserved later finds it said.
bool Engine::is_first(const CommitPlan& plan, const CheckedCommit& checked, const MemSource& source,
                      uint64_t lsn, std::string_view* key) {
  const CommitCheck& check = checked.check;
  const bool ranges = view_.load(std::memory_order_acquire)->range_removals.load(std::memory_order_relaxed);
  if (!checked.at_turn(plan) && !(check.writes && ranges)) return true;
  log_.wait_turn(lsn);
  INTERLEAVE("checked.turn");
  return !find_in_log(
      *source.segment, checked.upto, lsn,
      [&](const LogEntry& entry) {
        return (check.reads != nullptr && check.reads->is_touched_by(entry)) ||
               (check.writes && ranges_touch(plan, entry));
      },
      key);
}

void Engine::fill_empty(const MemSource& source, uint64_t lsn, uint32_t length) {
  const Segment& segment = *source.segment;
  char* const record = segment.at(lsn);
  put_record_header(record, RecordKind::empty, length, lsn, log_.durable(), segment.salt());
  std::memset(record + kRecordHeaderBytes, 0, length - kRecordHeaderBytes);
  seal_record_body(record, length, lsn, segment.salt());
}

bool Engine::is_near(const CommitPlan& plan, const CheckedCommit& checked, const View& view,
                     uint64_t published) {
  if (view.active->segment->base_lsn() > checked.upto) return false;
  const bool scans = checked.at_turn(plan) || view.range_removals.load(std::memory_order_relaxed);
  // Without a registration nothing else can be asked.
  return !scans || published - checked.upto <= kScannedBytesMax || checked.check.reader == nullptr;
}

Status Engine::bring_check_up(const CommitPlan& plan, CheckedCommit* checked) {
  constexpr int kTries = 4;  // the log may grow as fast as it is looked through
  {
    EpochGuard epoch;  // mostly there is nothing to do
    const uint64_t published = log_.published();
    const View* view = view_.load(std::memory_order_acquire);
    if (view->active == nullptr || is_near(plan, *checked, *view, published)) return {};
  }
  for (int tries = 0; tries < kTries;) {
    const uint64_t published = log_.published();
    const std::shared_ptr<const View> view = this->view();
    if (view->active == nullptr) return {};
    if (is_near(plan, *checked, *view, published)) return {};
    const uint64_t base = view->active->segment->base_lsn();
    if (checked->check.reader == nullptr) return conflict_over(plan.operations()[0].entry.key);
    if (published < base) {
      log_.wait_published(base);
      continue;
    }
    if (Status status = check_below(plan, checked, *view, published); !status.ok()) return status;
    ++tries;
  }
  return {};
}

// Part a. `view` was taken after `published`: it has all that lies below, unless the moment was given up
// before.
Status Engine::check_below(const CommitPlan& plan, CheckedCommit* checked, const View& view,
                           uint64_t published) const {
  const CommitCheck& check = checked->check;
  const uint64_t since = checked->upto;
  if (check.reader == nullptr) return conflict_over(plan.operations()[0].entry.key);
  if (check.reader->too_old()) return too_old();
  if (check.writes) {
    for (const Operation& operation : plan.operations()) {
      const LogEntry& entry = operation.entry;
      Status status = entry.kind == EntryKind::remove_range
                          ? check_range(view, entry.key, entry.value, since, published)
                          : check_key_unchanged(view, entry.key, operation.hash, since);
      if (!status.ok()) return status;
    }
  }
  if (Status status = check_reads(check, view, since, published); !status.ok()) return status;
  checked->upto = published;
  return {};
}

Status Engine::check_reads(const CommitCheck& check, const View& view, uint64_t since,
                           uint64_t published) const {
  if (check.reader->too_old()) return too_old();
  if (check.reads == nullptr) return {};
  for (const Footprint::Key& key : check.reads->keys()) {
    if (Status status = check_key_unchanged(view, key.bytes, key.hash, since); !status.ok()) return status;
  }
  for (const Footprint::Range& range : check.reads->ranges()) {
    if (Status status = check_range(view, range.from, range.to, since, published); !status.ok())
      return status;
  }
  return {};
}

// The entries of a dropped keyspace may be gone without a trace.
bool Engine::keyspace_gone(std::string_view key) const {
  uint32_t keyspace = 0;
  (void)parse_keyspace_prefix(key, &keyspace);
  return keyspace != kDefaultKeyspaceId && !not_dropped(keyspace).ok();
}

Status Engine::check_key_unchanged(const View& view, std::string_view key, uint64_t hash,
                                   uint64_t since) const {
  const auto changed_in = [&](const MemSource& source) {
    if (source.end_lsn <= since) return false;
    if (newer_in_memory(source, key, hash, since)) return true;
    const uint64_t removed = source.table->range_removals().newest(key, kReadAllLsn);
    return removed != 0 && removed >= since;
  };
  bool changed = view.active != nullptr && changed_in(*view.active);
  for (const auto& source : view.sealed) changed = changed || changed_in(*source);
  if (changed || keyspace_gone(key)) return conflict_over(key);
  for (const auto& run : view.runs) {
    if (const std::shared_ptr<const RunFile>* file = run->file_of(key)) {
      const RunPiece& piece = run->info().pieces[static_cast<size_t>(file - run->files().data())];
      if (piece.file.lsn_max >= since || piece.ingested_at >= since) {
        Hit hit;
        const RunFile::Found found = (*file)->find(key, hash, kReadAllLsn, &hit);
        if (found == RunFile::Found::error) return hit.status;
        const uint64_t lsn = std::max(hit.lsn, piece.ingested_at);
        if (found == RunFile::Found::found && lsn >= since) return conflict_over(key);
      }
    }
    // A settled one is older than any transaction.
    const uint64_t removed = run->removals().newest(key, kReadAllLsn);
    if (removed != 0 && removed >= since) return conflict_over(key);
  }
  return {};
}

namespace {

// Is there a version at or above `since` of a key of [from, to)?
Status check_walk(SourceCursor& cursor, std::string_view from, std::string_view to, uint64_t since) {
  std::vector<Version> versions;
  for (cursor.seek(from); cursor.valid() && cursor.key() < to; cursor.next()) {
    versions.clear();
    cursor.collect_versions(&versions);
    if (!versions.empty() && versions.front().lsn >= since) return conflict_over(cursor.key());
  }
  return cursor.status();
}

Status check_run(const SortedRun& run, std::string_view from, std::string_view to, uint64_t since) {
  const std::vector<RunPiece>& pieces = run.info().pieces;
  const bool young = std::any_of(pieces.begin(), pieces.end(), [&](const RunPiece& piece) {
    return piece.file.lsn_max >= since || piece.ingested_at >= since;
  });
  if (!young) return {};
  const RangeMap& removals = run.removals();
  for (size_t i = removals.find(from); i < removals.size() && removals.from(i) < to; ++i) {
    if (removals.lsns(i).front() >= since) return conflict_over(std::max(from, removals.from(i)));
  }
  const std::unique_ptr<SourceCursor> cursor = run.cursor(kReadAllLsn);
  if (cursor == nullptr) return Status(StatusCode::out_of_memory, "a cursor");
  return check_walk(*cursor, from, to, since);
}

Status check_memtable(const MemSource& source, std::string_view from, std::string_view to, uint64_t since,
                      uint64_t published) {
  const Segment& segment = *source.segment;
  const uint64_t end = std::min(published, source.end_lsn);
  const uint64_t begin = std::max(since, segment.base_lsn());
  if (begin >= end) return {};
  if (end - begin <= kScannedBytesMax) {
    std::string_view key;
    const auto touches = [&](const LogEntry& entry) {
      if (entry.kind == EntryKind::remove_range) return entry.key < to && from < entry.value;
      return from <= entry.key && entry.key < to;
    };
    return find_in_log(segment, begin, end, touches, &key) ? conflict_over(std::max(from, key)) : Status();
  }
  std::vector<RangeRemoval> removals;
  source.table->range_removals().list(end, &removals);
  for (const RangeRemoval& removal : removals) {
    if (removal.lsn >= since && removal.from < to && from < removal.to)
      return conflict_over(std::max(from, removal.from));
  }
  if (Status status = source.order_up_to(end); !status.ok()) return status;
  const std::unique_ptr<SourceCursor> cursor = source.table->cursor(kReadAllLsn);
  if (cursor == nullptr) return Status(StatusCode::out_of_memory, "a cursor");
  return check_walk(*cursor, from, to, since);
}

}  // namespace

Status Engine::check_range(const View& view, std::string_view from, std::string_view to, uint64_t since,
                           uint64_t published) const {
  if (keyspace_gone(from)) return conflict_over(from);
  if (view.active != nullptr) {
    if (Status status = check_memtable(*view.active, from, to, since, published); !status.ok()) return status;
  }
  for (const auto& source : view.sealed) {
    if (Status status = check_memtable(*source, from, to, since, published); !status.ok()) return status;
  }
  for (const auto& run : view.runs) {
    if (Status status = check_run(*run, from, to, since); !status.ok()) return status;
  }
  return {};
}

}  // namespace lightning
