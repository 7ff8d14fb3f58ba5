#include "tools/lightning-cli/entry_format.h"

#include <nlohmann/json.hpp>

#include "tools/lightning-cli/text.h"

namespace lightning::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr char kBase64Suffix[] = "_base64";

Status malformed(const std::string& message) { return Status(StatusCode::invalid_argument, message); }

void put_field(Json& object, const std::string& name, std::string_view bytes, bool hex) {
  if (hex) {
    object[name] = to_hex(bytes);
  } else if (is_utf8(bytes)) {
    object[name] = bytes;
  } else {
    object[name] = to_base64(bytes);
    object[name + kBase64Suffix] = true;
  }
}

Result<std::string> decoded(const std::string& name, std::string_view kind,
                            std::optional<std::string> bytes) {
  if (!bytes) return malformed("the " + name + " is not " + std::string(kind));
  return *std::move(bytes);
}

Result<std::string> field(const Json& object, const std::string& name, bool hex) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return malformed("there is no string \"" + name + "\"");
  std::string text = found->get<std::string>();
  if (hex) return decoded(name, "hexadecimal", from_hex(text));
  const auto flag = object.find(name + kBase64Suffix);
  if (flag == object.end() || *flag == false) return text;
  if (*flag != true) return malformed("\"" + name + kBase64Suffix + "\" is neither true nor false");
  return decoded(name, "base64", from_base64(text));
}

Result<EntryFormat::Parsed> both(Result<std::string> key, Result<std::string> value) {
  if (!key) return key.status();
  if (!value) return value.status();
  return EntryFormat::Parsed{*std::move(key), *std::move(value)};
}

}  // namespace

std::string EntryFormat::print(std::string_view key, std::string_view value) const {
  if (json) {
    Json object;
    put_field(object, "key", key, hex);
    put_field(object, "value", value, hex);
    return object.dump() + "\n";
  }
  if (hex) return to_hex(key) + "\t" + to_hex(value) + "\n";
  return escape(key) + "\t" + escape(value) + "\n";
}

std::string EntryFormat::print_key(std::string_view key) const {
  if (json) {
    Json object;
    put_field(object, "key", key, hex);
    return object.dump() + "\n";
  }
  return (hex ? to_hex(key) : escape(key)) + "\n";
}

std::string EntryFormat::print_value(std::string_view value) const {
  if (json) {
    Json object;
    put_field(object, "value", value, hex);
    return object.dump() + "\n";
  }
  return (hex ? to_hex(value) : std::string(value)) + "\n";
}

Result<EntryFormat::Parsed> EntryFormat::parse(std::string_view line) const {
  if (json) {
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) return malformed("this is not a JSON object");
    return both(field(object, "key", hex), field(object, "value", hex));
  }
  const size_t tab = line.find('\t');
  if (tab == std::string_view::npos) return malformed("there is no tab between a key and a value");
  const std::string_view key = line.substr(0, tab), value = line.substr(tab + 1);
  if (hex)
    return both(decoded("key", "hexadecimal", from_hex(key)),
                decoded("value", "hexadecimal", from_hex(value)));
  constexpr std::string_view kEscaped = "text with the escapes \\t \\n \\r \\\\ \\xHH";
  return both(decoded("key", kEscaped, unescape(key)), decoded("value", kEscaped, unescape(value)));
}

Result<std::string> EntryFormat::argument(std::string_view text) const {
  if (!hex) return std::string(text);
  return decoded("argument \"" + std::string(text) + "\"", "hexadecimal", from_hex(text));
}

}  // namespace lightning::cli
