#include "index/definition.h"

#include <utility>

#include "base/coding.h"

namespace lightning {

namespace {

constexpr char kLayout = 1;
constexpr char kDuplicate = 3;
constexpr uint8_t kUnique = 1;
constexpr uint8_t kHash = 2;
constexpr uint8_t kRefuse = 4;
constexpr size_t kNameBytesMax = 255;
constexpr size_t kFieldsMax = 16;
constexpr size_t kArgumentBytesMax = 4096;
constexpr size_t kFailureBytesMax = 4096;

using Source = IndexField::Source;

Status malformed() { return Status(StatusCode::corruption, "the definition of an index is malformed"); }

Status refuse(std::string_view why) { return Status(StatusCode::invalid_argument, why); }

bool has_columns(Source source) { return source == Source::value_column || source == Source::key_column; }

Status check_field(const IndexField& field) {
  if (field.source > Source::function) return refuse("a field of an index has an unknown source");
  if (field.type > KeyType::timestamp) return refuse("a field of an index has an unknown type");
  const bool calls = field.source == Source::function;
  if (calls == field.function.empty()) return refuse("a field by function, and no other, names a function");
  if (field.function.size() > kNameBytesMax || field.argument.size() > kArgumentBytesMax)
    return refuse("the name of a function is at most 255 bytes long, its argument 4,096");
  if (!calls && !field.argument.empty()) return refuse("only a function has an argument");
  return {};
}

void append_number(std::string* to, uint64_t number) {
  char bytes[kVarint64BytesMax];
  to->append(bytes, put_varint(bytes, number));
}

void append_text(std::string* to, std::string_view text) {
  append_number(to, text.size());
  to->append(text);
}

void append_field(std::string* to, const IndexField& field) {
  to->push_back(static_cast<char>(field.source));
  to->push_back(static_cast<char>(field.type));
  append_number(to, field.offset);
  append_number(to, field.size);
  append_number(to, field.column);
  to->push_back(field.delimiter);
  append_text(to, field.function);
  append_text(to, field.argument);
}

// Takes bytes apart; after a failure everything fails.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  uint8_t byte() {
    if (!good_ || at_ == end_) return fail<uint8_t>();
    return static_cast<uint8_t>(*at_++);
  }
  uint32_t number() {
    uint32_t number = 0;
    const char* const next = good_ ? get_varint(at_, end_, &number) : nullptr;
    // One form for each number.
    if (next == nullptr || next - at_ != varint_size(number)) return fail<uint32_t>();
    at_ = next;
    return number;
  }
  std::string text(size_t most) {
    const size_t size = number();
    if (!good_ || size > most || size > static_cast<size_t>(end_ - at_)) return fail<std::string>();
    return {std::exchange(at_, at_ + size), size};
  }
  IndexField field() {
    IndexField field;
    field.source = static_cast<Source>(byte());
    field.type = static_cast<KeyType>(byte());
    field.offset = number();
    field.size = number();
    field.column = number();
    field.delimiter = static_cast<char>(byte());
    field.function = text(kNameBytesMax);
    field.argument = text(kArgumentBytesMax);
    return field;
  }
  bool at_end() const { return good_ && at_ == end_; }

 private:
  template <typename T>
  T fail() {
    good_ = false;
    return T();
  }

  const char* at_;
  const char* end_;
  bool good_ = true;
};

}  // namespace

IndexField IndexField::whole_value(KeyType type) { return value_bytes(0, kToTheEnd, type); }

IndexField IndexField::value_bytes(uint32_t offset, uint32_t size, KeyType type) {
  IndexField field;
  field.source = Source::value;
  field.type = type;
  field.offset = offset;
  field.size = size;
  return field;
}

IndexField IndexField::value_column(uint32_t column, KeyType type, char delimiter) {
  IndexField field;
  field.source = Source::value_column;
  field.type = type;
  field.column = column;
  field.delimiter = delimiter;
  return field;
}

IndexField IndexField::key_bytes(uint32_t offset, uint32_t size, KeyType type) {
  IndexField field = value_bytes(offset, size, type);
  field.source = Source::key;
  return field;
}

IndexField IndexField::key_column(uint32_t column, KeyType type, char delimiter) {
  IndexField field = value_column(column, type, delimiter);
  field.source = Source::key_column;
  return field;
}

IndexField IndexField::by_function(std::string name, std::string argument, KeyType type) {
  IndexField field;
  field.source = Source::function;
  field.type = type;
  field.function = std::move(name);
  field.argument = std::move(argument);
  return field;
}

IndexField IndexField::json_pointer(std::string pointer, KeyType type) {
  return by_function("json", std::move(pointer), type);
}

Status StoredIndex::failure_status() const {
  return Status(duplicate ? StatusCode::already_exists : StatusCode::invalid_argument,
                "the index " + definition.name + " could not be built: " + failure);
}

Status check_definition(const IndexDefinition& definition) {
  if (definition.name.empty() || definition.name.size() > kNameBytesMax)
    return refuse("the name of an index is 1 to 255 bytes long");
  if (definition.key.empty() || definition.key.size() > kFieldsMax)
    return refuse("the key of an index has 1 to 16 fields");
  if (definition.covered.size() > kFieldsMax) return refuse("an index covers at most 16 fields");
  if (definition.kind > IndexKind::hash || definition.missing > MissingField::refuse)
    return refuse("an index has an unknown kind");
  for (const IndexField& field : definition.key) {
    if (Status status = check_field(field); !status.ok()) return status;
  }
  for (const IndexField& field : definition.covered) {
    if (Status status = check_field(field); !status.ok()) return status;
    if (has_columns(field.source) && field.column == IndexField::kEveryColumn)
      return refuse("a covered field is one column");
  }
  return {};
}

std::string encode_definition(const StoredIndex& index) {
  const IndexDefinition& definition = index.definition;
  std::string bytes(1, index.duplicate ? kDuplicate : static_cast<char>(index.state));
  append_text(&bytes, std::string_view(index.failure).substr(0, kFailureBytesMax));
  bytes.push_back(kLayout);
  uint8_t flags = definition.unique ? kUnique : 0;
  if (definition.kind == IndexKind::hash) flags |= kHash;
  if (definition.missing == MissingField::refuse) flags |= kRefuse;
  bytes.push_back(static_cast<char>(flags));
  append_number(&bytes, definition.key.size());
  for (const IndexField& field : definition.key) append_field(&bytes, field);
  append_number(&bytes, definition.covered.size());
  for (const IndexField& field : definition.covered) append_field(&bytes, field);
  return bytes;
}

Result<StoredIndex> decode_definition(std::string_view bytes) {
  Reader reader(bytes);
  StoredIndex index;
  uint8_t state = reader.byte();
  index.duplicate = state == kDuplicate;
  if (index.duplicate) state = static_cast<uint8_t>(IndexState::failed);
  index.failure = reader.text(kFailureBytesMax);
  const uint8_t layout = reader.byte();
  const uint8_t flags = reader.byte();
  if (state > static_cast<uint8_t>(IndexState::failed) || flags > (kUnique | kHash | kRefuse))
    return malformed();
  if (layout != kLayout) return malformed();
  index.state = static_cast<IndexState>(state);
  if (index.state != IndexState::failed && !index.failure.empty()) return malformed();
  IndexDefinition& definition = index.definition;
  definition.unique = (flags & kUnique) != 0;
  definition.kind = (flags & kHash) != 0 ? IndexKind::hash : IndexKind::ordered;
  definition.missing = (flags & kRefuse) != 0 ? MissingField::refuse : MissingField::skip;
  for (std::vector<IndexField>* fields : {&definition.key, &definition.covered}) {
    const size_t count = reader.number();
    if (count > kFieldsMax) return malformed();
    for (size_t i = 0; i < count; ++i) fields->push_back(reader.field());
  }
  if (!reader.at_end()) return malformed();
  definition.name = "n";  // stands in the key
  if (!check_definition(definition).ok()) return malformed();
  definition.name.clear();
  return index;
}

Result<std::string> definition_to_build(std::string_view bytes) {
  Result<StoredIndex> index = decode_definition(bytes);
  if (!index) return index.status();
  index->state = IndexState::building;
  index->failure.clear();
  index->duplicate = false;
  return encode_definition(*index);
}

}  // namespace lightning
