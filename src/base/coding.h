// Little-endian integers and varints in byte buffers.
//
// The platform is little-endian (checked here), so fixed integers are plain copies. Varints are LEB128: seven
// bits a byte, low bits first, at most five (32 bits) or ten (64 bits) bytes. Readers take an end pointer and
// answer null for what runs past it or does not fit: bytes from disk are hostile.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace lightning {

static_assert(std::endian::native == std::endian::little, "formats are little-endian and copied as they are");

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

}  // namespace lightning
