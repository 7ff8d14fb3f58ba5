#include "log/scan.h"

#include <algorithm>

namespace lightning {

uint64_t next_record(const Segment& segment, uint64_t from, uint64_t to) {
  const uint64_t end = segment.base_lsn() + segment.loaded_bytes();
  for (uint64_t at = from; at < to && at + kRecordBytesMin <= end; at += kLogAlignment) {
    RecordHeader header;
    if (parse_record_header(segment.at(at), end - at, at, segment.salt(), &header) &&
        verify_record_body(segment.at(at), header, at, segment.salt())) {
      return at;
    }
  }
  return to;
}

uint64_t durable_stated_from(const Segment& segment, uint64_t from) {
  uint64_t durable = 0;
  const uint64_t end = segment.base_lsn() + segment.loaded_bytes();
  for (uint64_t at = from; at + kRecordBytesMin <= end; at += kLogAlignment) {
    RecordHeader header;
    if (parse_record_header(segment.at(at), end - at, at, segment.salt(), &header)) {
      durable = std::max(durable, header.durable);
    }
  }
  return durable;
}

}  // namespace lightning
