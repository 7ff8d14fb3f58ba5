// One face for every engine that is measured.
//
// Fairness: each adapter takes the fastest honest way that its engine offers for a call. Reads hand out
// views, so that no engine pays for a copy that its users can avoid; a scan is one call, so that an entry
// costs no virtual call; every get, get_many, seek and scan sees all writes that returned before it.
//
// Thread safety: an Engine is used by one thread, but any thread may make a session; a Session by one thread.
// Ownership: an Engine outlives its sessions; its destructor closes the database cleanly.
// Errors: an adapter ends the process by fail(); what is returned is an answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lightning::bench {

enum class Durability {
  process,  // a write that returned survives the kill of the process
  power,    // and the loss of power
};

enum class Compression { none, lz4, zstd };

enum class Direction { forward, backward };

struct EngineConfig {
  std::string path;  // an existing directory; empty, or with a database that the same engine closed
  Durability durability = Durability::process;
  uint64_t raw_bytes = 0;  // keys and values that the database will hold: sizes caches and maps
  unsigned threads = 1;
  std::vector<std::string> options = {};        // NAME=VALUE, for Lightning DB alone
  Compression compression = Compression::none;  // of engines that have one; LMDB has none
  bool direct_reads = false;                    // of RocksDB: others decide themselves, or cannot
  uint64_t memory_limit =
      0;  // of caches and buffers together, of engines that have one; 0: room for the data

  /// Of the room that an engine's cache would have.
  uint64_t cache_bytes(uint64_t usual) const {
    constexpr uint64_t kLeast = 8 << 20;
    const uint64_t buffers = 2 * buffer_bytes();
    return memory_limit == 0 ? usual : std::max(kLeast, memory_limit - std::min(memory_limit, buffers));
  }
  uint64_t buffer_bytes() const {
    constexpr uint64_t kUsual = 64 << 20;
    constexpr uint64_t kShare = 8;
    return memory_limit == 0 ? kUsual : std::min(kUsual, std::max(uint64_t{1} << 20, memory_limit / kShare));
  }
};

struct Entry {
  std::string_view key;
  std::string_view value;
};

inline uint64_t load_word(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// What a scan saw. Each adapter adds every entry, inline; key and value are both looked at, as a user would.
// Keys and values have at least 8 bytes.
struct Tally {
  uint64_t entries = 0;
  uint64_t digest = 0;  // a sum, so that it does not depend on the order

  void add(std::string_view key, std::string_view value) {
    ++entries;
    digest += load_word(key.data() + key.size() - 8) * 3 + load_word(value.data());
  }
  bool operator==(const Tally&) const = default;
};

// A state of the database that is kept readable whatever is written afterwards.
class Held {
 public:
  virtual ~Held() = default;
  virtual Tally scan() = 0;
};

class Session {
 public:
  virtual ~Session() = default;

  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void remove(std::string_view key) = 0;
  virtual void write(std::span<const Entry> batch) = 0;  // atomically
  /// All that `next` gives, until it says false, in ascending order of keys, into a database that has none of
  /// them. Entries die at the next call. Batches of a thousand, where an adapter knows no better.
  virtual void ingest(const std::function<bool(Entry*)>& next);

  /// What a transaction makes of the values of its keys, all of which exist: what they are to be.
  using Change = std::function<void(std::span<const std::string_view> values, std::span<std::string> next)>;
  /// Reads at most kTransactionKeys keys and writes them anew, as one transaction in which nobody comes
  /// between; tried again until that is so. By default the process ends: the engine has none.
  virtual void transact(std::span<const std::string_view> keys, const Change& change);
  static constexpr size_t kTransactionKeys = 4;

  /// A put, or gets of keys that exist, as a transaction of its own that nobody hinders; what is read is
  /// valid until the next call. By default the process ends, as above.
  virtual void put_in_transaction(std::string_view key, std::string_view value);
  virtual void get_in_transaction(std::span<const std::string_view> keys, std::span<std::string_view> values);

  // Valid until the next call; data() is null when the key is absent.
  virtual std::string_view get(std::string_view key) = 0;
  virtual void get_many(std::span<const std::string_view> keys, std::span<std::string_view> values) = 0;

  // The whole database or `limit` entries of it, from its first entry on or from its last one back.
  virtual Tally scan(Direction direction, uint64_t limit) = 0;
  Tally scan(Direction direction) { return scan(direction, UINT64_MAX); }
  // The entry at `key`, which exists, and up to `steps` more in the given direction.
  virtual Tally seek(std::string_view key, Direction direction, unsigned steps) = 0;

  // What is committed now.
  virtual std::unique_ptr<Held> hold() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<Session> session() = 0;
  // Flushes, and compacts to the shape that is best for reading; returns when no background work is left.
  virtual void settle() = 0;
  // Bytes that flushes and merges wrote since the open, by the engine's own counters, its log apart; nothing
  // if it does not count them.
  virtual std::optional<uint64_t> written_bytes() { return std::nullopt; }
  // Bytes on disk of files that have the name of the log and hold data.
  virtual uint64_t data_under_log_names() { return 0; }
};

}  // namespace lightning::bench
