#include "tests/damage_set.h"

#include <gtest/gtest.h>

#include "admin/repair.h"
#include "admin/verify.h"
#include "api/open_in.h"
#include "log/segment.h"

namespace lightning {

namespace {

constexpr char kRepaired[] = "repaired";
constexpr uint64_t kLargeBytes = 5000;  // values from this size on stand in value files
constexpr uint64_t kLargeValueSize = 6000;
constexpr WriteOptions kProcess{.durability = Durability::process};

bool is_lost(const RepairReport& report, std::string_view keyspace, std::string_view key) {
  for (const LostRange& range : report.lost) {
    if (range.contains(keyspace, key)) return true;
  }
  return false;
}

Keyspace named(Database& database, const std::string& name) {
  return name.empty() ? static_cast<Keyspace&>(database) : *database.keyspace(name, false);
}

bool has_keyspace(Database& database, const std::string& name) {
  return name.empty() || database.keyspace(name, false).ok();
}

std::map<std::string, std::string> files_of(SimDisk& disk) {
  std::map<std::string, std::string> files;
  for (const std::string& path : disk.file_paths()) {
    if (path.starts_with(std::string(kDamageDirectory) + "/")) files[path] = disk.file_bytes(path);
  }
  return files;
}

}  // namespace

Options DamageSet::options() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  return options;
}

DamageSet::DamageSet(const DamageSetOptions& how) : letter_(how.letter) {
  SimEnv env({.seed = how.seed, .supports_allocate = how.mapped});
  Options options = DamageSet::options();
  options.compression = how.compression;
  {
    Result<Database> database = open_in(env, kDamageDirectory, options, OpenKind::create, kLargeBytes);
    write_runs(*database);
    write_batches(*database, 0);
    EXPECT_TRUE(database->close().ok());
    earlier_ = env.disk().kill_image();
  }
  Result<Database> database = open_in(env, kDamageDirectory, options, OpenKind::open, kLargeBytes);
  write_batches(*database, 100);
  for (int i = 0; i < 20; ++i) put(*database, "", "key" + std::to_string(3 * i), "later");
  remove(*database, "key8");
  EXPECT_TRUE(database->remove_range("key50", "key52", kProcess).ok());
  model_.remove_range("", "key50", "key52");
  EXPECT_TRUE(database->sync().ok());
  put(*database, "", "zlast", "not flushed");
  if (how.clean) {
    EXPECT_TRUE(database->close().ok());
  }
  disk_ = env.disk().kill_image();
  for (const std::string& path : disk_.file_paths()) {
    if (!path.ends_with("/LOCK")) paths_.push_back(path);
  }
}

void DamageSet::put(Database& database, const std::string& keyspace, const std::string& key,
                    const std::string& value) {
  Keyspace in = named(database, keyspace);
  EXPECT_TRUE(in.put(key, value, kProcess).ok());
  model_.put(keyspace, key, value);
  history_[{keyspace, key}].insert(value);
}

void DamageSet::remove(Database& database, const std::string& key) {
  EXPECT_TRUE(database.remove(key, kProcess).ok());
  model_.remove("", key);
}

void DamageSet::write_runs(Database& database) {
  for (const char* name : {"second", "gone"}) {
    EXPECT_TRUE(database.keyspace(name).ok());
    model_.create_keyspace(name);
  }
  for (int i = 0; i < 300; ++i) put(database, "", "key" + std::to_string(i), std::string(40, letter_));
  put(database, "", "long", std::string(3000, 'l'));
  put(database, "", "long key" + std::string(5000, 'k'), std::string("on a jumbo page ") + letter_);
  put(database, "", "longer", std::string(kLargeValueSize, letter_));
  put(database, "gone", "g", "dropped with its keyspace");
  for (int i = 0; i < 10; ++i) put(database, "second", "a" + std::to_string(i), "1");
  EXPECT_TRUE(database.flush().ok());
  for (int i = 0; i < 10; ++i) put(database, "", "key" + std::to_string(i), "seen by a snapshot");
  const Result<Snapshot> snapshot = database.snapshot();
  for (int i = 0; i < 5; ++i) put(database, "", "key" + std::to_string(i), std::string(1500, 'n'));
  remove(database, "key7");
  EXPECT_TRUE(database.remove_range("key40", "key45", kProcess).ok());
  model_.remove_range("", "key40", "key45");
  EXPECT_TRUE(database.drop_keyspace("gone").ok());
  model_.drop_keyspace("gone");
  EXPECT_TRUE(database.flush().ok());
}

// Keys that are written once, a few at a time, so that half of a batch shows.
void DamageSet::write_batches(Database& database, int first) {
  Keyspace second = named(database, "second");
  for (int i = first; i < first + 4; ++i) {
    WriteBatch batch;
    std::vector<Place> places;
    const std::string value = "batch" + std::to_string(i);
    for (const char* part : {"/1", "/2", "/3"}) {
      const std::string key = value + part;
      const bool in_second = part[1] == '2';
      if (in_second) {
        batch.put(second, key, value);
      } else {
        batch.put(key, value);
      }
      places.emplace_back(in_second ? "second" : "", key);
      model_.put(places.back().first, key, value);
      history_[places.back()].insert(value);
    }
    EXPECT_TRUE(database.write(batch, kProcess).ok());
    batches_.push_back(std::move(places));
  }
}

SimDisk DamageSet::with(const std::string& path, std::string_view bytes) {
  SimDisk changed = disk_.kill_image();
  changed.put_file(path, bytes);
  return changed;
}

SimDisk DamageSet::without(const std::string& path) {
  SimDisk changed = disk_.kill_image();
  changed.remove_file(path);
  return changed;
}

std::vector<std::string> DamageSet::paths(std::string_view ending) const {
  std::vector<std::string> found;
  for (const std::string& path : paths_) {
    if (path.ends_with(ending)) found.push_back(path);
  }
  return found;
}

bool DamageSet::is_value_file(const std::string& path) {
  return path.ends_with(".log") &&
         disk_.file_bytes(path).find(std::string(kLargeValueSize, letter_)) != std::string::npos;
}

bool DamageSet::is_unread(const std::string& path, uint64_t byte) {
  if (!is_value_file(path) || byte < kSegmentHeaderBytes) return false;
  const uint64_t value = disk_.file_bytes(path).find(std::string(kLargeValueSize, letter_));
  return byte < value || byte >= value + kLargeValueSize;
}

uint64_t DamageSet::unread_bytes() {
  uint64_t bytes = 0;
  for (const std::string& path : paths(".log")) {
    const uint64_t size = disk_.file_bytes(path).size();
    if (is_value_file(path)) bytes += size - kSegmentHeaderBytes - kLargeValueSize;
  }
  return bytes;
}

std::vector<DamageSetEntry> DamageSet::entries() const {
  std::vector<std::string> names = model_.keyspaces();
  names.insert(names.begin(), "");
  std::vector<DamageSetEntry> all;
  for (const std::string& name : names) {
    for (auto entry = model_.first_from(name, "", true); entry;
         entry = model_.first_from(name, entry->key, false)) {
      all.push_back({name, std::string(entry->key), std::string(entry->value)});
    }
  }
  return all;
}

std::string DamageSet::check_repair(SimDisk damaged, RepairReport* report) {
  SimEnv env({}, std::move(damaged));
  const std::map<std::string, std::string> before = files_of(env.disk());
  Result<RepairReport> repaired = repair_in(env, kDamageDirectory, kRepaired, {});
  if (!repaired) return "repair: " + repaired.status().to_string();
  if (files_of(env.disk()) != before) return "repair changed what it read";
  if (report != nullptr) *report = *repaired;
  Result<Database> database = open_in(env, kRepaired, options(), OpenKind::open);
  if (!database) return "open: " + database.status().to_string();
  for (const std::string& wrong : {check_survivors(*database, *repaired), check_missing(*database, *repaired),
                                   check_batches(*database)}) {
    if (!wrong.empty()) return wrong;
  }
  const Status closed = database->close();
  return closed.ok() ? "" : "close: " + closed.to_string();
}

std::string DamageSet::check_survivors(Database& database, const RepairReport& report) {
  std::vector<std::string> names = *database.keyspaces();
  names.insert(names.begin(), "");
  uint64_t entries = 0;
  for (const std::string& name : names) {
    const bool recovered = name.starts_with("recovered-");
    Scan scan = named(database, name).scan();
    for (const Entry& entry : scan) {
      ++entries;
      const std::string key(entry.key());
      const std::string what = "\"" + key + "\" of \"" + name + "\" ";
      const bool right = model_.has_keyspace(name) && model_.get(name, key) == entry.value();
      if (right) continue;
      if (!is_lost(report, name, key)) return what + "is not right and in no lost range";
      bool was_there = false;
      for (const auto& [place, values] : history_) {
        if (place.second == key && (recovered || place.first == name) &&
            values.contains(std::string(entry.value())))
          was_there = true;
      }
      if (!was_there) return what + "never had its value";
    }
    if (!scan.status().ok()) return "scan: " + scan.status().to_string();
  }
  return entries == report.entries ? "" : "the report counts other entries";
}

std::string DamageSet::check_missing(Database& database, const RepairReport& report) {
  std::vector<std::string> names = model_.keyspaces();
  names.insert(names.begin(), "");
  for (const std::string& name : names) {
    const bool there = has_keyspace(database, name);
    for (auto entry = model_.first_from(name, "", true); entry;
         entry = model_.first_from(name, entry->key, false)) {
      if (is_lost(report, name, entry->key)) continue;
      if (!there) return "keyspace \"" + name + "\" is missing";
      const Lookup found = named(database, name).get(entry->key);
      if (!found) return "\"" + std::string(entry->key) + "\" is missing and in no lost range";
    }
  }
  return {};
}

std::string DamageSet::check_batches(Database& database) {
  for (const std::vector<Place>& batch : batches_) {
    size_t there = 0;
    for (const auto& [keyspace, key] : batch) {
      there += has_keyspace(database, keyspace) && named(database, keyspace).contains(key) ? 1 : 0;
    }
    // A keyspace whose name is lost is there under another one.
    const bool renamed = !has_keyspace(database, "second");
    if (there != 0 && there != batch.size() && !(renamed && there + 1 == batch.size()))
      return "half a batch: " + batch.front().second;
  }
  return {};
}

Result<VerifyReport> verify_disk(SimDisk disk) {
  SimEnv env({}, std::move(disk));
  return verify_in(env, kDamageDirectory, {});
}

}  // namespace lightning
