// How entries stand in lines of text, for scan, dump and load.
//
//   tsv         KEY TAB VALUE, both escaped (text.h); with hex, both in hexadecimal digits
//   json lines  {"key":"...","value":"..."}; bytes that are not UTF-8 in base64, marked by "key_base64":true
//   or
//               "value_base64":true; with hex, both in hexadecimal digits
//
// What print() gives, parse() of the same format takes back, whatever the bytes. parse() takes less strict
// lines too: a TSV value may have tabs, escapes are needed for backslashes and line ends only, other JSON
// fields are ignored.
#pragma once

#include <lightning/status.h>

#include <optional>
#include <string>
#include <string_view>

namespace lightning::cli {

struct EntryFormat {
  bool json = false;
  bool hex = false;

  /// One line with its line end.
  std::string print(std::string_view key, std::string_view value) const;
  /// One line with the key alone.
  std::string print_key(std::string_view key) const;
  /// One line with the value alone: as it is, or in hexadecimal digits, or as a JSON object.
  std::string print_value(std::string_view value) const;

  struct Parsed {
    std::string key;
    std::string value;
  };
  /// The entry of a line (without its line end), or what is wrong with it.
  Result<Parsed> parse(std::string_view line) const;

  /// A key or value of the command line: as it is, or in hexadecimal digits.
  Result<std::string> argument(std::string_view text) const;
};

}  // namespace lightning::cli
