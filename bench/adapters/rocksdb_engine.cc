// RocksDB at its best for data that fits into memory:
// - an LRU block cache of twice the data: no block is read twice. (HyperClockCache of 7.8 has to be told the
//   size of a block beforehand, and collapses where that is wrong.)
// - whole-key Bloom filters of 10 bits: absent keys, and all runs but one, cost no block.
// - no hash index in the data blocks: it took 2 % more space and gained less than the noise.
// - no compression unless --compression says so: neither has any other engine here.
// - 64 MiB write buffers, as Lightning DB has; 2 background jobs.
// - with --memory-limit merges read 256 KiB of a file ahead, not the 2 MiB of direct reads: a merge of
//   everything was killed by its control group.
// - with --direct-reads past the system's cache: for data that does not fit into memory.
// - WAL on; a commit writes it to the kernel (process) or syncs it (power).
// - transactions: one object a session, begun anew. OptimisticTransactionDB with a snapshot of the begin and
//   keys read for update, so that a read that was overtaken fails the commit; TransactionDB with locks by
//   GetForUpdate, keys in ascending order, which cannot deadlock.
// - a get pins the block instead of copying the value; an iterator is refreshed, not made anew, for each
//   seek.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>
#include <rocksdb/utilities/transaction_db.h>
#include <rocksdb/version.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "bench/adapters/engine.h"
#include "bench/fail.h"

namespace lightning::bench {
namespace {

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

void check(const rocksdb::Status& status, const char* call) {
  if (!status.ok()) [[unlikely]]
    fail(std::string("rocksdb: ") + call + ": " + status.ToString());
}

Tally walk(rocksdb::Iterator& it, Direction direction, uint64_t limit) {
  Tally tally;
  if (direction == Direction::forward) {
    for (it.SeekToFirst(); it.Valid() && tally.entries < limit; it.Next()) {
      tally.add(view(it.key()), view(it.value()));
    }
  } else {
    for (it.SeekToLast(); it.Valid() && tally.entries < limit; it.Prev()) {
      tally.add(view(it.key()), view(it.value()));
    }
  }
  check(it.status(), "scan");
  return tally;
}

class RocksdbHeld : public Held {
 public:
  explicit RocksdbHeld(rocksdb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
  ~RocksdbHeld() override { db_.ReleaseSnapshot(snapshot_); }
  Tally scan() override {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options));
    return walk(*it, Direction::forward, UINT64_MAX);
  }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
};

/// How the database is opened: at most one of them is set.
struct Transactional {
  rocksdb::OptimisticTransactionDB* optimistic = nullptr;
  rocksdb::TransactionDB* pessimistic = nullptr;
};

class RocksdbSession : public Session {
 public:
  RocksdbSession(rocksdb::DB& db, Transactional transactional, Durability durability)
      : db_(db), transactional_(transactional) {
    write_options_.sync = durability == Durability::power;
  }

  void transact(std::span<const std::string_view> keys, const Change& change) override {
    for (;;) {
      begin();
      std::string_view seen[kTransactionKeys];
      rocksdb::Status status;
      for (size_t i = 0; i < keys.size() && status.ok(); ++i) {
        read_[i].Reset();
        status =
            transaction_->GetForUpdate(read_options_, db_.DefaultColumnFamily(), slice(keys[i]), &read_[i]);
        seen[i] = view(read_[i]);
      }
      if (status.ok()) {
        change({seen, keys.size()}, {next_, keys.size()});
        for (size_t i = 0; i < keys.size(); ++i)
          check(transaction_->Put(slice(keys[i]), next_[i]), "Transaction::Put");
        status = transaction_->Commit();
        if (status.ok()) return;
      }
      if (!status.IsBusy() && !status.IsTimedOut() && !status.IsTryAgain()) check(status, "Transaction");
      check(transaction_->Rollback(), "Rollback");
    }
  }

  void put(std::string_view key, std::string_view value) override {
    check(db_.Put(write_options_, slice(key), slice(value)), "Put");
  }
  void remove(std::string_view key) override { check(db_.Delete(write_options_, slice(key)), "Delete"); }
  void write(std::span<const Entry> batch) override {
    batch_.Clear();
    for (const Entry& entry : batch)
      check(batch_.Put(slice(entry.key), slice(entry.value)), "WriteBatch::Put");
    check(db_.Write(write_options_, &batch_), "Write");
  }

  std::string_view get(std::string_view key) override {
    value_.Reset();
    const rocksdb::Status status = db_.Get(read_options_, db_.DefaultColumnFamily(), slice(key), &value_);
    if (status.IsNotFound()) return {};
    check(status, "Get");
    return view(value_);
  }
  void get_many(std::span<const std::string_view> keys, std::span<std::string_view> values) override {
    keys_.resize(keys.size());
    statuses_.resize(keys.size());
    while (values_.size() < keys.size()) values_.emplace_back();
    for (size_t i = 0; i < keys.size(); ++i) {
      keys_[i] = slice(keys[i]);
      values_[i].Reset();
    }
    db_.MultiGet(read_options_, db_.DefaultColumnFamily(), keys.size(), keys_.data(), values_.data(),
                 statuses_.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!statuses_[i].IsNotFound()) check(statuses_[i], "MultiGet");
      values[i] = statuses_[i].ok() ? view(values_[i]) : std::string_view{};
    }
  }

  using Session::scan;
  Tally scan(Direction direction, uint64_t limit) override { return walk(iterator(), direction, limit); }
  Tally seek(std::string_view key, Direction direction, unsigned steps) override {
    rocksdb::Iterator& it = iterator();
    Tally tally;
    if (direction == Direction::forward) {
      for (it.Seek(slice(key)); it.Valid(); it.Next()) {
        tally.add(view(it.key()), view(it.value()));
        if (tally.entries > steps) break;
      }
    } else {
      for (it.SeekForPrev(slice(key)); it.Valid(); it.Prev()) {
        tally.add(view(it.key()), view(it.value()));
        if (tally.entries > steps) break;
      }
    }
    check(it.status(), "Seek");
    return tally;
  }

  std::unique_ptr<Held> hold() override { return std::make_unique<RocksdbHeld>(db_); }

 private:
  void begin() {
    rocksdb::Transaction* const former = transaction_.release();
    if (transactional_.optimistic != nullptr) {
      rocksdb::OptimisticTransactionOptions options;
      options.set_snapshot = true;
      transaction_.reset(transactional_.optimistic->BeginTransaction(write_options_, options, former));
    } else {
      require(transactional_.pessimistic != nullptr, "rocksdb: transactions need another way of opening it");
      transaction_.reset(transactional_.pessimistic->BeginTransaction(write_options_, {}, former));
    }
  }
  rocksdb::Iterator& iterator() {
    if (iterator_ == nullptr) {
      iterator_.reset(db_.NewIterator(read_options_));
    } else {
      check(iterator_->Refresh(), "Refresh");
    }
    return *iterator_;
  }

  rocksdb::DB& db_;
  const Transactional transactional_;
  std::unique_ptr<rocksdb::Transaction> transaction_;
  rocksdb::PinnableSlice read_[kTransactionKeys];
  std::string next_[kTransactionKeys];
  rocksdb::ReadOptions read_options_;
  rocksdb::WriteOptions write_options_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice value_;
  std::vector<rocksdb::Slice> keys_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

enum class Kind { plain, optimistic, pessimistic };

class RocksdbEngine : public Engine {
 public:
  RocksdbEngine(const EngineConfig& config, Kind kind) : durability_(config.durability) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache =
        rocksdb::NewLRUCache(config.cache_bytes(std::max<uint64_t>(256 << 20, 2 * config.raw_bytes)));
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.create_if_missing = true;
    constexpr rocksdb::CompressionType kTypes[] = {rocksdb::kNoCompression, rocksdb::kLZ4Compression,
                                                   rocksdb::kZSTD};
    options.compression = kTypes[static_cast<int>(config.compression)];
    options.write_buffer_size = config.buffer_bytes();
    options.max_background_jobs = 2;
    options.use_direct_reads = config.direct_reads;
    options.use_direct_io_for_flush_and_compaction = config.direct_reads;
    // Direct merges take 2 MiB an input file for reading ahead: more than a small limit.
    if (config.memory_limit != 0) options.compaction_readahead_size = 256 << 10;
    rocksdb::DB* db = nullptr;
    if (kind == Kind::optimistic) {
      check(rocksdb::OptimisticTransactionDB::Open(options, config.path, &transactional_.optimistic), "Open");
      db = transactional_.optimistic;
    } else if (kind == Kind::pessimistic) {
      check(rocksdb::TransactionDB::Open(options, {}, config.path, &transactional_.pessimistic), "Open");
      db = transactional_.pessimistic;
    } else {
      check(rocksdb::DB::Open(options, config.path, &db), "Open");
    }
    db_.reset(db);
  }
  ~RocksdbEngine() override { check(db_->Close(), "Close"); }

  std::unique_ptr<Session> session() override {
    return std::make_unique<RocksdbSession>(*db_, transactional_, durability_);
  }
  void settle() override {
    check(db_->Flush({}), "Flush");
    check(db_->CompactRange({}, nullptr, nullptr), "CompactRange");
  }
  std::optional<uint64_t> written_bytes() override {
    std::map<std::string, std::string> figures;
    require(db_->GetMapProperty(rocksdb::DB::Properties::kCFStats, &figures), "rocksdb: no statistics");
    return static_cast<uint64_t>(std::stod(figures.at("compaction.Sum.WriteGB")) * (1u << 30));
  }

 private:
  Durability durability_;
  Transactional transactional_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<Engine> open_rocksdb(const EngineConfig& config) {
  return std::make_unique<RocksdbEngine>(config, Kind::plain);
}
std::unique_ptr<Engine> open_rocksdb_optimistic(const EngineConfig& config) {
  return std::make_unique<RocksdbEngine>(config, Kind::optimistic);
}
std::unique_ptr<Engine> open_rocksdb_pessimistic(const EngineConfig& config) {
  return std::make_unique<RocksdbEngine>(config, Kind::pessimistic);
}

std::string version_of_rocksdb() { return rocksdb::GetRocksVersionAsString(); }
std::string version_of_rocksdb_optimistic() { return version_of_rocksdb(); }
std::string version_of_rocksdb_pessimistic() { return version_of_rocksdb(); }

}  // namespace lightning::bench
