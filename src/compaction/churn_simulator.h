// ChurnSimulator: a database without disk or threads, for tests: memtables, runs as vectors, and merges that
// the policy chooses, with retention and the change of runs as the engine has them.
//
// Every Choice, every state and every result is held against its invariants: check_choice(), check_state(),
// what a model of all keys and of the snapshot says.
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compaction/outcome.h"
#include "compaction/policy.h"
#include "compaction/shape.h"
#include "format/version.h"

namespace lightning {

class ChurnSimulator {
 public:
  struct Version {
    uint64_t lsn;
    EntryKind kind;
    uint64_t value;
  };
  struct Entry {
    std::string key;
    std::vector<Version> versions;  // newest first
  };
  struct Totals {
    uint64_t user_bytes = 0;
    uint64_t flush_bytes = 0;
    uint64_t merge_bytes = 0;
    uint64_t moved_bytes = 0;
    uint64_t moves = 0;  // of files, without rewriting
    uint64_t tier_merges = 0;
    uint64_t drain_steps = 0;
    uint64_t tier_runs_max = 0;  // in one tier
    uint64_t runs_max = 0;
    double space_max = 0;  // disk, with what a merge has not yet given back, over what is alive
    double write_amplification() const {
      return static_cast<double>(flush_bytes + merge_bytes) / static_cast<double>(user_bytes);
    }
  };

  /// `memtable_puts`: puts that a write buffer holds.
  explicit ChurnSimulator(uint64_t memtable_puts);

  void put(uint64_t number);
  void remove(uint64_t number);
  /// At most so many moves and merges follow each flush.
  void limit_work(uint64_t choices) { work_ = choices; }
  void flush();
  void work(Goal goal, uint64_t choices);
  void settle() { work(Goal::settle, UINT64_MAX); }
  /// Of keys as key_of() makes them; empty bounds are none.
  void compact(const std::string& from = {}, const std::string& to = {});
  void take_snapshot();
  void release_snapshot();

  /// Sources of settled data.
  size_t runs() const { return runs_.size(); }
  const std::vector<SortedRunInfo>& levels() const { return runs_; }
  uint64_t disk_bytes() const { return disk_bytes_; }
  /// Keys and values of what a read now sees.
  uint64_t live_bytes() const;
  double space() const {
    return static_cast<double>(disk_bytes()) / static_cast<double>(std::max<uint64_t>(1, live_bytes()));
  }
  uint64_t removals() const;
  uint64_t entries() const;
  /// Everything that a read finds, now and as of the snapshot, is what the model says. Empty, or what is not.
  std::string verify() const;

  Totals totals;
  std::string broken;  // the first invariant that did not hold
  static std::string key_of(uint64_t number);

 private:
  class Probe;
  friend class Probe;
  using Model = std::map<std::string, std::optional<uint64_t>>;

  struct Input {
    std::vector<Entry> entries;
  };
  void write(uint64_t number, EntryKind kind);
  Shape shape() const;
  bool execute(const Choice& choice, const Shape& shape);
  MergeOutput merge(const Choice& choice);
  static std::string drained_from(const Choice& choice, const std::vector<std::vector<Entry>>& sources,
                                  const std::string& key);
  bool are_together(const Choice& choice, const std::string& key, const std::string& later) const;
  std::vector<Entry> entries_of(const SortedRunInfo& run, size_t first, size_t end) const;
  RunFileInfo add_file(std::vector<Entry> entries);
  static std::vector<Entry> merged(const std::vector<std::vector<Entry>>& sources);
  bool retain(Entry* entry, bool oldest) const;
  void note_shape(uint64_t transient_bytes);
  void expect(bool good, std::string_view what);
  std::optional<uint64_t> read(std::string_view key, uint64_t read_lsn) const;

  const uint64_t buffer_bytes_;
  const PolicyLimits limits_;
  uint64_t work_ = UINT64_MAX;
  uint64_t lsn_ = 1;
  uint64_t log_bytes_ = 0;
  uint64_t next_id_ = 1;
  std::map<std::string, std::vector<Version>> memtable_;  // oldest first
  std::map<uint64_t, std::vector<Entry>> files_;
  uint64_t disk_bytes_ = 0;
  std::vector<SortedRunInfo> runs_;
  Model model_;
  uint64_t alive_ = 0;
  std::optional<uint64_t> snapshot_;
  Model at_snapshot_;
};

}  // namespace lightning
