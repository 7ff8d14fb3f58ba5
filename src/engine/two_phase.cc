// Two-phase commit: preparing transactions, and committing or aborting those that are prepared.
//
// To prepare is to hold the locks of all that is written, and shared ones of all that the level relies on;
// to check, then, that nobody was first; and to commit the record that says so. From then on nothing can
// stand against the transaction: its commit is a plain one, which passes its own locks.

#include "engine/engine.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

Status check_gid(std::string_view gid) {
  if (!gid.empty() && gid.size() <= kGidBytesMax) return {};
  return Status(StatusCode::invalid_argument, "the name of a prepared transaction is 1 to 255 bytes long");
}

bool in_force(const Status& status) { return status.ok() || status.is(StatusCode::unknown_outcome); }

}  // namespace

Status Engine::prepare(std::string_view gid, const Preparation& preparation, const WriteOptions& options) {
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = check_gid(gid); !status.ok()) return status;
  for (const Operation& operation : preparation.operations) {
    uint32_t keyspace = 0;
    (void)parse_keyspace_prefix(operation.entry.key, &keyspace);
    if (Status status = usable(keyspace); !status.ok()) return status;
  }
  const auto now_us = static_cast<uint64_t>(std::max<int64_t>(0, env_.clock().unix_micros()));
  const std::string record = encode_prepared(now_us, preparation.operations, preparation.guards);
  if (record.size() > kValueBytesMax) {
    return Status(StatusCode::invalid_argument,
                  "what a prepared transaction writes and relies on is at most 1 GiB");
  }
  Result<PreparedTransactions::Claim> claim =
      prepared_.reserve(gid, {.owner = preparation.check.owner,
                              .prepared_us = now_us,
                              .operations = preparation.operations.size(),
                              .bytes = record.size()});
  if (!claim) return claim.status();
  const InternalKey key(kCatalogueKeyspaceId, prepared_key(gid));
  if (!key.ok()) return Status(StatusCode::out_of_memory, "the key of a write");
  Operation put{.entry = {EntryKind::put, key.view(), record}, .hash = 0, .offset = 0, .expiry = 0};
  Status status = commit_checked({&put, 1}, preparation.check, options);
  if (in_force(status)) claim->prepared();
  return status;
}

template <typename Fn>
Status Engine::resolve_prepared(std::string_view gid, Fn&& commit) {
  if (Status status = refused(); !status.ok()) return status;
  if (Status status = check_gid(gid); !status.ok()) return status;
  Result<PreparedTransactions::Claim> claim = prepared_.take(gid);
  if (!claim) return claim.status();
  const InternalKey key(kCatalogueKeyspaceId, prepared_key(gid));
  Status status =
      key.ok()
          ? commit(
                claim->owner(),
                Operation{.entry = {EntryKind::remove, key.view(), {}}, .hash = 0, .offset = 0, .expiry = 0})
          : Status(StatusCode::out_of_memory, "the key of a write");
  if (in_force(status)) {
    release_locks(claim->owner());
    claim->resolved();
  }
  return status;
}

Status Engine::commit_prepared(std::string_view gid, const CommitOwned& commit) {
  return resolve_prepared(gid, [&](LockOwner owner, const Operation& removal) -> Status {
    Value record;
    const Lookup found = get(kCatalogueKeyspaceId, prepared_key(gid), {}, &record);
    if (!found.status().ok()) return found.status();
    Result<PreparedRecord> prepared = decode_prepared(record.view());
    if (!prepared) return prepared.status();
    prepared->operations.push_back(removal);
    return commit(prepared->operations, owner);
  });
}

Status Engine::abort_prepared(std::string_view gid, const WriteOptions& options) {
  return resolve_prepared(gid, [&](LockOwner owner, Operation removal) {
    return commit_checked({&removal, 1}, {.owner = owner}, options);
  });
}

// Of the catalogue, at open: nobody else has locks yet.
Status Engine::load_prepared(std::string_view gid, std::string_view bytes) {
  Result<PreparedRecord> record = decode_prepared(bytes);
  if (!record) return record.status();
  const LockOwner owner = transactions_.take_id();
  Result<PreparedTransactions::Claim> claim = prepared_.reserve(gid, {.owner = owner,
                                                                      .prepared_us = record->prepared_us,
                                                                      .operations = record->operations.size(),
                                                                      .bytes = bytes.size()});
  if (!claim) return claim.status();
  if (Status status = lock_prepared(locks_, *record, owner); !status.ok()) return status;
  claim->prepared();
  return {};
}

}  // namespace lightning
