// CrashWorkload: a small life of a database that knows, at each moment, which states a crash may leave and
// which errors its calls may answer. What is opened afterwards is checked by tests/crash_check.h.
//
// The oracle numbers the states that the database passes through, one for each commit, creation or drop of a
// keyspace. At a moment, a power cut may leave any state from the last one acknowledged as durable to the
// last one attempted; the end of the process alone, any from the last one acknowledged. No other state may be
// found.
// Thread safety: one thread.
#pragma once

#include <lightning/database.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "testing/crash_images.h"
#include "testing/model.h"
#include "testing/sim_env.h"

namespace lightning {

/// Where the database of a simulation is.
inline constexpr char kCrashDirectory[] = "db";

/// Values of bursts, of levels, and larger ones go to value files.
inline constexpr uint64_t kCrashLargeBytes = 3500;

/// For messages: the first entries of the default keyspace.
std::string contents(Database& database);

/// The steps that workloads are made of.
enum class CrashStep : uint8_t {
  put_power,
  put_process,
  remove,
  batch,     // over two keyspaces, with a removal, a range removal and a key that occurs on both sides of it
  keyspace,  // makes it, or drops it when it is there
  sync,
  flush,
  compact,
  reopen,         // closes and opens
  put_oversize,   // a commit that needs a segment of its own
  burst,          // enough of class `process` for several segments
  idle,           // lets timers and background work run
  read,           // everything that reads; takes a snapshot, or compares and releases the one that was taken
  levels,         // flushes and background work until runs were moved and merged
  copy,           // a checkpoint or a backup, opened and compared
  ingest,         // some keys that others write too, and some that nobody does
  remove_range,   // over some of the keys, or all
  compact_range,  // some of the keys, or all behind one; waits for it, or has it done in the background
  index,          // makes two of the default keyspace, or drops them
};
inline constexpr uint8_t kCrashSteps = 19;
/// The first ones: what the enumeration of short sequences uses.
inline constexpr uint8_t kSmallCrashSteps = 10;

std::string describe(const std::vector<CrashStep>& steps);
/// Three to eight steps by chance, small ones mostly: what of millions of lives each can be.
std::vector<CrashStep> short_life(uint64_t seed);

/// Which digests may be found after a crash.
struct AllowedStates {
  std::vector<uint64_t> power_cut;
  std::vector<uint64_t> kill;
};

struct CrashMoment {
  SimDisk disk;
  AllowedStates allowed;
  std::string where;  // the step of the workload and the call that was about to happen
};

class CrashWorkload {
 public:
  /// Of the database "db" in a simulation. `keep_moments`: every moment at which the disk differs from the
  /// one before is kept.
  CrashWorkload(SimEnv& env, uint64_t seed, bool keep_moments);
  /// Of a database anywhere; it idles only in a simulation.
  CrashWorkload(Env& env, std::string directory, uint64_t seed);
  ~CrashWorkload();
  CrashWorkload(const CrashWorkload&) = delete;
  CrashWorkload& operator=(const CrashWorkload&) = delete;

  /// Runs the steps to the end, whatever fails: an error must leave the visible state as the API says. Empty,
  /// or what was wrong.
  std::string run(const std::vector<CrashStep>& steps);
  /// The errors that calls may answer from here on, `closed` after a failed opening not among them. Before:
  /// any, and failed() tells.
  void permit(std::vector<StatusCode> errors) { permitted_ = std::move(errors); }
  /// More steps of the same life.
  std::string go_on(const std::vector<CrashStep>& steps);
  /// Closes, whatever that answers, opens and checks as check_opening() does.
  std::string recover();

  /// Instead of what the seed says; before run().
  void set_page_source(PageSource source) { page_source_ = source; }

  std::vector<CrashMoment>& moments() { return moments_; }
  AllowedStates allowed() const;
  /// Has a call of the database failed?
  bool failed() const { return failed_; }
  /// Of all databases that it opened: files moved, and merges.
  uint64_t moves() const { return moves_; }
  uint64_t merges() const { return merges_; }

  /// Those of this life: with an even seed it compresses, and lets no garbage grow old; with half of all its
  /// runs are pooled.
  Options options() const;
  static Options usual_options();

 private:
  void open();
  /// Notes the answer of a call; empty, or why no fault explains it.
  std::string note(const Status& status);
  std::string make(CrashStep step);
  /// One commit: `model` changes the model, `database` is asked to do the same.
  std::string commit(Durability durability, const std::function<void(Model&)>& model,
                     const std::function<Status()>& database);
  std::string put(const std::string& key, const std::string& value, Durability durability);
  std::string batch();
  std::string transact(const std::vector<ModelWrite>& writes, const Keyspace& second);
  std::string two_phases(const std::vector<ModelWrite>& writes, const Keyspace& second);
  std::string resolve(bool commits, const std::vector<ModelWrite>& writes);
  std::string remove_range();
  std::string compact_range(const std::string& from);
  std::string keyspace();
  std::string reopen();
  std::string take_opened();
  std::string read();
  std::string read_keys();
  std::string read_snapshot();
  std::string levels();
  std::string copy();
  std::string ingest();
  std::string index();
  std::string check_visible();
  void note_all_durable();
  void look(const SimStep& step);
  std::string value(uint64_t size);

  Env& env_;
  SimEnv* const sim_;  // null: another Env
  const std::string directory_;
  const bool keep_moments_;
  const bool compresses_;
  PageSource page_source_;
  Random random_;
  Database database_;
  bool open_ = false;  // and the model knows its state
  Status opened_;      // of the last opening
  Snapshot snapshot_;  // of what the default keyspace held then
  uint64_t snapshot_digest_ = 0;
  std::optional<std::vector<StatusCode>> permitted_;
  Model model_;
  std::vector<uint64_t> states_ = {0};  // digests; the last one is the latest attempted
  size_t acknowledged_ = 0;
  size_t durable_ = 0;
  uint64_t moves_ = 0;
  uint64_t merges_ = 0;
  uint64_t copies_ = 0;
  bool failed_ = false;
  uint64_t step_ = 0;
  std::string step_name_;
  std::vector<CrashMoment> moments_;
};

/// The name of the keyspace that workloads use beside the default one.
inline constexpr char kCrashKeyspace[] = "second";

}  // namespace lightning
