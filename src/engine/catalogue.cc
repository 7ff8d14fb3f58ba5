#include "engine/catalogue.h"

#include "base/coding.h"

namespace lightning {

uint32_t Catalogue::find(std::string_view name) const {
  MutexLock lock(mutex_);
  const auto found = ids_.find(name);
  return found == ids_.end() ? 0 : found->second;
}

std::vector<std::string> Catalogue::names() const {
  std::vector<std::string> all;
  MutexLock lock(mutex_);
  for (const auto& [name, id] : ids_) all.push_back(name);
  return all;
}

Catalogue::Entry Catalogue::entry(std::string_view name, uint32_t id) {
  std::map<std::string, uint32_t, std::less<>> one;
  one.emplace(name, id);
  return one.extract(one.begin());
}

void Catalogue::add(Entry entry) {
  MutexLock lock(mutex_);
  ids_.insert(std::move(entry));
}

Catalogue::Ids Catalogue::dropped_with(std::span<const uint32_t> more) const {
  auto ids = std::make_unique<std::vector<uint32_t>>(dropped_ids());
  for (const uint32_t id : more) ids->insert(std::lower_bound(ids->begin(), ids->end(), id), id);
  return ids;
}

void Catalogue::drop(std::string_view name, Ids dropped) {
  MutexLock lock(mutex_);
  if (const auto found = ids_.find(name); found != ids_.end()) ids_.erase(found);
  set_dropped(std::move(dropped));
}

void Catalogue::set_dropped(Ids ids) {
  const std::vector<uint32_t>* before = dropped_.exchange(ids.release(), std::memory_order_acq_rel);
  if (before != nullptr) epoch_retire(before);
}

uint64_t Catalogue::find_default_ttl(uint32_t id) const {
  EpochGuard epoch;
  const std::map<uint32_t, uint64_t>* ttls = ttls_.load(std::memory_order_acquire);
  if (ttls == nullptr) return 0;
  const auto found = ttls->find(id);
  return found == ttls->end() ? 0 : found->second;
}

std::map<uint32_t, uint64_t> Catalogue::default_ttls() const {
  EpochGuard epoch;
  const std::map<uint32_t, uint64_t>* ttls = ttls_.load(std::memory_order_acquire);
  return ttls == nullptr ? std::map<uint32_t, uint64_t>() : *ttls;
}

Catalogue::Ttls Catalogue::ttls_with(uint32_t id, uint64_t ttl_ms) const {
  std::map<uint32_t, uint64_t> ttls = default_ttls();
  if (ttl_ms == 0) {
    ttls.erase(id);
  } else {
    ttls[id] = ttl_ms;
  }
  return ttls.empty() ? nullptr : std::make_unique<const std::map<uint32_t, uint64_t>>(std::move(ttls));
}

void Catalogue::set_ttls(Ttls ttls) {
  const std::map<uint32_t, uint64_t>* before = ttls_.exchange(ttls.release(), std::memory_order_acq_rel);
  if (before != nullptr) epoch_retire(before);
}

Catalogue::Compressions Catalogue::compressions_with(uint32_t id,
                                                     std::optional<Compression> compression) const {
  Compressions next = compressions();
  if (compression) {
    next[id] = *compression;
  } else {
    next.erase(id);
  }
  return next;
}

const IndexRecord* IndexRecords::find(uint32_t keyspace, std::string_view name) const {
  const auto found = std::find_if(all.begin(), all.end(), [&](const IndexRecord& record) {
    return record.keyspace == keyspace && record.name == name;
  });
  return found == all.end() ? nullptr : &*found;
}

std::shared_ptr<const IndexRecords> Catalogue::index_records() const {
  MutexLock lock(mutex_);
  return indexes_;
}

uint64_t Catalogue::index_version() const {
  MutexLock lock(mutex_);
  return indexes_->version;
}

Catalogue::Indexes Catalogue::finish(std::shared_ptr<IndexRecords> records, bool same_set) {
  std::sort(records->all.begin(), records->all.end(), [](const IndexRecord& a, const IndexRecord& b) {
    return a.keyspace != b.keyspace ? a.keyspace < b.keyspace : a.name < b.name;
  });
  if (!same_set) ++records->version;
  auto keyspaces = std::make_unique<IndexedKeyspaces>();
  keyspaces->version = records->version;
  for (const IndexRecord& record : records->all) {
    if (keyspaces->ids.empty() || keyspaces->ids.back() != record.keyspace)
      keyspaces->ids.push_back(record.keyspace);
  }
  return {.records = std::move(records), .keyspaces = std::move(keyspaces)};
}

// Both under the lock: who has seen the records of a version meets no check of an older one.
void Catalogue::set_indexes(Indexes indexes) {
  MutexLock lock(mutex_);
  indexes_.swap(indexes.records);
  index_records_.store(indexes_.get(), std::memory_order_release);
  const IndexedKeyspaces* const before =
      indexed_.exchange(indexes.keyspaces.release(), std::memory_order_acq_rel);
  if (before != nullptr) epoch_retire(before);
}

Status Catalogue::load_index(std::string_view key, std::string_view value) {
  constexpr size_t kPrefix = 1 + sizeof(uint32_t);
  IndexRecord record;
  const char* const end = value.data() + value.size();
  const char* const definition = get_varint(value.data(), end, &record.entries);
  if (key.size() <= kPrefix || definition == nullptr || record.entries < kFirstUserKeyspaceId)
    return Status(StatusCode::corruption, "an index in the catalogue of keyspaces is malformed");
  record.keyspace = __builtin_bswap32(lightning::load<uint32_t>(key.data() + 1));
  record.name = key.substr(kPrefix);
  record.definition.assign(definition, end);
  set_indexes(indexes_with([&](std::vector<IndexRecord>& all) { all.push_back(std::move(record)); }));
  return {};
}

Status Catalogue::load(std::string_view key, std::string_view value) {
  const Status bad(StatusCode::corruption, "an entry of the catalogue of keyspaces is malformed");
  if (!key.empty() && key[0] == 'x') return load_index(key, value);
  if (key.size() >= 2 && key[0] == 'n') {
    uint32_t id = 0;
    if (get_varint(value.data(), value.data() + value.size(), &id) != value.data() + value.size()) return bad;
    add(entry(key.substr(1), id));
    return {};
  }
  if (key.size() != 5) return bad;
  const uint32_t id = __builtin_bswap32(lightning::load<uint32_t>(key.data() + 1));
  if (key[0] == 'd') {
    Ids ids = dropped_with(id);
    MutexLock lock(mutex_);
    set_dropped(std::move(ids));
    return {};
  }
  const char* const end = value.data() + value.size();
  if (key[0] == 'c') {
    uint32_t codec = 0;
    if (get_varint(value.data(), end, &codec) != end || codec > UINT8_MAX) return bad;
    if (Status status = codec_of(static_cast<uint8_t>(codec)).status(); !status.ok()) return status;
    set_compressions(compressions_with(id, static_cast<Compression>(codec)));
    return {};
  }
  uint64_t ttl_ms = 0;
  if (key[0] != 't' || get_varint(value.data(), end, &ttl_ms) != end || ttl_ms == 0) return bad;
  set_ttls(ttls_with(id, ttl_ms));
  return {};
}

Status Catalogue::check(uint32_t next_id) const {
  std::vector<uint32_t> ids = dropped_ids();
  bool indexes_known = true;
  {
    MutexLock lock(mutex_);
    std::vector<uint32_t> named = {kDefaultKeyspaceId};
    for (const auto& [name, id] : ids_) {
      ids.push_back(id);
      named.push_back(id);
    }
    for (const IndexRecord& record : indexes_->all) {
      ids.push_back(record.entries);
      indexes_known &= std::find(named.begin(), named.end(), record.keyspace) != named.end();
    }
  }
  std::sort(ids.begin(), ids.end());
  const std::map<uint32_t, uint64_t> ttls = default_ttls();
  const Compressions codecs = compressions();
  const auto all_below = [&](const auto& of, uint32_t end) { return of.empty() || of.rbegin()->first < end; };
  const uint32_t end = std::max(next_id, kFirstUserKeyspaceId);
  const bool known = all_below(ttls, end) && all_below(codecs, end);
  const bool unique = std::adjacent_find(ids.begin(), ids.end()) == ids.end();
  const bool sound = ids.empty() || (unique && ids.front() >= kFirstUserKeyspaceId && ids.back() < next_id);
  if (sound && known && indexes_known) return {};
  return Status(StatusCode::corruption, "the catalogue of keyspaces contradicts itself");
}

std::string Catalogue::id_key(char kind, uint32_t id) {
  std::string key(1, kind);
  const uint32_t big_endian = __builtin_bswap32(id);
  key.append(reinterpret_cast<const char*>(&big_endian), sizeof(big_endian));
  return key;
}

std::string Catalogue::encode_ttl(uint64_t ttl_ms) {
  char bytes[kVarint64BytesMax];
  return {bytes, put_varint(bytes, ttl_ms)};
}

}  // namespace lightning
