// Log: a segment's file of any bytes: Segment::open(), scan_records() and what trusts what these accepted.
#include <vector>

#include "base/coding.h"
#include "fuzz/mend_segment.h"
#include "fuzz/pages.h"
#include "fuzz/target.h"
#include "log/scan.h"
#include "run/run_test_support.h"

namespace lightning::fuzz {
namespace {

constexpr uint64_t kNumber = 1;

/// Writes what was read again, in this build's way, and reads it: the same entries.
void check_round_trip(const RecordHeader& header, const std::vector<LogEntry>& entries, uint64_t lsn,
                      uint64_t salt) {
  std::vector<uint64_t> storage(header.length / 8 + 8);
  char* const record = reinterpret_cast<char*>(storage.data());
  uint64_t length = kRecordBytesMin, at = kFirstEntryOffset;
  for (const LogEntry& entry : entries) {
    const uint64_t size = log_entry_size(entry.key.size(), entry.value.size());
    expect(put_log_entry(record + at, entry.kind, entry.key, entry.value) == record + at + size,
           "log_entry_size");
    length = record_length(at, size);
    at = next_entry_position(at, size);
  }
  put_record_header(record, header.kind, static_cast<uint32_t>(length), lsn, lsn, salt);
  seal_record_body(record, static_cast<uint32_t>(length), lsn, salt);
  store_mark(record, lsn, salt, std::memory_order_relaxed);
  RecordHeader again;
  expect(parse_record_header(record, length, lsn, salt, &again) && again.length == length &&
             again.durable == lsn,
         "a header changes when it is written and read");
  expect(verify_record_body(record, again, lsn, salt), "a record that was written does not verify");
  size_t number = 0;
  for_each_entry(record, again.length, [&](uint64_t, const LogEntry& entry) {
    expect(number < entries.size() && entry.kind == entries[number].kind &&
               entry.key == entries[number].key && entry.value == entries[number].value,
           "an entry changes when it is written and read");
    ++number;
  });
  expect(number == entries.size(), "entries are lost when they are written and read");
}

/// The entries of a record, by the reader that trusts, against the one that does not.
std::vector<LogEntry> entries_of(const char* record, const RecordHeader& header) {
  std::vector<LogEntry> entries;
  uint64_t beyond = 0;
  for_each_entry(record, header.length, [&](uint64_t at, const LogEntry& entry) {
    LogEntry checked;
    expect(parse_log_entry(record + at, record + header.length, &checked), "an entry of a verified record");
    expect(checked.kind == entry.kind && checked.key.data() == entry.key.data() && checked.key == entry.key &&
               checked.value == entry.value,
           "decode_log_entry() and parse_log_entry() differ");
    expect(at > beyond && at % kLogAlignment == 0, "the place of an entry");
    beyond = at;
    entries.push_back(entry);
  });
  return entries;
}

bool run(std::string_view input) {
  MemoryDirectory directory;
  expect((*directory.open(segment_file_name(kNumber), OpenMode::create))->write(0, unpack(input)).ok(),
         "write into memory");
  const Result<std::shared_ptr<Segment>> opened = Segment::open(directory, kNumber, false);
  if (!opened) {
    expect(opened.status().is(StatusCode::corruption) || opened.status().is(StatusCode::not_supported),
           "the kind of error");
    expect(opened.status().file() == segment_file_name(kNumber), "the error's file");
    return false;
  }
  const Segment& segment = **opened;
  uint64_t records = 0, durable = 0;
  const uint64_t end =
      scan_records(segment, segment.base_lsn(), UINT64_MAX, [&](uint64_t lsn, RecordHeader header) {
        ++records;
        durable = std::max(durable, header.durable);
        expect(header.durable <= lsn, "a record that states more than was there");
        const char* const record = segment.at(lsn);
        if (header.kind == RecordKind::commit) {
          check_round_trip(header, entries_of(record, header), lsn, segment.salt());
        }
      });
  expect(end >= segment.base_lsn() && end <= segment.end_lsn(), "where the records end");
  uint64_t trusted = 0;
  for_each_record(segment, end, [&](uint64_t, RecordHeader) { ++trusted; });
  expect(trusted == records, "for_each_record() and scan_records() differ");
  expect(durable_stated_from(segment, segment.base_lsn()) >= durable, "durable_stated_from()");
  return records > 0;
}

/// Commits the entries as one record, as a writer would.
void commit(Segment& segment, const std::vector<LogEntry>& entries, uint64_t durable) {
  uint64_t length = kRecordBytesMin, at = kFirstEntryOffset;
  for (const LogEntry& entry : entries) {
    const uint64_t size = log_entry_size(entry.key.size(), entry.value.size());
    length = record_length(at, size);
    at = next_entry_position(at, size);
  }
  uint64_t lsn;
  expect(segment.reserve(length, &lsn) == Segment::Reserved::here, "room in a segment");
  char* const record = segment.at(lsn);
  at = kFirstEntryOffset;
  for (const LogEntry& entry : entries) {
    put_log_entry(record + at, entry.kind, entry.key, entry.value);
    at = next_entry_position(at, log_entry_size(entry.key.size(), entry.value.size()));
  }
  const RecordKind kind = entries.empty() ? RecordKind::empty : RecordKind::commit;
  put_record_header(record, kind, static_cast<uint32_t>(length), lsn, durable, segment.salt());
  seal_record_body(record, static_cast<uint32_t>(length), lsn, segment.salt());
  segment.complete(lsn, static_cast<uint32_t>(length));
}

void seeds(const SeedSink& sink) {
  const std::string long_value(300, 'v');
  for (const uint64_t base : {uint64_t{0}, uint64_t{1} << 40}) {
    MemoryDirectory directory;
    const SegmentIdentity identity = {.number = kNumber,
                                      .base_lsn = base,
                                      .capacity = 16384,
                                      .salt = 0xfeedfacecafebeef,
                                      .database_id = 7,
                                      .incarnation = 9,
                                      .page_cache_id = 0};
    const std::shared_ptr<Segment> segment =
        *Segment::create(directory, identity, SegmentFileKind::written, nullptr);
    commit(*segment, {{EntryKind::put, std::string_view("\0key", 4), "value"}}, base);
    commit(*segment,
           {{EntryKind::put, std::string_view("\0a", 2), ""},
            {EntryKind::remove, std::string_view("\0b", 2), ""},
            {EntryKind::remove_range, std::string_view("\0d", 2), std::string_view("\0f", 2)},
            {EntryKind::put, std::string_view("\2c", 2), long_value},
            {EntryKind::put_expiring, std::string_view("\2d", 2), "\1\2\3\4\5\6\7\10value"}},
           base);
    commit(*segment, {}, base + 32);
    const uint64_t end = base + segment->used();
    expect(segment->write_out(base, end).ok(), "write_out");
    const std::vector<char>& bytes = directory.bytes(segment_file_name(kNumber));
    sink(base == 0 ? "first" : "later", pack({bytes.data(), bytes.size()}));
  }
}

}  // namespace

const Target kTarget = {.run = run, .mend = mend_segment, .seeds = seeds};

}  // namespace lightning::fuzz
