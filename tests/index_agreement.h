// Do the indexes of a keyspace say what its rows do? For tests whose rows are any bytes: indexes whose
// entries can be told without the engine's own extraction, and the comparison.
//
// Thread safety: functions.
#pragma once

#include <lightning/database.h>

#include <algorithm>
#include <string>
#include <vector>

namespace lightning {

/// The first byte of the value; a row of no bytes has none.
inline IndexDefinition agreement_by_head() {
  return {
      .name = "by_head", .key = {IndexField::value_bytes(0, 1)}, .covered = {IndexField::key_bytes(0, 4)}};
}
/// The key, which is unique.
inline IndexDefinition agreement_by_key() {
  return {.name = "by_key",
          .key = {IndexField::key_bytes(0, IndexField::kToTheEnd, KeyType::text)},
          .unique = true};
}

/// One row as an index has it.
struct AgreementRow {
  std::string index_key;
  std::string primary_key;
  std::string value;
  auto operator<=>(const AgreementRow&) const = default;
};

inline std::vector<AgreementRow> agreement_rows(Scan rows, bool by_head, Status* status) {
  std::vector<AgreementRow> expected;
  while (rows.advance()) {
    const std::string_view key = rows.entry().key();
    const std::string_view value = rows.entry().value();
    if (!by_head) {
      expected.push_back({KeyWriter().text(key).take(), std::string(key), std::string(value)});
    } else if (!value.empty()) {
      expected.push_back(
          {KeyWriter().bytes(value.substr(0, 1)).take(), std::string(key), std::string(value)});
    }
  }
  *status = rows.status();
  std::sort(expected.begin(), expected.end());
  return expected;
}

/// Empty, or what differs. `status`: of a read that failed.
inline std::string index_difference(IndexScan scan, const std::vector<AgreementRow>& expected,
                                    Status* status) {
  size_t at = 0;
  while (scan.advance()) {
    const AgreementRow found{std::string(scan.key()), std::string(scan.primary_key()),
                             std::string(scan.value())};
    if (!scan.status().ok()) break;
    if (at == expected.size()) return "an entry more, of the row \"" + found.primary_key + "\"";
    if (found != expected[at]) {
      return "the entry of \"" + found.primary_key + "\" where that of \"" + expected[at].primary_key +
             "\" should be" + (found.primary_key == expected[at].primary_key ? ", with another value" : "");
    }
    ++at;
  }
  *status = scan.status();
  if (!status->ok()) return {};
  return at == expected.size() ? "" : "no entry of the row \"" + expected[at].primary_key + "\"";
}

/// Compares each of the two indexes that is there and can be read, as of `read`. Empty, or what differs;
/// `status` is that of a read that failed, which is no difference.
inline std::string index_disagreement(const Keyspace& keyspace, const ReadOptions& read, Status* status) {
  for (const IndexDefinition& definition : {agreement_by_head(), agreement_by_key()}) {
    const Index index = keyspace.index(definition.name);
    if (const Status readable = index.all(read).status(); !readable.ok()) {
      // Not there, or not then, or not yet.
      if (readable.is(StatusCode::not_found) || readable.is(StatusCode::busy)) continue;
      *status = readable;
      return {};
    }
    const std::vector<AgreementRow> rows =
        agreement_rows(keyspace.scan(read), definition.name == "by_head", status);
    if (!status->ok()) return {};
    std::string said = index_difference(index.all(read), rows, status);
    if (!said.empty() || !status->ok()) return said.empty() ? said : definition.name + ": " + said;
  }
  return {};
}

}  // namespace lightning
