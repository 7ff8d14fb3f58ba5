// index create, index drop, index list, index stats, query.
#include <lightning/query.h>

#include <nlohmann/json.hpp>

#include "tools/lightning-cli/text.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

using Json = nlohmann::ordered_json;
using Source = IndexField::Source;

std::string printable(const std::string& name) { return is_utf8(name) ? name : escape(name); }

Result<KeyType> key_type(const std::string& name) {
  if (name.empty()) return KeyType::text;
  for (const KeyType type :
       {KeyType::bytes, KeyType::text, KeyType::integer, KeyType::floating, KeyType::timestamp}) {
    if (key_type_name(type) == name) return type;
  }
  return Status(StatusCode::invalid_argument, "--type " + name + " is none");
}

Result<IndexField> field_of(const Arguments& arguments) {
  const Result<KeyType> type = key_type(arguments.type);
  if (!type) return type.status();
  if (arguments.delimiter.size() > 1) return Status(StatusCode::invalid_argument, "--delimiter is one byte");
  const uint64_t column = arguments.column.value_or(arguments.key_column.value_or(0));
  if (column >= IndexField::kEveryColumn)
    return Status(StatusCode::invalid_argument, "there is no such column");
  const auto number = static_cast<uint32_t>(column);
  IndexField field = IndexField::whole_value(*type);
  if (arguments.json_pointer) field = IndexField::json_pointer(*arguments.json_pointer, *type);
  if (arguments.column) field = IndexField::value_column(number, *type);
  if (arguments.key_column) field = IndexField::key_column(number, *type);
  if (!arguments.delimiter.empty()) field.delimiter = arguments.delimiter[0];
  return field;
}

std::string describe(const IndexField& field) {
  const auto part = [&](std::string_view whole) {
    if (field.offset == 0 && field.size == IndexField::kToTheEnd) return std::string(whole);
    std::string text = std::string(whole) + " from byte " + std::to_string(field.offset);
    return field.size == IndexField::kToTheEnd ? text : text + ", " + std::to_string(field.size) + " bytes";
  };
  const auto column = [&](std::string_view of) {
    const std::string number =
        field.column == IndexField::kEveryColumn ? "each column" : "column " + std::to_string(field.column);
    return number + " of the " + std::string(of) + " by '" + escape(std::string(1, field.delimiter)) + "'";
  };
  switch (field.source) {
    case Source::value:
      return part("value");
    case Source::key:
      return part("key");
    case Source::value_column:
      return column("value");
    case Source::key_column:
      return column("key");
    case Source::function:
      break;
  }
  return field.function + "(" + printable(field.argument) + ")";
}

std::string_view state_name(IndexState state) {
  switch (state) {
    case IndexState::building:
      return "building";
    case IndexState::ready:
      return "ready";
    case IndexState::failed:
      return "failed";
  }
  return "unknown";
}

Json fields_json(const std::vector<IndexField>& fields) {
  Json array = Json::array();
  for (const IndexField& field : fields)
    array.push_back({{"of", describe(field)}, {"type", key_type_name(field.type)}});
  return array;
}

Json info_json(const IndexInfo& info) {
  const IndexDefinition& definition = info.definition;
  Json object{{"name", printable(definition.name)},
              {"state", state_name(info.state)},
              {"key", fields_json(definition.key)},
              {"covered", fields_json(definition.covered)},
              {"unique", definition.unique},
              {"kind", definition.kind == IndexKind::hash ? "hash" : "ordered"},
              {"missing", definition.missing == MissingField::refuse ? "refuse" : "skip"}};
  if (!info.failure.empty()) object["failure"] = printable(info.failure);
  if (!info.missing_extractor.empty()) object["missing_function"] = printable(info.missing_extractor);
  return object;
}

std::string info_line(const IndexInfo& info) {
  const IndexDefinition& definition = info.definition;
  std::string line = escape(definition.name) + "\t" + std::string(state_name(info.state)) + "\t";
  for (size_t i = 0; i < definition.key.size(); ++i) {
    line.append(i == 0 ? "" : "; ").append(describe(definition.key[i])).append(" as ");
    line.append(key_type_name(definition.key[i].type));
  }
  if (definition.unique) line += ", unique";
  if (definition.kind == IndexKind::hash) line += ", hash";
  if (!info.failure.empty()) line.append("\t").append(escape(info.failure));
  if (!info.missing_extractor.empty()) line.append("\tthe function is missing here");
  return line + "\n";
}

}  // namespace

Status run_index_create(Session& session) {
  const Arguments& arguments = session.arguments;
  const Result<IndexField> field = field_of(arguments);
  if (!field) return field.status();
  Status status = session.keyspace.create_index(
      {.name = arguments.name,
       .key = {*field},
       .unique = arguments.unique,
       .kind = arguments.hash ? IndexKind::hash : IndexKind::ordered,
       .missing = arguments.refuse_missing ? MissingField::refuse : MissingField::skip});
  if (!status.ok()) return status;
  status = session.keyspace.wait_for_index(arguments.name);
  if (status.ok()) return status;
  // One that could not be built is of no use.
  const Status dropped = session.keyspace.drop_index(arguments.name);
  return dropped.ok() ? status : dropped;
}

Status run_index_drop(Session& session) { return session.keyspace.drop_index(session.arguments.name); }

Status run_index_list(Session& session) {
  const Result<std::vector<IndexInfo>> infos = session.keyspace.indexes();
  if (!infos) return infos.status();
  if (session.arguments.format.json) {
    Json array = Json::array();
    for (const IndexInfo& info : *infos) array.push_back(info_json(info));
    session.output.write(Json{{"indexes", array}}.dump() + "\n");
    return {};
  }
  for (const IndexInfo& info : *infos) session.output.write(info_line(info));
  return {};
}

Status run_index_stats(Session& session) {
  const Result<IndexStats> stats = session.keyspace.index_stats(session.arguments.name);
  if (!stats) return stats.status();
  if (session.arguments.format.json) {
    const Json object{{"entries", stats->entries},
                      {"distinct", stats->distinct},
                      {"bytes", stats->bytes},
                      {"exact", stats->exact}};
    session.output.write(object.dump() + "\n");
    return {};
  }
  session.output.write("entries   " + std::to_string(stats->entries) + "\ndistinct  " +
                       std::to_string(stats->distinct) + "\nbytes     " + std::to_string(stats->bytes) +
                       "\n" + (stats->exact ? "" : "reckoned from a sample\n"));
  return {};
}

Status run_query(Session& session) {
  const Result<Query> query = parse_query(session.arguments.query);
  if (!query) return query.status();
  QueryScan found = lightning::run_query(session.keyspace, *query);
  const EntryFormat& format = session.arguments.format;
  if (session.arguments.explain) {
    if (!found.status().ok()) return found.status();
    session.output.write(format.json ? Json{{"plan", printable(found.explain())}}.dump() + "\n"
                                     : found.explain());
    return {};
  }
  while (found.advance()) {
    if (!session.output.write(format.print(found.primary_key(), found.value()))) return {};
  }
  return found.status();
}

}  // namespace lightning::cli
