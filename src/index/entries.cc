#include "index/entries.h"

#include <lightning/keyspace.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/coding.h"
#include "base/hash.h"
#include "format/internal_key.h"
#include "format/key_part.h"

namespace lightning {

namespace {

constexpr size_t kEntriesOfRowMax = 4096;
// Of several entries together: what a row holds once each of them may repeat. No option: what entries a row
// has does not change with it.
constexpr uint64_t kEntriesBytesMax = 64 << 20;
constexpr size_t kKeyBytesExpected = 64;  // what is longer is allocated again
constexpr size_t kHashBytes = 8;

using Source = IndexField::Source;

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T number{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

// Takes `digits` digits and, if it is not '\0', the character behind them.
bool take_digits(std::string_view* text, size_t digits, char behind, int* number) {
  if (text->size() < digits) return false;
  const std::optional<int> value = parse_number<int>(text->substr(0, digits));
  if (!value || *value < 0 || (*text)[0] == '-') return false;
  *number = *value;
  text->remove_prefix(digits);
  if (behind == '\0') return true;
  if (!text->starts_with(behind)) return false;
  text->remove_prefix(1);
  return true;
}

bool is_date(int year, int month, int day) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= kDays[month - 1] + (leap && month == 2 ? 1 : 0);
}

// Since 1970. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", for years from 0 on: years
// begin with March, so that a leap day is the last of its year; 400 of them have 146,097 days.
int64_t days_of(int year, int month, int day) {
  const int64_t y = year - (month <= 2 ? 1 : 0) + 400;
  const int64_t era = y / 400;
  const int64_t of_era = y % 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return (era - 1) * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

// RFC 3339 in UTC: 2024-05-01, 2024-05-01T12:30:00Z, 2024-05-01T12:30:00.25Z.
std::optional<int64_t> parse_time(std::string_view text) {
  int y = 0, m = 0, d = 0, hours = 0, minutes = 0, seconds = 0;
  if (!take_digits(&text, 4, '-', &y) || !take_digits(&text, 2, '-', &m) || !take_digits(&text, 2, '\0', &d))
    return std::nullopt;
  if (!is_date(y, m, d)) return std::nullopt;
  int64_t micros = 0;
  if (!text.empty()) {
    if (text[0] != 'T' && text[0] != ' ') return std::nullopt;
    text.remove_prefix(1);
    if (!take_digits(&text, 2, ':', &hours) || !take_digits(&text, 2, ':', &minutes) ||
        !take_digits(&text, 2, '\0', &seconds))
      return std::nullopt;
    if (hours > 23 || minutes > 59 || seconds > 60 || !text.ends_with('Z')) return std::nullopt;
    text.remove_suffix(1);
    if (text.starts_with('.')) {
      int64_t unit = 100'000;
      for (const char digit : text.substr(1)) {
        if (digit < '0' || digit > '9') return std::nullopt;
        micros += unit * (digit - '0');
        unit /= 10;
      }
      if (text.size() == 1) return std::nullopt;
    } else if (!text.empty()) {
      return std::nullopt;
    }
  }
  return (((days_of(y, m, d) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1'000'000 + micros;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

// Each writes the part that the value makes; false: none.
bool put_text(KeyWriter& key, KeyType type, std::string_view text) {
  switch (type) {
    case KeyType::bytes:
      key.bytes(text);
      return true;
    case KeyType::text:
      key.text(text);
      return true;
    case KeyType::integer:
      text = trimmed(text);
      if (const auto number = parse_number<int64_t>(text)) {
        key.integer(*number);
        return true;
      }
      if (const auto number = parse_number<uint64_t>(text)) {
        key.unsigned_integer(*number);
        return true;
      }
      return false;
    case KeyType::floating:
      if (const auto number = parse_number<double>(trimmed(text))) {
        key.floating(*number);
        return true;
      }
      return false;
    case KeyType::timestamp: {
      text = trimmed(text);
      std::optional<int64_t> micros = parse_number<int64_t>(text);
      if (!micros) micros = parse_time(text);
      if (micros) key.timestamp(*micros);
      return micros.has_value();
    }
  }
  return false;
}

bool put_integer(KeyWriter& key, KeyType type, bool negative, uint64_t bits) {
  const auto number = static_cast<int64_t>(bits);
  const bool fits = negative || number >= 0;
  if (type == KeyType::integer) {
    negative ? key.integer(number) : key.unsigned_integer(bits);
  } else if (type == KeyType::floating) {
    key.floating(negative ? static_cast<double>(number) : static_cast<double>(bits));
  } else if (type == KeyType::timestamp && fits) {
    key.timestamp(number);
  } else {
    return false;
  }
  return true;
}

bool put_floating(KeyWriter& key, KeyType type, double number) {
  if (type == KeyType::floating) {
    key.floating(number);
    return true;
  }
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!(number >= -kLimit && number < kLimit) || std::trunc(number) != number) return false;
  const auto whole = static_cast<int64_t>(number);
  return put_integer(key, type, whole < 0, static_cast<uint64_t>(whole));
}

}  // namespace

bool put_field_value(KeyWriter& key, KeyType type, const FieldValues::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return put_text(key, type, *text);
  if (const auto* number = std::get_if<int64_t>(&value))
    return put_integer(key, type, *number < 0, static_cast<uint64_t>(*number));
  if (const auto* number = std::get_if<uint64_t>(&value)) return put_integer(key, type, false, *number);
  return put_floating(key, type, std::get<double>(value));
}

namespace {

void sort_out(std::vector<std::string>* parts) {
  std::sort(parts->begin(), parts->end());
  parts->erase(std::unique(parts->begin(), parts->end()), parts->end());
}

/// What the values of one field make; there is mostly one. Where they are too many for a row, so are these.
struct Parts {
  bool any = false;
  bool full = false;
  std::string first;
  std::vector<std::string> others;

  void add(KeyWriter& part) {
    if (!any) {
      first = part.take();
      any = true;
      return;
    }
    if (others.size() == 2 * kEntriesOfRowMax && !full) {
      sort_out(&others);
      full = others.size() > kEntriesOfRowMax;
    }
    if (!full) others.push_back(part.take());
  }
};

void add_text(const IndexField& field, std::string_view text, Parts* parts) {
  KeyWriter part;
  if (put_text(part, field.type, text)) parts->add(part);
}

void add_columns(const IndexField& field, std::string_view from, Parts* parts) {
  for (uint32_t column = 0;; ++column) {
    const size_t end = from.find(field.delimiter);
    if (field.column == IndexField::kEveryColumn || column == field.column)
      add_text(field, from.substr(0, end), parts);
    if (end == std::string_view::npos || column == field.column) return;
    from.remove_prefix(end + 1);
  }
}

// Of a field that is bytes at a place.
std::optional<std::string_view> bytes_of(const IndexField& field, std::string_view from) {
  if (field.offset > from.size()) return std::nullopt;
  if (field.size != IndexField::kToTheEnd && from.size() - field.offset < field.size) return std::nullopt;
  return from.substr(field.offset, field.size);
}

Parts find_parts(const IndexField& field, const ExtractFn* function, std::string_view key,
                 std::string_view row) {
  Parts parts;
  const bool of_key = field.source == Source::key || field.source == Source::key_column;
  const std::string_view from = of_key ? key : row;
  switch (field.source) {
    case Source::value:
    case Source::key:
      if (const auto bytes = bytes_of(field, from)) add_text(field, *bytes, &parts);
      break;
    case Source::value_column:
    case Source::key_column:
      add_columns(field, from, &parts);
      break;
    case Source::function: {
      FieldValues values;
      (*function)(key, row, field.argument, values);
      for (const FieldValues::Value& value : values.values()) {
        KeyWriter part;
        if (put_field_value(part, field.type, value)) parts.add(part);
      }
    }
  }
  return parts;
}

std::string covered_parts(const LiveIndex& index, std::string_view primary_key, std::string_view row) {
  std::string covered;
  const std::vector<IndexField>& fields = index.definition().covered;
  for (size_t i = 0; i < fields.size(); ++i) {
    const Parts parts = find_parts(fields[i], index.covered_functions[i], primary_key, row);
    covered += parts.any ? parts.first : KeyWriter().bytes("").view();
  }
  return covered;
}

Status refuse_row(const LiveIndex& index, std::string_view primary_key, std::string_view why) {
  return Status(StatusCode::invalid_argument, "the index " + index.definition().name + " refuses the row " +
                                                  readable_bytes(primary_key) + ": " + std::string(why));
}

void append_hash(std::string* to, std::string_view key) {
  const uint64_t hash = __builtin_bswap64(hash_bytes(key, 0));
  to->append(reinterpret_cast<const char*>(&hash), sizeof(hash));
}

// The part of a field that is bytes at a place, behind `key`; false: there is none.
bool append_bytes(const IndexField& field, std::string_view from, std::string* key) {
  const std::optional<std::string_view> bytes = bytes_of(field, from);
  if (!bytes) return false;
  KeyWriter writer(std::move(*key));
  const bool made = put_text(writer, field.type, *bytes);
  *key = writer.take();
  return made;
}

constexpr std::string_view kTooMany = "it would have more than 4,096 entries";
constexpr std::string_view kTooLarge = "its entries would have more than 64 MiB together";

// Each key with each part behind it; keys that ascend still do. Not empty: why the row is refused.
std::string_view append_parts(Parts parts, uint64_t bytes_max, std::vector<MadeEntry>* made) {
  if (parts.others.empty() && made->size() == 1) {
    made->front().key += parts.first;
    return {};
  }
  std::vector<std::string>& all = parts.others;
  all.push_back(std::move(parts.first));
  sort_out(&all);
  if (made->size() * all.size() > kEntriesOfRowMax) return kTooMany;
  uint64_t bytes = 0;
  for (const MadeEntry& entry : *made) bytes += entry.key.size() * all.size();
  for (const std::string& part : all) bytes += part.size() * made->size();
  if (bytes > bytes_max) return kTooLarge;
  std::vector<MadeEntry> product;
  product.reserve(made->size() * all.size());
  for (const MadeEntry& entry : *made) {
    for (const std::string& part : all) product.push_back({.key = entry.key + part, .value = {}});
  }
  made->swap(product);
  return {};
}

// Bytes of the first `parts` parts; nothing where they do not stand there.
std::optional<size_t> size_of_parts(std::string_view key, size_t parts) {
  std::string_view rest = key;
  KeyType type{};
  for (size_t i = 0; i < parts; ++i) {
    const size_t size = key_part_size(rest, &type);
    if (size == 0) return std::nullopt;
    rest.remove_prefix(size);
  }
  return key.size() - rest.size();
}

}  // namespace

Status make_entries(const LiveIndex& index, std::string_view primary_key, std::string_view row,
                    std::vector<MadeEntry>* made, bool written) {
  made->clear();
  if (!index.unusable.ok()) return index.unusable;
  const IndexDefinition& definition = index.definition();
  const auto missing = [&](size_t field) -> Status {
    made->clear();
    if (definition.missing == MissingField::skip) return {};
    return refuse_row(index, primary_key, "field " + std::to_string(field) + " of its key is missing");
  };
  const auto refuse = [&](std::string_view why) {
    made->clear();
    return refuse_row(index, primary_key, why);
  };
  const uint64_t bytes_max = written ? kEntriesBytesMax : UINT64_MAX;
  made->resize(1);
  made->front().key.reserve(kKeyBytesExpected);
  for (size_t i = 0; i < definition.key.size(); ++i) {
    const IndexField& field = definition.key[i];
    if (made->size() == 1 && (field.source == Source::value || field.source == Source::key)) {
      const std::string_view from = field.source == Source::key ? primary_key : row;
      if (!append_bytes(field, from, &made->front().key)) return missing(i);
      continue;
    }
    Parts parts = find_parts(field, index.key_functions[i], primary_key, row);
    if (!parts.any) return missing(i);
    const std::string_view too_much = append_parts(std::move(parts), bytes_max, made);
    if (!too_much.empty()) return refuse(too_much);
  }
  std::string value;
  if (index.unique()) {
    char size[kVarint64BytesMax];
    value.assign(size, put_varint(size, primary_key.size())).append(primary_key);
  }
  if (!definition.covered.empty()) value += covered_parts(index, primary_key, row);
  const size_t repeated = value.size() + (index.unique() ? 0 : primary_key.size());
  if (made->size() > 1 && made->size() * repeated > bytes_max) return refuse(kTooLarge);
  for (MadeEntry& entry : *made) {
    if (index.hashed()) {
      std::string hash;
      append_hash(&hash, entry.key);
      entry.key.insert(0, hash);
    }
    if (!index.unique()) entry.key += primary_key;
    if (entry.key.size() > kKeyBytesMax) return refuse("its key in the index has more than 65,535 bytes");
    entry.value = value;
  }
  if (index.hashed())
    std::sort(made->begin(), made->end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return {};
}

std::string_view keep_internal_key(ByteArena& arena, uint32_t keyspace, std::string_view key) {
  char prefix[kKeyspaceIdBytesMax];
  const char* const end = put_keyspace_prefix(prefix, keyspace);
  return arena.keep({prefix, static_cast<size_t>(end - prefix)}, key);
}

std::string_view primary_key_of(std::string_view value) {
  uint32_t size = 0;
  const char* const end = value.data() + value.size();
  const char* const at = get_varint(value.data(), end, &size);
  if (at == nullptr || size > static_cast<size_t>(end - at)) return {};
  return {at, size};
}

bool take_entry(const LiveIndex& index, std::string_view key, std::string_view value, EntryParts* parts) {
  if (index.hashed()) {
    if (key.size() < kHashBytes) return false;
    key.remove_prefix(kHashBytes);
  }
  const std::optional<size_t> size = size_of_parts(key, index.definition().key.size());
  if (!size) return false;
  parts->index_key = key.substr(0, *size);
  parts->primary_key = key.substr(*size);
  parts->covered = value;
  if (!index.unique()) return true;
  uint32_t primary_size = 0;
  const char* const end = value.data() + value.size();
  const char* const at = get_varint(value.data(), end, &primary_size);
  if (at == nullptr || primary_size > static_cast<size_t>(end - at) || !parts->primary_key.empty())
    return false;
  parts->primary_key = {at, primary_size};
  parts->covered = {at + primary_size, end};
  return true;
}

std::string entry_prefix(const LiveIndex& index, std::string_view key) {
  std::string prefix;
  if (index.hashed()) append_hash(&prefix, key);
  return prefix.append(key);
}

Status check_index_key(const LiveIndex& index, std::string_view key, bool* whole) {
  const std::vector<IndexField>& fields = index.definition().key;
  const auto wrong = [&](std::string_view why) {
    return Status(StatusCode::invalid_argument,
                  "a key of the index " + index.definition().name + std::string(why));
  };
  std::string_view rest = key;
  KeyType type{};
  size_t count = 0;
  for (size_t size = 0; (size = key_part_size(rest, &type)) != 0; ++count) {
    if (count == fields.size()) return wrong(" has too many parts");
    if (type != fields[count].type) {
      return wrong(" has a part of type " + std::string(key_type_name(type)) + " where " +
                   std::string(key_type_name(fields[count].type)) + " is kept");
    }
    rest.remove_prefix(size);
  }
  *whole = count == fields.size() && rest.empty();
  if (rest.empty()) return {};
  const KeyType begun = count < fields.size() ? fields[count].type : KeyType::integer;
  const bool text = begun == KeyType::text && rest[0] == KeyWriter().text_prefix("").view()[0];
  const bool bytes = begun == KeyType::bytes && rest[0] == KeyWriter().bytes_prefix("").view()[0];
  return text || bytes ? Status() : wrong(" is none (lightning/key.h)");
}

Status taken_key(const LiveIndex& index, std::string_view key, std::string_view value,
                 std::string_view owner) {
  EntryParts parts;
  (void)take_entry(index, key, value, &parts);
  return Status(StatusCode::already_exists, "the key " + readable_index_key(parts.index_key) +
                                                " of the unique index " + index.definition().name +
                                                " is that of the row " + readable_bytes(owner));
}

std::string readable_bytes(std::string_view bytes) {
  constexpr size_t kShown = 60;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : bytes.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 0x7f && c != '\\' && c != '"') {
      text.push_back(c);
    } else {
      text.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    }
  }
  return text.append(bytes.size() > kShown ? "\"..." : "\"");
}

std::string readable_index_key(std::string_view key) {
  std::string text;
  KeyReader reader(key);
  KeyPart part;
  while (reader.next(&part)) {
    if (!text.empty()) text += ", ";
    switch (part.type) {
      case KeyType::bytes:
      case KeyType::text:
        text += readable_bytes(part.text);
        break;
      case KeyType::integer:
        text += part.negative ? std::to_string(part.integer) : std::to_string(part.unsigned_integer);
        break;
      case KeyType::floating: {
        char digits[32];
        text.append(digits, std::to_chars(digits, digits + sizeof(digits), part.floating).ptr);
        break;
      }
      case KeyType::timestamp:
        text += std::to_string(part.integer) + " us";
        break;
    }
  }
  return text;
}

}  // namespace lightning
