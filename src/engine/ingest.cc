// Ingestion: sorted entries become runs without passing through the log, and visible as one commit.
//
//   1. The entries are written into run files, which nothing names; they have no LSN in them.
//   2. Where much is in memory it is flushed, twice at the most, while writers go on: little is left then.
//   3. Under flush_mutex_ and switch_mutex_ the log is ended. Writers find no active memtable and wait for
//      switch_mutex_. What is left in memory is flushed. Now everything that was ever committed is in runs
//      and published, and nobody can reserve.
//   4. The ingestion takes the next position of the log, L, for itself: the state names its files in front of
//      all runs and says that the log goes on behind L. Its LSN is L: above that of every version in the runs
//      below it, below that of every version to come (I3, I8).
//   5. A View with its run is installed, in which reads at or below L see nothing of it
//      (RunPiece::ingested_at).
//   6. `published` moves over L: now it is visible to every read to come, as a commit is.
//
// Snapshots taken before are at or below L. A merge gives the entries their LSN as long as such a snapshot
// lives (IngestedCursor), so that it keeps what that sees (I6); it leaves a run alone between 5 and 6, when a
// snapshot at L may still come. After an open there is no reader at or below L.
//
// Cut before 4 is durable, files are left behind that no state names; behind it, everything is there.

#include <lightning/ingest.h>

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "engine/engine.h"
#include "engine/scopes.h"
#include "format/expiry.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

constexpr uint64_t kEntriesBetweenLooks = 1024;
constexpr int kFlushesBeforehand = 2;
constexpr uint64_t kLittle = 8;  // less than this part of a write buffer is flushed while writers wait

// For a message: what is not printable as \xHH.
std::string readable(std::string_view key) {
  constexpr size_t kShown = 60;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : key.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 0x7f && c != '\\' && c != '"') {
      text.push_back(c);
    } else {
      text.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    }
  }
  return text.append(key.size() > kShown ? "\"..." : "\"");
}

/// Gives each entry the expiry that its keyspace has.
class SourceOfKeyspace final : public ExpiringSource {
 public:
  SourceOfKeyspace(IngestSource& source, uint64_t expiry_us) : source_(source), expiry_us_(expiry_us) {}
  bool next() override { return source_.next(); }
  std::string_view key() const override { return source_.key(); }
  std::string_view value() const override { return source_.value(); }
  Status status() const override { return source_.status(); }
  uint64_t expiry_us() const override { return expiry_us_; }

 private:
  IngestSource& source_;
  const uint64_t expiry_us_;
};

}  // namespace

Result<IngestReport> Engine::ingest(uint32_t keyspace, IngestSource& source) {
  const LongCalls::Call call(long_calls_);
  if (Status status = usable(keyspace); !status.ok()) return status;
  const uint64_t ttl_ms = catalogue_.default_ttl(keyspace);
  SourceOfKeyspace expiring(source, ttl_ms != 0 ? expiry_after(expiry_clock_.now(), ttl_ms) : 0);
  return ingest(keyspace, expiring, nullptr, {});
}

Result<IngestReport> Engine::ingest_checked(uint32_t keyspace, ExpiringSource& source,
                                            const CommitCheck& check, const WriteOptions& options) {
  const LongCalls::Call call(long_calls_);
  return ingest(keyspace, source, &check, options);
}

Result<IngestReport> Engine::ingest(uint32_t keyspace, ExpiringSource& source, const CommitCheck* check,
                                    const WriteOptions& options) {
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = usable(keyspace); !status.ok()) return status;
  // The files have no LSN in them, so that any range will do: one that is in runs already.
  const uint64_t floor = store_->state().log_floor;
  RunSetWriter writer(*directory_, *store_,
                      run_options(PolicyLimits::of(options_.write_buffer_size).file_bytes_max), codecs(true),
                      floor, floor);
  writer.set_since(garbage_time());
  Ingestion ingestion{.keyspace = keyspace,
                      .source = source,
                      .check = check,
                      .writer = writer,
                      .checked_upto = check != nullptr ? check->since : 0};
  IngestReport report;
  if (Status status = write_ingested(ingestion, &report); !status.ok()) return status;
  if (report.entries == 0) return report;
  SortedRunInfo info;
  for (const RunFileInfo& file : writer.files()) info.pieces.push_back({.file = file, .from = {}, .to = {}});
  Result<std::shared_ptr<const SortedRun>> run = open_run(info);
  if (!run) return run.status();
  ingestion.deadline = deadline_of(options);
  const Status status = install_ingested(ingestion, **run);
  refuse_after_store_failure();
  if (!status.ok()) return status;
  return report;
}

Status Engine::write_ingested(Ingestion& ingestion, IngestReport* report) {
  ExpiringSource& source = ingestion.source;
  RunSetWriter& writer = ingestion.writer;
  std::string before;
  std::string expiring(kExpiryBytes, '\0');  // an expiry, then the value
  MemoryShare memory(merge_bytes_);
  while (source.next()) {
    const std::string_view key = source.key();
    const std::string_view value = source.value();
    if (Status status = check_key(key); !status.ok()) return status;
    if (Status status = check_value(value); !status.ok()) return status;
    if (report->entries != 0 && key <= before) {
      return Status(StatusCode::invalid_argument, "the key " + readable(key) + " does not stand behind " +
                                                      readable(before) + ", which came before it");
    }
    before = key;
    const InternalKey internal(ingestion.keyspace, key);
    if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of an ingestion");
    Version version{.lsn = kSettledLsn, .kind = EntryKind::put, .value = value};
    if (const uint64_t expiry_us = source.expiry_us(); expiry_us != 0) {
      store<uint64_t>(expiring.data(), expiry_us);
      expiring.replace(kExpiryBytes, std::string::npos, value);
      version.kind = EntryKind::put_expiring;
      version.value = expiring;
    }
    if (Status status = writer.add(internal.view(), {&version, 1}); !status.ok()) return status;
    if (report->entries++ % kEntriesBetweenLooks != 0) continue;
    memory.set(writer.memory_bytes());
    if (Status status = refused(); !status.ok()) return status;
  }
  if (Status status = source.status(); !status.ok()) return status;
  if (Status status = writer.finish({}); !status.ok()) return status;
  report->bytes = writer.bytes();
  report->files = writer.files().size();
  return {};
}

// From its first key to its last one it is like a write of all: it waits for the locks there.
Status Engine::install_ingested(Ingestion& ingestion, const SortedRun& run) {
  const WriteLocks locks(*this);
  const std::string_view from = run.ranges().front().smallest;
  const std::string to = std::string(run.ranges().back().largest) + '\0';
  for (;;) {
    bool blocked = locks_.count() != 0 && locks_.range_blocked(locks.owner(), from, to);
    if (!blocked) {
      const Status status = try_install_ingested(ingestion, run, locks.owner(), &blocked);
      if (!blocked) return status;
    }
    if (Status status = usable(); !status.ok()) return status;
    const Status status =
        locks_.acquire_range(locks.owner(), from, to, KeyLock::exclusive, ingestion.deadline);
    if (!status.ok()) return status;
  }
}

Status Engine::try_install_ingested(Ingestion& ingestion, const SortedRun& run, LockOwner owner,
                                    bool* blocked) {
  const auto much_in_memory = [this] {
    const std::shared_ptr<const View> now = view();
    return !now->sealed.empty() ||
           (now->active != nullptr && now->active->segment->used() > options_.write_buffer_size / kLittle);
  };
  for (int i = 0; i < kFlushesBeforehand && much_in_memory(); ++i) {
    const uint64_t end = seal_active();
    log_.wait_published(end);
    MutexLock lock(flush_mutex_);
    if (Status status = flush_sealed(end); !status.ok()) return status;
  }
  if (Status status = check_ingestion(ingestion); !status.ok()) return status;
  Sources flushed;
  Status status;
  {
    const Releasing releasing(*this);
    MutexLock flush_lock(flush_mutex_);
    {
      MutexLock switch_lock(switch_mutex_);
      try {
        status = flush_log(&flushed);
        if (status.ok()) status = name_ingested(ingestion, run, owner, blocked);
      } catch (const std::bad_alloc&) {
        status = Status(StatusCode::out_of_memory, "an ingestion");
      }
    }
    if (!flushed.empty()) retire_segment_files(flushed);  // whatever became of the ingestion
    flushed.clear();
  }
  if (!view()->sealed.empty()) schedule_flush();
  schedule_merge();
  return status;
}

// Little is left to be looked at while writers wait, where much was looked at before.
Status Engine::check_ingestion(Ingestion& ingestion) const {
  if (ingestion.check == nullptr) return {};
  const uint64_t published = log_.published();
  const std::shared_ptr<const View> view = this->view();
  if (Status status = check_reads(*ingestion.check, *view, ingestion.checked_upto, published); !status.ok())
    return status;
  ingestion.checked_upto = published;
  return {};
}

Status Engine::flush_log(Sources* flushed) {
  if (Status status = refused(); !status.ok()) return status;
  end_active();
  if (spare_ != nullptr) {
    if (Status status = pass_over_spare(); !status.ok()) return status;
  }
  if (view()->active != nullptr) {
    install_view([](View& next) {
      next.sealed.insert(next.sealed.begin(), next.active);
      next.active = nullptr;
    });
  }
  const std::shared_ptr<const View> now = view();
  Sources sources(now->sealed.rbegin(), now->sealed.rend());
  if (sources.empty()) return log_.wait_durable(log_.published());
  if (Status status = flush_into_run(sources); !status.ok()) return status;
  *flushed = std::move(sources);  // without memory
  return {};
}

Status Engine::name_ingested(Ingestion& ingestion, const SortedRun& run, LockOwner owner, bool* blocked) {
  const uint32_t keyspace = ingestion.keyspace;
  if (Status status = usable(keyspace); !status.ok()) return status;
  const std::shared_ptr<const IndexRecords> indexes = catalogue_.index_records();
  for (const IndexRecord& record : indexes->all) {
    if (record.keyspace == keyspace)
      return Status(StatusCode::busy, "the keyspace got an index while it was ingested into");
  }
  const std::string to = std::string(run.ranges().back().largest) + '\0';
  const Unseen announced(*this);
  if (locks_.count() != 0 && locks_.range_blocked(owner, run.ranges().front().smallest, to)) {
    *blocked = true;
    return {};
  }
  if (Status status = check_ingestion(ingestion); !status.ok()) return status;
  SortedRunInfo info = run.info();
  const uint64_t lsn = store_->state().next_base_lsn;
  const uint64_t behind = lsn + kLogAlignment;
  const UnseenPuts unseen(vacancies_);
  {
    EpochGuard epoch;
    vacancies_.note_puts(run.ranges().front().smallest, run.ranges().back().largest, lsn);
  }
  LIGHTNING_INVARIANT("I8", log_.published() <= lsn && log_.durable() == log_.published());
  for (RunPiece& piece : info.pieces) piece.ingested_at = lsn;
  const auto shown = std::make_shared<const SortedRun>(info, run.files());
  const std::function<void(View&)> change = [&](View& next) { next.runs.insert(next.runs.begin(), shown); };
  // Nothing may fail behind the commit.
  ViewRoom room = room_for_view(kSealedMax, kRunsRoom);
  INTERLEAVE("ingest.before_commit");
  Status status = ingestion.writer.commit([&](DurableState& next) {
    next.runs.insert(next.runs.begin(), info);
    next.log_segments.clear();
    next.log_since_us = 0;
    next.log_floor = behind;
    next.durable_lsn = std::max(next.durable_lsn, behind);
    next.next_base_lsn = behind;
  });
  if (!status.ok()) {
    if (!ingestion.writer.kept()) return status;
    refuse_after_store_failure();  // before it is shown: nothing may call it durable
    status = unknown_outcome(status);
  }
  log_.forget_below(behind);
  install_view(change, std::move(room));
  INTERLEAVE("ingest.installed");
  log_.skip_to(behind, status.ok());
  counters_.commits.add(1);
  return status;
}

}  // namespace lightning
