// Bytes as text and back: escapes for tab-separated lines, hexadecimal digits, base64.
//
// Every decoder refuses what its encoder cannot have written, except that escapes may be left out where they
// are not needed and hexadecimal digits may be upper case.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lightning::cli {

/// Well-formed UTF-8: no overlong form, no surrogate, nothing beyond U+10FFFF.
bool is_utf8(std::string_view bytes);

/// \t \n \r \\, and \xHH for other control characters and, where `bytes` are not UTF-8, for all above 0x7f.
std::string escape(std::string_view bytes);
std::optional<std::string> unescape(std::string_view text);
/// For people, and for JSON, which holds text alone: as it is, or with escapes where it is not UTF-8.
std::string printable(std::string_view bytes);

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

}  // namespace lightning::cli
