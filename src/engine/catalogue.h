// Catalogue: names of keyspaces and the ids that were dropped.
//
// In the log and in runs it is the keyspace kCatalogueKeyspaceId: "n" + name -> id (varint) for each
// keyspace, "d" + id (four bytes, big-endian) -> "" for each dropped one, whose entries flush and merge leave
// out. Ids are never reused.
// Thread safety: dropped() any threads, for the price of one load while nothing was ever dropped; one
// thread at a time changes it; the rest internally synchronised.
#pragma once

#include <lightning/status.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/epoch.h"
#include "base/mutex.h"
#include "format/internal_key.h"

namespace lightning {

class Catalogue {
 public:
  Catalogue() = default;
  ~Catalogue() { delete dropped_.load(std::memory_order_relaxed); }

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

  /// 0 when there is none of that name.
  uint32_t find(std::string_view name) const;
  std::vector<std::string> names() const;
  // What a change needs is made before the change is committed: afterwards nothing may fail.
  using Entry = std::map<std::string, uint32_t, std::less<>>::node_type;
  using Ids = std::unique_ptr<const std::vector<uint32_t>>;
  static Entry entry(std::string_view name, uint32_t id);
  void add(Entry entry);
  /// The dropped ids and `id`.
  Ids dropped_with(uint32_t id) const;
  void drop(std::string_view name, Ids dropped);
  /// Takes in one entry of the stored catalogue; `corruption` when it is none.
  Status load(std::string_view key, std::string_view value);
  /// All were taken in: `corruption` where an id occurs twice, is reserved, or not below `next_id`.
  Status check(uint32_t next_id) const;

  static std::string name_key(std::string_view name) { return "n" + std::string(name); }
  static std::string dropped_key(uint32_t id);
  static std::string encode_id(uint32_t id);

 private:
  void set_dropped(Ids ids) REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, uint32_t, std::less<>> ids_ GUARDED_BY(mutex_);
  std::atomic<const std::vector<uint32_t>*> dropped_{nullptr};  // replaced as a whole; partner: EpochGuard
};

}  // namespace lightning
