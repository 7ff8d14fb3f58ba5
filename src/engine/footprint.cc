#include "engine/footprint.h"

#include <algorithm>

#include "format/internal_key.h"

namespace lightning {

Footprint::~Footprint() = default;

void Footprint::add_key(std::string_view key, uint64_t hash) {
  if (has_key(key, hash)) return;
  if (keys_.size() == keys_.capacity()) keys_.reserve(keys_.empty() ? kKeysSearched : 2 * keys_.size());
  grow_table(keys_.size() + 1);
  keys_.push_back({.hash = hash, .bytes = arena_.keep(key)});
  if (!table_.empty()) enter(keys_.size() - 1);
  bytes_ += key.size() + sizeof(Key) + sizeof(uint32_t) * 2;
}

void Footprint::enter(size_t at) {
  const size_t mask = table_.size() - 1;
  size_t slot = keys_[at].hash & mask;
  while (table_[slot] != 0) slot = (slot + 1) & mask;
  table_[slot] = static_cast<uint32_t>(at + 1);
}

void Footprint::grow_table(size_t keys) {
  if (keys <= kKeysSearched || keys * 2 <= table_.size()) return;
  size_t size = table_.empty() ? 4 * kKeysSearched : table_.size();
  while (size < keys * 2) size *= 2;
  std::vector<uint32_t> larger(size, 0);
  table_.swap(larger);
  for (size_t at = 0; at < keys_.size(); ++at) enter(at);
}

bool Footprint::has_key(std::string_view key, uint64_t hash) const {
  const auto is = [&](const Key& other) { return other.hash == hash && other.bytes == key; };
  if (table_.empty()) return std::any_of(keys_.begin(), keys_.end(), is);
  const size_t mask = table_.size() - 1;
  for (size_t slot = hash & mask; table_[slot] != 0; slot = (slot + 1) & mask) {
    if (is(keys_[table_[slot] - 1])) return true;
  }
  return false;
}

size_t Footprint::add_range(std::string_view from, std::string_view to) {
  ranges_.push_back({.from = std::string(from), .to = std::string(to)});
  bytes_ += sizeof(Range) + from.size() + to.size();
  return ranges_.size() - 1;
}

void Footprint::add(const LogEntry& entry) {
  if (entry.kind == EntryKind::remove_range) {
    add_range(entry.key, entry.value);
  } else {
    add_key(entry.key, hash_key(entry.key));
  }
}

void Footprint::add(const Footprint& other) {
  for (const Key& key : other.keys()) add_key(key.bytes, key.hash);
  for (const Range& range : other.ranges()) add_range(range.from, range.to);
}

void Footprint::widen(size_t range, std::string_view from, std::string_view to) {
  Range& known = ranges_[range];
  if (!from.empty() && from < known.from) known.from.assign(from);
  if (!to.empty() && to > known.to) known.to.assign(to);
}

void Footprint::seal() {
  sealed_ = ranges_;
  std::erase_if(sealed_, [](const Range& range) { return range.from >= range.to; });
  std::sort(sealed_.begin(), sealed_.end(), [](const Range& a, const Range& b) { return a.from < b.from; });
  size_t kept = 0;
  for (size_t at = 0; at < sealed_.size(); ++at) {
    if (kept != 0 && sealed_[at].from <= sealed_[kept - 1].to) {
      if (sealed_[at].to > sealed_[kept - 1].to) sealed_[kept - 1].to.swap(sealed_[at].to);
    } else {
      if (kept != at) std::swap(sealed_[kept], sealed_[at]);
      ++kept;
    }
  }
  sealed_.resize(kept);
}

const Footprint::Range* Footprint::range_in(std::string_view key, std::string_view to) const {
  const auto found = std::partition_point(sealed_.begin(), sealed_.end(),
                                          [&](const Range& range) { return range.to <= key; });
  return found == sealed_.end() || found->from >= to ? nullptr : &*found;
}

bool Footprint::is_touched_by(const LogEntry& entry) const {
  if (entry.kind == EntryKind::remove_range) {
    if (range_in(entry.key, entry.value) != nullptr) return true;
    return std::any_of(keys_.begin(), keys_.end(),
                       [&](const Key& key) { return key.bytes >= entry.key && key.bytes < entry.value; });
  }
  if (!keys_.empty() && has_key(entry.key, hash_key(entry.key))) return true;
  if (sealed_.empty()) return false;
  const auto found = std::partition_point(sealed_.begin(), sealed_.end(),
                                          [&](const Range& range) { return range.to <= entry.key; });
  return found != sealed_.end() && found->from <= entry.key;
}

}  // namespace lightning
