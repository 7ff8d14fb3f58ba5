// Catalogue: names of keyspaces, the ids that were dropped, default times to live, and codecs.
//
// In the log and in runs it is the keyspace kCatalogueKeyspaceId: "n" + name -> id (varint) for each
// keyspace, "d" + id (four bytes, big-endian) -> "" for each dropped one, whose entries flush and merge leave
// out, "t" + id -> milliseconds (varint, not 0) for each that has a default time to live, "c" + id -> id of
// the codec (varint) for each that does not go by Options::compression, "x" + id + name of an index -> id of
// the keyspace of its entries (varint), and what src/index knows of it. Ids are never reused. Prepared
// transactions (engine/prepared.h) stand between them.
// Thread safety: dropped() and default_ttl() any threads, for the price of one load while nothing was ever
// dropped or nothing has a default; one thread at a time changes it; the rest internally synchronised.
#pragma once

#include <lightning/status.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/epoch.h"
#include "base/mutex.h"
#include "format/codec.h"
#include "format/internal_key.h"

namespace lightning {

/// An index, as far as the engine knows it: the bytes of `definition` are those of src/index.
struct IndexRecord {
  uint32_t keyspace = 0;
  std::string name;
  uint32_t entries = 0;  // the keyspace that its entries are in
  std::string definition;
};

/// Of one moment; `version` is another one with each index that comes or goes.
struct IndexRecords {
  uint64_t version = 0;
  std::vector<IndexRecord> all;  // by keyspace and name

  const IndexRecord* find(uint32_t keyspace, std::string_view name) const;
};

/// The keyspaces into which only those may write who know of their indexes.
struct IndexedKeyspaces {
  uint64_t version = 0;
  std::vector<uint32_t> ids;  // ascending
};

class Catalogue {
 public:
  Catalogue() = default;
  ~Catalogue() {
    delete indexed_.load(std::memory_order_relaxed);
    delete dropped_.load(std::memory_order_relaxed);
    delete ttls_.load(std::memory_order_relaxed);
  }

  /// Inside an epoch: was the keyspace dropped?
  bool dropped(uint32_t id) const {
    const std::vector<uint32_t>* ids = dropped_.load(std::memory_order_acquire);
    return ids != nullptr && std::binary_search(ids->begin(), ids->end(), id);
  }
  /// A copy, ascending.
  std::vector<uint32_t> dropped_ids() const {
    EpochGuard epoch;
    const std::vector<uint32_t>* ids = dropped_.load(std::memory_order_acquire);
    return ids == nullptr ? std::vector<uint32_t>() : *ids;
  }

  /// Of those keyspaces that do not go by the option of the database; a copy.
  using Compressions = std::map<uint32_t, Compression>;
  Compressions compressions() const {
    MutexLock lock(mutex_);
    return compressions_;
  }
  /// That of `id` changed.
  Compressions compressions_with(uint32_t id, std::optional<Compression> compression) const;
  void set_compressions(Compressions compressions) {
    MutexLock lock(mutex_);
    compressions_.swap(compressions);
  }

  bool has_default_ttls() const { return ttls_.load(std::memory_order_relaxed) != nullptr; }
  /// In milliseconds; 0: the keyspace has none.
  uint64_t default_ttl(uint32_t id) const { return has_default_ttls() ? find_default_ttl(id) : 0; }
  /// A copy, of all that have one.
  std::map<uint32_t, uint64_t> default_ttls() const;

  /// Was there ever an index, since the open?
  bool has_indexes() const { return indexed_.load(std::memory_order_relaxed) != nullptr; }
  /// Inside an epoch; null: never.
  const IndexedKeyspaces* indexed() const { return indexed_.load(std::memory_order_acquire); }
  uint64_t index_version() const;
  std::shared_ptr<const IndexRecords> index_records() const;
  /// Are these, which somebody holds, what index_records() answers?
  bool are_index_records(const IndexRecords& records) const {
    return index_records_.load(std::memory_order_acquire) == &records;
  }
  // A change of the indexes: made of a copy, then set, which cannot fail.
  struct Indexes {
    std::shared_ptr<const IndexRecords> records;
    std::unique_ptr<const IndexedKeyspaces> keyspaces;
  };
  /// `change` changes the records; with `same_set` writers need not know.
  template <typename Fn>
  Indexes indexes_with(Fn&& change, bool same_set = false) const {
    auto records = std::make_shared<IndexRecords>(*index_records());
    change(records->all);
    return finish(std::move(records), same_set);
  }
  void set_indexes(Indexes indexes);

  /// Where the last change ends whose outcome was unknown: who finds done what he asks for waits until that
  /// is durable. 0: none.
  uint64_t unsure() const { return unsure_.load(std::memory_order_relaxed); }
  void set_unsure(uint64_t lsn) { unsure_.store(lsn, std::memory_order_relaxed); }

  /// 0 when there is none of that name.
  uint32_t find(std::string_view name) const;
  std::vector<std::string> names() const;
  // What a change needs is made before the change is committed: afterwards nothing may fail.
  using Entry = std::map<std::string, uint32_t, std::less<>>::node_type;
  using Ids = std::unique_ptr<const std::vector<uint32_t>>;
  static Entry entry(std::string_view name, uint32_t id);
  void add(Entry entry);
  /// The dropped ids and these.
  Ids dropped_with(std::span<const uint32_t> ids) const;
  Ids dropped_with(uint32_t id) const { return dropped_with(std::span(&id, 1)); }
  void drop(std::string_view name, Ids dropped);
  void set_dropped_ids(Ids dropped) {
    MutexLock lock(mutex_);
    set_dropped(std::move(dropped));
  }
  using Ttls = std::unique_ptr<const std::map<uint32_t, uint64_t>>;
  /// The defaults, that of `id` changed; 0 takes it away.
  Ttls ttls_with(uint32_t id, uint64_t ttl_ms) const;
  void set_ttls(Ttls ttls);
  /// Takes in one entry of the stored catalogue; `corruption` when it is none.
  Status load(std::string_view key, std::string_view value);
  /// All were taken in: `corruption` where an id occurs twice, is reserved, or not below `next_id`.
  Status check(uint32_t next_id) const;

  static std::string name_key(std::string_view name) { return "n" + std::string(name); }
  static std::string dropped_key(uint32_t id) { return id_key('d', id); }
  static std::string ttl_key(uint32_t id) { return id_key('t', id); }
  static std::string compression_key(uint32_t id) { return id_key('c', id); }
  static std::string index_key(uint32_t keyspace, std::string_view name) {
    return id_key('x', keyspace).append(name);
  }
  static std::string encode_index(const IndexRecord& record) {
    return encode_id(record.entries).append(record.definition);
  }
  static std::string encode_id(uint32_t id) { return encode_ttl(id); }
  static std::string encode_ttl(uint64_t ttl_ms);
  static std::string encode_compression(Compression compression) { return encode_id(codec_id(compression)); }

 private:
  static std::string id_key(char kind, uint32_t id);
  uint64_t find_default_ttl(uint32_t id) const;
  static Indexes finish(std::shared_ptr<IndexRecords> records, bool same_set);
  Status load_index(std::string_view key, std::string_view value);
  void set_dropped(Ids ids) REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, uint32_t, std::less<>> ids_ GUARDED_BY(mutex_);
  Compressions compressions_ GUARDED_BY(mutex_);
  // Replaced as a whole; partner: EpochGuard. Null: none.
  std::atomic<const std::vector<uint32_t>*> dropped_{nullptr};
  std::atomic<const std::map<uint32_t, uint64_t>*> ttls_{nullptr};
  std::atomic<const IndexedKeyspaces*> indexed_{nullptr};
  std::shared_ptr<const IndexRecords> indexes_ GUARDED_BY(mutex_) = std::make_shared<IndexRecords>();
  std::atomic<const IndexRecords*> index_records_{indexes_.get()};
  std::atomic<uint64_t> unsure_{0};  // partner: the caller's mutex
};

}  // namespace lightning
