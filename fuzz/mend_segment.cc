#include "fuzz/mend_segment.h"

#include <vector>

#include "base/coding.h"
#include "base/hash.h"
#include "fuzz/pages.h"
#include "log/segment.h"

namespace lightning::fuzz {

namespace {

void mend_records(char* data, uint64_t size, uint64_t base, uint64_t salt) {
  for (uint64_t at = 0; size - at >= kRecordBytesMin;) {
    char* const record = data + at;
    const RecordKind kind = record_kind_of(record);
    const uint32_t length = record_length_of(record);
    if (length < kRecordBytesMin || length > size - at || record_bytes(kind, length) > length) return;
    const uint64_t durable = base + at - uint64_t{load<uint32_t>(record + 12)} * kLogAlignment;
    put_record_header(record, kind, length, base + at, durable, salt);
    seal_record_body(record, record_bytes(kind, length), base + at, salt);
    store_mark(record, base + at, salt, std::memory_order_relaxed);
    at += length;
  }
}

}  // namespace

void mend_segment(std::string* input) {
  const std::string file = unpack(*input);
  if (file.size() < kSegmentHeaderBytes) return;
  std::vector<uint64_t> aligned(file.size() / 8 + 1);
  char* const bytes = reinterpret_cast<char*>(aligned.data());
  file.copy(bytes, file.size());
  store<uint64_t>(bytes + kSegmentHeaderChecked, checksum(bytes, kSegmentHeaderChecked, kSegmentHeaderSeed));
  mend_records(bytes + kSegmentHeaderBytes, file.size() - kSegmentHeaderBytes, load<uint64_t>(bytes + 24),
               load<uint64_t>(bytes + 40));
  *input = pack({bytes, file.size()});
}

}  // namespace lightning::fuzz
