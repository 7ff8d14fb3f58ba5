// LevelDB at its best for data that fits into memory: a block cache of twice the data, Bloom filters of 10
// bits, no compression, a 64 MiB write buffer; a commit writes the log to the kernel (process) or syncs it
// (power). It has no multi-get: get_many is a loop in one snapshot. It has no refresh: each seek makes an
// iterator.
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <vector>

#include "bench/adapters/engine.h"
#include "bench/fail.h"

namespace lightning::bench {
namespace {

leveldb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const leveldb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

void check(const leveldb::Status& status, const char* call) {
  if (!status.ok()) [[unlikely]]
    fail(std::string("leveldb: ") + call + ": " + status.ToString());
}

// From where `it` stands.
Tally walk(leveldb::Iterator& it, Direction direction, uint64_t limit) {
  Tally tally;
  while (it.Valid()) {
    tally.add(view(it.key()), view(it.value()));
    if (tally.entries >= limit) break;
    direction == Direction::forward ? it.Next() : it.Prev();
  }
  check(it.status(), "iterator");
  return tally;
}

class LeveldbHeld : public Held {
 public:
  explicit LeveldbHeld(leveldb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
  ~LeveldbHeld() override { db_.ReleaseSnapshot(snapshot_); }
  Tally scan() override {
    leveldb::ReadOptions options;
    options.snapshot = snapshot_;
    const std::unique_ptr<leveldb::Iterator> it(db_.NewIterator(options));
    it->SeekToFirst();
    return walk(*it, Direction::forward, UINT64_MAX);
  }

 private:
  leveldb::DB& db_;
  const leveldb::Snapshot* snapshot_;
};

class LeveldbSession : public Session {
 public:
  LeveldbSession(leveldb::DB& db, Durability durability) : db_(db) {
    write_options_.sync = durability == Durability::power;
  }

  void put(std::string_view key, std::string_view value) override {
    check(db_.Put(write_options_, slice(key), slice(value)), "Put");
  }
  void remove(std::string_view key) override { check(db_.Delete(write_options_, slice(key)), "Delete"); }
  void write(std::span<const Entry> batch) override {
    batch_.Clear();
    for (const Entry& entry : batch) batch_.Put(slice(entry.key), slice(entry.value));
    check(db_.Write(write_options_, &batch_), "Write");
  }

  std::string_view get(std::string_view key) override { return find(read_options_, key, value_); }
  void get_many(std::span<const std::string_view> keys, std::span<std::string_view> values) override {
    if (values_.size() < keys.size()) values_.resize(keys.size());
    leveldb::ReadOptions options = read_options_;
    options.snapshot = db_.GetSnapshot();
    for (size_t i = 0; i < keys.size(); ++i) values[i] = find(options, keys[i], values_[i]);
    db_.ReleaseSnapshot(options.snapshot);
  }

  using Session::scan;
  Tally scan(Direction direction, uint64_t limit) override {
    const std::unique_ptr<leveldb::Iterator> it(db_.NewIterator(read_options_));
    direction == Direction::forward ? it->SeekToFirst() : it->SeekToLast();
    return walk(*it, direction, limit);
  }
  Tally seek(std::string_view key, Direction direction, unsigned steps) override {
    const std::unique_ptr<leveldb::Iterator> it(db_.NewIterator(read_options_));
    it->Seek(slice(key));
    return walk(*it, direction, uint64_t{steps} + 1);
  }

  std::unique_ptr<Held> hold() override { return std::make_unique<LeveldbHeld>(db_); }

 private:
  std::string_view find(const leveldb::ReadOptions& options, std::string_view key, std::string& value) {
    const leveldb::Status status = db_.Get(options, slice(key), &value);
    if (status.IsNotFound()) return {};
    check(status, "Get");
    return value;
  }

  leveldb::DB& db_;
  leveldb::ReadOptions read_options_;
  leveldb::WriteOptions write_options_;
  leveldb::WriteBatch batch_;
  std::string value_;
  std::vector<std::string> values_;
};

class LeveldbEngine : public Engine {
 public:
  explicit LeveldbEngine(const EngineConfig& config)
      : durability_(config.durability),
        cache_(leveldb::NewLRUCache(config.cache_bytes(std::max<uint64_t>(256 << 20, 2 * config.raw_bytes)))),
        filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    // It has Snappy alone, which stands beside LZ4.
    options.compression =
        config.compression == Compression::lz4 ? leveldb::kSnappyCompression : leveldb::kNoCompression;
    options.write_buffer_size = config.buffer_bytes();
    leveldb::DB* db = nullptr;
    check(leveldb::DB::Open(options, config.path, &db), "Open");
    db_.reset(db);
  }

  std::unique_ptr<Session> session() override { return std::make_unique<LeveldbSession>(*db_, durability_); }
  void settle() override { db_->CompactRange(nullptr, nullptr); }

 private:
  Durability durability_;
  std::unique_ptr<leveldb::Cache> cache_;  // both outlive db_
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

std::unique_ptr<Engine> open_leveldb(const EngineConfig& config) {
  return std::make_unique<LeveldbEngine>(config);
}

std::string version_of_leveldb() {
  return std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion);
}

}  // namespace lightning::bench
