// Secondary indexes of a keyspace: other keys for its entries, kept by the engine in the commits that change
// them (Keyspace::create_index()).
//
//   lightning::Status s = people.create_index({.name = "by_city", .key = {IndexField::column(2)}});
//   s = people.wait_for_index("by_city");
//   IndexScan in_oslo = people.index("by_city").find(ordered_key("Oslo"));
//   while (in_oslo.advance()) use(in_oslo.primary_key(), in_oslo.value());
//
// Keys of an index are ordered ones (key.h): a part for each field, of its type. Index and data are of one
// moment in every read. An entry expires with what it stands for. docs/secondary-indexes.md tells the rest.
// Thread safety: Index any threads, that of a transaction and IndexScan one at a time. Both hold the
// database's core, and answer `closed` after close().
#pragma once

#include <lightning/export.h>
#include <lightning/key.h>
#include <lightning/options.h>
#include <lightning/status.h>
#include <lightning/value.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

class Engine;
class IndexScanState;
class JoinState;
class TransactionState;

enum class IndexKind : uint8_t {
  ordered,  // in the order of its keys: ranges, prefixes
  hash,     // in that of a hash of them: whole keys only
};
/// What becomes of an entry in which a field of an index is not found.
enum class MissingField : uint8_t {
  skip,    // it has no place in that index
  refuse,  // its write is refused with invalid_argument
};

/// Where a part of an index's key stands in an entry, and of which type it is.
struct LIGHTNING_EXPORT IndexField {
  enum class Source : uint8_t { value, value_column, key, key_column, function };
  static constexpr uint32_t kToTheEnd = UINT32_MAX;
  static constexpr uint32_t kEveryColumn = UINT32_MAX;

  Source source = Source::value;
  KeyType type = KeyType::bytes;
  uint32_t offset = 0;        // of value and key: where it begins
  uint32_t size = kToTheEnd;  // and how many bytes it has; an entry that is too short has no such field
  uint32_t column = 0;        // counted from 0; kEveryColumn: each is a value
  char delimiter = ',';       // between columns
  std::string function = {};  // the name of an Extractor
  std::string argument = {};  // for it

  static IndexField whole_value(KeyType type = KeyType::bytes);
  static IndexField value_bytes(uint32_t offset, uint32_t size, KeyType type = KeyType::bytes);
  static IndexField value_column(uint32_t column, KeyType type = KeyType::text, char delimiter = ',');
  static IndexField key_bytes(uint32_t offset, uint32_t size, KeyType type = KeyType::bytes);
  static IndexField key_column(uint32_t column, KeyType type = KeyType::text, char delimiter = ':');
  static IndexField by_function(std::string name, std::string argument, KeyType type);
  /// Of a JSON document (RFC 6901: "/address/city"): the function "json" of lightning/json.h.
  static IndexField json_pointer(std::string pointer, KeyType type);
};

struct IndexDefinition {
  std::string name;             // 1 to 255 bytes
  std::vector<IndexField> key;  // 1 to 16
  bool unique = false;
  IndexKind kind = IndexKind::ordered;
  MissingField missing = MissingField::skip;
  /// Kept in the entries of the index, to be read without the data; the first value of each, where there is
  /// one.
  std::vector<IndexField> covered = {};
};

enum class IndexState : uint8_t {
  building,  // kept by writers already, and not to be read yet
  ready,
  failed,  // the data does not allow it; kept and read no more
};

struct IndexInfo {
  IndexDefinition definition;
  IndexState state = IndexState::building;
  std::string failure;            // why it failed
  std::string missing_extractor;  // a function that its fields need and this process did not register
};

/// About an index. Exact where it has few entries, else reckoned from a sample.
struct IndexStats {
  uint64_t entries = 0;
  uint64_t distinct = 0;  // keys
  uint64_t bytes = 0;
  bool exact = true;
};

/// Entries of an index, in the order of their keys and, for one key, of what they stand for.
class [[nodiscard]] LIGHTNING_EXPORT IndexScan {
 public:
  explicit IndexScan(std::unique_ptr<IndexScanState> state);
  IndexScan(IndexScan&&) noexcept;
  IndexScan& operator=(IndexScan&&) noexcept;
  ~IndexScan();

  /// At most `entries`; the last call counts.
  IndexScan limit(uint64_t entries) &&;
  IndexScan reverse() &&;

  /// To the next entry; false at the end or on an error.
  bool advance();
  /// Views that die at the next step. The index's key, to be taken apart by KeyReader.
  std::string_view key() const;
  /// The key of the entry in the keyspace.
  std::string_view primary_key() const;
  /// Its value, read when it is asked for; empty on an error.
  std::string_view value();
  /// The covered fields, a part each, to be taken apart by KeyReader; one that was not found is bytes "".
  std::string_view covered() const;
  /// ok, or the error that ended the scan.
  const Status& status() const;

 private:
  std::unique_ptr<IndexScanState> state_;
};

/// Pairs of entries with equal keys in two indexes (Index::join()), in the order of the keys, then of the
/// left and of the right rows' keys.
class [[nodiscard]] LIGHTNING_EXPORT JoinScan {
 public:
  explicit JoinScan(std::unique_ptr<JoinState> state);
  JoinScan(JoinScan&&) noexcept;
  JoinScan& operator=(JoinScan&&) noexcept;
  ~JoinScan();

  /// To the next pair; false at the end or on an error.
  bool advance();
  /// Views that die at the next step. The key that both have.
  std::string_view key() const;
  std::string_view left_primary_key() const;
  std::string_view right_primary_key() const;
  /// Of the rows, read when they are asked for; empty on an error.
  std::string_view left_value();
  std::string_view right_value();
  /// ok, or the error that ended the scan.
  const Status& status() const;

 private:
  std::unique_ptr<JoinState> state_;
};

/// A handle to an index; reads say whether there is one, and `busy` while it is being built.
class LIGHTNING_EXPORT Index {
 public:
  /// An empty handle: every call answers `closed`.
  Index() = default;
  Index(std::shared_ptr<Engine> engine, std::shared_ptr<TransactionState> transaction, uint32_t keyspace,
        std::string name)
      : engine_(std::move(engine)),
        transaction_(std::move(transaction)),
        keyspace_(keyspace),
        name_(std::move(name)) {}

  // ReadOptions mean nothing in a transaction.
  /// The value of the first entry whose key is `key`, all fields of it; its own key goes to `primary_key`.
  Lookup get(std::string_view key, const ReadOptions& options = {}, std::string* primary_key = nullptr) const;
  Lookup get(std::string_view key, Value& reused, const ReadOptions& options = {},
             std::string* primary_key = nullptr) const;
  /// Entries whose key begins with `key`: whole parts, of kind ordered the first fields or all, and a
  /// text_prefix() or bytes_prefix() at the end.
  IndexScan find(std::string_view key, const ReadOptions& options = {}) const;
  /// Entries whose first field, text or bytes, begins with `text`.
  IndexScan prefix(std::string_view text, const ReadOptions& options = {}) const;
  /// Entries with from <= key < to, where "" for `to` is no end.
  IndexScan range(std::string_view from, std::string_view to, const ReadOptions& options = {}) const;
  IndexScan all(const ReadOptions& options = {}) const;
  /// How many range() would give.
  Result<uint64_t> count(std::string_view from, std::string_view to, const ReadOptions& options = {}) const;
  /// Inner join with an index of the same database, of the same kind, whose fields have the same types; both
  /// handles of one transaction, or of none. All of it is of one moment, but under read_committed. Costs: a
  /// step of one scan or the other for each entry, a new scan for each further left entry of a key; no
  /// memory for entries.
  JoinScan join(const Index& right, const ReadOptions& options = {}) const;

  const std::string& name() const { return name_; }

 private:
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<TransactionState> transaction_;  // null: outside of any
  uint32_t keyspace_ = 0;
  std::string name_;
};

}  // namespace lightning
