// Entries: lines as `lightning-cli load` reads them. What a line gives is printed and read again; so are its
// bytes taken as a key and a value, in every format.
//
// An input is a byte of flags (1: JSON, 2: hexadecimal digits), then lines.
#include "fuzz/target.h"
#include "tools/lightning-cli/entry_format.h"
#include "tools/lightning-cli/text.h"

namespace lightning::fuzz {
namespace {

using cli::EntryFormat;

constexpr EntryFormat format_of(uint32_t flags) {
  return {.json = (flags & 1) != 0, .hex = (flags & 2) != 0};
}

/// Is it one line, its end included?
bool is_line(std::string_view text) {
  return !text.empty() && text.find('\n') == text.size() - 1 && text.find('\r') == std::string_view::npos;
}

void check_printed(EntryFormat format, std::string_view key, std::string_view value) {
  std::string line = format.print(key, value);
  expect(is_line(line) && is_line(format.print_key(key)), "what is printed is not one line");
  line.pop_back();
  const auto parsed = format.parse(line);
  expect(parsed.ok() && parsed->key == key && parsed->value == value, "what is printed is read differently");
  expect(!format.json || cli::is_utf8(line), "JSON that is not UTF-8");
}

/// What a decoder takes, its encoder has written, but for the case of hexadecimal digits.
void check_texts(std::string_view text) {
  if (const auto bytes = cli::from_base64(text))
    expect(cli::to_base64(*bytes) == text, "base64 of two kinds");
  if (const auto bytes = cli::from_hex(text))
    expect(cli::from_hex(cli::to_hex(*bytes)) == bytes, "hexadecimal digits");
  if (const auto bytes = cli::unescape(text)) expect(cli::unescape(cli::escape(*bytes)) == bytes, "escapes");
  expect(cli::unescape(cli::escape(text)) == text, "escapes of any bytes");
  expect(cli::from_base64(cli::to_base64(text)) == text, "base64 of any bytes");
  expect(cli::is_utf8(cli::escape(text)), "an escaped text that is not UTF-8");
}

bool run(std::string_view input) {
  Bytes bytes(input);
  const EntryFormat format = format_of(bytes.byte());
  bool accepted = false;
  for (std::string_view left = bytes.rest(); !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    check_texts(line);
    for (uint32_t flags = 0; flags < 4; ++flags) {
      check_printed(format_of(flags), line.substr(0, line.size() / 2), line.substr(line.size() / 2));
    }
    const auto entry = format.parse(line);
    if (!entry) {
      expect(entry.status().is(StatusCode::invalid_argument), "the kind of error");
      continue;
    }
    accepted = true;
    check_printed(format, entry->key, entry->value);
  }
  return accepted;
}

void seeds(const SeedSink& sink) {
  const std::pair<std::string, std::string> entries[] = {{"key", "value"},
                                                         {"", ""},
                                                         {"a\tb\\", "line\nend\r"},
                                                         {std::string("\0\x7f", 2), "\xff\xfe"},
                                                         {"\xc3\xa4", "\xe2\x82\xac"}};
  for (uint32_t flags = 0; flags < 4; ++flags) {
    std::string input(1, static_cast<char>(flags));
    for (const auto& [key, value] : entries) input += format_of(flags).print(key, value);
    sink((flags & 1 ? "json" : "tsv") + std::string(flags & 2 ? "-hex" : ""), input);
  }
  sink("json-loose", "\1{\"value\":\"v\",\"extra\":[1,{\"a\":null}],\"key\":\"\\u00e4\\ud83d\\ude00\"}\n");
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
