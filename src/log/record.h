// Commit record: the unit of the log, and its checks.
//
// Format of a record at LSN L, position p = L - base LSN of the segment's data, 8-byte aligned:
//   p + 0   u64
//   mark: L xor the segment's salt, stored last (release); stale bytes and zeros never look complete
//   p + 8   u32  length of the record in bytes, a multiple of 8, or'ed with its RecordKind
//   p + 12  u32  (L - durable) / 8, where `durable` was known to be durable when the record was reserved;
//                kDurableUnknown = too far away to say
//   p + 16  u32  header checksum over the two words before, seeded with salt and L
//   p + 20  u64
//   body checksum: XXH3-64 of [p + 28, p + length), of an end record [p + 28, p + 64), seeded with salt and L
//   p + 28
//   body: of a commit its entries, each a chain word (4 bytes) and an entry (format/log_entry.h), the next
//                chain word so placed that its entry is 8-byte aligned; zeros to the record's end. Else
//                zeros.
// Thread safety: functions on bytes; the mark alone is shared while a record is filled (mark_of, store_mark).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/coding.h"
#include "base/hash.h"
#include "format/log_entry.h"

namespace lightning {

/// In the low bits of the length; values are format constants.
enum class RecordKind : uint32_t {
  commit = 1,
  empty = 2,  // nothing happened here; also states `durable` when the log is idle
  end = 3,    // the segment ends; its range reaches to the segment's capacity
};

inline constexpr uint64_t kRecordHeaderBytes = 28;
inline constexpr uint64_t kFirstEntryOffset = kRecordHeaderBytes + kEntryChainBytes;
inline constexpr uint64_t kRecordBytesMin = 32;
/// Kept free at the end of every segment for the end record.
inline constexpr uint64_t kEndRecordBytesMin = 64;
inline constexpr uint32_t kDurableUnknown = UINT32_MAX;
inline constexpr uint64_t kRecordLengthMax = uint64_t{UINT32_MAX} & ~uint64_t{7};
static_assert(kFirstEntryOffset % kLogAlignment == 0 && kRecordBytesMin >= kFirstEntryOffset);

struct RecordHeader {
  RecordKind kind;
  uint32_t length;
  uint64_t durable;  // 0 when unknown
};

/// Where an entry of `size` bytes at `position` lets the next one begin.
inline uint64_t next_entry_position(uint64_t position, uint64_t size) {
  return align_up(position + size + kEntryChainBytes, kLogAlignment);
}
/// The length of a record whose last entry of `size` bytes stands at `position` from the record's start.
inline uint64_t record_length(uint64_t position, uint64_t size) {
  return align_up(position + size, kLogAlignment);
}

inline uint64_t record_seed(uint64_t salt, uint64_t lsn) { return mix_seed(salt, lsn); }

/// How much of a record counts: an end record's range reaches to the segment's end, its bytes do not.
inline uint32_t record_bytes(RecordKind kind, uint32_t length) {
  return kind == RecordKind::end ? static_cast<uint32_t>(kEndRecordBytesMin) : length;
}

/// Writes everything but mark and body checksum.
void put_record_header(char* record, RecordKind kind, uint32_t length, uint64_t lsn, uint64_t durable,
                       uint64_t salt);
/// Writes the body checksum over the record's `bytes` as they stand.
void seal_record_body(char* record, uint32_t bytes, uint64_t lsn, uint64_t salt);

inline void store_mark(char* record, uint64_t lsn, uint64_t salt, std::memory_order order) {
  std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(record)).store(lsn ^ salt, order);
}
/// Is the record at `lsn` complete? (acquire)
inline bool marked(const char* record, uint64_t lsn, uint64_t salt, std::memory_order order) {
  auto* word = const_cast<uint64_t*>(reinterpret_cast<const uint64_t*>(record));
  return std::atomic_ref<uint64_t>(*word).load(order) == (lsn ^ salt);
}
inline RecordKind record_kind_of(const char* record) {
  return static_cast<RecordKind>(load<uint32_t>(record + 8) & 7);
}
inline uint32_t record_length_of(const char* record) { return load<uint32_t>(record + 8) & ~7u; }

/// Reads a header of hostile bytes: mark, header checksum, and a length that fits into `room` bytes.
bool parse_record_header(const char* record, uint64_t room, uint64_t lsn, uint64_t salt,
                         RecordHeader* header);
/// Verifies body checksum and, of a commit, the shape of each entry.
bool verify_record_body(const char* record, const RecordHeader& header, uint64_t lsn, uint64_t salt);

/// Calls `fn(offset from the record's start)` for each entry of a verified commit record.
template <typename Fn>
void for_each_entry(const char* record, uint32_t length, Fn&& fn) {
  for (uint64_t at = kFirstEntryOffset; at < length;) {
    const LogEntry entry = decode_log_entry(record + at);
    const uint64_t size = static_cast<uint64_t>(entry.value.data() + entry.value.size() - (record + at));
    fn(at, entry);
    at = next_entry_position(at, size);
  }
}

}  // namespace lightning
