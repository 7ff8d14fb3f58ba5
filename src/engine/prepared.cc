#include "engine/prepared.h"

#include "format/internal_key.h"

namespace lightning {

namespace {

void append_varint(std::string* text, uint64_t value) {
  char bytes[kVarint64BytesMax];
  text->append(bytes, put_varint(bytes, value));
}

void append_operation(std::string* record, const Operation& operation) {
  const LogEntry& entry = operation.entry;
  const bool has_ttl = entry.kind == EntryKind::put && operation.expiry != 0;
  const size_t before = record->size();
  record->resize(before +
                 log_entry_size(entry.key.size(), entry.value.size() + (has_ttl ? kBatchTtlBytes : 0)));
  if (has_ttl) {
    put_expiring_log_entry(record->data() + before, entry.key, operation.expiry, entry.value);
  } else {
    put_log_entry(record->data() + before, entry.kind, entry.key, entry.value);
  }
}

// What was looked for may be longer than any key. No key lies between it and what is left of it here, so that
// the range meets no other lock than it did.
void append_guard(std::string* record, std::string_view from, std::string_view to) {
  from = from.substr(0, kInternalKeyBytesMax + 1);
  append_varint(record, from.size());
  append_varint(record, to.size());
  record->append(from).append(to);
}

// Is it where a transaction of a user can read and write?
bool is_users(std::string_view key) {
  uint32_t keyspace = 0;
  return parse_keyspace_prefix(key, &keyspace) != 0 && keyspace != kCatalogueKeyspaceId;
}

void append_guards(std::string* record, const Footprint& guards) {
  append_varint(record, guards.keys().size() + guards.ranges().size());
  for (const Footprint::Key& key : guards.keys()) append_guard(record, key.bytes, {});
  for (const Footprint::Range& range : guards.ranges()) append_guard(record, range.from, range.to);
}

/// Walks a record; every step is checked, and none succeeds after one that did not.
class RecordReader {
 public:
  explicit RecordReader(std::string_view record) : at_(record.data()), end_(record.data() + record.size()) {}

  bool at_end() const { return at_ == end_; }
  bool number(uint64_t* value) {
    if (at_ != nullptr) at_ = get_varint(at_, end_, value);
    return at_ != nullptr;
  }
  bool bytes(uint64_t size, std::string_view* view) {
    if (at_ == nullptr || static_cast<uint64_t>(end_ - at_) < size) return false;
    *view = {at_, static_cast<size_t>(size)};
    at_ += size;
    return true;
  }
  bool operation(Operation* operation) {
    LogEntry& entry = operation->entry;
    if (at_ == nullptr || !parse_log_entry(at_, end_, &entry)) return false;
    if (entry.key.size() > kInternalKeyBytesMax || !is_users(entry.key)) return false;
    at_ = entry.value.data() + entry.value.size();
    if (entry.kind == EntryKind::put_expiring) operation->expiry = take_batch_ttl(&entry);
    return true;
  }
  bool guards(KeyLock mode, std::vector<PreparedRecord::Guard>* guards) {
    uint64_t count = 0;
    if (!number(&count)) return false;
    for (; count != 0; --count) {
      if (!guard(&guards->emplace_back(PreparedRecord::Guard{.from = {}, .to = {}, .mode = mode})))
        return false;
    }
    return true;
  }

 private:
  bool guard(PreparedRecord::Guard* guard) {
    uint64_t from_size = 0;
    uint64_t to_size = 0;
    return number(&from_size) && number(&to_size) && bytes(from_size, &guard->from) &&
           bytes(to_size, &guard->to) && is_users(guard->from) &&
           (guard->to.empty() || guard->from < guard->to);
  }

  const char* at_;
  const char* end_;
};

bool read_record(std::string_view bytes, PreparedRecord* record) {
  RecordReader reader(bytes);
  std::string_view fixed;
  if (!reader.bytes(sizeof(uint64_t), &fixed)) return false;
  record->prepared_us = load<uint64_t>(fixed.data());
  uint64_t operations = 0;
  if (!reader.number(&operations)) return false;
  bool ranges_over = false;
  for (; operations != 0; --operations) {
    Operation operation;
    if (!reader.operation(&operation)) return false;
    const bool range = operation.entry.kind == EntryKind::remove_range;
    if (range && ranges_over) return false;
    ranges_over = !range;
    record->operations.push_back(operation);
  }
  if (!reader.guards(KeyLock::shared, &record->guards)) return false;
  return reader.at_end() || (reader.guards(KeyLock::exclusive, &record->guards) && reader.at_end());
}

}  // namespace

std::string encode_prepared(uint64_t prepared_us, std::span<const Operation> operations,
                            const PreparedGuards& guards) {
  std::string record(sizeof(uint64_t), '\0');
  store<uint64_t>(record.data(), prepared_us);
  append_varint(&record, operations.size());
  for (const Operation& operation : operations) append_operation(&record, operation);
  append_guards(&record, guards.shared);
  append_guards(&record, guards.exclusive);
  return record;
}

Result<PreparedRecord> decode_prepared(std::string_view record) {
  PreparedRecord decoded;
  if (read_record(record, &decoded)) return decoded;
  return Status(StatusCode::corruption, "the record of a prepared transaction is malformed");
}

Status lock_prepared(LockTable& locks, const PreparedRecord& record, LockOwner owner) {
  const auto lock = [&](std::string_view from, std::string_view to, KeyLock mode) {
    return to.empty() ? locks.acquire(owner, from, mode, 0) : locks.acquire_range(owner, from, to, mode, 0);
  };
  Status first;  // failure: the others are locked all the same
  const auto note = [&](Status status) {
    if (first.ok()) first = std::move(status);
  };
  for (const Operation& operation : record.operations) {
    const LogEntry& entry = operation.entry;
    const bool range = entry.kind == EntryKind::remove_range;
    note(lock(entry.key, range ? entry.value : std::string_view(), KeyLock::exclusive));
  }
  for (const PreparedRecord::Guard& guard : record.guards) note(lock(guard.from, guard.to, guard.mode));
  return first;
}

Result<PreparedTransactions::Claim> PreparedTransactions::reserve(std::string_view gid, const Row& row) {
  MutexLock lock(mutex_);
  if (entries_.try_emplace(std::string(gid), Entry{.row = row}).second)
    return Claim(*this, gid, row.owner, false);
  return Status(StatusCode::already_exists, "a transaction is prepared under this name");
}

Result<PreparedTransactions::Claim> PreparedTransactions::take(std::string_view gid) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(gid);
  if (found == entries_.end())
    return Status(StatusCode::not_found, "no transaction is prepared under this name");
  Entry& entry = found->second;
  if (std::exchange(entry.claimed, true))
    return Status(StatusCode::busy, "another call prepares the transaction or resolves it");
  return Claim(*this, gid, entry.row.owner, true);
}

void PreparedTransactions::settle(std::string_view gid) {
  MutexLock lock(mutex_);
  entries_.find(gid)->second.claimed = false;
}

void PreparedTransactions::erase(std::string_view gid) {
  MutexLock lock(mutex_);
  entries_.erase(entries_.find(gid));
}

std::vector<PreparedTransaction> PreparedTransactions::list() const {
  MutexLock lock(mutex_);
  std::vector<PreparedTransaction> list;
  list.reserve(entries_.size());
  for (const auto& [gid, entry] : entries_) {
    list.push_back({.gid = gid,
                    .prepared_us = entry.row.prepared_us,
                    .operations = entry.row.operations,
                    .bytes = entry.row.bytes});
  }
  return list;
}

}  // namespace lightning
