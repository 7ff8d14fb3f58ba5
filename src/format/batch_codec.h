// The encoding of a WriteBatch: operations one after the other, each
//   u8 kind (EntryKind), varint size of the internal key, varint size of the value, internal key, value
// that is, a log entry (format/log_entry.h) without its chain word and without alignment. It never reaches a
// disk. The value of kind put_expiring begins with the time to live in milliseconds, u64: when it expires is
// known only when it is written.
#pragma once

#include <string_view>

#include "format/log_entry.h"

namespace lightning {

inline constexpr size_t kBatchTtlBytes = kExpiryBytes;

/// Makes of an operation of kind put_expiring a put of the user's value; its time to live.
inline uint64_t take_batch_ttl(LogEntry* operation) {
  const uint64_t ttl_ms = load<uint64_t>(operation->value.data());
  operation->kind = EntryKind::put;
  operation->value.remove_prefix(kBatchTtlBytes);
  return ttl_ms;
}

/// Walks the operations of an encoded batch.
class BatchReader {
 public:
  explicit BatchReader(std::string_view encoded)
      : at_(encoded.data()), end_(encoded.data() + encoded.size()) {}
  /// False at the end.
  bool next(LogEntry* operation) {
    if (at_ == end_) return false;
    *operation = decode_log_entry(at_);
    at_ = operation->value.data() + operation->value.size();
    return true;
  }

 private:
  const char* at_;
  const char* end_;
};

}  // namespace lightning
