// Model: what a database must hold: for every keyspace a std::map of the versions of each key.
//
// A moment is the number of commits before it, as an LSN is in the database; creating and dropping a keyspace
// are commits too. What was visible at a held moment is kept until it is released; other versions go when
// they are overwritten. The default keyspace is called "".
// Entries expire by the time that set_time() gave last. digest() and size() count them until they are
// overwritten. digest() is a sum over all entries, so that it follows each change and equals that of any
// model or database with the same contents, whatever their history.
// Thread safety: externally synchronised. Costs: a microsecond a call.
#pragma once

#include <lightning/database.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

struct ModelWrite {
  std::string keyspace;
  std::string key;
  std::optional<std::string> value;    // nothing: a removal
  uint64_t expiry_us = 0;              // 0: never
  std::optional<std::string> to = {};  // of all keys from `key` up to this
};

/// Views that die at the model's next change.
struct ModelEntry {
  std::string_view key;
  std::string_view value;
  uint64_t expiry_us = 0;
};

class Model {
 public:
  using Moment = uint64_t;
  static constexpr Moment kNow = UINT64_MAX;

  Model();

  // Commits.
  void put(const std::string& keyspace, std::string_view key, std::string_view value, uint64_t expiry_us = 0);
  void remove(const std::string& keyspace, std::string_view key);
  void remove_range(const std::string& keyspace, std::string_view from, std::string_view to);
  void write(std::span<const ModelWrite> writes);
  void create_keyspace(const std::string& name);
  void drop_keyspace(const std::string& name);

  /// Microseconds; never goes back.
  void set_time(uint64_t now_us) { time_us_ = std::max(time_us_, now_us); }
  uint64_t time() const { return time_us_; }

  // Moments.
  Moment now() const { return now_; }
  void hold(Moment moment) { held_.insert(moment); }
  void release(Moment moment);

  // Reads as of a held moment, or of the present one.
  bool has_keyspace(const std::string& name) const { return tables_.contains(name); }
  /// In bytewise order, without the default one.
  std::vector<std::string> keyspaces() const;
  std::optional<std::string_view> get(const std::string& keyspace, std::string_view key,
                                      Moment at = kNow) const;
  /// The first entry at or behind `key`, or only behind it; those that have expired by `time_us` do not
  /// count, by default the present time.
  std::optional<ModelEntry> first_from(const std::string& keyspace, std::string_view key, bool inclusive,
                                       Moment at = kNow, std::optional<uint64_t> time_us = {}) const;
  /// The last entry at or before `key`, or only before it; with no key, of all.
  std::optional<ModelEntry> last_to(const std::string& keyspace, std::optional<std::string_view> key,
                                    bool inclusive, Moment at = kNow,
                                    std::optional<uint64_t> time_us = {}) const;
  /// How many keys the keyspace holds now.
  uint64_t size(const std::string& keyspace) const;
  uint64_t digest() const { return digest_; }

  /// Transactions that are prepared count in digest().
  void prepare(const std::string& gid) {
    if (prepared_.insert(gid).second) digest_ += digest_of_prepared(gid);
  }
  void resolve(const std::string& gid) {
    if (prepared_.erase(gid) != 0) digest_ -= digest_of_prepared(gid);
  }
  const std::set<std::string>& prepared() const { return prepared_; }

  static uint64_t digest_of_keyspace(std::string_view name);
  static uint64_t digest_of_prepared(std::string_view gid);
  static uint64_t digest_of_entry(std::string_view keyspace, std::string_view key, std::string_view value);

 private:
  struct Version {
    Moment at;                                 // visible to moments beyond it
    std::shared_ptr<const std::string> value;  // null: removed
    uint64_t expiry_us = 0;
  };
  using Versions = std::vector<Version>;  // oldest first
  struct Table {
    std::map<std::string, Versions, std::less<>> keys;
    uint64_t digest = 0;  // of the entries that are there now
    uint64_t size = 0;
  };

  void set(const std::string& keyspace, std::string_view key, std::shared_ptr<const std::string> value,
           uint64_t expiry_us);
  void set_none(const std::string& keyspace, std::string_view from, std::string_view to);
  const Table& table(const std::string& name) const;
  static const Version* visible(const Versions& versions, Moment at, uint64_t time_us);
  bool held_within(Moment from, Moment to) const;

  std::map<std::string, Table> tables_;
  std::multiset<Moment> held_;
  std::set<std::string> prepared_;
  Moment now_ = 0;
  uint64_t digest_ = 0;
  uint64_t time_us_ = 0;
};

/// The digest of what the database holds, by one scan of each keyspace, and of what is prepared in it.
Result<uint64_t> digest_of(Database& database);

/// The first difference between the model now and the database, in words, and empty when there is none: scans
/// in both directions, get, get_many and contains of every key, and the names of keyspaces.
std::string difference(const Model& model, Database& database);

/// "65535 bytes: 'aaaaaaaa'..." for messages.
std::string abbreviated(std::string_view bytes);

}  // namespace lightning
