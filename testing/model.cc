#include "testing/model.h"

#include <cctype>

#include "base/hash.h"
#include "testing/allocation_truce.h"

namespace lightning {

Model::Model() { tables_[""]; }

void Model::put(const std::string& keyspace, std::string_view key, std::string_view value,
                uint64_t expiry_us) {
  set(keyspace, key, std::make_shared<const std::string>(value), expiry_us);
  ++now_;
}

void Model::remove(const std::string& keyspace, std::string_view key) {
  set(keyspace, key, nullptr, 0);
  ++now_;
}

void Model::remove_range(const std::string& keyspace, std::string_view from, std::string_view to) {
  set_none(keyspace, from, to);
  ++now_;
}

void Model::set_none(const std::string& keyspace, std::string_view from, std::string_view to) {
  std::vector<std::string> keys;
  const auto& all = table(keyspace).keys;
  for (auto at = all.lower_bound(from); at != all.end() && at->first < to; ++at) {
    if (at->second.back().value != nullptr) keys.push_back(at->first);
  }
  for (const std::string& key : keys) set(keyspace, key, nullptr, 0);
}

void Model::write(std::span<const ModelWrite> writes) {
  for (const ModelWrite& one : writes) {
    if (one.to) {
      set_none(one.keyspace, one.key, *one.to);
      continue;
    }
    set(one.keyspace, one.key, one.value ? std::make_shared<const std::string>(*one.value) : nullptr,
        one.expiry_us);
  }
  ++now_;
}

void Model::create_keyspace(const std::string& name) {
  if (tables_.try_emplace(name).second) digest_ += digest_of_keyspace(name);
  ++now_;
}

void Model::drop_keyspace(const std::string& name) {
  digest_ -= digest_of_keyspace(name) + tables_.at(name).digest;
  tables_.erase(name);
  ++now_;
}

bool Model::held_within(Moment from, Moment to) const {
  const auto at = held_.upper_bound(from);
  return at != held_.end() && *at <= to;
}

void Model::set(const std::string& keyspace, std::string_view key, std::shared_ptr<const std::string> value,
                uint64_t expiry_us) {
  Table& table = tables_.at(keyspace);
  auto found = table.keys.find(key);
  if (found == table.keys.end()) found = table.keys.emplace(std::string(key), Versions()).first;
  Versions& versions = found->second;
  uint64_t change = 0;
  if (!versions.empty() && versions.back().value != nullptr) {
    change -= digest_of_entry(keyspace, key, *versions.back().value);
    --table.size;
  }
  if (value != nullptr) {
    change += digest_of_entry(keyspace, key, *value);
    ++table.size;
  }
  table.digest += change;
  digest_ += change;
  versions.push_back({now_, std::move(value), expiry_us});
  // A version is needed when a held moment sees it and not its successor.
  for (size_t i = 0; i + 1 < versions.size();) {
    const bool needed = held_within(versions[i].at, versions[i + 1].at);
    if (needed) {
      ++i;
    } else {
      versions.erase(versions.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  if (versions.size() == 1 && versions.back().value == nullptr) table.keys.erase(found);
}

void Model::release(Moment moment) {
  held_.erase(held_.find(moment));
  if (!held_.empty()) return;
  for (auto& [name, table] : tables_) {
    for (auto at = table.keys.begin(); at != table.keys.end();) {
      Versions& versions = at->second;
      versions.erase(versions.begin(), versions.end() - 1);
      at = versions.back().value == nullptr ? table.keys.erase(at) : std::next(at);
    }
  }
}

const Model::Table& Model::table(const std::string& name) const {
  static const Table empty;
  const auto found = tables_.find(name);
  return found == tables_.end() ? empty : found->second;
}

const Model::Version* Model::visible(const Versions& versions, Moment at, uint64_t time_us) {
  for (size_t i = versions.size(); i-- > 0;) {
    const Version& version = versions[i];
    if (version.at >= at) continue;
    const bool expired = version.expiry_us != 0 && version.expiry_us <= time_us;
    return version.value == nullptr || expired ? nullptr : &version;
  }
  return nullptr;
}

std::vector<std::string> Model::keyspaces() const {
  std::vector<std::string> names;
  for (const auto& [name, table] : tables_) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

std::optional<std::string_view> Model::get(const std::string& keyspace, std::string_view key,
                                           Moment at) const {
  const Table& keys = table(keyspace);
  const auto found = keys.keys.find(key);
  if (found == keys.keys.end()) return std::nullopt;
  const Version* version = visible(found->second, at, time_us_);
  return version == nullptr ? std::nullopt : std::optional<std::string_view>(*version->value);
}

std::optional<ModelEntry> Model::first_from(const std::string& keyspace, std::string_view key, bool inclusive,
                                            Moment at, std::optional<uint64_t> time_us) const {
  const auto& keys = table(keyspace).keys;
  for (auto i = inclusive ? keys.lower_bound(key) : keys.upper_bound(key); i != keys.end(); ++i) {
    if (const Version* version = visible(i->second, at, time_us.value_or(time_us_)))
      return ModelEntry{i->first, *version->value, version->expiry_us};
  }
  return std::nullopt;
}

std::optional<ModelEntry> Model::last_to(const std::string& keyspace, std::optional<std::string_view> key,
                                         bool inclusive, Moment at, std::optional<uint64_t> time_us) const {
  const auto& keys = table(keyspace).keys;
  auto i = !key ? keys.end() : inclusive ? keys.upper_bound(*key) : keys.lower_bound(*key);
  while (i != keys.begin()) {
    --i;
    if (const Version* version = visible(i->second, at, time_us.value_or(time_us_)))
      return ModelEntry{i->first, *version->value, version->expiry_us};
  }
  return std::nullopt;
}

uint64_t Model::size(const std::string& keyspace) const { return table(keyspace).size; }

uint64_t Model::digest_of_keyspace(std::string_view name) { return checksum(name.data(), name.size(), 1); }

uint64_t Model::digest_of_prepared(std::string_view gid) { return checksum(gid.data(), gid.size(), 3); }

uint64_t Model::digest_of_entry(std::string_view keyspace, std::string_view key, std::string_view value) {
  const uint64_t seed = checksum(key.data(), key.size(), checksum(keyspace.data(), keyspace.size(), 2));
  return checksum(value.data(), value.size(), seed);
}

std::string abbreviated(std::string_view bytes) {
  constexpr size_t kShownMax = 40;
  std::string text = std::to_string(bytes.size()) + " bytes: '";
  const auto add = [&text](std::string_view part) {
    constexpr char kHex[] = "0123456789abcdef";
    for (const char c : part) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte < 0x7f) {
        text += c;
      } else {
        text.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
      }
    }
  };
  if (bytes.size() <= kShownMax) {
    add(bytes);
    return text + "'";
  }
  add(bytes.substr(0, kShownMax / 2));
  text += "'...'";
  add(bytes.substr(bytes.size() - kShownMax / 2));
  return text + "'";
}

namespace {

/// Calls `fn` with the name and the handle of each keyspace, the default one first, until it says something.
template <typename Fn>
std::string for_each_keyspace(Database& database, Fn&& fn) {
  Result<std::vector<std::string>> names = database.keyspaces();
  if (!names) return "keyspaces(): " + names.status().to_string();
  if (std::string said = fn(std::string(), database); !said.empty()) return said;
  for (const std::string& name : *names) {
    Result<Keyspace> keyspace = database.keyspace(name, false);
    if (!keyspace) return "keyspace(" + name + "): " + keyspace.status().to_string();
    if (std::string said = fn(name, *keyspace); !said.empty()) return said;
  }
  return {};
}

std::string shown(const std::optional<ModelEntry>& entry) {
  return entry ? "key of " + abbreviated(entry->key) + " with a value of " + abbreviated(entry->value)
               : "the end";
}

std::string compare_walk(const Model& model, const std::string& name, Keyspace& keyspace, bool reverse) {
  Scan scan = reverse ? keyspace.scan().reverse() : keyspace.scan();
  std::optional<ModelEntry> expected =
      reverse ? model.last_to(name, std::nullopt, true) : model.first_from(name, "", true);
  const std::string where = std::string(reverse ? "backwards" : "forwards") + " in keyspace '" + name + "': ";
  for (;;) {
    const bool more = scan.advance();
    if (!more && !scan.status().ok()) return where + scan.status().to_string();
    if (!more && !expected) return {};
    const std::optional<ModelEntry> found =
        more ? std::optional(ModelEntry{scan.entry().key(), scan.entry().value(), 0}) : std::nullopt;
    if (!more || !expected || found->key != expected->key || found->value != expected->value) {
      return where + "expected " + shown(expected) + ", found " + shown(found);
    }
    expected = reverse ? model.last_to(name, found->key, false) : model.first_from(name, found->key, false);
  }
}

std::string compare_points(const Model& model, const std::string& name, Keyspace& keyspace) {
  std::vector<std::string_view> keys;
  for (auto entry = model.first_from(name, "", true); entry;
       entry = model.first_from(name, entry->key, false)) {
    keys.push_back(entry->key);
  }
  std::vector<Value> values(keys.size());
  if (Status status = keyspace.get_many(keys, values); !status.ok()) return "get_many: " + status.to_string();
  Value reused;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string_view expected = *model.get(name, keys[i]);
    const std::string where = " of the key of " + abbreviated(keys[i]) + " in keyspace '" + name + "'";
    const Lookup found = keyspace.get(keys[i], reused);
    if (!found || found.value() != expected) return "get" + where + ": " + found.status().to_string();
    if (!values[i].present() || values[i].view() != expected) return "get_many" + where;
    if (!keyspace.contains(keys[i])) return "contains" + where;
  }
  return {};
}

}  // namespace

Result<uint64_t> digest_of(Database& database) {
  Result<std::vector<std::string>> names = database.keyspaces();
  if (!names) return names.status();
  uint64_t digest = 0;
  const auto add = [&](const std::string& name, const Keyspace& keyspace) {
    return for_each(keyspace.scan(), [&](std::string_view key, std::string_view value) {
      const AllocationTruce truce;
      digest += Model::digest_of_entry(name, key, value);
    });
  };
  if (Status status = add("", database); !status.ok()) return status;
  for (const std::string& name : *names) {
    const Result<Keyspace> keyspace = database.keyspace(name, false);
    if (!keyspace) return keyspace.status();
    if (Status status = add(name, *keyspace); !status.ok()) return status;
    digest += Model::digest_of_keyspace(name);
  }
  const Result<Stats> stats = database.stats();
  if (!stats) return stats.status();
  for (const PreparedTransaction& prepared : stats->prepared_transactions)
    digest += Model::digest_of_prepared(prepared.gid);
  return digest;
}

std::string difference(const Model& model, Database& database) {
  Result<std::vector<std::string>> names = database.keyspaces();
  if (!names) return "keyspaces(): " + names.status().to_string();
  if (*names != model.keyspaces()) return "the names of the keyspaces differ";
  return for_each_keyspace(database, [&](const std::string& name, Keyspace& keyspace) {
    std::string said = compare_walk(model, name, keyspace, false);
    if (said.empty()) said = compare_walk(model, name, keyspace, true);
    if (said.empty()) said = compare_points(model, name, keyspace);
    return said;
  });
}

}  // namespace lightning
