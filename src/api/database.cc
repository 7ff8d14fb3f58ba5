#include <lightning/database.h>

#include "admin/copy.h"
#include "admin/metrics_text.h"
#include "admin/verify.h"
#include "api/guarded.h"
#include "api/open_in.h"
#include "api/with_indexes.h"
#include "engine/snapshot_state.h"
#include "txn/transaction_state.h"

namespace lightning {

namespace {
Status closed_handle() { return Status(StatusCode::closed, "the handle holds no database"); }

// What a transaction has that could not be made: one for all, owned by nobody.
std::shared_ptr<TransactionState> without_memory() {
  static TransactionState refused(Status(StatusCode::out_of_memory, "a transaction"));
  return {std::shared_ptr<void>(), &refused};
}
}  // namespace

Result<Database> open_in(Env& env, const std::string& directory, const Options& options, OpenKind kind,
                         uint64_t large_value_bytes) {
  return guarded([&]() -> Result<Database> {
    Result<std::shared_ptr<Engine>> engine = Engine::open(env, directory, options, kind, large_value_bytes);
    if (!engine) return engine.status();
    (*engine)->attach(std::make_unique<IndexSet>(**engine, options.extractors));
    IndexSet::of(**engine).resume();
    return Database(*std::move(engine));
  });
}

Result<Database> Database::open(const std::string& directory, const Options& options) {
  return open_in(posix_env(), directory, options, options.create ? OpenKind::open_or_create : OpenKind::open);
}

Result<Database> Database::create(const std::string& directory, const Options& options) {
  return open_in(posix_env(), directory, options, OpenKind::create);
}

Status Database::commit_prepared(std::string_view gid, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return lightning::commit_prepared(*engine_, gid, options); });
}

Status Database::abort_prepared(std::string_view gid, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->abort_prepared(gid, options); });
}

Database::Database(std::shared_ptr<Engine> engine) : Keyspace(std::move(engine), kDefaultKeyspaceId) {}

Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    (void)close();
    engine_ = std::move(other.engine_);
  }
  return *this;
}

Database::~Database() { (void)close(); }

Status Database::close() {
  const std::shared_ptr<Engine> engine = std::move(engine_);
  engine_ = nullptr;
  if (engine == nullptr) return closed_handle();
  return guarded([&] { return engine->close(); });
}

Status Database::write(const WriteBatch& batch, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return with_indexes(
      *engine_, [&](Engine& engine) { return engine.write(batch.encoded(), batch.count(), options); },
      [&](IndexWriter writer) { return writer.write(batch.encoded(), batch.count(), options); });
}

Result<Snapshot> Database::snapshot() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&]() -> Result<Snapshot> {
    Result<std::shared_ptr<const SnapshotState>> state = engine_->snapshot();
    if (!state) return state.status();
    return Snapshot(*std::move(state));
  });
}

Transaction Database::begin(const TransactionOptions& options) {
  try {
    if (engine_ == nullptr) return Transaction(std::make_shared<TransactionState>(closed_handle()));
    return Transaction(TransactionState::begin(engine_, options));
  } catch (const std::bad_alloc&) {
    return Transaction(without_memory());
  }
}

Result<std::vector<TransactionInfo>> Database::transactions() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&]() -> Result<std::vector<TransactionInfo>> {
    // In a forked child the list may be locked for ever.
    if (Status status = engine_->usable(); !status.ok()) return status;
    return list_transactions(*engine_);
  });
}

Result<Keyspace> Database::keyspace(std::string_view name, bool create) {
  return keyspace(name, KeyspaceOptions{.create = create});
}

Result<Keyspace> Database::keyspace(std::string_view name, const KeyspaceOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&]() -> Result<Keyspace> {
    Result<uint32_t> id = engine_->keyspace(name, options);
    if (!id) return id.status();
    return Keyspace(engine_, *id);
  });
}

Status Database::drop_keyspace(std::string_view name) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->drop_keyspace(name); });
}

Result<std::vector<std::string>> Database::keyspaces() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->keyspaces(); });
}

Status Database::sync() {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->sync(); });
}

Status Database::flush() {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->flush(); });
}

Status Database::compact(const CompactOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->compact(options); });
}

Result<Stats> Database::stats() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->stats(); });
}

Result<std::string> Database::metrics_text(MetricsFormat format) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return lightning::metrics_text(*engine_, format); });
}

Result<std::vector<Reader>> Database::readers() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->readers(); });
}

Result<VerifyReport> Database::verify(const VerifyOptions& options) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return verify_open(*engine_, options); });
}

Result<CopyReport> Database::checkpoint(const std::string& directory, const BackupOptions& options) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return copy_database(*engine_, directory, options, CopyKind::checkpoint); });
}

Result<CopyReport> Database::backup(const std::string& directory, const BackupOptions& options) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return copy_database(*engine_, directory, options, CopyKind::backup); });
}

Status Database::background_error() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] {
    Status status = engine_->usable();  // as above
    return status.ok() ? engine_->background_error() : status;
  });
}

uint64_t Snapshot::lsn() const { return state_ == nullptr ? 0 : state_->lsn(); }

}  // namespace lightning
