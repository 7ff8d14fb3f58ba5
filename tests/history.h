// History: a random life of one database, checked call by call against testing/model.h.
//
// Every call of the public API occurs, over several keyspaces that come and go, with snapshots and cursors
// that stay open across flushes, merges and dropped keyspaces, and with closing and opening under other
// options. Keys collide often; empty keys, long common prefixes, keys of 65,535 bytes, empty values and
// values of up to 64 MiB occur. Entries expire, by their own times and by defaults; the clock stands still
// within a step and goes forward, and back by years, between steps. The same seed gives the same history. A
// disagreement is thrown as a Disagreement.
// Thread safety: one thread.
#pragma once

#include <lightning/database.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "io/env.h"
#include "testing/clock_env.h"
#include "testing/model.h"
#include "testing/random.h"

namespace lightning {

struct Disagreement : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class History {
 public:
  /// Half of the databases give readers up that are as old.
  static constexpr uint64_t kReaderAgeMs = 3'600'000;

  /// `idle` lets background work happen; `allow_huge`: values above 1 MiB occur.
  History(Env& env, std::string directory, uint64_t seed, bool allow_huge, std::function<void()> idle);
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  /// Opens the database, makes `steps` steps, compares everything, and closes.
  void run(uint64_t steps);
  /// The step that is being made.
  uint64_t step() const { return step_; }
  /// Operations that were compared: a step, and within one each key of a batch or of get_many(), each move of
  /// a cursor, each entry of a scan, each call of a transaction. Comparisons of everything are not counted.
  uint64_t operations() const { return step_ + within_steps_; }
  /// What background work and compaction did.
  struct Work {
    uint64_t given_up = 0;  // readers, for their age
    uint64_t moves = 0;
    uint64_t merges = 0;
    uint64_t drops = 0;
    uint64_t value_files = 0;  // at closes
    /// Range removals over an entry with an expiry; while a snapshot saw one; over one that had expired; and
    /// such entries put where a range was removed before.
    uint64_t over_expiring = 0;
    uint64_t under_snapshots = 0;
    uint64_t over_expired = 0;
    uint64_t expiring_again = 0;
    std::set<uint64_t> levels;  // at which runs were seen
  };
  const Work& work() const { return work_; }

 private:
  friend class HistoryTransaction;
  struct HeldSnapshot {
    Snapshot snapshot;
    Model::Moment at;
    uint64_t since_ns;
  };
  struct HeldCursor {
    Cursor cursor;
    std::string keyspace;
    Model::Moment at;
    uint64_t since_ns;
    std::optional<std::string> position;  // nothing: not valid
    // The moment by which it judges what has expired lies between; at the last seek, or later.
    uint64_t moment_min = 0;
    uint64_t moment_max = 0;  // 0: the present time
  };
  struct HeldKeyspace {
    std::string name;
    Keyspace handle;
    uint64_t ttl_ms = 0;
  };
  /// What a read reads as of: now or a snapshot.
  struct ReadPoint {
    ReadOptions options;
    Model::Moment at = Model::kNow;
    uint64_t since_ns = 0;
  };

  // The steps (history.cc: writes and life; history_reads.cc: reads; history_transactions.cc).
  void put();
  void remove();
  void remove_range();
  void expire_in_ranges();
  void transact();
  void change_one_key();
  void change_indexes();
  void read_indexes();
  void write_batch();
  void ingest();
  void refused_writes();
  void create_keyspace();
  void drop_keyspace();
  void list_keyspaces();
  void set_default_ttl();
  void pass_time();
  void flush();
  void compact();
  void compact_range();
  void sync();
  void reopen();
  void idle();
  void copy();
  void get();
  void get_reused();
  void get_durable();
  void contains();
  void get_many();
  void scan();
  void open_cursor();
  void move_cursor();
  void close_cursor();
  void take_snapshot();
  void release_snapshot();
  void part_with_old_readers();
  void stats();
  void approximate_size();
  void compare();

  // Means.
  void open();
  void close();
  Options random_options();
  void make_keys();
  const std::string& random_key();
  /// Mostly around few keys.
  std::pair<std::string, std::string> random_range();
  void remove_range_of(Keyspace& keyspace, const std::string& name, const std::string& from,
                       const std::string& to);
  std::string random_value();
  WriteOptions random_write_options();
  /// What random_write_options() were for: nothing became durable by it.
  void wrote_nothing() { everything_durable_ = false; }
  uint64_t random_ttl();
  /// When an entry expires that is put now, its own time, that of its write and that of its keyspace given.
  uint64_t expiry_of_put(uint64_t entry_ttl_ms, uint64_t write_ttl_ms, const std::string& keyspace) const;
  void set_clock(int64_t micros);
  /// The handle; a random one, the default keyspace mostly.
  Keyspace& random_keyspace(std::string* name);
  ReadPoint random_read_point();
  void check(bool good, std::string_view what);
  void check(const Status& status, std::string_view what);
  void check_value(const Lookup& found, const std::string& keyspace, std::string_view key,
                   const ReadPoint& point, bool with_value);
  /// `from`: where the move began; nothing: at the end of all keys.
  void check_cursor(HeldCursor& held, bool forward, const std::optional<std::string>& from, bool inclusive,
                    std::string_view move);
  void check_place(HeldCursor& held, const std::optional<ModelEntry>& expected, std::string_view move);
  void move(HeldCursor& held);
  void list_readers();
  bool given_up(const Status& status, uint64_t since_ns);
  void check_scan(Scan scan, const std::string& keyspace, const std::string& from,
                  const std::optional<std::string>& to, const ReadPoint& point);
  void release_all();
  void check_copy(const std::string& path);
  void check_indexes(const Keyspace& keyspace, const ReadPoint& point);

  ClockEnv env_;
  const std::string directory_;
  const bool allow_huge_;
  bool indexes_ = false;  // half of the histories have some
  const std::function<void()> idle_;
  Random random_;
  uint64_t step_ = 0;
  uint64_t within_steps_ = 0;
  uint64_t huge_budget_ = 0;

  uint64_t default_ttl_ms_ = 0;  // of the default keyspace
  Options options_;
  Database database_;
  Model model_;
  bool everything_durable_ = false;  // nothing was written since the last sync
  uint64_t keyspaces_made_ = 0;
  std::vector<std::string> keys_;
  std::vector<HeldKeyspace> keyspaces_;
  std::vector<Keyspace> dropped_;
  std::set<std::string> indexed_;  // keyspaces
  std::vector<HeldSnapshot> snapshots_;
  std::vector<HeldCursor> cursors_;
  uint64_t moments_ = 0;  // of transactions under way
  uint64_t copies_made_ = 0;
  Work work_;
  Value reused_;
  std::string kept_copy_;  // of what kept_ must still hold
  Value kept_;             // a value that outlives what it was read from
};

}  // namespace lightning
