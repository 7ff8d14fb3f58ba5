// MergeCursor: the one ordered read path: several sources as one, each key once, as of the sources' LSN.
//
// The first source is the newest: where several have a key, its version counts (the sources hold the versions
// of a key in the order of their age). A removal hides the key; with `show_removals` it is shown instead. So
// does an entry with an expiry of which the judge says that it has expired. What a range removal of a newer
// source covers is hidden, too, and not judged: two covered keys in a row, and the sources that it covers
// seek its other end. Only keys that begin with `prefix` (a keyspace id) are shown; moving past them ends the
// walk.
//
// Where many hidden keys stand in a row, a memory that the cursors share is asked how far they go; what it
// does not know it is told.
//
// Invariants, while valid()
//  G1  Going forward each source stands at its first key >= the present one, going backward at its last key
//      <= it, or has none such within the prefix. Keys that are covered may have been passed over.
//  G2  A source that failed ends the walk: valid() is false and status() is that source's.
// Thread safety: one thread at a time. Ownership: owns the cursors; what they read must outlive it.
// Costs: over one source a step is the source's step and a look at the prefix; over several a branch-free
// minimum over 8-byte heads of what follows the prefix, and none while one source stays in front (after eight
// steps in a row).
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/coding.h"
#include "format/expiry.h"
#include "format/range_map.h"
#include "format/source_cursor.h"
#include "view/view.h"

namespace lightning {

/// Says of an entry that is met whether it has expired; always the same of the same.
class ExpiryJudge {
 public:
  virtual bool has_expired(uint64_t expiry_us) = 0;

 protected:
  ~ExpiryJudge() = default;
};

/// Remembers where nothing is shown.
class HiddenMemory {
 public:
  /// A range [from, to) with `key` in which this cursor would show nothing. False if none is known.
  virtual bool find_hidden(std::string_view key, std::string* from, std::string* to) = 0;
  /// The cursor showed nothing in [from, to), although it met `met` entries there since it last asked.
  virtual void note_hidden(std::string_view from, std::string_view to, uint32_t met) = 0;

 protected:
  ~HiddenMemory() = default;
};

/// The range removals of the sources of a walk over all versions.
struct VersionRanges {
  /// Of sources whose versions all have their LSNs: memtables.
  const RangeMap* by_lsn = nullptr;
  /// Or of each source, over the keys of later ones: runs.
  std::vector<const RangeMap*> by_source;
};

class MergeCursor {
 public:
  /// `sources` newest first, none null. An empty prefix means every key. Without a judge nothing has expired.
  /// Throws std::bad_alloc.
  MergeCursor(std::vector<std::unique_ptr<SourceCursor>> sources, std::string_view prefix,
              bool show_removals = false, ExpiryJudge* judge = nullptr);
  /// As of `read_lsn`, that of the cursors.
  MergeCursor(ViewCursors view, std::string_view prefix, uint64_t read_lsn, ExpiryJudge* judge = nullptr,
              HiddenMemory* memory = nullptr);

  // Keys are internal ones; those outside of the prefix stand before or behind all that is shown.
  void seek_first();
  void seek_last();
  /// To the first key >= `key`.
  void seek(std::string_view key);
  /// To the last key <= `key`.
  void seek_for_prev(std::string_view key);
  /// Only while valid(). Either may follow the other.
  void next();
  void prev();

  bool valid() const { return current_ != nullptr; }
  /// ok when an end was reached.
  const Status& status() const { return status_; }
  /// Views that die at the next move.
  std::string_view key() const { return current_->key(); }
  std::string_view user_key() const { return without_prefix(current_->key()); }
  std::string_view value() const {
    return kind() != EntryKind::put_expiring ? current_->value() : without_expiry(current_->value());
  }
  /// When the entry expires, in microseconds since 1970; 0: never.
  uint64_t expiry() const { return kind() != EntryKind::put_expiring ? 0 : expiry_of(current_->value()); }
  /// `remove` only with show_removals.
  EntryKind kind() const { return current_->kind(); }

  /// Ends the walk but leaves the present entry as it is, and the views that were given of it. Answers what
  /// they do not need; `pin` keeps their bytes. Changes nothing that the accessors above read. Never fails.
  std::vector<std::unique_ptr<SourceCursor>> stand_still(SourceCursor::Pin* pin);

  /// Own memory, about, whatever the sources read.
  uint64_t memory_bytes() const { return sizeof(*this) + sources_.size() * kSourceBytes; }

  /// Appends the versions of the present key that any source has, newest first, whatever the read LSN; those
  /// of `ranges` among them. Ends the walk when a source fails.
  void collect_versions(const VersionRanges& ranges, std::vector<Version>* versions);

 private:
  static constexpr uint32_t kLeadToGallop = 8;
  static constexpr uint64_t kSourceBytes = 1024;
  /// Hidden entries in a row that are met before the memory is asked.
  static constexpr uint32_t kHiddenPatience = 8;

  /// A stretch of hidden entries that the cursor is passing.
  struct HiddenStretch {
    uint32_t met = 0;
    bool judged = false;  // one of them has expired: true of this cursor's moment alone
    bool asked = false;
    std::string edge;  // where it is known to begin, in the direction of the walk
    std::string last;  // key met
  };

  std::string_view without_prefix(std::string_view key) const {
    return {key.data() + prefix_.size(), key.size() - prefix_.size()};
  }
  bool inside(std::string_view key) const {
    return prefix_.size() == 1 ? !key.empty() && key[0] == prefix_[0] : key.starts_with(prefix_);
  }
  template <typename Seek>
  void start(bool backward, Seek seek);
  void turn(bool backward);
  void step();
  void skip_hidden();
  bool hidden(HiddenStretch& stretch) const;
  bool pass_hidden(HiddenStretch& stretch);
  bool jump(const std::string& from, const std::string& to);
  void note_stretch(const HiddenStretch& stretch);
  const Cover* cover_over_current();
  bool pass_cover(const Cover& cover);
  bool move_lane(size_t lane);
  bool note(size_t lane);
  void choose();
  bool precedes(size_t a, size_t b) const;
  void end();

  // A lane is a source and what is noted of it.
  std::vector<std::unique_ptr<SourceCursor>> sources_;
  std::unique_ptr<SourceCursor> still_;  // the present one, when it stands still
  const std::string prefix_;
  const std::string prefix_end_;  // the least key above all that are shown; empty if there is none
  const bool show_removals_;
  ExpiryJudge* const judge_;
  HiddenMemory* const memory_;
  const std::vector<CoverSource> covers_;
  const uint64_t read_lsn_ = kReadAllLsn;  // of covers_
  const bool alone_;                       // one source, nothing covers it
  std::vector<Cover> known_covers_;        // the last answer of each of covers_
  size_t first_hidden_ = 0;                // of the cover over the present key

  bool backward_ = false;
  Status status_;
  SourceCursor* current_ = nullptr;  // null when not valid()
  size_t current_lane_ = 0;
  /// Heads of the keys behind the prefix, complemented going backward: the least is next.
  std::vector<Uint128> ranks_;
  std::vector<uint8_t> live_;  // does the source stand on a key within the prefix?
  uint32_t lead_ = 0;          // times in a row that current_lane_ was chosen
  Uint128 gallop_below_ = 0;   // the least rank of the other lanes, known from lead_ == kLeadToGallop on
};

/// What flush and merge read: every key of the sources in ascending order with all its versions, newest
/// first, and range removals over it among them. Make the sources with kReadAllLsn. `prefix` is one that all
/// their keys have: what is compared of them first lies behind it.
class VersionMerger {
 public:
  explicit VersionMerger(std::vector<std::unique_ptr<SourceCursor>> sources, VersionRanges ranges = {},
                         std::string_view prefix = {})
      : merge_(std::move(sources), prefix, true), ranges_(std::move(ranges)) {}

  void seek_first();
  /// To the first key >= `key`.
  void seek(std::string_view key);
  /// Only while valid().
  void next();

  bool valid() const { return merge_.valid(); }
  const Status& status() const { return merge_.status(); }
  /// Views that die at the next move. There is at least one version.
  std::string_view key() const { return merge_.key(); }
  const std::vector<Version>& versions() const { return versions_; }

 private:
  void collect();

  MergeCursor merge_;
  const VersionRanges ranges_;
  std::vector<Version> versions_;
};

}  // namespace lightning
