// Reading a segment's records in order, with every byte taken as hostile: for recovery, flush and tools.
// Thread safety: functions; the scanned range is immutable.
#pragma once

#include <functional>

#include "log/segment.h"

namespace lightning {

/// Calls `fn(lsn, header)` for each record of [from, to) that verifies, in order; returns where the first bad
/// one begins, or `to` (at most the segment's end) if all do.
template <typename Fn>
uint64_t scan_records(const Segment& segment, uint64_t from, uint64_t to, Fn&& fn) {
  const uint64_t loaded_end = segment.base_lsn() + segment.loaded_bytes();
  if (to > segment.end_lsn()) to = segment.end_lsn();
  uint64_t at = from;
  while (at < to) {
    RecordHeader header;
    if (at >= loaded_end ||
        !parse_record_header(segment.at(at), loaded_end - at, at, segment.salt(), &header) ||
        !verify_record_body(segment.at(at), header, at, segment.salt())) {
      return at;
    }
    fn(at, header);
    at += header.length;
  }
  return at;
}

/// Calls `fn(lsn, header)` for each record below `to`, all of which were verified before.
template <typename Fn>
void for_each_record(const Segment& segment, uint64_t to, Fn&& fn) {
  for (uint64_t at = segment.base_lsn(); at < to;) {
    const char* record = segment.at(at);
    const RecordHeader header{
        .kind = record_kind_of(record), .length = record_length_of(record), .durable = 0};
    fn(at, header);
    at += header.length;
  }
}

/// Where the first record at or behind `from` stands that verifies and begins before `to`; `to` if none does.
uint64_t next_record(const Segment& segment, uint64_t from, uint64_t to);

/// The largest `durable` that any intact record header at or behind `from` states, 0 if none does.
uint64_t durable_stated_from(const Segment& segment, uint64_t from);

}  // namespace lightning
