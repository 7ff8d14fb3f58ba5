#include "admin/log_walk.h"

#include <algorithm>
#include <utility>

namespace lightning {

namespace {

Status damaged(const Segment& segment, std::string_view what, uint64_t lsn) {
  return Status(StatusCode::corruption, what, segment.file_name(),
                kSegmentHeaderBytes + (lsn - segment.base_lsn()));
}

/// What is missing, damaged or cannot be read leaves the rest to be walked; anything else ends the walk.
bool is_damage(const Status& status) {
  return status.is(StatusCode::corruption) || status.is(StatusCode::not_found) ||
         status.is(StatusCode::io_error);
}

}  // namespace

LogWalk::LogWalk(Directory& directory, Source source, LogEvents events)
    : directory_(directory), source_(std::move(source)), events_(std::move(events)) {}

Status LogWalk::run() {
  for (size_t i = 0; i < source_.segments.size(); ++i) {
    Result<std::shared_ptr<Segment>> segment = load(i, true);
    if (!segment) {
      if (!is_damage(segment.status())) return segment.status();
      continue;
    }
    if (source_.keep) segments_.push_back(*segment);
    Result<Next> next = walk(i, **segment);
    if (!next) return next.status();
    if (*next == Next::end) return {};
  }
  return {};
}

Status LogWalk::refuse(const Segment& segment, const LogSegmentInfo& info) const {
  if (source_.database_id != 0 && segment.identity().database_id != source_.database_id)
    return Status(StatusCode::corruption, "a log segment of another database", segment.file_name(), 48);
  if (segment.base_lsn() != info.base_lsn)
    return Status(StatusCode::corruption, "a log segment of another place in the log", segment.file_name(),
                  24);
  if (info.end_lsn != kOpenEnd && info.end_lsn > segment.end_lsn())
    return Status(StatusCode::corruption, "a log segment that is too short", segment.file_name(), 32);
  return {};
}

Result<std::shared_ptr<Segment>> LogWalk::load(size_t index, bool tell) {
  const LogSegmentInfo& info = source_.segments[index];
  Result<std::shared_ptr<Segment>> segment = Segment::open(directory_, info.number, false);
  Status status = segment.status();
  if (segment) status = refuse(**segment, info);
  if (status.is(StatusCode::not_found)) {
    status = Status(StatusCode::corruption, "a log segment is missing", segment_file_name(info.number),
                    Status::kWholeFile);
  } else if (!segment && status.is(StatusCode::corruption) && source_.salvage) {
    const Status header = std::exchange(status, Status());
    segment = Segment::open_headless(directory_, {.number = info.number,
                                                  .base_lsn = info.base_lsn,
                                                  .capacity = 0,
                                                  .salt = 0,
                                                  .database_id = source_.database_id,
                                                  .incarnation = 0,
                                                  .page_cache_id = 0});
    if (segment && tell) events_.damage(header, false);
    if (segment) headless_.insert(info.number);
    if (!segment) status = is_damage(segment.status()) ? header : segment.status();
  }
  if (status.ok()) return segment;
  if (tell && is_damage(status)) events_.damage(status, true);
  return status;
}

Result<uint64_t> LogWalk::promised_beyond(size_t index, const Segment& segment, uint64_t lsn) {
  uint64_t promised = std::max(source_.durable_lsn, durable_stated_from(segment, lsn));
  promised = std::max(promised, segment.published_mirror(source_.page_cache_id));
  for (size_t later = index + 1; later < source_.segments.size(); ++later) {
    const LogSegmentInfo& info = source_.segments[later];
    if (info.end_lsn != kOpenEnd) promised = std::max(promised, info.end_lsn);
    Result<std::shared_ptr<Segment>> loaded = load(later, false);
    if (!loaded && !is_damage(loaded.status())) return loaded.status();
    if (!loaded) continue;
    promised = std::max({promised, durable_stated_from(**loaded, (*loaded)->base_lsn()),
                         (*loaded)->published_mirror(source_.page_cache_id)});
  }
  return promised;
}

Result<LogWalk::Next> LogWalk::walk(size_t index, const Segment& segment) {
  const LogSegmentInfo& info = source_.segments[index];
  const bool open = info.end_lsn == kOpenEnd;
  const uint64_t to = open ? segment.end_lsn() : info.end_lsn;
  Next next = Next::segment;
  uint64_t used = 0;
  uint64_t at = segment.base_lsn();
  for (;;) {
    at = scan_records(segment, at, to, [&](uint64_t lsn, const RecordHeader& header) {
      used += record_bytes(header.kind, header.length);
      if (events_.record) events_.record(segment, lsn, header);
    });
    if (at >= to) break;
    uint64_t promised = to;
    if (open) {
      Result<uint64_t> proven = promised_beyond(index, segment, at);
      if (!proven) return proven.status();
      promised = *proven;
      if (promised <= at) {
        // By a first record that is damaged, too, nothing later can be told from anything else.
        if (used == 0 && headless_.contains(segment.number()))
          events_.damage(damaged(segment, "neither the header nor the first record verifies", at), true);
        if (source_.certain) next = Next::end;
        break;
      }
    }
    events_.damage(damaged(segment, "a record of the log does not verify", at), true);
    const uint64_t limit = std::min(promised, to);
    const uint64_t found = next_record(segment, at + kLogAlignment, limit);
    if (found >= limit) {
      // What lies beyond the last proof was perhaps never there.
      if (promised < to && source_.certain) next = Next::end;
      break;
    }
    at = found;
  }
  if (events_.segment) events_.segment(segment, std::min(at, to), used);
  return next;
}

}  // namespace lightning
