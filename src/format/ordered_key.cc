#include <lightning/key.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/coding.h"
#include "format/key_part.h"

namespace lightning {

namespace {

constexpr unsigned char kZeroTag = 0x18;
constexpr unsigned char kFloatingTag = 0x30;
constexpr unsigned char kTimestampTag = 0x38;
constexpr unsigned char kTextTag = 0x40;
constexpr unsigned char kBytesTag = 0x48;
constexpr int kIntegerBytesMax = 8;
constexpr char kEscape = '\0';
constexpr char kEscapedZero = '\xff';
constexpr char kEnd = '\x01';
constexpr uint64_t kSign = uint64_t{1} << 63;

int bytes_of(uint64_t value) { return (std::bit_width(value) + 7) / 8; }

uint64_t ordered_bits(double value) {
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  if (value == 0) value = 0;
  const auto bits = std::bit_cast<uint64_t>(value);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

uint64_t take_word(std::string_view bytes, size_t size) {
  uint64_t word = 0;
  for (size_t i = 0; i < size; ++i) word = word << 8 | static_cast<unsigned char>(bytes[i]);
  return word;
}

// False: it has no end, or holds an escape of nothing. `text` as it was written, unless it is null.
bool take_escaped(std::string_view* rest, std::string* text) {
  std::string_view from = *rest;
  if (text != nullptr) text->clear();
  for (;;) {
    const size_t zero = from.find(kEscape);
    if (zero == std::string_view::npos || zero + 1 == from.size()) return false;
    if (text != nullptr) text->append(from, 0, zero);
    const char behind = from[zero + 1];
    from.remove_prefix(zero + 2);
    if (behind == kEnd) break;
    if (behind != kEscapedZero) return false;
    if (text != nullptr) text->push_back('\0');
  }
  *rest = from;
  return true;
}

bool take_integer(std::string_view* rest, unsigned char tag, KeyPart* part) {
  const bool negative = tag < kZeroTag;
  const auto size = static_cast<size_t>(negative ? kZeroTag - tag : tag - kZeroTag);
  if (rest->size() < size) return false;
  uint64_t magnitude = take_word(*rest, size);
  if (negative && size != 0)
    magnitude = ~magnitude & (size == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * size) - 1);
  if (bytes_of(magnitude) != static_cast<int>(size) || (negative && magnitude > kSign)) return false;
  rest->remove_prefix(size);
  part->type = KeyType::integer;
  part->negative = negative;
  part->integer = static_cast<int64_t>(negative ? ~magnitude + 1 : magnitude);
  part->unsigned_integer = negative ? 0 : magnitude;
  return true;
}

bool take_floating(uint64_t bits, KeyPart* part) {
  part->type = KeyType::floating;
  part->floating = std::bit_cast<double>((bits & kSign) != 0 ? bits & ~kSign : ~bits);
  return ordered_bits(part->floating) == bits;  // of -0 and of NaN there is one form
}

}  // namespace

std::string_view key_type_name(KeyType type) {
  switch (type) {
    case KeyType::bytes:
      return "bytes";
    case KeyType::text:
      return "text";
    case KeyType::integer:
      return "integer";
    case KeyType::floating:
      return "floating";
    case KeyType::timestamp:
      return "timestamp";
  }
  return "unknown";
}

void KeyWriter::put_integer(uint64_t magnitude, bool negative) {
  const int size = bytes_of(magnitude);
  key_.push_back(static_cast<char>(negative ? kZeroTag - size : kZeroTag + size));
  const uint64_t bits = negative ? ~magnitude : magnitude;
  for (int i = size - 1; i >= 0; --i) key_.push_back(static_cast<char>(bits >> (8 * i)));
}

void KeyWriter::put_word(unsigned char tag, uint64_t word) {
  key_.push_back(static_cast<char>(tag));
  for (int i = kIntegerBytesMax - 1; i >= 0; --i) key_.push_back(static_cast<char>(word >> (8 * i)));
}

void KeyWriter::put_escaped(unsigned char tag, std::string_view value) {
  key_.push_back(static_cast<char>(tag));
  for (;;) {
    const size_t zero = value.find('\0');
    if (zero == std::string_view::npos) break;
    key_.append(value, 0, zero + 1).push_back(kEscapedZero);
    value.remove_prefix(zero + 1);
  }
  key_.append(value);
}

KeyWriter& KeyWriter::integer(int64_t value) {
  const bool negative = value < 0;
  const auto bits = static_cast<uint64_t>(value);
  put_integer(negative ? ~bits + 1 : bits, negative);
  return *this;
}

KeyWriter& KeyWriter::unsigned_integer(uint64_t value) {
  put_integer(value, false);
  return *this;
}

KeyWriter& KeyWriter::floating(double value) {
  put_word(kFloatingTag, ordered_bits(value));
  return *this;
}

KeyWriter& KeyWriter::timestamp(int64_t micros) {
  put_word(kTimestampTag, static_cast<uint64_t>(micros) ^ kSign);
  return *this;
}

KeyWriter& KeyWriter::text(std::string_view value) {
  put_escaped(kTextTag, value);
  key_.push_back(kEscape);
  key_.push_back(kEnd);
  return *this;
}

KeyWriter& KeyWriter::bytes(std::string_view value) {
  put_escaped(kBytesTag, value);
  key_.push_back(kEscape);
  key_.push_back(kEnd);
  return *this;
}

KeyWriter& KeyWriter::text_prefix(std::string_view value) {
  put_escaped(kTextTag, value);
  return *this;
}

KeyWriter& KeyWriter::bytes_prefix(std::string_view value) {
  put_escaped(kBytesTag, value);
  return *this;
}

bool KeyReader::next(KeyPart* part) {
  if (rest_.empty()) return false;
  const auto tag = static_cast<unsigned char>(rest_.front());
  std::string_view rest = rest_.substr(1);
  bool whole = false;
  if (tag >= kZeroTag - kIntegerBytesMax && tag <= kZeroTag + kIntegerBytesMax) {
    whole = take_integer(&rest, tag, part);
  } else if (tag == kFloatingTag || tag == kTimestampTag) {
    if (rest.size() < sizeof(uint64_t)) return false;
    const uint64_t word = take_word(rest, sizeof(uint64_t));
    rest.remove_prefix(sizeof(uint64_t));
    if (tag == kTimestampTag) {
      part->type = KeyType::timestamp;
      part->integer = static_cast<int64_t>(word ^ kSign);
      whole = true;
    } else {
      whole = take_floating(word, part);
    }
  } else if (tag == kTextTag || tag == kBytesTag) {
    part->type = tag == kTextTag ? KeyType::text : KeyType::bytes;
    whole = take_escaped(&rest, &part->text);
  }
  if (whole) rest_ = rest;
  return whole;
}

size_t key_part_size(std::string_view key, KeyType* type) {
  const auto tag = key.empty() ? 0 : static_cast<unsigned char>(key.front());
  if (tag == kTextTag || tag == kBytesTag) {
    *type = tag == kTextTag ? KeyType::text : KeyType::bytes;
    std::string_view rest = key.substr(1);
    return take_escaped(&rest, nullptr) ? key.size() - rest.size() : 0;
  }
  KeyReader reader(key);
  KeyPart part;
  if (!reader.next(&part)) return 0;
  *type = part.type;
  return key.size() - reader.rest().size();
}

}  // namespace lightning
