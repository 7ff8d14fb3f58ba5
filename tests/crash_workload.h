// CrashWorkload: a small life of a database in the simulated Env that knows, at each moment, which states a
// crash may leave; and the check of one such crash.
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

/// The steps that workloads are made of.
enum class CrashStep : uint8_t {
  put_power,
  put_process,
  remove,
  batch,     // over two keyspaces, with a removal and a key that occurs twice
  keyspace,  // makes it, or drops it when it is there
  sync,
  flush,
  compact,
  reopen,        // closes and opens
  put_oversize,  // a commit that needs a segment of its own
  burst,         // enough of class `process` for several segments
  idle,          // lets timers and background work run
  levels,        // flushes and background work until runs were moved and merged
};
inline constexpr uint8_t kCrashSteps = 13;
inline constexpr uint8_t kSmallCrashSteps =
    10;  // the first ones: what the enumeration of short sequences uses

std::string describe(const std::vector<CrashStep>& steps);

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
  /// `keep_moments`: every moment at which the disk differs from the one before is kept.
  CrashWorkload(SimEnv& env, uint64_t seed, bool keep_moments);
  ~CrashWorkload();
  CrashWorkload(const CrashWorkload&) = delete;
  CrashWorkload& operator=(const CrashWorkload&) = delete;

  /// Runs the steps to the end, whatever fails: an error must leave the visible state as the API says. Empty,
  /// or what was wrong.
  std::string run(const std::vector<CrashStep>& steps);

  std::vector<CrashMoment>& moments() { return moments_; }
  AllowedStates allowed() const;
  /// Has a call of the database failed?
  bool failed() const { return failed_; }
  /// Of all databases that it opened: files moved, and merges.
  uint64_t moves() const { return moves_; }
  uint64_t merges() const { return merges_; }

  static Options options();

 private:
  Status open();
  std::string make(CrashStep step);
  /// One commit: `model` changes the model, `database` is asked to do the same.
  std::string commit(Durability durability, const std::function<void(Model&)>& model,
                     const std::function<Status()>& database);
  std::string put(const std::string& key, const std::string& value, Durability durability);
  std::string batch();
  std::string keyspace();
  std::string reopen();
  std::string levels();
  std::string check_visible();
  void note_all_durable();
  void look(const SimStep& step);
  std::string value(uint64_t size);

  SimEnv& env_;
  const bool keep_moments_;
  Random random_;
  Database database_;
  Model model_;
  std::vector<uint64_t> states_ = {0};  // digests; the last one is the latest attempted
  size_t acknowledged_ = 0;
  size_t durable_ = 0;
  uint64_t moves_ = 0;
  uint64_t merges_ = 0;
  bool failed_ = false;
  bool ended_ = false;  // opened again, after an error, in an older state: the model cannot follow
  uint64_t step_ = 0;
  std::string step_name_;
  std::vector<CrashMoment> moments_;
};

/// The name of the keyspace that workloads use beside the default one.
inline constexpr char kCrashKeyspace[] = "second";

struct CrashCheck {
  SimOptions sim;
  uint64_t nested_every =
      0;                // every so many images, crashes during their recovery are checked too; 0 = never
  uint64_t images = 0;  // counts
};

/// Opens the database of a crash image, compares, writes, closes, opens again and compares. Empty, or what
/// was wrong.
std::string check_crash(CrashCheck& check, CrashImage image, const AllowedStates& allowed);

/// Checks images of the moments, at most `limit` of each.
std::string check_moments(CrashCheck& check, std::vector<CrashMoment>& moments, uint64_t limit);

}  // namespace lightning
