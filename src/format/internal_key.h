// Internal key: a prefix-free keyspace id, then the user's key. One log, one memtable and one tree serve
// every keyspace.
//
// Format: id < 240 is one byte; a larger id is the byte 0xfb and four bytes big-endian. No encoded id is a
// prefix of another, so keyspaces never mix, and all keys of one keyspace stand together in bytewise order.
// Thread safety: values.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "base/coding.h"
#include "base/hash.h"

namespace lightning {

inline constexpr uint32_t kDefaultKeyspaceId = 0;
inline constexpr uint32_t kCatalogueKeyspaceId = 1;  // name -> id, see engine/catalogue.h
inline constexpr uint32_t kFirstUserKeyspaceId = 2;
inline constexpr uint32_t kOneByteKeyspaceIdMax = 239;
inline constexpr unsigned char kLongKeyspaceIdTag = 0xfb;
inline constexpr size_t kKeyspaceIdBytesMax = 5;
inline constexpr size_t kInternalKeyBytesMax = 65'535 + kKeyspaceIdBytesMax;

inline size_t keyspace_prefix_size(uint32_t id) {
  return id <= kOneByteKeyspaceIdMax ? 1 : kKeyspaceIdBytesMax;
}

inline char* put_keyspace_prefix(char* to, uint32_t id) {
  if (id <= kOneByteKeyspaceIdMax) {
    *to = static_cast<char>(id);
    return to + 1;
  }
  *to = static_cast<char>(kLongKeyspaceIdTag);
  const uint32_t big_endian = __builtin_bswap32(id);
  std::memcpy(to + 1, &big_endian, 4);
  return to + kKeyspaceIdBytesMax;
}

/// The size of the keyspace prefix of an internal key, 0 when it is malformed.
inline size_t parse_keyspace_prefix(std::string_view internal_key, uint32_t* id) {
  if (internal_key.empty()) return 0;
  const auto first = static_cast<unsigned char>(internal_key[0]);
  if (first <= kOneByteKeyspaceIdMax) {
    *id = first;
    return 1;
  }
  if (first != kLongKeyspaceIdTag || internal_key.size() < kKeyspaceIdBytesMax) return 0;
  uint32_t big_endian;
  std::memcpy(&big_endian, internal_key.data() + 1, 4);
  *id = __builtin_bswap32(big_endian);
  return kKeyspaceIdBytesMax;
}

/// The first key behind every key that begins with `prefix`; empty when there is none.
inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

/// The first bytes behind all keys of a keyspace, in the place of an internal key.
inline std::string end_of_keyspace(uint32_t id) {
  char bytes[kKeyspaceIdBytesMax];
  std::string end(bytes, put_keyspace_prefix(bytes, id));
  while (static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();  // never the first byte
  ++end.back();
  return end;
}

/// The hash of a key for every point index; run files store parts of it, so it is a format constant. The
/// user's key is hashed where the user has it: reading a copy back at once would wait for the stores.
inline uint64_t hash_key(uint32_t keyspace_id, std::string_view user_key) {
  return hash_bytes(user_key, keyspace_id);
}
/// The same of an internal key.
inline uint64_t hash_key(std::string_view internal_key) {
  uint32_t id = 0;
  const size_t prefix = parse_keyspace_prefix(internal_key, &id);
  return hash_key(id, internal_key.substr(prefix));
}

/// An internal key built for one call: on the stack unless it is long. Check ok() where memory may run out.
class InternalKey {
 public:
  [[gnu::always_inline]] InternalKey(uint32_t keyspace_id, std::string_view user_key) {
    size_ = keyspace_prefix_size(keyspace_id) + user_key.size();
    char* to = inline_;
    if (size_ > sizeof(inline_)) {
      long_.reset(new (std::nothrow) char[size_]);
      to = long_.get();
      if (to == nullptr) return;
    }
    data_ = to;
    to = put_keyspace_prefix(to, keyspace_id);
    copy_bytes(to, user_key.data(), user_key.size());
  }
  InternalKey(const InternalKey&) = delete;
  InternalKey& operator=(const InternalKey&) = delete;

  bool ok() const { return data_ != nullptr; }
  std::string_view view() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  size_t size_;
  char inline_[120];
  std::unique_ptr<char[]> long_;
};

}  // namespace lightning
