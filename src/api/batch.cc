#include <lightning/batch.h>
#include <lightning/keyspace.h>

#include "format/batch_codec.h"
#include "format/internal_key.h"

namespace lightning {

void WriteBatch::put(std::string_view key, std::string_view value, uint64_t ttl_ms) {
  append(static_cast<uint8_t>(EntryKind::put), kDefaultKeyspaceId, key, value, ttl_ms);
}

void WriteBatch::remove(std::string_view key) {
  append(static_cast<uint8_t>(EntryKind::remove), kDefaultKeyspaceId, key, {}, 0);
}

void WriteBatch::put(const Keyspace& keyspace, std::string_view key, std::string_view value,
                     uint64_t ttl_ms) {
  append(static_cast<uint8_t>(EntryKind::put), keyspace.id(), key, value, ttl_ms);
}

void WriteBatch::remove(const Keyspace& keyspace, std::string_view key) {
  append(static_cast<uint8_t>(EntryKind::remove), keyspace.id(), key, {}, 0);
}

void WriteBatch::remove_range(std::string_view from, std::string_view to) {
  append_range(kDefaultKeyspaceId, from, to);
}

void WriteBatch::remove_range(const Keyspace& keyspace, std::string_view from, std::string_view to) {
  append_range(keyspace.id(), from, to);
}

void WriteBatch::append_range(uint32_t keyspace_id, std::string_view from, std::string_view to) {
  if (to <= from) return;
  char bytes[kKeyspaceIdBytesMax];
  std::string behind(bytes, put_keyspace_prefix(bytes, keyspace_id));
  behind.append(to);
  append(static_cast<uint8_t>(EntryKind::remove_range), keyspace_id, from, behind, 0);
}

void WriteBatch::append(uint8_t kind, uint32_t keyspace_id, std::string_view key, std::string_view value,
                        uint64_t ttl_ms) {
  char head[1 + 2 * kVarint64BytesMax + kKeyspaceIdBytesMax];
  char* to = head;
  *to++ = static_cast<char>(ttl_ms == 0 ? kind : static_cast<uint8_t>(EntryKind::put_expiring));
  to = put_varint(to, keyspace_prefix_size(keyspace_id) + key.size());
  to = put_varint(to, value.size() + (ttl_ms == 0 ? 0 : kBatchTtlBytes));
  to = put_keyspace_prefix(to, keyspace_id);
  encoded_.append(head, to);
  encoded_.append(key);
  if (ttl_ms != 0) {
    char bytes[kBatchTtlBytes];
    store<uint64_t>(bytes, ttl_ms);
    encoded_.append(bytes, kBatchTtlBytes);
  }
  encoded_.append(value);
  ++count_;
}

void WriteBatch::clear() {
  encoded_.clear();
  count_ = 0;
}

}  // namespace lightning
