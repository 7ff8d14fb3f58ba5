// Policy: which runs are to be moved or merged next. A pure function of a View's shape.
//
// Lazy levelling. Levels 0 to 5 are tiers: a flush puts a run at level 0; four runs of a tier become one of
// the next. The last level is one sorted run of disjoint files, which holds nearly all data. Now and then all
// tiers together go into it: they are moved to the drain level, which costs nothing, and from there step by
// step, in key order: a step takes the drained runs' first keys together with the files of the last level
// that they fall between, and no other file is touched. What a step has merged is cut off the drained runs,
// so that any end of a step is a state to go on from, and files are given back on the way: those of tiers are
// small, an eighth of a write buffer, unless a flush overlaps nothing older.
//
// A merge may be divided among threads: its Choice says at which keys (Choice::cuts). A step of a drain then
// takes as many neighbouring files of the last level as there are threads.
//
// A file that overlaps nothing older goes to the last level as it is: sequential writes are never rewritten,
// unless it is compressed otherwise than that level is to be. A file of that level is compressed as it was
// until a merge rewrites it; compact() leaves none.
//
// The tiers drain
//   - when what they may hide is 42 % of what then is left of the last level (a tenth when nobody writes),
//     but under load not before it is five write buffers: space stays below 1.6 times what is alive;
//   - when they are all full, and what they touch is at most four times what they hold (a quarter of it
//     where only the first tier is in use);
//   - when they may hide 12 % of the large values of the last level, and the files to be rewritten are
//     smaller than what they may hide: merges pass the places of such values on;
//   - when a third of what they touch is removed, by tiers of which a quarter is removals: a queue's front;
//   - when range removals are over a third of the last level (over anything, when nobody writes). Files that
//     they cover wholly go without being read before that: covered_files().
//   - when what they hold is older than garbage may become (Options::max_garbage_age_ms);
//   - within a range that is scanned: when the seeks there, since its files of the last level were written,
//     have lost more time by looking into tiers than a merge takes. A seek that looks into one run more is
//     taken for 1 KiB of a merge's reading and writing; a merge is 4 MiB for its files and syncs, and twice
//     the bytes of the files of the last level and of what tiers hold over them. So merges for scans never
//     take more time than the scans had lost before. A merge begins the count anew, and without a new run
//     over these keys nothing is counted;
//   - when compact() asks; then the last level goes through the drain, too. Of a range of keys, what tiers
//     hold in it goes, their files being cut at its bounds, and the files of the last level that overlap it.
// While a drain is under way tiers are not merged, unless they are twelve runs: the next one takes them all.
//
// A file of the last level, or a run of a tier, of which half has expired (a quarter when nobody writes) is
// rewritten in its place; so is a file of the last level that kept for readers what may not stay any longer,
// or of which, after the last of them is gone, as large a part is garbage as tiers may hide.
//
// Invariant I8: a Choice takes with a run every older run above its target, and of the last level every file
// that overlaps; check_choice() holds each one against it.
// Thread safety: pure functions.
// Costs: a few comparisons a file. docs/adr/0008-lazy-levelling.md has what was measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/range_map.h"
#include "view/disjoint_cursor.h"
#include "view/durable_state.h"

namespace lightning {

inline constexpr uint32_t kTiers = 6;
inline constexpr uint32_t kDrainLevel = kTiers;
/// Runs of a tier that become one.
inline constexpr size_t kTierRuns = 4;
static_assert(kDrainLevel + 1 == kLastLevel);

/// How much of a file has expired, at least.
enum class Expired : uint8_t { none, some, quarter, half };

/// A file, or what merges left of it.
struct FileShape {
  KeyRange range;            // range removals included; of a file that is cut, bytes and counts are estimates
  uint64_t bytes = 0;        // of the file and of the values that it has in value files
  uint64_t value_bytes = 0;  // of these values
  uint64_t old_bytes = 0;    // of a file of the last level: what no reader needs any more
  uint64_t entries = 0;
  uint64_t removals = 0;
  Expired expired = Expired::none;
  bool ranges = false;  // it has range removals
  uint8_t codec = 0;
  bool other_codec = false;  // not the one that it would have in the last level
  bool plain = false;  // no entry but one version, no range removal, no keyspace that was dropped: nothing to
                       // be gained by rewriting
  bool overdue = false;      // what it has, or hides, may not stay garbage any longer
  uint64_t extra_seeks = 0;  // of the oldest run: newer runs that seeks at its keys looked into, each time
};

struct RunShape {
  uint32_t level = 0;
  std::vector<FileShape> files;  // in key order
  /// Of a run in a tier: the files of the last level where its keys fall (place()), ascending.
  std::vector<uint32_t> touched;
  /// Of a run in a tier: bytes of the last level under its range removals, an estimate.
  uint64_t covered = 0;

  std::string_view smallest() const { return files.front().range.smallest; }
};

/// The runs of a View, newest first.
struct Shape {
  std::vector<RunShape> runs;

  bool has_last() const { return !runs.empty() && runs.back().level == kLastLevel; }
  /// Runs above the last level.
  size_t upper_runs() const { return runs.size() - (has_last() ? 1 : 0); }
  /// Of these, runs in tiers.
  size_t tier_runs() const;
  /// Where a key of an upper run falls in the last level: the first file that does not end before it, their
  /// number behind the end of all.
  size_t place(std::string_view key) const;
};

struct PolicyLimits {
  uint64_t file_bytes_min = 0;  // files are cut at between these sizes
  uint64_t file_bytes_max = 0;
  uint64_t tier_file_bytes = 0;  // those of tiers, at least
  uint64_t tier_bytes_min = 0;   // tiers that hold less than this do not drain for their size
  size_t parts = 1;              // of a merge, at most

  static PolicyLimits of(uint64_t write_buffer_size, size_t parts = 1);
};

/// keep_up: writers are at work. settle: nobody writes. compact: what compact() began is finished;
/// compact_beside: the same beside all that keep_up does.
enum class Goal : uint8_t { keep_up, settle, compact, compact_beside };

/// Internal keys: from <= key < to. An empty bound is none.
struct KeySpan {
  std::string_view from = {};
  std::string_view to = {};

  bool whole() const { return from.empty() && to.empty(); }
  bool meets(const KeyRange& range) const {
    return (to.empty() || range.smallest < to) && (from.empty() || !range.ends_before(from));
  }
};

struct Choice {
  enum class Kind : uint8_t { nothing, move, merge };

  Kind kind = Kind::nothing;
  size_t first = 0;  // of Shape::runs, those in [first, end); none: files of the last level are rewritten
  size_t end = 0;
  uint32_t level = 0;  // where they go
  /// Of a move into the last level: the files of run `first` that go. Of a merge into it: the files of the
  /// last level that are rewritten. Of a move to the drain level, if the last level is among its runs: its
  /// files that go, whole.
  size_t file_first = 0;
  size_t file_end = 0;
  std::string from = {};  // of a move to the drain level: what tiers hold from here on, all if it is empty
  std::string to = {};    // of that and of a merge into the last level: keys below this, all if it is empty
  std::vector<std::string> cuts = {};  // of a merge: it may be divided at these keys, which ascend
  uint64_t file_bytes = 0;             // about where a merge cuts its output
  bool alone = false;  // of a merge of tiers: its output overlaps nothing older and may move down as it is
};

Choice choose(const Shape& shape, Goal goal, const PolicyLimits& limits);
/// At how many bytes the files of a flush are cut: small where they will be merged, because older runs have
/// keys between theirs; as large as can be where they may be moved to the last level as they are.
uint64_t flush_file_bytes(bool overlaps, const PolicyLimits& limits);

/// A file of a View: run and file.
struct FileAt {
  size_t run = 0;
  size_t file = 0;
};

/// The files that are wholly under range removals of newer runs that every reader sees: nothing of them is to
/// be read any more. `covers`: the range removals of each run of the Shape; `read_lsns`: the registered ones,
/// ascending. Throws std::bad_alloc.
std::vector<FileAt> covered_files(const Shape& shape, std::span<const RangeMap* const> covers,
                                  std::span<const uint64_t> read_lsns);

/// What a compaction of these keys begins with: all that holds any goes to the drain level, if there is
/// anything to be gained. It is over when nothing at that level meets the span any more.
Choice begin_compaction(const Shape& shape, const PolicyLimits& limits, const KeySpan& span = {});

/// The rule that `choice` breaks, empty if none.
std::string_view check_choice(const Shape& shape, const Choice& choice);

}  // namespace lightning
