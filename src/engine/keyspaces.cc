// Creating, dropping and listing keyspaces.

#include "engine/engine.h"
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

}  // namespace

Result<uint32_t> Engine::keyspace(std::string_view name, bool create) {
  if (Status status = usable(); !status.ok()) return status;
  if (Status status = check_name(name); !status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  if (const uint32_t id = catalogue_.find(name); id != 0) return id;
  if (!create) return no_keyspace(name);
  if (Status status = refused(); !status.ok()) return status;
  uint32_t id = 0;
  // Set aside first: an id is never used twice, whatever becomes of the commit.
  Status status = store_->commit([&](DurableState& next) {
    id = std::max(next.next_keyspace_id, kFirstUserKeyspaceId);
    next.next_keyspace_id = id + 1;
  });
  if (!status.ok()) return status;
  Catalogue::Entry entry = Catalogue::entry(name, id);
  status = put(kCatalogueKeyspaceId, Catalogue::name_key(name), Catalogue::encode_id(id), kCatalogueWrite);
  if (!status.ok() && !status.is(StatusCode::unknown_outcome)) return status;
  catalogue_.add(std::move(entry));
  if (!status.ok()) return status;
  return id;
}

Status Engine::drop_keyspace(std::string_view name) {
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = check_name(name); !status.ok()) return status;
  MutexLock lock(catalogue_mutex_);
  const uint32_t id = catalogue_.find(name);
  if (id == 0) return no_keyspace(name);
  std::string batch;
  append_operation(&batch, EntryKind::remove, Catalogue::name_key(name), {});
  append_operation(&batch, EntryKind::put, Catalogue::dropped_key(id), {});
  append_keyspace_removal(&batch, id);
  Catalogue::Ids dropped = catalogue_.dropped_with(id);
  const Status status = write(batch, 3, kCatalogueWrite);
  if (status.ok() || status.is(StatusCode::unknown_outcome)) catalogue_.drop(name, std::move(dropped));
  return status;
}

Result<std::vector<std::string>> Engine::keyspaces() const {
  if (Status status = usable(); !status.ok()) return status;
  return catalogue_.names();
}

}  // namespace lightning
