// Creating, dropping and listing keyspaces and indexes.

#include "base/epoch.h"
#include "engine/engine.h"
#include "engine/scopes.h"
#include "format/codec.h"
#include "format/internal_key.h"
#include "format/log_entry.h"

namespace lightning {

namespace {

constexpr size_t kKeyspaceNameBytesMax = 255;

// The catalogue's changes survive a power cut, as what is written under them may.
constexpr WriteOptions kCatalogueWrite{.durability = Durability::power};

Status check_name(std::string_view name) {
  if (!name.empty() && name.size() <= kKeyspaceNameBytesMax) return {};
  return Status(StatusCode::invalid_argument, "the name of a keyspace is 1 to 255 bytes long");
}

/// For ever is what a keyspace says that says nothing.
uint64_t ttl_to_keep(uint64_t ttl_ms) { return ttl_ms == kNeverExpires ? 0 : ttl_ms; }

Status check_compression(std::optional<Compression> compression) {
  return compression ? codec_of(codec_id(*compression)).status() : Status();
}

Status no_keyspace(std::string_view name) {
  return Status(StatusCode::not_found, "there is no keyspace called " + std::string(name));
}

void append_operation(std::string* encoded, EntryKind kind, std::string_view key, std::string_view value) {
  const InternalKey internal(kCatalogueKeyspaceId, key);
  const size_t before = encoded->size();
  encoded->resize(before + log_entry_size(internal.view().size(), value.size()));
  put_log_entry(encoded->data() + before, kind, internal.view(), value);
}

// Of all its keys.
void append_keyspace_removal(std::string* encoded, uint32_t id) {
  const InternalKey from(id, {});
  const std::string to = end_of_keyspace(id);
  const size_t before = encoded->size();
  encoded->resize(before + log_entry_size(from.view().size(), to.size()));
  put_log_entry(encoded->data() + before, EntryKind::remove_range, from.view(), to);
}

// With the note that its id was dropped.
void append_keyspace_drop(std::string* encoded, uint32_t id, size_t* operations) {
  append_operation(encoded, EntryKind::put, Catalogue::dropped_key(id), {});
  append_keyspace_removal(encoded, id);
  *operations += 2;
}

Status no_index(std::string_view name) {
  return Status(StatusCode::not_found, "there is no index called " + std::string(name));
}

}  // namespace

Result<uint32_t> Engine::keyspace(std::string_view name, const KeyspaceOptions& options) {
  if (Status status = usable(); !status.ok()) return status;
  if (Status status = check_name(name); !status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  if (const uint32_t id = catalogue_.find(name); id != 0) {
    const Status status = options.create ? log_.wait_durable(catalogue_.unsure()) : Status();
    return status.ok() ? Result<uint32_t>(id) : Result<uint32_t>(status);
  }
  if (!options.create) return no_keyspace(name);
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = check_compression(options.compression); !status.ok()) return status;
  uint32_t id = 0;
  // Set aside first: an id is never used twice, whatever becomes of the commit.
  Status status = store_->commit([&](DurableState& next) {
    id = std::max(next.next_keyspace_id, kFirstUserKeyspaceId);
    next.next_keyspace_id = id + 1;
  });
  if (!status.ok()) return status;
  Catalogue::Entry entry = Catalogue::entry(name, id);
  const uint64_t ttl_ms = ttl_to_keep(options.ttl_ms);
  Catalogue::Ttls ttls = catalogue_.ttls_with(id, ttl_ms);
  Catalogue::Compressions compressions = catalogue_.compressions_with(id, options.compression);
  std::string batch;
  append_operation(&batch, EntryKind::put, Catalogue::name_key(name), Catalogue::encode_id(id));
  size_t operations = 1;
  if (ttl_ms != 0) {
    append_operation(&batch, EntryKind::put, Catalogue::ttl_key(id), Catalogue::encode_ttl(ttl_ms));
    ++operations;
  }
  if (options.compression) {
    append_operation(&batch, EntryKind::put, Catalogue::compression_key(id),
                     Catalogue::encode_compression(*options.compression));
    ++operations;
  }
  status = write_catalogue(batch, operations);
  if (!status.ok() && !status.is(StatusCode::unknown_outcome)) return status;
  if (ttl_ms != 0) catalogue_.set_ttls(std::move(ttls));
  catalogue_.set_compressions(std::move(compressions));
  catalogue_.add(std::move(entry));
  if (!status.ok()) return status;
  return id;
}

Status Engine::set_default_ttl(uint32_t keyspace, uint64_t ttl_ms) {
  if (Status status = refused(); !status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  if (Status status = usable(keyspace); !status.ok()) return status;
  ttl_ms = ttl_to_keep(ttl_ms);
  if (catalogue_.default_ttl(keyspace) == ttl_ms) return log_.wait_durable(catalogue_.unsure());
  Catalogue::Ttls ttls = catalogue_.ttls_with(keyspace, ttl_ms);
  std::string batch;
  append_operation(&batch, ttl_ms == 0 ? EntryKind::remove : EntryKind::put, Catalogue::ttl_key(keyspace),
                   ttl_ms == 0 ? std::string() : Catalogue::encode_ttl(ttl_ms));
  const Status status = write_catalogue(batch, 1);
  if (status.ok() || status.is(StatusCode::unknown_outcome)) catalogue_.set_ttls(std::move(ttls));
  return status;
}

Result<uint64_t> Engine::default_ttl(uint32_t keyspace) const {
  if (Status status = usable(keyspace); !status.ok()) return status;
  return catalogue_.default_ttl(keyspace);
}

Status Engine::set_compression(uint32_t keyspace, std::optional<Compression> compression) {
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = check_compression(compression); !status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  if (Status status = usable(keyspace); !status.ok()) return status;
  Catalogue::Compressions compressions = catalogue_.compressions_with(keyspace, compression);
  if (compressions == catalogue_.compressions()) return log_.wait_durable(catalogue_.unsure());
  std::string batch;
  append_operation(&batch, compression ? EntryKind::put : EntryKind::remove,
                   Catalogue::compression_key(keyspace),
                   compression ? Catalogue::encode_compression(*compression) : std::string());
  const Status status = write_catalogue(batch, 1);
  if (status.ok() || status.is(StatusCode::unknown_outcome))
    catalogue_.set_compressions(std::move(compressions));
  return status;
}

Result<std::optional<Compression>> Engine::compression(uint32_t keyspace) const {
  if (Status status = usable(keyspace); !status.ok()) return status;
  const Catalogue::Compressions all = catalogue_.compressions();
  const auto found = all.find(keyspace);
  return found == all.end() ? std::optional<Compression>() : found->second;
}

Status Engine::write_catalogue(const std::string& encoded, size_t operations, LockOwner owner) {
  const Status status = write_as(encoded, operations, kCatalogueWrite, owner, CommitPlan::kAnyIndexes);
  if (status.is(StatusCode::unknown_outcome)) catalogue_.set_unsure(log_.published());
  return status;
}

Status Engine::lock_all_of(uint32_t keyspace, LockOwner owner) {
  const InternalKey from(keyspace, {});
  return locks_.acquire_range(owner, from.view(), end_of_keyspace(keyspace), KeyLock::exclusive,
                              deadline_of(kCatalogueWrite));
}

Status Engine::lock_with_entries(uint32_t keyspace, LockOwner owner) {
  Status status = lock_all_of(keyspace, owner);
  const std::shared_ptr<const IndexRecords> records = catalogue_.index_records();
  for (const IndexRecord& record : records->all) {
    if (status.ok() && record.keyspace == keyspace) status = lock_all_of(record.entries, owner);
  }
  return status;
}

Status Engine::drop_keyspace(std::string_view name) {
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = check_name(name); !status.ok()) return status;
  // Waits for the locks of its keys before it keeps others from the catalogue, and holds all of them.
  uint32_t id = 0;
  {
    MutexLock lock(catalogue_mutex_);
    id = catalogue_.find(name);
  }
  if (id == 0) return no_keyspace(name);
  const WriteLocks locks(*this);
  Status status = lock_with_entries(id, locks.owner());
  // A write that waits for what this holds, and holds what this waits for, goes first.
  while (status.is(StatusCode::deadlock)) {
    locks_.release_all(locks.owner());
    status = lock_with_entries(id, locks.owner());
  }
  if (!status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  if (catalogue_.find(name) != id) return no_keyspace(name);  // another drop was first
  std::string batch;
  size_t operations = 0;
  std::vector<uint32_t> gone;
  append_keyspace_drop(&batch, id, &operations);
  gone.push_back(id);
  append_operation(&batch, EntryKind::remove, Catalogue::name_key(name), {});
  ++operations;
  const bool has_ttl = catalogue_.default_ttl(id) != 0;
  if (has_ttl) {
    append_operation(&batch, EntryKind::remove, Catalogue::ttl_key(id), {});
    ++operations;
  }
  Catalogue::Compressions compressions = catalogue_.compressions_with(id, std::nullopt);
  if (compressions != catalogue_.compressions()) {
    append_operation(&batch, EntryKind::remove, Catalogue::compression_key(id), {});
    ++operations;
  }
  const std::shared_ptr<const IndexRecords> indexes = catalogue_.index_records();
  for (const IndexRecord& record : indexes->all) {
    if (record.keyspace != id) continue;
    append_operation(&batch, EntryKind::remove, Catalogue::index_key(id, record.name), {});
    ++operations;
    append_keyspace_drop(&batch, record.entries, &operations);
    gone.push_back(record.entries);
  }
  Catalogue::Ids dropped = catalogue_.dropped_with(gone);
  Catalogue::Ttls ttls = catalogue_.ttls_with(id, 0);
  Catalogue::Indexes left;
  if (gone.size() > 1) {
    left = catalogue_.indexes_with([&](std::vector<IndexRecord>& all) {
      std::erase_if(all, [&](const IndexRecord& record) { return record.keyspace == id; });
    });
  }
  status = write_catalogue(batch, operations, locks.owner());
  if (!status.ok() && !status.is(StatusCode::unknown_outcome)) return status;
  catalogue_.drop(name, std::move(dropped));
  if (has_ttl) catalogue_.set_ttls(std::move(ttls));
  catalogue_.set_compressions(std::move(compressions));
  if (left.records != nullptr) catalogue_.set_indexes(std::move(left));
  return status;
}

// A commit that was made without the index is in the log, or will be refused.
void Engine::settle_indexes() {
  epoch_synchronize();
  MutexLock lock(switch_mutex_);  // those of their own segment, and ingestions
}

Result<IndexRecord> Engine::add_index(uint32_t keyspace, std::string_view name, std::string_view definition) {
  if (Status status = refused(); !status.ok()) return status;
  IndexRecord record{
      .keyspace = keyspace, .name = std::string(name), .entries = 0, .definition = std::string(definition)};
  // What is prepared there knows nothing of the index: its commit comes first, others wait.
  const WriteLocks locks(*this);
  Status status = lock_all_of(keyspace, locks.owner());
  if (!status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  if (status = usable(keyspace); !status.ok()) return status;
  if (catalogue_.index_records()->find(keyspace, name) != nullptr)
    return Status(StatusCode::already_exists, "there is an index called " + record.name);
  status = store_->commit([&](DurableState& next) {
    record.entries = std::max(next.next_keyspace_id, kFirstUserKeyspaceId);
    next.next_keyspace_id = record.entries + 1;
  });
  if (!status.ok()) return status;
  Catalogue::Indexes indexes =
      catalogue_.indexes_with([&](std::vector<IndexRecord>& all) { all.push_back(record); });
  std::string batch;
  append_operation(&batch, EntryKind::put, Catalogue::index_key(keyspace, name),
                   Catalogue::encode_index(record));
  status = write_catalogue(batch, 1);
  if (!status.ok() && !status.is(StatusCode::unknown_outcome)) return status;
  catalogue_.set_indexes(std::move(indexes));
  settle_indexes();
  if (!status.ok()) return status;
  return record;
}

Status Engine::change_index(uint32_t entries, std::string_view definition) {
  MutexLock lock(catalogue_mutex_);
  if (Status status = refused(); !status.ok()) return status;  // behind a close, which waits for the lock
  IndexRecord record;
  Catalogue::Indexes indexes = catalogue_.indexes_with(
      [&](std::vector<IndexRecord>& all) {
        for (IndexRecord& one : all) {
          if (one.entries != entries) continue;
          one.definition = definition;
          record = one;
        }
      },
      true);
  if (record.entries == 0) return Status(StatusCode::not_found, "the index was dropped");
  // A unique index may have given a key to one row since another one had expired.
  if (static_cast<int64_t>(expiry_clock_.floor()) > store_->state().time_max_us) {
    const Status timed = store_->commit([this](DurableState& next) { record_time(next); });
    if (!timed.ok()) return timed;
  }
  std::string batch;
  append_operation(&batch, EntryKind::put, Catalogue::index_key(record.keyspace, record.name),
                   Catalogue::encode_index(record));
  const Status status = write_catalogue(batch, 1);
  if (status.ok() || status.is(StatusCode::unknown_outcome)) catalogue_.set_indexes(std::move(indexes));
  return status;
}

Status Engine::drop_index(uint32_t keyspace, std::string_view name) {
  if (Status status = refused(); !status.ok()) return status;
  // As a drop of a keyspace, it waits for locks before it keeps others from the catalogue.
  uint32_t entries = 0;
  {
    const std::shared_ptr<const IndexRecords> records = catalogue_.index_records();
    const IndexRecord* const record = records->find(keyspace, name);
    if (record == nullptr) return no_index(name);
    entries = record->entries;
  }
  const WriteLocks locks(*this);
  Status status = lock_all_of(entries, locks.owner());
  if (!status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  const std::shared_ptr<const IndexRecords> before = catalogue_.index_records();
  const IndexRecord* const found = before->find(keyspace, name);
  if (found == nullptr || found->entries != entries) return no_index(name);  // another drop was first
  std::string batch;
  size_t operations = 1;
  append_operation(&batch, EntryKind::remove, Catalogue::index_key(keyspace, name), {});
  append_keyspace_drop(&batch, found->entries, &operations);
  Catalogue::Ids dropped = catalogue_.dropped_with(found->entries);
  Catalogue::Indexes indexes = catalogue_.indexes_with(
      [&](std::vector<IndexRecord>& all) { all.erase(all.begin() + (found - before->all.data())); });
  status = write_catalogue(batch, operations, locks.owner());
  if (!status.ok() && !status.is(StatusCode::unknown_outcome)) return status;
  catalogue_.set_indexes(std::move(indexes));
  catalogue_.set_dropped_ids(std::move(dropped));
  return status;
}

Result<std::vector<std::string>> Engine::keyspaces() const {
  if (Status status = usable(); !status.ok()) return status;
  return catalogue_.names();
}

}  // namespace lightning
