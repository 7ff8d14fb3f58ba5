// Little-endian integers and varints in byte buffers.
//
// The platform is little-endian (checked here), so fixed integers are plain copies. Varints are LEB128: seven
// bits a byte, low bits first, at most five (32 bits) or ten (64 bits) bytes. Readers take an end pointer and
// answer null for what runs past it or does not fit: bytes from disk are hostile.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lightning {

static_assert(std::endian::native == std::endian::little, "formats are little-endian and copied as they are");

/// Sixteen bytes that are moved in one go.
struct Sixteen {
  uint64_t words[2];
};

template <typename T>
inline T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
inline void store(void* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

/// memcpy() without a call where the string is as long as most keys are.
[[gnu::always_inline]] inline void copy_bytes(char* to, const char* from, size_t size) {
  if (size >= 16 && size <= 32) {
    const auto last = load<Sixteen>(from + size - 16);
    store(to, load<Sixteen>(from));
    store(to + size - 16, last);
  } else if (size >= 8 && size < 16) {
    const auto last = load<uint64_t>(from + size - 8);
    store(to, load<uint64_t>(from));
    store(to + size - 8, last);
  } else if (size != 0) {
    std::memcpy(to, from, size);
  }
}

/// memcmp() == 0 without a call where the strings are short.
[[gnu::always_inline]] inline bool equal_bytes(const char* a, const char* b, size_t size) {
  if (size >= 8) {
    if (size > 16) return std::memcmp(a, b, size) == 0;
    return load<uint64_t>(a) == load<uint64_t>(b) &&
           load<uint64_t>(a + size - 8) == load<uint64_t>(b + size - 8);
  }
  if (size >= 4) {
    return load<uint32_t>(a) == load<uint32_t>(b) &&
           load<uint32_t>(a + size - 4) == load<uint32_t>(b + size - 4);
  }
  for (size_t at = 0; at < size; ++at) {
    if (a[at] != b[at]) return false;
  }
  return true;
}

inline constexpr int kVarint32BytesMax = 5;
inline constexpr int kVarint64BytesMax = 10;

inline int varint_size(uint64_t value) { return (std::bit_width(value | 1) + 6) / 7; }

/// Writes `value`, returns the byte behind it.
inline char* put_varint(char* to, uint64_t value) {
  while (value >= 0x80) {
    *to++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<char>(value);
  return to;
}

/// Reads a value of at most `bits` bits from [from, end); null when it is cut or too large.
template <typename T>
inline const char* get_varint(const char* from, const char* end, T* value) {
  uint64_t result = 0;
  for (int shift = 0; shift < static_cast<int>(sizeof(T)) * 8 && from < end; shift += 7) {
    const uint64_t byte = static_cast<unsigned char>(*from++);
    result |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      if (byte >> (sizeof(T) * 8 - shift < 7 ? sizeof(T) * 8 - shift : 7) != 0) return nullptr;
      *value = static_cast<T>(result);
      return from;
    }
  }
  return nullptr;
}

inline uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

/// The first eight bytes of a key as a number that orders as the bytes do; a shorter key is filled with
/// zeros.
inline uint64_t key_head(const char* data, size_t size) {
  uint64_t head = 0;
  if (size >= 8) {
    std::memcpy(&head, data, 8);
    return __builtin_bswap64(head);
  }
  std::memcpy(&head, data, size);
  return __builtin_bswap64(head);
}

__extension__ using Uint128 = unsigned __int128;

/// The same of sixteen bytes.
inline Uint128 key_head_128(const char* data, size_t size) {
  const size_t first = size < 8 ? size : 8;
  const size_t second = size - first < 8 ? size - first : 8;
  return Uint128{key_head(data, first)} << 64 | key_head(data + first, second);
}

}  // namespace lightning
