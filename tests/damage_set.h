// A reference set: a small database that holds every kind of file, page, record and entry, and all that is
// known of it, for tests that damage it and look at what is left.
//
// Runs: one of 4 KiB leaves over several pages, with a jumbo page and values outside of them; one whose
// entries keep versions for a snapshot; removals. Log: two segments, one with an end that is recorded,
// batches over two keyspaces. One keyspace was dropped.
// Thread safety: externally synchronised.
#pragma once

#include <lightning/admin.h>
#include <lightning/database.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "testing/model.h"
#include "testing/sim_env.h"

namespace lightning {

inline constexpr char kDamageDirectory[] = "db";

struct DamageSetOptions {
  bool clean = true;   // closed; else the process was killed
  bool mapped = true;  // log segments
  uint64_t seed = 1;
  char letter = 'x';  // that values are made of
  Compression compression = Compression::none;
};

struct DamageSetEntry {
  std::string keyspace;
  std::string key;
  std::string value;
};

class DamageSet {
 public:
  explicit DamageSet(const DamageSetOptions& options);

  static Options options();

  SimDisk disk() { return disk_.kill_image(); }
  /// The disk with one file replaced.
  SimDisk with(const std::string& path, std::string_view bytes);
  SimDisk without(const std::string& path);
  std::string bytes(const std::string& path) { return disk_.file_bytes(path); }
  /// The set before it was opened the second time.
  SimDisk& earlier() { return earlier_; }
  bool is_value_file(const std::string& path);
  /// Is it a byte of a value file beside its value?
  bool is_unread(const std::string& path, uint64_t byte);
  uint64_t unread_bytes();
  /// Of all files but the lock, as "db/name".
  const std::vector<std::string>& paths() const { return paths_; }
  /// Those whose name ends so.
  std::vector<std::string> paths(std::string_view ending) const;
  static std::string name_of(const std::string& path) { return path.substr(path.find('/') + 1); }

  const Model& model() const { return model_; }
  /// Without those of the keyspace that was dropped, each entry once, in order.
  std::vector<DamageSetEntry> entries() const;

  /// Repairs a damaged copy of the set. What was wrong with the outcome, empty: survivors are as they were or
  /// in a range that is reported lost, whatever is missing lies in one, no batch is there by halves, and the
  /// damaged copy is as it was. `report` is filled where it is not null.
  std::string check_repair(SimDisk damaged, RepairReport* report = nullptr);

 private:
  using Place = std::pair<std::string, std::string>;  // keyspace, key

  void put(Database& database, const std::string& keyspace, const std::string& key, const std::string& value);
  void remove(Database& database, const std::string& key);
  void write_runs(Database& database);
  void write_batches(Database& database, int first);
  std::string check_survivors(Database& database, const RepairReport& report);
  std::string check_missing(Database& database, const RepairReport& report);
  std::string check_batches(Database& database);

  const char letter_;
  Model model_;
  std::map<Place, std::set<std::string>> history_;  // every value that was ever there
  std::vector<std::vector<Place>> batches_;         // that are in the log
  SimDisk disk_;
  SimDisk earlier_;
  std::vector<std::string> paths_;
};

/// Verifies the database on a disk; fails when there is none.
Result<VerifyReport> verify_disk(SimDisk disk);

}  // namespace lightning
