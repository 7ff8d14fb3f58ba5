#include "log/record.h"

namespace lightning {

namespace {

uint32_t header_checksum(const char* record, uint64_t lsn, uint64_t salt) {
  return static_cast<uint32_t>(mix_seed(record_seed(salt, lsn), load<uint64_t>(record + 8)) >> 32);
}

bool entries_well_formed(const char* record, uint32_t length) {
  const char* const end = record + length;
  uint64_t at = kFirstEntryOffset;
  while (at < length) {
    LogEntry entry;
    if (!parse_log_entry(record + at, end, &entry)) return false;
    const uint64_t size = static_cast<uint64_t>(entry.value.data() + entry.value.size() - (record + at));
    if (record_length(at, size) == length) return true;
    at = next_entry_position(at, size);
  }
  return false;
}

}  // namespace

void put_record_header(char* record, RecordKind kind, uint32_t length, uint64_t lsn, uint64_t durable,
                       uint64_t salt) {
  const uint64_t distance = (lsn - durable) / kLogAlignment;
  store<uint32_t>(record + 8, length | static_cast<uint32_t>(kind));
  store<uint32_t>(record + 12,
                  distance < kDurableUnknown ? static_cast<uint32_t>(distance) : kDurableUnknown);
  store<uint32_t>(record + 16, header_checksum(record, lsn, salt));
}

void seal_record_body(char* record, uint32_t bytes, uint64_t lsn, uint64_t salt) {
  store<uint64_t>(record + 20,
                  checksum(record + kRecordHeaderBytes, bytes - kRecordHeaderBytes, record_seed(salt, lsn)));
}

bool parse_record_header(const char* record, uint64_t room, uint64_t lsn, uint64_t salt,
                         RecordHeader* header) {
  if (room < kRecordBytesMin || !marked(record, lsn, salt, std::memory_order_acquire)) return false;
  if (load<uint32_t>(record + 16) != header_checksum(record, lsn, salt)) return false;
  const uint32_t kind = load<uint32_t>(record + 8) & 7;
  header->length = record_length_of(record);
  if (kind < 1 || kind > 3 || header->length < kRecordBytesMin || header->length > room) return false;
  header->kind = static_cast<RecordKind>(kind);
  if (record_bytes(header->kind, header->length) > header->length) return false;
  const uint32_t distance = load<uint32_t>(record + 12);
  header->durable =
      distance == kDurableUnknown || distance * kLogAlignment > lsn ? 0 : lsn - distance * kLogAlignment;
  return true;
}

bool verify_record_body(const char* record, const RecordHeader& header, uint64_t lsn, uint64_t salt) {
  const uint32_t bytes = record_bytes(header.kind, header.length);
  const uint64_t sum =
      checksum(record + kRecordHeaderBytes, bytes - kRecordHeaderBytes, record_seed(salt, lsn));
  if (load<uint64_t>(record + 20) != sum) return false;
  return header.kind != RecordKind::commit || entries_well_formed(record, header.length);
}

}  // namespace lightning
