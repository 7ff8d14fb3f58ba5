// Keyspace: a name space of ordered keys inside a database. Database is its own default keyspace.
//
// Keys are 0 to 65,535 bytes, values to 1 GiB, in bytewise order. Keyspaces share one log: a WriteBatch is
// atomic across them.
//
// Expiry. An entry may be put with a time to live: by WriteOptions::ttl_ms, by WriteBatch::put(), or by the
// default of its keyspace, the first of these that says something. It expires at a point of time, which is
// stored with it, and counts as removed from then on: no read returns it, an older version of its key does
// not come back, and background work gives its space back. The time is that of the system's clock, but never
// goes back: it is at least the largest expiry that anything was found expired by, or removed for, in this
// process, and, after the next open, the one of these that was recorded last (by flushes, merges and closing,
// and always before anything that is removed for it). A clock that is set back makes entries live longer, and
// brings none back.
// Reads under a snapshot judge by the time of the read, not of the snapshot. A get_many() judges all its
// entries by one moment; so does a cursor, with its Scan, from one seek to the next: the moment at which it
// first meets an entry that has an expiry.
// Thread safety: any threads. A handle holds the database's core: after close() every call answers `closed`.
#pragma once

#include <lightning/cursor.h>
#include <lightning/export.h>
#include <lightning/index.h>
#include <lightning/ingest.h>
#include <lightning/options.h>
#include <lightning/scan.h>
#include <lightning/snapshot.h>
#include <lightning/status.h>
#include <lightning/value.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

class Engine;

inline constexpr uint64_t kKeyBytesMax = 65'535;
inline constexpr uint64_t kValueBytesMax = 1 * GiB;
inline constexpr uint64_t kBatchBytesMax = 1 * GiB;

class LIGHTNING_EXPORT Keyspace {
 public:
  /// An empty handle: every call answers `closed`.
  Keyspace() = default;
  Keyspace(std::shared_ptr<Engine> engine, uint32_t id) : engine_(std::move(engine)), id_(id) {}

  Status put(std::string_view key, std::string_view value, const WriteOptions& options = {});
  /// ok whether or not the key was there.
  Status remove(std::string_view key, const WriteOptions& options = {});
  /// Removes all keys with from <= key < to in one commit of the size of the two bounds; the space is given
  /// back in the background. ok where nothing is there, and where `to` does not lie above `from`.
  Status remove_range(std::string_view from, std::string_view to, const WriteOptions& options = {});

  // Transactions of one key. They see what was committed before them, and never fail because of one another.
  /// Writes `desired` if the key holds `expected`, where nothing stands for an absent key. `conflict` if it
  /// holds something else: nothing was done.
  Status compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                         std::optional<std::string_view> desired, const WriteOptions& options = {});
  /// `already_exists` if the key is there: nothing was done.
  Status put_if_absent(std::string_view key, std::string_view value, const WriteOptions& options = {});
  /// Of what the key holds (nothing: it is absent) makes what it is to hold. May be called several times;
  /// must not write to the database.
  using UpdateFn = std::function<std::optional<std::string>(std::optional<std::string_view>)>;
  Status update(std::string_view key, const UpdateFn& fn, const WriteOptions& options = {});
  /// Adds to a decimal number, 0 where the key is absent; the sum. `invalid_argument` where the key holds
  /// something else or the sum has no place in 64 bits.
  Result<int64_t> add(std::string_view key, int64_t delta, const WriteOptions& options = {});

  /// Writes all entries of `source`, whose keys strictly ascend, as sorted files beside the log, and makes
  /// them visible at once, as one commit that survives a power cut: faster than puts for more entries than
  /// memtables hold. An error leaves nothing behind: `invalid_argument` names the first key out of order;
  /// `no_space`, `io_error`, what the source says; `busy`: for a minute somebody held a lock of a key from
  /// its first to its last. `unknown_outcome` as for a put. An ingested key overwrites what was there before
  /// the entries became visible, not before the call.
  Result<IngestReport> ingest(IngestSource& source);

  Lookup get(std::string_view key, const ReadOptions& options = {}) const;
  /// Fills `reused`; the Lookup refers to it. The key may be a view of what it held.
  Lookup get(std::string_view key, Value& reused, const ReadOptions& options = {}) const;
  /// True when the key is there; its value stays empty.
  Lookup contains(std::string_view key, const ReadOptions& options = {}) const;
  /// Reads all keys as of one moment; values[i].present() says whether keys[i] was found. Sizes must be
  /// equal; no key may be a view of one of the Values.
  Status get_many(std::span<const std::string_view> keys, std::span<Value> values,
                  const ReadOptions& options = {}) const;

  Cursor cursor(const ReadOptions& options = {}) const;
  /// All entries.
  Scan scan(const ReadOptions& options = {}) const;
  /// Entries with from <= key < to.
  Scan scan(std::string_view from, std::string_view to, const ReadOptions& options = {}) const;
  /// Entries with from <= key.
  Scan scan_from(std::string_view from, const ReadOptions& options = {}) const;
  Scan scan_prefix(std::string_view prefix, const ReadOptions& options = {}) const;

  /// Merges what the runs hold of the keys with from <= key < to (nothing: to the end of the keyspace) into
  /// one sorted run, without removals or versions that nobody reads. Of the last level it touches the files
  /// that hold such keys, and small ones beside them. Without bounds it does the same with the entries of the
  /// indexes, which it leaves otherwise. What is written meanwhile is left to background work.
  Status compact_range(std::string_view from = {}, std::optional<std::string_view> to = {},
                       const CompactOptions& options = {});

  // Indexes (index.h): other keys for the entries, kept in the same commits.
  /// From its return on writers keep the index; the entries that are there already get into it in the
  /// background, beside writes, and it can be read once all are. `already_exists`: one of that name.
  /// Survives a power cut, also in the midst of it: the next open begins again.
  Status create_index(const IndexDefinition& definition);
  /// Returns once the index can be read, or why it cannot: `already_exists` (not unique, with the key),
  /// `invalid_argument` (a field is missing), `not_found`. Helps to build it.
  Status wait_for_index(std::string_view name);
  Status drop_index(std::string_view name);
  /// In bytewise order of their names.
  Result<std::vector<IndexInfo>> indexes() const;
  Result<IndexStats> index_stats(std::string_view name) const;
  Index index(std::string_view name) const { return {engine_, nullptr, id_, std::string(name)}; }

  /// About how many bytes on disk and in memory the entries of [from, to) take.
  Result<uint64_t> approximate_size(std::string_view from, std::string_view to) const;

  /// How long entries live that are put from now on without a time of their own; 0 = for ever. Survives a
  /// power cut.
  Status set_default_ttl(uint64_t ttl_ms);
  Result<uint64_t> default_ttl_ms() const;

  /// How what is settled from now on is compressed; without a value as Options::compression says. What is
  /// settled already is compressed anew as it is merged, and all of it by compact(). Survives a power cut.
  /// `not_supported` where this build lacks the codec.
  Status set_compression(std::optional<Compression> compression);
  Result<std::optional<Compression>> compression() const;

  /// Never reused; the default keyspace is 0.
  uint32_t id() const { return id_; }

 protected:
  std::shared_ptr<Engine> engine_;
  uint32_t id_ = 0;
};

}  // namespace lightning
