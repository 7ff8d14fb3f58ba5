// Ordered keys: numbers, text and tuples of them as bytes whose bytewise order is their own.
//
//   std::string key = ordered_key(int64_t{-7}, "Oslo");          // parts one after the other
//   std::string from = KeyWriter().text("NO").integer(1800).take();
//
// Order: part by part. Parts of one type stand in the order of their values: integers, signed and unsigned
// ones together; floats with -0 as 0 and every NaN as one, behind all numbers; text and bytes bytewise, the
// shorter first. Of different types: integer, floating, timestamp, text, bytes.
// No whole part is the beginning of another: what follows it never changes the order of two keys.
//
// Format: a part is a tag and what the tag says.
//   0x18 - n      a negative integer whose magnitude has n bytes: these, inverted, high byte first
//   0x18 + n      an integer >= 0 of n bytes (0: none), high byte first
//   0x30          a float: its IEEE bits, high byte first, inverted if negative, else the sign bit set
//   0x38          a timestamp: microseconds since 1970 and 2^63, eight bytes, high byte first
//   0x40          text; 0x48 bytes: a zero byte as 0x00 0xff, and at the end 0x00 0x01
// Thread safety: values.
#pragma once

#include <lightning/export.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace lightning {

enum class KeyType : uint8_t { bytes, text, integer, floating, timestamp };

/// The type's name, as in the enumeration.
LIGHTNING_EXPORT std::string_view key_type_name(KeyType type);

class LIGHTNING_EXPORT KeyWriter {
 public:
  KeyWriter() = default;
  /// Goes on behind `key`.
  explicit KeyWriter(std::string key) : key_(std::move(key)) {}

  KeyWriter& integer(int64_t value);
  KeyWriter& unsigned_integer(uint64_t value);
  KeyWriter& floating(double value);
  /// Microseconds since 1970.
  KeyWriter& timestamp(int64_t micros);
  KeyWriter& text(std::string_view value);
  KeyWriter& bytes(std::string_view value);
  /// The beginning of every text (of bytes) that begins with `value`: the last part of a prefix.
  KeyWriter& text_prefix(std::string_view value);
  KeyWriter& bytes_prefix(std::string_view value);

  const std::string& view() const { return key_; }
  std::string take() { return std::move(key_); }

 private:
  void put_integer(uint64_t bits, bool negative);
  void put_word(unsigned char tag, uint64_t word);
  void put_escaped(unsigned char tag, std::string_view value);

  std::string key_;
};

/// One part, as it was written.
struct KeyPart {
  KeyType type = KeyType::bytes;
  bool negative = false;          // of an integer
  int64_t integer = 0;            // of an integer below 2^63, and of a timestamp
  uint64_t unsigned_integer = 0;  // of an integer >= 0
  double floating = 0;
  std::string text;  // of text and bytes
};

/// Takes a key apart from its front.
class LIGHTNING_EXPORT KeyReader {
 public:
  explicit KeyReader(std::string_view key) : rest_(key) {}
  /// False at the end, and where no part stands: then rest() is not empty, and stays.
  bool next(KeyPart* part);
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

namespace key_detail {
inline void put(KeyWriter& key, double value) { key.floating(value); }
inline void put(KeyWriter& key, std::string_view value) { key.text(value); }
template <typename T>
  requires std::is_integral_v<T>
void put(KeyWriter& key, T value) {
  std::is_signed_v<T> ? key.integer(static_cast<int64_t>(value))
                      : key.unsigned_integer(static_cast<uint64_t>(value));
}
}  // namespace key_detail

/// Integers, doubles and text, each as a part.
template <typename... Parts>
std::string ordered_key(const Parts&... parts) {
  KeyWriter key;
  (key_detail::put(key, parts), ...);
  return key.take();
}

}  // namespace lightning
