// Lightning DB as its users call it, by the public headers alone:
// - defaults, but a memory limit with room for the data, as every peer has here;
// - no periodic flush in class process: no peer has one in that class;
// - get fills a Value that is kept, get_many an array of them; a seek makes a Cursor, which sees all that
//   was committed before. A transaction knows its keys beforehand: it reads them by one get_many.
#include <lightning/database.h>

#include <algorithm>
#include <vector>

#include "bench/adapters/engine.h"
#include "bench/fail.h"

namespace lightning::bench {
namespace {

void check(const Status& status, const char* call) {
  if (!status.ok()) [[unlikely]]
    fail(std::string("lightning: ") + call + ": " + status.to_string());
}

Tally walk(Scan entries) {
  Tally tally;
  check(for_each(std::move(entries), [&](auto key, auto value) { tally.add(key, value); }), "scan");
  return tally;
}

class LightningHeld : public Held {
 public:
  explicit LightningHeld(Database& db) : db_(db) {
    Result<Snapshot> taken = db.snapshot();
    check(taken.status(), "snapshot");
    snapshot_ = std::move(*taken);
  }
  Tally scan() override { return walk(db_.scan({.snapshot = &snapshot_})); }

 private:
  Database& db_;
  Snapshot snapshot_;
};

class LightningSession : public Session {
 public:
  explicit LightningSession(Database& db) : db_(db) {}

  void put(std::string_view key, std::string_view value) override { check(db_.put(key, value), "put"); }
  void remove(std::string_view key) override { check(db_.remove(key), "remove"); }
  void write(std::span<const Entry> batch) override {
    batch_.clear();
    for (const Entry& entry : batch) batch_.put(entry.key, entry.value);
    check(db_.write(batch_), "write");
  }

  void ingest(const std::function<bool(Entry*)>& next) override {
    class Source final : public IngestSource {
     public:
      explicit Source(const std::function<bool(Entry*)>& next) : next_(next) {}
      bool next() override { return next_(&entry_); }
      std::string_view key() const override { return entry_.key; }
      std::string_view value() const override { return entry_.value; }

     private:
      const std::function<bool(Entry*)>& next_;
      Entry entry_;
    } source(next);
    check(db_.ingest(source).status(), "ingest");
  }

  void transact(std::span<const std::string_view> keys, const Change& change) override {
    for (;;) {
      Transaction tx = db_.begin();
      std::string_view seen[kTransactionKeys];
      check(tx.get_many(keys, {read_, keys.size()}), "get_many");
      for (size_t i = 0; i < keys.size(); ++i) seen[i] = read_[i].view();
      change({seen, keys.size()}, {next_, keys.size()});
      for (size_t i = 0; i < keys.size(); ++i) check(tx.put(keys[i], next_[i]), "put");
      const Status status = tx.commit();
      if (status.ok()) return;
      if (!status.is(StatusCode::conflict)) check(status, "commit");
    }
  }

  void put_in_transaction(std::string_view key, std::string_view value) override {
    Transaction tx = db_.begin();
    check(tx.put(key, value), "put");
    check(tx.commit(), "commit");
  }
  void get_in_transaction(std::span<const std::string_view> keys,
                          std::span<std::string_view> values) override {
    if (values_.size() < keys.size()) values_.resize(keys.size());
    Transaction tx = db_.begin({.read_only = true});
    for (size_t i = 0; i < keys.size(); ++i) {
      const Lookup found = tx.get(keys[i], values_[i]);
      check(found.status(), "get");
      values[i] = found.value();
    }
    check(tx.commit(), "commit");
  }

  std::string_view get(std::string_view key) override {
    const Lookup found = db_.get(key, value_);
    if (found) return found.value();
    check(found.status(), "get");
    return {};
  }
  void get_many(std::span<const std::string_view> keys, std::span<std::string_view> values) override {
    if (values_.size() < keys.size()) values_.resize(keys.size());
    const std::span found(values_.data(), keys.size());
    check(db_.get_many(keys, found), "get_many");
    for (size_t i = 0; i < keys.size(); ++i) {
      values[i] = found[i].present() ? found[i].view() : std::string_view{};
    }
  }

  using Session::scan;
  Tally scan(Direction direction, uint64_t limit) override {
    Scan entries = direction == Direction::forward ? db_.scan() : db_.scan().reverse();
    if (limit != UINT64_MAX) entries = std::move(entries).limit(limit);
    return walk(std::move(entries));
  }
  Tally seek(std::string_view key, Direction direction, unsigned steps) override {
    Tally tally;
    Cursor cursor = db_.cursor();
    for (cursor.seek(key); cursor.valid(); direction == Direction::forward ? cursor.next() : cursor.prev()) {
      tally.add(cursor.key(), cursor.value());
      if (tally.entries > steps) break;
    }
    check(cursor.status(), "cursor");
    return tally;
  }

  std::unique_ptr<Held> hold() override { return std::make_unique<LightningHeld>(db_); }

 private:
  Database& db_;
  WriteBatch batch_;
  Value value_;
  std::vector<Value> values_;
  Value read_[kTransactionKeys];
  std::string next_[kTransactionKeys];
};

class LightningEngine : public Engine {
 public:
  explicit LightningEngine(const EngineConfig& config) {
    Options options;
    const bool power = config.durability == bench::Durability::power;
    options.durability = power ? lightning::Durability::power : lightning::Durability::process;
    if (!power) options.flush_interval_ms = 0;
    options.memory_limit = std::max<uint64_t>(512 * MiB, 2 * config.raw_bytes);
    if (config.memory_limit != 0) {
      options.memory_limit = std::max<uint64_t>(4 * MiB, config.memory_limit);
      options.write_buffer_size = config.buffer_bytes();
    }
    options.compression = static_cast<lightning::Compression>(config.compression);
    for (const std::string& option : config.options) {
      const size_t equals = std::min(option.find('='), option.size());
      check(set_option(options, option.substr(0, equals), option.substr(std::min(equals + 1, option.size()))),
            option.c_str());
    }
    Result<Database> opened = Database::open(config.path, options);
    check(opened.status(), "open");
    db_ = std::move(*opened);
  }
  ~LightningEngine() override { check(db_.close(), "close"); }

  std::unique_ptr<Session> session() override { return std::make_unique<LightningSession>(db_); }
  void settle() override {
    check(db_.flush(), "flush");
    check(db_.compact(), "compact");
  }
  std::optional<uint64_t> written_bytes() override {
    const Result<Stats> stats = db_.stats();
    check(stats.status(), "stats");
    return stats->flush_bytes_written + stats->merge_bytes_written;
  }
  // Large values stay in the file of the segment that they were written to.
  uint64_t data_under_log_names() override {
    const Result<Stats> stats = db_.stats();
    check(stats.status(), "stats");
    return stats->value_file_bytes;
  }

 private:
  Database db_;
};

}  // namespace

std::unique_ptr<Engine> open_lightning(const EngineConfig& config) {
  return std::make_unique<LightningEngine>(config);
}

std::string version_of_lightning() { return BENCH_LIGHTNING_VERSION; }

}  // namespace lightning::bench
