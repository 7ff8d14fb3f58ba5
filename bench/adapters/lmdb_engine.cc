// LMDB at its best for data that fits into memory:
// - class process: MDB_NOSYNC|MDB_WRITEMAP. A killed process loses nothing in either of MDB_NOSYNC's modes,
//   since the kernel has every page; changing pages in the map was two to five times as fast as writing
//   copies (300,000 random puts: 680 K/s against 225 K/s), and reading the same.
//   Class power: plain; each commit writes and syncs. MDB_WRITEMAP gained nothing there.
// - a session keeps one read transaction and one cursor, which each call resets and renews: what users of
//   LMDB do who want to see the latest commit.
// - with less memory than data MDB_NORDAHEAD: a get that misses reads the pages that it needs, no neighbours.
// - reads hand out views into the map; get_many is a loop in one transaction.
// - no MDB_APPEND for fillseq: the caller does not know that its keys ascend.
#include <lmdb.h>

#include "bench/adapters/engine.h"
#include "bench/fail.h"

namespace lightning::bench {
namespace {

MDB_val val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view view(const MDB_val& bytes) {
  return {static_cast<const char*>(bytes.mv_data), bytes.mv_size};
}

void check(int error, const char* call) {
  if (error != 0) [[unlikely]]
    fail(std::string("lmdb: ") + call + ": " + mdb_strerror(error));
}

Tally walk(MDB_cursor* cursor, MDB_val key, MDB_cursor_op start, MDB_cursor_op step, uint64_t limit) {
  MDB_val value;
  Tally tally;
  int error = mdb_cursor_get(cursor, &key, &value, start);
  while (error == 0) {
    tally.add(view(key), view(value));
    if (tally.entries >= limit) break;
    error = mdb_cursor_get(cursor, &key, &value, step);
  }
  if (error != MDB_NOTFOUND) check(error, "cursor_get");
  return tally;
}

class LmdbHeld : public Held {
 public:
  LmdbHeld(MDB_env* env, MDB_dbi dbi) : dbi_(dbi) {
    check(mdb_txn_begin(env, nullptr, MDB_RDONLY, &snapshot_), "txn_begin");
  }
  ~LmdbHeld() override { mdb_txn_abort(snapshot_); }
  Tally scan() override {
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(snapshot_, dbi_, &cursor), "cursor_open");
    const Tally tally = walk(cursor, {}, MDB_FIRST, MDB_NEXT, UINT64_MAX);
    mdb_cursor_close(cursor);
    return tally;
  }

 private:
  MDB_dbi dbi_;
  MDB_txn* snapshot_ = nullptr;
};

class LmdbSession : public Session {
 public:
  LmdbSession(MDB_env* env, MDB_dbi dbi) : env_(env), dbi_(dbi) {
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &snapshot_), "txn_begin");
    check(mdb_cursor_open(snapshot_, dbi_, &cursor_), "cursor_open");
    mdb_txn_reset(snapshot_);
  }
  ~LmdbSession() override {
    mdb_cursor_close(cursor_);
    mdb_txn_abort(snapshot_);
  }

  void put(std::string_view key, std::string_view value) override {
    MDB_txn* txn = begin_write();
    MDB_val k = val(key), v = val(value);
    check(mdb_put(txn, dbi_, &k, &v, 0), "put");
    check(mdb_txn_commit(txn), "txn_commit");
  }
  void remove(std::string_view key) override {
    MDB_txn* txn = begin_write();
    MDB_val k = val(key);
    if (const int error = mdb_del(txn, dbi_, &k, nullptr); error != MDB_NOTFOUND) check(error, "del");
    check(mdb_txn_commit(txn), "txn_commit");
  }
  void write(std::span<const Entry> batch) override {
    MDB_txn* txn = begin_write();
    for (const Entry& entry : batch) {
      MDB_val k = val(entry.key), v = val(entry.value);
      check(mdb_put(txn, dbi_, &k, &v, 0), "put");
    }
    check(mdb_txn_commit(txn), "txn_commit");
  }

  // There is one writer at a time: no transaction fails.
  void transact(std::span<const std::string_view> keys, const Change& change) override {
    MDB_txn* txn = begin_write();
    std::string_view seen[kTransactionKeys];
    for (size_t i = 0; i < keys.size(); ++i) {
      MDB_val k = val(keys[i]), v;
      check(mdb_get(txn, dbi_, &k, &v), "get");
      seen[i] = view(v);
    }
    change({seen, keys.size()}, {next_, keys.size()});
    for (size_t i = 0; i < keys.size(); ++i) {
      MDB_val k = val(keys[i]), v = val(next_[i]);
      check(mdb_put(txn, dbi_, &k, &v, 0), "put");
    }
    check(mdb_txn_commit(txn), "txn_commit");
  }

  std::string_view get(std::string_view key) override {
    renew();
    return find(key);
  }
  void get_many(std::span<const std::string_view> keys, std::span<std::string_view> values) override {
    renew();
    for (size_t i = 0; i < keys.size(); ++i) values[i] = find(keys[i]);
  }

  using Session::scan;
  Tally scan(Direction direction, uint64_t limit) override {
    const bool forward = direction == Direction::forward;
    return walk_latest({}, forward ? MDB_FIRST : MDB_LAST, forward ? MDB_NEXT : MDB_PREV, limit);
  }
  Tally seek(std::string_view key, Direction direction, unsigned steps) override {
    return walk_latest(val(key), MDB_SET_RANGE, direction == Direction::forward ? MDB_NEXT : MDB_PREV,
                       uint64_t{steps} + 1);
  }

  std::unique_ptr<Held> hold() override { return std::make_unique<LmdbHeld>(env_, dbi_); }

 private:
  // A held snapshot keeps the pages of later commits from being reused, so a writer gives its own up first.
  MDB_txn* begin_write() {
    if (reading_) mdb_txn_reset(snapshot_);
    reading_ = false;
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn), "txn_begin");
    return txn;
  }
  void renew() {
    if (reading_) mdb_txn_reset(snapshot_);
    check(mdb_txn_renew(snapshot_), "txn_renew");
    reading_ = true;
  }
  std::string_view find(std::string_view key) {
    MDB_val k = val(key), v;
    const int error = mdb_get(snapshot_, dbi_, &k, &v);
    if (error == MDB_NOTFOUND) return {};
    check(error, "get");
    return view(v);
  }
  Tally walk_latest(MDB_val key, MDB_cursor_op start, MDB_cursor_op step, uint64_t limit) {
    renew();
    check(mdb_cursor_renew(snapshot_, cursor_), "cursor_renew");
    return walk(cursor_, key, start, step, limit);
  }

  std::string next_[kTransactionKeys];
  MDB_env* env_;
  MDB_dbi dbi_;
  MDB_txn* snapshot_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  bool reading_ = false;  // snapshot_ is renewed, not reset
};

class LmdbEngine : public Engine {
 public:
  explicit LmdbEngine(const EngineConfig& config) {
    unsigned flags = MDB_NOTLS;  // a read transaction belongs to its session, not to a thread
    if (config.durability == Durability::process) flags |= MDB_NOSYNC | MDB_WRITEMAP;
    if (config.memory_limit != 0) flags |= MDB_NORDAHEAD;
    check(mdb_env_create(&env_), "env_create");
    check(mdb_env_set_mapsize(env_, (uint64_t{4} << 30) + 8 * config.raw_bytes), "env_set_mapsize");
    check(mdb_env_set_maxreaders(env_, config.threads + 8), "env_set_maxreaders");
    check(mdb_env_open(env_, config.path.c_str(), flags, 0600), "env_open");
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn), "txn_begin");
    check(mdb_dbi_open(txn, nullptr, 0, &dbi_), "dbi_open");
    check(mdb_txn_commit(txn), "txn_commit");
  }
  ~LmdbEngine() override { mdb_env_close(env_); }

  std::unique_ptr<Session> session() override { return std::make_unique<LmdbSession>(env_, dbi_); }
  void settle() override { check(mdb_env_sync(env_, 1), "env_sync"); }

 private:
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace

std::unique_ptr<Engine> open_lmdb(const EngineConfig& config) { return std::make_unique<LmdbEngine>(config); }

std::string version_of_lmdb() {
  int major = 0, minor = 0, patch = 0;
  mdb_version(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace lightning::bench
