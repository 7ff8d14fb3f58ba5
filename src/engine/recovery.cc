#include "engine/recovery.h"

#include <algorithm>

#include "format/internal_key.h"
#include "log/scan.h"

namespace lightning {

Result<RecoveredLog> LogRecovery::run() {
  RecoveredLog log;
  log.end_lsn = state_.log_floor;
  if (Status status = load(); !status.ok()) return status;
  if (Status status = walk(&log); !status.ok()) return status;
  for (const Walked& walked : segments_) {
    const bool empty = walked.end == walked.segment->base_lsn();
    if (walked.open && !read_only_) {
      log.state_changed = true;
      if (Status status = empty ? Status() : mend(walked); !status.ok()) return status;
    }
    if (empty) continue;
    LogSegmentInfo info = walked.info;
    info.end_lsn = walked.end;
    log.segments.push_back(info);
    log.end_lsn = walked.end;
    if (Status status = index(walked, &log); !status.ok()) return status;
  }
  std::reverse(log.sealed.begin(), log.sealed.end());
  return log;
}

Status LogRecovery::load() {
  for (const LogSegmentInfo& info : state_.log_segments) {
    Result<std::shared_ptr<Segment>> segment = Segment::open(directory_, info.number, !read_only_);
    if (!segment) {
      if (!segment.status().is(StatusCode::not_found)) return segment.status();
      return Status(StatusCode::corruption, "a log segment is missing", segment_file_name(info.number), 0);
    }
    const SegmentIdentity& identity = (*segment)->identity();
    if (identity.database_id != state_.database_id) {
      return Status(StatusCode::corruption, "a log segment of another database",
                    segment_file_name(info.number), 48);
    }
    if (identity.base_lsn != info.base_lsn) {
      return Status(StatusCode::corruption, "a log segment of another place in the log",
                    segment_file_name(info.number), 24);
    }
    segments_.push_back(
        {.segment = *std::move(segment), .info = info, .end = 0, .open = info.end_lsn == kOpenEnd});
  }
  return {};
}

Status LogRecovery::walk(RecoveredLog* log) {
  for (size_t i = 0; i < segments_.size(); ++i) {
    Walked& walked = segments_[i];
    const Segment& segment = *walked.segment;
    const uint64_t to = walked.open ? segment.end_lsn() : walked.info.end_lsn;
    walked.end = scan_records(segment, segment.base_lsn(), to, [&](uint64_t, const RecordHeader& header) {
      ++log->records;
      log->durable_lsn = std::max(log->durable_lsn, header.durable);
    });
    if (walked.end == to) continue;
    if (!walked.open) {
      return Status(StatusCode::corruption, "a record of the log does not verify", segment.file_name(),
                    kSegmentHeaderBytes + (walked.end - segment.base_lsn()));
    }
    if (Status status = refuse_if_promised(i, walked.end); !status.ok()) return status;
    log->cut = true;
    // Later segments were never promised, whatever verifies in them. Those with a recorded end would have
    // been.
    for (size_t later = i + 1; later < segments_.size(); ++later)
      segments_[later].end = segments_[later].segment->base_lsn();
    return {};
  }
  return {};
}

Status LogRecovery::refuse_if_promised(size_t index, uint64_t cut) const {
  uint64_t durable = state_.durable_lsn;
  uint64_t published = 0;
  for (size_t i = index; i < segments_.size(); ++i) {
    const Segment& segment = *segments_[i].segment;
    durable = std::max(durable, durable_stated_from(segment, i == index ? cut : segment.base_lsn()));
    published = std::max(published, segment.published_mirror(page_cache_id(env_, directory_)));
    if (i > index && !segments_[i].open) durable = std::max(durable, segments_[i].info.end_lsn);
  }
  if (durable <= cut && published <= cut) return {};
  const Segment& segment = *segments_[index].segment;
  return Status(StatusCode::corruption,
                durable > cut ? "a durable record of the log does not verify"
                              : "a published record of the log does not verify",
                segment.file_name(), kSegmentHeaderBytes + (cut - segment.base_lsn()));
}

// What is accepted may be in the page cache only, after a sync that failed: it is dirtied again, not only
// synced.
Status LogRecovery::mend(const Walked& walked) const {
  Segment& segment = *walked.segment;
  const uint64_t durable = std::max(state_.durable_lsn, segment.base_lsn());
  return segment.rewrite(std::min(durable, walked.end), walked.end);
}

Status LogRecovery::index(const Walked& walked, RecoveredLog* log) const {
  const std::shared_ptr<Segment>& segment = walked.segment;
  Result<std::shared_ptr<MemTable>> made =
      MemTable::create(segment->data(), segment->base_lsn(), segment->capacity(), segment);
  if (!made) return made.status();
  PointIndex& points = (*made)->point_index();
  RangeRemovals& ranges = (*made)->range_removals();
  Status status;
  for_each_record(*segment, walked.end, [&](uint64_t lsn, const RecordHeader& header) {
    if (header.kind != RecordKind::commit || !status.ok()) return;
    char* const record = segment->at(lsn);
    bool changed = false;
    for_each_entry(record, header.length, [&](uint64_t offset, const LogEntry& entry) {
      const auto name = static_cast<uint32_t>((lsn - segment->base_lsn() + offset) / kLogAlignment);
      // The stored chain is the same again unless another build wrote it: it depends on the number of
      // buckets.
      const auto store_chain = [&](uint32_t head) {
        changed |= log_entry_chain(record + offset) != head;
        store<uint32_t>(record + offset - kEntryChainBytes, head);
      };
      if (entry.kind == EntryKind::remove_range) {
        store_chain(ranges.head());
        return ranges.install(name);
      }
      const uint64_t hash = hash_key(entry.key);
      if (status.ok()) status = points.lock(points.bucket_number(hash), 1);
      if (!status.ok()) return;
      store_chain(points.head(hash));
      points.install(hash, name);
      points.unlock(points.bucket_number(hash));
    });
    if (changed) seal_record_body(record, header.length, lsn, segment->salt());
  });
  if (!status.ok()) return status;
  ranges.gather(walked.end);
  auto source = std::make_shared<MemSource>();
  source->segment = segment;
  source->table = *std::move(made);
  source->end_lsn = walked.end;
  source->begun_us = state_.log_since_us;
  log->sealed.push_back(std::move(source));
  return {};
}

}  // namespace lightning
