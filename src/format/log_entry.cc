#include "format/log_entry.h"

#include <cstring>

#include "format/internal_key.h"

namespace lightning {

char* put_log_entry(char* p, EntryKind kind, std::string_view key, std::string_view value) {
  *p++ = static_cast<char>(kind);
  p = put_varint(p, key.size());
  p = put_varint(p, value.size());
  std::memcpy(p, key.data(), key.size());
  p += key.size();
  if (!value.empty()) std::memcpy(p, value.data(), value.size());
  return p + value.size();
}

char* put_expiring_log_entry(char* p, std::string_view key, uint64_t expiry, std::string_view value) {
  *p++ = static_cast<char>(EntryKind::put_expiring);
  p = put_varint(p, key.size());
  p = put_varint(p, kExpiryBytes + value.size());
  std::memcpy(p, key.data(), key.size());
  p += key.size();
  store<uint64_t>(p, expiry);
  p += kExpiryBytes;
  if (!value.empty()) std::memcpy(p, value.data(), value.size());
  return p + value.size();
}

bool parse_log_entry(const char* p, const char* end, LogEntry* entry) {
  if (p >= end) return false;
  const auto kind = static_cast<uint8_t>(*p++);
  entry->kind = static_cast<EntryKind>(kind);
  uint32_t key_size = 0;
  uint32_t value_size = 0;
  p = get_varint(p, end, &key_size);
  if (p != nullptr) p = get_varint(p, end, &value_size);
  if (p == nullptr || key_size == 0 || key_size > kInternalKeyBytesMax) return false;  // as in run files
  if (!known_entry_kind(kind, value_size) && entry->kind != EntryKind::remove_range) return false;
  if (static_cast<uint64_t>(end - p) < uint64_t{key_size} + value_size) return false;
  entry->key = {p, key_size};
  entry->value = {p + key_size, value_size};
  if (entry->kind == EntryKind::remove_range) {
    return value_size <= kInternalKeyBytesMax && entry->key < entry->value;
  }
  return true;
}

}  // namespace lightning
