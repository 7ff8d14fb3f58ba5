#include <lightning/json.h>

#include <simdjson.h>

#include <new>

namespace lightning {

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

void add_scalar(element found, FieldValues& values) {
  switch (found.type()) {
    case element_type::STRING:
      values.add(std::string_view(found.get_string().value_unsafe()));
      return;
    case element_type::INT64:
      values.add(found.get_int64().value_unsafe());
      return;
    case element_type::UINT64:
      values.add(found.get_uint64().value_unsafe());
      return;
    case element_type::DOUBLE:
      values.add(found.get_double().value_unsafe());
      return;
    case element_type::BOOL:
      values.add(found.get_bool().value_unsafe() ? 1 : 0);
      return;
    default:
      return;
  }
}

void extract(std::string_view, std::string_view value, std::string_view pointer, FieldValues& values) {
  // One a thread: its buffers are used again.
  static thread_local simdjson::dom::parser parser;
  element document;
  const simdjson::error_code error =
      parser.parse(value.data(), value.size(), /*realloc_if_needed=*/true).get(document);
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  if (error != simdjson::SUCCESS) return;
  element found = document;
  if (!pointer.empty() && document.at_pointer(pointer).get(found) != simdjson::SUCCESS) return;
  if (found.type() != element_type::ARRAY) return add_scalar(found, values);
  const simdjson::dom::array elements = found.get_array().value_unsafe();
  for (const element each : elements) add_scalar(each, values);
}

}  // namespace

Extractor json_extractor() { return {.name = "json", .fn = extract}; }

}  // namespace lightning
