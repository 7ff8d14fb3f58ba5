// WriteBatch: puts, removals and removals of ranges, in any keyspaces of one database, that Database::write()
// makes visible at once or not at all. Later operations on a key win over earlier ones.
//
// Thread safety: one thread at a time. Holds copies of keys and values.
#pragma once

#include <lightning/export.h>
#include <lightning/status.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lightning {

class Keyspace;

class LIGHTNING_EXPORT WriteBatch {
 public:
  /// In the default keyspace. Lengths beyond the limits are reported by write(). `ttl_ms`: how long the entry
  /// lives, from write() on; 0 = as its WriteOptions say, or else the keyspace.
  void put(std::string_view key, std::string_view value, uint64_t ttl_ms = 0);
  void remove(std::string_view key);
  /// All keys with from <= key < to, whatever they are when the batch is written, and those that the batch
  /// put before.
  void remove_range(std::string_view from, std::string_view to);
  void put(const Keyspace& keyspace, std::string_view key, std::string_view value, uint64_t ttl_ms = 0);
  void remove(const Keyspace& keyspace, std::string_view key);
  void remove_range(const Keyspace& keyspace, std::string_view from, std::string_view to);

  void clear();
  size_t count() const { return count_; }
  /// Encoded size; write() takes up to 1 GiB.
  size_t bytes() const { return encoded_.size(); }

  // For the engine: operations in the order given, each as src/format/batch_codec.h says.
  const std::string& encoded() const { return encoded_; }

 private:
  void append_range(uint32_t keyspace_id, std::string_view from, std::string_view to);
  void append(uint8_t kind, uint32_t keyspace_id, std::string_view key, std::string_view value,
              uint64_t ttl_ms);

  std::string encoded_;
  size_t count_ = 0;
};

}  // namespace lightning
