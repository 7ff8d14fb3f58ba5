// The encoding of a WriteBatch: operations one after the other, each
//   u8 kind (EntryKind), varint size of the internal key, varint size of the value, internal key, value
// that is, a log entry (format/log_entry.h) without its chain word and without alignment. It never reaches a
// disk.
#pragma once

#include <string_view>

#include "format/log_entry.h"

namespace lightning {

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
