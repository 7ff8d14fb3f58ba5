// MergeCursor: the one ordered read path: several sources as one, each key once, as of the sources' LSN.
//
// The first source is the newest: where several have a key, its version counts (the sources hold the versions
// of a key in the order of their age). A removal hides the key; with `show_removals` it is shown instead. So
// does an entry with an expiry of which the judge says that it has expired.
// Only keys that begin with `prefix` (a keyspace id) are shown; moving past them ends the walk.
//
// Invariants, while valid()
//  G1  Going forward each source stands at its first key >= the present one, going backward at its last key
//      <= it, or has none such within the prefix.
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

#include "format/expiry.h"
#include "format/source_cursor.h"

namespace lightning {

/// Says of an entry that is met whether it has expired; always the same of the same.
class ExpiryJudge {
 public:
  virtual bool has_expired(uint64_t expiry_us) = 0;

 protected:
  ~ExpiryJudge() = default;
};

class MergeCursor {
 public:
  /// `sources` newest first, none null. An empty prefix means every key. Without a judge nothing has expired.
  /// Throws std::bad_alloc.
  MergeCursor(std::vector<std::unique_ptr<SourceCursor>> sources, std::string_view prefix,
              bool show_removals = false, ExpiryJudge* judge = nullptr);

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

  /// Appends the versions of the present key that any source has, newest first, whatever the read LSN. Ends
  /// the walk when a source fails.
  void collect_versions(std::vector<Version>* versions);

 private:
  static constexpr uint32_t kLeadToGallop = 8;

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
  bool hidden() const;
  bool move_lane(size_t lane);
  bool note(size_t lane);
  void choose();
  bool precedes(size_t a, size_t b) const;
  void end();

  // A lane is a source and what is noted of it.
  const std::vector<std::unique_ptr<SourceCursor>> sources_;
  const std::string prefix_;
  const std::string prefix_end_;  // the least key above all that are shown; empty if there is none
  const bool show_removals_;
  ExpiryJudge* const judge_;

  bool backward_ = false;
  Status status_;
  SourceCursor* current_ = nullptr;  // null when not valid()
  size_t current_lane_ = 0;
  /// Heads of the keys behind the prefix, complemented going backward: the least is next.
  std::vector<uint64_t> ranks_;
  std::vector<uint8_t> live_;  // does the source stand on a key within the prefix?
  uint32_t lead_ = 0;          // times in a row that current_lane_ was chosen
  uint64_t gallop_below_ = 0;  // the least rank of the other lanes, known from lead_ == kLeadToGallop on
};

/// What flush and merge read: every key of the sources in ascending order with all its versions, newest
/// first. Make the sources with kReadAllLsn.
class VersionMerger {
 public:
  explicit VersionMerger(std::vector<std::unique_ptr<SourceCursor>> sources)
      : merge_(std::move(sources), {}, true) {}

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
  std::vector<Version> versions_;
};

}  // namespace lightning
