// WiredTiger at its best for data that fits into memory:
// - a B+tree without compression, a cache of four times the data: its pages are larger in memory than on
//   disk.
// - log on. transaction_sync "none" hands it to the kernel at each commit (process); "fsync" syncs it
//   (power).
//   Switched off, as by default, it would stay in the process. Log files are small and not made in advance:
//   an open takes time in proportion to them.
// - a session keeps its cursor: each search, and each first step, takes a fresh snapshot. get_many is a loop
//   in one transaction; its values are copied, because a search frees the one before.
#include <wiredtiger.h>

#include <algorithm>
#include <vector>

#include "bench/adapters/engine.h"
#include "bench/fail.h"

namespace lightning::bench {
namespace {

constexpr const char* kTable = "table:bench";

WT_ITEM item(std::string_view bytes) {
  WT_ITEM made{};
  made.data = bytes.data();
  made.size = bytes.size();
  return made;
}
std::string_view view(const WT_ITEM& bytes) { return {static_cast<const char*>(bytes.data), bytes.size}; }

void check(int error, const char* call) {
  if (error != 0) [[unlikely]]
    fail(std::string("wiredtiger: ") + call + ": " + wiredtiger_strerror(error));
}

// On from where `cursor` stands.
void walk(WT_CURSOR* cursor, Direction direction, uint64_t limit, Tally& tally) {
  const auto step = direction == Direction::forward ? cursor->next : cursor->prev;
  int error = 0;
  while (tally.entries < limit && (error = step(cursor)) == 0) {
    WT_ITEM k, v;
    check(cursor->get_key(cursor, &k), "get_key");
    check(cursor->get_value(cursor, &v), "get_value");
    tally.add(view(k), view(v));
  }
  if (error != WT_NOTFOUND) check(error, "step");
}

class WiredtigerHeld : public Held {
 public:
  explicit WiredtigerHeld(WT_CONNECTION* connection) {
    check(connection->open_session(connection, nullptr, nullptr, &session_), "open_session");
    check(session_->begin_transaction(session_, "isolation=snapshot"), "begin_transaction");
    check(session_->open_cursor(session_, kTable, nullptr, nullptr, &cursor_), "open_cursor");
    Tally first;  // a transaction takes its snapshot with its first step
    walk(cursor_, Direction::forward, 1, first);
  }
  ~WiredtigerHeld() override { check(session_->close(session_, nullptr), "session.close"); }
  Tally scan() override {
    check(cursor_->reset(cursor_), "reset");
    Tally tally;
    walk(cursor_, Direction::forward, UINT64_MAX, tally);
    return tally;
  }

 private:
  WT_SESSION* session_ = nullptr;
  WT_CURSOR* cursor_ = nullptr;
};

class WiredtigerSession : public Session {
 public:
  explicit WiredtigerSession(WT_CONNECTION* connection) {
    check(connection->open_session(connection, nullptr, "isolation=snapshot", &session_), "open_session");
    check(session_->open_cursor(session_, kTable, nullptr, nullptr, &cursor_), "open_cursor");
  }
  ~WiredtigerSession() override { check(session_->close(session_, nullptr), "session.close"); }

  void put(std::string_view key, std::string_view value) override {
    const WT_ITEM k = item(key), v = item(value);
    cursor_->set_key(cursor_, &k);
    cursor_->set_value(cursor_, &v);
    check(cursor_->insert(cursor_), "insert");
  }
  void remove(std::string_view key) override {
    const WT_ITEM k = item(key);
    cursor_->set_key(cursor_, &k);
    if (const int error = cursor_->remove(cursor_); error != WT_NOTFOUND) check(error, "remove");
  }
  void write(std::span<const Entry> batch) override {
    begin();
    for (const Entry& entry : batch) put(entry.key, entry.value);
    check(session_->commit_transaction(session_, nullptr), "commit_transaction");
  }

  std::string_view get(std::string_view key) override { return find(key); }
  void get_many(std::span<const std::string_view> keys, std::span<std::string_view> values) override {
    if (values_.size() < keys.size()) values_.resize(keys.size());
    begin();
    for (size_t i = 0; i < keys.size(); ++i) {
      const std::string_view found = find(keys[i]);
      if (found.data() != nullptr) values_[i].assign(found);
      values[i] = found.data() != nullptr ? std::string_view(values_[i]) : std::string_view{};
    }
    check(session_->commit_transaction(session_, nullptr), "commit_transaction");
  }

  using Session::scan;
  Tally scan(Direction direction, uint64_t limit) override {
    check(cursor_->reset(cursor_), "reset");
    Tally tally;
    walk(cursor_, direction, limit, tally);
    check(cursor_->reset(cursor_), "reset");
    return tally;
  }
  Tally seek(std::string_view key, Direction direction, unsigned steps) override {
    Tally tally;
    const std::string_view found = find(key);
    require(found.data() != nullptr, "wiredtiger: a key that was sought is missing");
    tally.add(key, found);
    walk(cursor_, direction, uint64_t{steps} + 1, tally);
    check(cursor_->reset(cursor_), "reset");
    return tally;
  }

  std::unique_ptr<Held> hold() override { return std::make_unique<WiredtigerHeld>(session_->connection); }

 private:
  void begin() {
    check(cursor_->reset(cursor_), "reset");
    check(session_->begin_transaction(session_, nullptr), "begin_transaction");
  }
  std::string_view find(std::string_view key) {
    const WT_ITEM k = item(key);
    cursor_->set_key(cursor_, &k);
    const int error = cursor_->search(cursor_);
    if (error == WT_NOTFOUND) return {};
    check(error, "search");
    WT_ITEM v;
    check(cursor_->get_value(cursor_, &v), "get_value");
    return view(v);
  }
  WT_SESSION* session_ = nullptr;
  WT_CURSOR* cursor_ = nullptr;
  std::vector<std::string> values_;
};

class WiredtigerEngine : public Engine {
 public:
  explicit WiredtigerEngine(const EngineConfig& config) {
    const uint64_t cache_bytes = config.cache_bytes(std::max<uint64_t>(256 << 20, 4 * config.raw_bytes));
    const std::string settings =
        "create,cache_size=" + std::to_string(cache_bytes) +
        ",session_max=" + std::to_string(config.threads + 32) +
        ",log=(enabled=true,file_max=64MB,prealloc=false),transaction_sync=(enabled=true,method=" +
        (config.durability == Durability::power ? "fsync" : "none") + ")";
    check(wiredtiger_open(config.path.c_str(), nullptr, settings.c_str(), &connection_), "wiredtiger_open");
    WT_SESSION* session = nullptr;
    check(connection_->open_session(connection_, nullptr, nullptr, &session), "open_session");
    check(session->create(session, kTable, "key_format=u,value_format=u"), "create");
    check(session->close(session, nullptr), "session.close");
  }
  ~WiredtigerEngine() override { check(connection_->close(connection_, nullptr), "close"); }

  std::unique_ptr<Session> session() override { return std::make_unique<WiredtigerSession>(connection_); }
  void settle() override {
    WT_SESSION* session = nullptr;
    check(connection_->open_session(connection_, nullptr, nullptr, &session), "open_session");
    check(session->checkpoint(session, nullptr), "checkpoint");
    check(session->close(session, nullptr), "session.close");
  }

 private:
  WT_CONNECTION* connection_ = nullptr;
};

}  // namespace

std::unique_ptr<Engine> open_wiredtiger(const EngineConfig& config) {
  return std::make_unique<WiredtigerEngine>(config);
}

std::string version_of_wiredtiger() {
  int major = 0, minor = 0, patch = 0;
  wiredtiger_version(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace lightning::bench
