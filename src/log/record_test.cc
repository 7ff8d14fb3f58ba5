#include "log/record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/internal_key.h"
#include "log/scan.h"
#include "log/segment.h"

namespace lightning {
namespace {

constexpr uint64_t kSalt = 0x1234'5678'9abc'def0ull;
constexpr uint64_t kLsn = 4096;

// A commit record of the entries, at the start of a buffer of whole words.
std::vector<uint64_t> make_record(const std::vector<LogEntry>& entries, uint32_t* length,
                                  uint64_t durable = 0) {
  uint64_t position = kFirstEntryOffset;
  uint64_t size = 0;
  std::vector<uint64_t> positions;
  for (const LogEntry& entry : entries) {
    if (size != 0) position = next_entry_position(position, size);
    positions.push_back(position);
    size = log_entry_size(entry.key.size(), entry.value.size());
  }
  *length = static_cast<uint32_t>(record_length(position, size));
  std::vector<uint64_t> words(*length / 8);
  char* const record = reinterpret_cast<char*>(words.data());
  put_record_header(record, RecordKind::commit, *length, kLsn, durable, kSalt);
  for (size_t i = 0; i < entries.size(); ++i) {
    store<uint32_t>(record + positions[i] - kEntryChainBytes, kNoEntry);
    put_log_entry(record + positions[i], entries[i].kind, entries[i].key, entries[i].value);
  }
  seal_record_body(record, *length, kLsn, kSalt);
  store_mark(record, kLsn, kSalt, std::memory_order_release);
  return words;
}

bool verifies(const std::vector<uint64_t>& words, uint64_t room, RecordHeader* header) {
  const char* record = reinterpret_cast<const char*>(words.data());
  return parse_record_header(record, room, kLsn, kSalt, header) &&
         verify_record_body(record, *header, kLsn, kSalt);
}

TEST(Record, RoundTripsEntriesOfEveryShape) {
  const std::string long_key(kInternalKeyBytesMax, 'k');
  const std::string long_value(300'000, 'v');
  const std::vector<std::vector<LogEntry>> batches = {
      {{EntryKind::put, "k", ""}},
      {{EntryKind::remove, "key", ""}},
      {{EntryKind::put, long_key, long_value}, {EntryKind::put, "a", "b"}},
      {{EntryKind::put, "1", "x"},
       {EntryKind::put, "22", "yy"},
       {EntryKind::remove, "333", ""},
       {EntryKind::put, "4444", "zzzz"}},
  };
  for (const auto& batch : batches) {
    uint32_t length = 0;
    const std::vector<uint64_t> words = make_record(batch, &length, kLsn - 80);
    RecordHeader header;
    ASSERT_TRUE(verifies(words, length, &header));
    EXPECT_EQ(header.length, length);
    EXPECT_EQ(header.durable, kLsn - 80);
    size_t at = 0;
    for_each_entry(reinterpret_cast<const char*>(words.data()), length,
                   [&](uint64_t offset, const LogEntry& entry) {
                     EXPECT_EQ(offset % kLogAlignment, 0u);
                     ASSERT_LT(at, batch.size());
                     EXPECT_EQ(entry.kind, batch[at].kind);
                     EXPECT_EQ(entry.key, batch[at].key);
                     EXPECT_EQ(entry.value, batch[at].value);
                     ++at;
                   });
    EXPECT_EQ(at, batch.size());
  }
}

TEST(Record, AnyFlippedBitIsSeen) {
  uint32_t length = 0;
  const std::vector<uint64_t> good =
      make_record({{EntryKind::put, "key", "some value"}, {EntryKind::remove, "other", ""}}, &length);
  for (uint64_t bit = 0; bit < uint64_t{length} * 8; ++bit) {
    std::vector<uint64_t> bad = good;
    bad[bit / 64] ^= uint64_t{1} << (bit % 64);
    RecordHeader header;
    EXPECT_FALSE(verifies(bad, length, &header)) << bit;
  }
}

TEST(Record, IsOnlyValidAtItsPlaceAndUnderItsSalt) {
  uint32_t length = 0;
  const std::vector<uint64_t> words = make_record({{EntryKind::put, "key", "value"}}, &length);
  const char* record = reinterpret_cast<const char*>(words.data());
  RecordHeader header;
  EXPECT_FALSE(parse_record_header(record, length, kLsn + 8, kSalt, &header));
  EXPECT_FALSE(parse_record_header(record, length, kLsn, kSalt + 1, &header));
  EXPECT_FALSE(parse_record_header(record, length - 8, kLsn, kSalt, &header));
  EXPECT_FALSE(parse_record_header(record, 0, kLsn, kSalt, &header));
}

// Well-formed checksums around hostile entries: a length that runs past the record, no entry at all, an empty
// key.
TEST(Record, EntriesThatDoNotFitAreRefused) {
  uint32_t length = 0;
  std::vector<uint64_t> words = make_record({{EntryKind::put, "key", "value"}}, &length);
  char* const record = reinterpret_cast<char*>(words.data());
  RecordHeader header;
  for (const auto& [offset, byte] :
       std::vector<std::pair<int, int>>{{1, 100}, {1, 0}, {2, 120}, {2, 0x85}, {0, 9}, {0, 0}}) {
    const char before = record[kFirstEntryOffset + offset];
    record[kFirstEntryOffset + offset] = static_cast<char>(byte);
    seal_record_body(record, length, kLsn, kSalt);
    ASSERT_TRUE(parse_record_header(record, length, kLsn, kSalt, &header));
    EXPECT_FALSE(verify_record_body(record, header, kLsn, kSalt)) << offset << " " << byte;
    record[kFirstEntryOffset + offset] = before;
  }
}

// A flush could never write them.
TEST(Record, EntriesThatNoRunFileTakesAreRefused) {
  const std::string longest(kInternalKeyBytesMax, 'k');
  const auto accepts = [](const LogEntry& entry) {
    uint32_t length = 0;
    RecordHeader header;
    const std::vector<uint64_t> words = make_record({entry}, &length);
    return verifies(words, length, &header);
  };
  EXPECT_TRUE(accepts({EntryKind::put, longest, "v"}));
  EXPECT_FALSE(accepts({EntryKind::put, longest + "k", "v"}));
  EXPECT_TRUE(accepts({EntryKind::remove, longest, ""}));
  EXPECT_FALSE(accepts({EntryKind::remove, longest + "k", ""}));
  EXPECT_TRUE(accepts({EntryKind::remove_range, "a", longest}));
  EXPECT_FALSE(accepts({EntryKind::remove_range, "a", longest + "k"}));
  EXPECT_FALSE(accepts({EntryKind::remove_range, longest + "k", "l"}));
}

TEST(Record, StatesWhatIsDurableOrNothing) {
  uint32_t length = 0;
  RecordHeader header;
  ASSERT_TRUE(verifies(make_record({{EntryKind::put, "k", "v"}}, &length, kLsn), 4096, &header));
  EXPECT_EQ(header.durable, kLsn);
  ASSERT_TRUE(verifies(make_record({{EntryKind::put, "k", "v"}}, &length, 8), 4096, &header));
  EXPECT_EQ(header.durable, 8u);
}

TEST(SegmentFileName, RoundTripsAndRefusesOthers) {
  uint64_t number = 0;
  for (const uint64_t good : {uint64_t{1}, uint64_t{42}, uint64_t{9'999'999'999}, uint64_t{10'000'000'000}}) {
    ASSERT_TRUE(parse_segment_file_name(segment_file_name(good), &number)) << good;
    EXPECT_EQ(number, good);
  }
  for (const char* bad :
       {"0000000000.log", "1.log", "000000001x.log", "0000000001.run", ".log", "00000000001.log", ""}) {
    EXPECT_FALSE(parse_segment_file_name(bad, &number)) << bad;
  }
}

TEST(LogEntry, AnExpiryStandsInFrontOfTheValue) {
  char bytes[64] = {};
  char* const end_of = put_expiring_log_entry(bytes, "key", 0x0807060504030201, "value");
  EXPECT_EQ(static_cast<uint64_t>(end_of - bytes), log_entry_size(3, kExpiryBytes + 5));
  LogEntry entry;
  ASSERT_TRUE(parse_log_entry(bytes, end_of, &entry));
  EXPECT_EQ(entry.kind, EntryKind::put_expiring);
  EXPECT_EQ(entry.key, "key");
  EXPECT_EQ(entry.value, "\1\2\3\4\5\6\7\10value");
  bytes[2] = 7;  // a value too short for an expiry
  EXPECT_FALSE(parse_log_entry(bytes, end_of, &entry));
}

TEST(LogEntry, EachKindHasAValueOfItsOwn) {
  char bytes[64] = {};
  const char* const end = put_log_entry(bytes, EntryKind::remove_range, "a", "b");
  LogEntry entry;
  ASSERT_TRUE(parse_log_entry(bytes, end, &entry));
  EXPECT_EQ(entry.kind, EntryKind::remove_range);
  bytes[0] = static_cast<char>(EntryKind::put_expiring);  // of one byte of value
  EXPECT_FALSE(parse_log_entry(bytes, end, &entry));
  for (const int kind : {0, 5, 6, 255}) {
    bytes[0] = static_cast<char>(kind);
    EXPECT_FALSE(parse_log_entry(bytes, end, &entry));
  }
  (void)put_log_entry(bytes, EntryKind::remove_range, "b", "a");
  EXPECT_FALSE(parse_log_entry(bytes, end, &entry));
}

}  // namespace
}  // namespace lightning
