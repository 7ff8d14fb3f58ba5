#include "admin/repair_output.h"

#include <algorithm>
#include <utility>

#include "engine/catalogue.h"
#include "format/internal_key.h"
#include "format/log_entry.h"

namespace lightning {

Result<std::unique_ptr<RepairOutput>> RepairOutput::create(Env& env, const std::string& path,
                                                           uint64_t value_separation) {
  std::unique_ptr<RepairOutput> output(new RepairOutput(value_separation));
  Result<EmptyDirectory> into = EmptyDirectory::open(env, path);
  if (!into) return into.status();
  output->into_ = *std::move(into);
  DurableState initial;
  initial.database_id = env.random();
  initial.incarnation = env.random();
  initial.next_base_lsn = kLogAlignment;
  initial.log_floor = kLogAlignment;
  initial.next_keyspace_id = kFirstUserKeyspaceId;
  Result<std::unique_ptr<StateStore>> store = StateStore::create(*output->into_.directory, initial);
  if (!store) return store.status();
  output->store_ = *std::move(store);
  return output;
}

Status RepairOutput::add(std::string_view internal_key, EntryKind kind, std::string_view value) {
  if (writer_ != nullptr && writer_->full()) {
    if (Status status = end_file(); !status.ok()) return status;
  }
  if (writer_ == nullptr) {
    Result<uint64_t> id = store_->new_file_id();
    if (!id) return id.status();
    Result<std::unique_ptr<RunWriter>> writer =
        RunWriter::create(*into_.directory, *id, {.value_separation = value_separation_});
    if (!writer) return writer.status();
    writer_ = *std::move(writer);
  }
  const Version version{.lsn = kSettledLsn, .kind = kind, .value = value};
  return writer_->add(internal_key, {&version, 1});
}

Status RepairOutput::end_file() {
  if (writer_ == nullptr) return {};
  // All of it stands below the first LSN that the database will give.
  Result<RunFileInfo> info = writer_->finish(kLogAlignment, kLogAlignment);
  if (!info) return info.status();
  writer_ = nullptr;
  run_.pieces.push_back({.file = *std::move(info), .from = {}, .to = {}});
  return {};
}

Status RepairOutput::end_run() {
  if (Status status = end_file(); !status.ok()) return status;
  if (!run_.pieces.empty()) runs_.push_back(std::exchange(run_, SortedRunInfo()));
  return {};
}

Status RepairOutput::finish(const Rest& rest) {
  if (Status status = end_run(); !status.ok()) return status;
  std::map<std::string, uint32_t> ids;
  uint32_t next_id = kFirstUserKeyspaceId;
  for (const auto& [id, name] : rest.names) {
    ids.emplace(name, id);
    next_id = std::max(next_id, id + 1);
  }
  // Known only now, and before other keys in order: a run of its own.
  for (const auto& [id, compression] : rest.compressions) {
    const InternalKey key(kCatalogueKeyspaceId, Catalogue::compression_key(id));
    if (Status status = add(key.view(), EntryKind::put, Catalogue::encode_compression(compression));
        !status.ok())
      return status;
  }
  for (const auto& [name, id] : ids) {
    const InternalKey key(kCatalogueKeyspaceId, Catalogue::name_key(name));
    if (Status status = add(key.view(), EntryKind::put, Catalogue::encode_id(id)); !status.ok())
      return status;
  }
  for (size_t at = 0; at < rest.prepared.keys.size(); ++at) {
    const std::string& record = rest.prepared.records[at];
    if (record.empty()) continue;
    const InternalKey key(kCatalogueKeyspaceId, rest.prepared.keys[at]);
    if (Status status = add(key.view(), EntryKind::put, record); !status.ok()) return status;
  }
  for (const auto& [id, ttl_ms] : rest.default_ttls) {
    const InternalKey key(kCatalogueKeyspaceId, Catalogue::ttl_key(id));
    if (Status status = add(key.view(), EntryKind::put, Catalogue::encode_ttl(ttl_ms)); !status.ok())
      return status;
  }
  for (const IndexRecord& record : rest.indexes) {
    next_id = std::max(next_id, record.entries + 1);
    const InternalKey key(kCatalogueKeyspaceId, Catalogue::index_key(record.keyspace, record.name));
    if (Status status = add(key.view(), EntryKind::put, Catalogue::encode_index(record)); !status.ok())
      return status;
  }
  if (Status status = end_run(); !status.ok()) return status;
  return store_->commit([&](DurableState& next) {
    next.runs = std::move(runs_);
    next.next_keyspace_id = std::max(next.next_keyspace_id, next_id);
    next.time_max_us = std::max(next.time_max_us, rest.time_us);
  });
}

}  // namespace lightning
