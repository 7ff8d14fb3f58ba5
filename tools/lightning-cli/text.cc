#include "tools/lightning-cli/text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace lightning::cli {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kNamedEscapes[][2] = {{'\t', 't'}, {'\n', 'n'}, {'\r', 'r'}, {'\\', '\\'}};

uint8_t byte(char c) { return static_cast<uint8_t>(c); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_hex(std::string& text, char c) {
  text.push_back(kHexDigits[byte(c) >> 4]);
  text.push_back(kHexDigits[byte(c) & 15]);
}

/// The byte that two digits at the front of `text` mean, or -1.
int hex_byte(std::string_view text) {
  if (text.size() < 2) return -1;
  const int high = hex_digit(text[0]), low = hex_digit(text[1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// How many bytes the code point at the front of `bytes` takes; 0: it is malformed.
size_t code_point_size(std::string_view bytes) {
  const uint8_t lead = byte(bytes[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (bytes.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(bytes[i]) & 0xc0) != 0x80) return 0;
  }
  const uint8_t second = byte(bytes[1]);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool surrogate = lead == 0xed && second > 0x9f;
  const bool beyond = lead == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : size;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = code_point_size(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

std::string printable(std::string_view bytes) { return is_utf8(bytes) ? std::string(bytes) : escape(bytes); }

std::string escape(std::string_view bytes) {
  const bool utf8 = is_utf8(bytes);
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    char name = 0;
    for (const auto& [escaped, escape_name] : kNamedEscapes) {
      if (c == escaped) name = escape_name;
    }
    if (name != 0) {
      text.push_back('\\');
      text.push_back(name);
    } else if (byte(c) < 0x20 || byte(c) == 0x7f || (byte(c) > 0x7f && !utf8)) {
      text.append("\\x");
      append_hex(text, c);
    } else {
      text.push_back(c);
    }
  }
  return text;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes.push_back(text[i]);
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    if (text[i] == 'x') {
      const int value = hex_byte(text.substr(i + 1));
      if (value < 0) return std::nullopt;
      bytes.push_back(static_cast<char>(value));
      i += 2;
      continue;
    }
    const size_t before = bytes.size();
    for (const auto& [escaped, name] : kNamedEscapes) {
      if (text[i] == name) bytes.push_back(escaped);
    }
    if (bytes.size() == before) return std::nullopt;
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) append_hex(text, c);
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (; !text.empty(); text.remove_prefix(2)) {
    const int value = hex_byte(text);
    if (value < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = i; j < i + 3; ++j) group = group << 8 | (j < bytes.size() ? byte(bytes[j]) : 0);
    const size_t digits = std::min<size_t>(bytes.size() - i, 3) + 1;
    for (size_t digit = 0; digit < 4; ++digit) {
      text.push_back(digit < digits ? kBase64Digits[group >> (18 - 6 * digit) & 63] : '=');
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (; !text.empty(); text.remove_prefix(4)) {
    size_t digits = 4;
    while (text.size() == 4 && digits > 2 && text[digits - 1] == '=') --digits;
    uint32_t group = 0;
    for (size_t i = 0; i < 4; ++i) {
      const size_t digit = i < digits ? kBase64Digits.find(text[i]) : 0;
      if (digit == std::string_view::npos) return std::nullopt;
      group = group << 6 | static_cast<uint32_t>(digit);
    }
    const char decoded[] = {static_cast<char>(group >> 16), static_cast<char>(group >> 8),
                            static_cast<char>(group)};
    // Bits beyond the last byte would be lost.
    if ((group & ((1u << (8 * (4 - digits))) - 1)) != 0) return std::nullopt;
    bytes.append(decoded, digits - 1);
  }
  return bytes;
}

}  // namespace lightning::cli
