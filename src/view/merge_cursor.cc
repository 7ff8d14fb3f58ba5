#include "view/merge_cursor.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace lightning {

namespace {

constexpr std::string_view kNoKey("\0", 1);  // [kNoKey, kNoKey) is an interval without keys
constexpr Uint128 kLastRank = ~Uint128{0};   // of lanes without a key; a key may have it too

/// The least string above all that begin with `prefix`; empty if there is none.
std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

MergeCursor::MergeCursor(std::vector<std::unique_ptr<SourceCursor>> sources, std::string_view prefix,
                         bool show_removals, ExpiryJudge* judge)
    : sources_(std::move(sources)),
      prefix_(prefix),
      prefix_end_(end_of_prefix(prefix_)),
      show_removals_(show_removals),
      judge_(judge),
      memory_(nullptr),
      alone_(sources_.size() == 1),
      ranks_(sources_.size(), kLastRank),
      live_(sources_.size(), 0) {}

MergeCursor::MergeCursor(ViewCursors view, std::string_view prefix, uint64_t read_lsn, ExpiryJudge* judge,
                         HiddenMemory* memory)
    : sources_(std::move(view.sources)),
      prefix_(prefix),
      prefix_end_(end_of_prefix(prefix_)),
      show_removals_(false),
      judge_(judge),
      memory_(memory),
      covers_(std::move(view.covers)),
      read_lsn_(read_lsn),
      alone_(sources_.size() == 1 && covers_.empty()),
      known_covers_(covers_.size(), {.covered = false, .from = kNoKey, .to = kNoKey}),
      ranks_(sources_.size(), kLastRank),
      live_(sources_.size(), 0) {}

void MergeCursor::seek_first() { seek(prefix_); }

void MergeCursor::seek(std::string_view key) {
  if (key < prefix_) key = prefix_;
  start(false, [key](SourceCursor& source) { source.seek(key); });
}

void MergeCursor::seek_last() {
  start(true, [this](SourceCursor& source) {
    if (prefix_end_.empty()) return source.seek_last();
    source.seek_for_prev(prefix_end_);
    if (source.valid() && source.key() == prefix_end_) source.prev();
  });
}

void MergeCursor::seek_for_prev(std::string_view key) {
  if (key > prefix_ && !key.starts_with(prefix_)) return seek_last();
  start(true, [key](SourceCursor& source) { source.seek_for_prev(key); });
}

template <typename Seek>
void MergeCursor::start(bool backward, Seek seek) {
  backward_ = backward;
  status_ = Status();
  for (size_t lane = 0; lane < sources_.size(); ++lane) {
    seek(*sources_[lane]);
    if (!note(lane)) return;
  }
  choose();
  skip_hidden();
}

void MergeCursor::next() {
  LIGHTNING_INVARIANT("valid", valid());
  if (!backward_) [[likely]] {
    if (alone_) {
      // The settled case: one source, and mostly no removal.
      current_->next();
      if (current_->valid() && inside(current_->key()) && current_->kind() == EntryKind::put) [[likely]]
        return;
      if (!current_->valid() || !inside(current_->key())) return end();
    } else {
      step();
    }
  } else {
    turn(false);
  }
  skip_hidden();
}

void MergeCursor::prev() {
  LIGHTNING_INVARIANT("valid", valid());
  if (backward_) [[likely]] {
    step();
  } else {
    turn(true);
  }
  skip_hidden();
}

void MergeCursor::skip_hidden() {
  if (show_removals_) return;
  if (covers_.empty()) [[likely]] {
    if (!valid() || kind() == EntryKind::put) [[likely]]
      return;
    HiddenStretch stretch;
    while (valid() && kind() != EntryKind::put && hidden(stretch)) {
      if (!pass_hidden(stretch)) return;
    }
    return note_stretch(stretch);
  }
  const Cover* before = nullptr;  // the cover that hid the last key
  std::string_view from;
  HiddenStretch stretch;
  while (valid()) {
    // What is covered is not judged: whether it has expired is nobody's business any more.
    const Cover* const cover = cover_over_current();
    if (cover == nullptr) {
      if (kind() == EntryKind::put || !hidden(stretch)) break;
      if (!pass_hidden(stretch)) return;
    } else if (cover == before && cover->from == from) {
      if (!pass_cover(*cover)) return;
    } else {
      if (!pass_hidden(stretch)) return;
    }
    before = cover;
    if (cover != nullptr) from = cover->from;
  }
  note_stretch(stretch);
}

/// Goes past the present entry, which is hidden, or past all hidden ones that the memory knows. False when a
/// source failed, which ends the walk.
bool MergeCursor::pass_hidden(HiddenStretch& stretch) {
  ++stretch.met;
  if (memory_ != nullptr && stretch.met >= kHiddenPatience) [[unlikely]] {
    if (!stretch.asked) {
      stretch.asked = true;
      std::string from;
      std::string to;
      if (memory_->find_hidden(key(), &from, &to)) {
        stretch.edge = backward_ ? to : from;
        stretch.met = kHiddenPatience;  // counts on from here
        return jump(from, to);
      }
      stretch.edge = key();
      if (backward_) stretch.edge += '\0';
    }
    stretch.last = key();
  }
  step();
  return valid() || status_.ok();
}

/// Takes all sources out of [from, to).
bool MergeCursor::jump(const std::string& from, const std::string& to) {
  for (size_t lane = 0; lane < sources_.size(); ++lane) {
    SourceCursor& source = *sources_[lane];
    if (!live_[lane]) continue;
    if (!backward_ && source.key() < to) source.seek(to);
    if (backward_ && source.key() >= from) {
      source.seek_for_prev(from);
      if (source.valid() && source.key() == from) source.prev();
    }
    if (!note(lane)) return false;
  }
  lead_ = 0;
  choose();
  return valid() || status_.ok();
}

// All keys between the two were met, or covered, or known to be hidden.
void MergeCursor::note_stretch(const HiddenStretch& stretch) {
  if (stretch.last.empty() || stretch.judged || !status_.ok()) return;
  backward_ ? memory_->note_hidden(stretch.last, stretch.edge, stretch.met)
            : memory_->note_hidden(stretch.edge, stretch.last + '\0', stretch.met);
}

/// Is the present entry, which is no plain put, a removal or one that has expired?
bool MergeCursor::hidden(HiddenStretch& stretch) const {
  if (kind() == EntryKind::remove) return true;
  if (judge_ == nullptr || !judge_->has_expired(expiry())) return false;
  return stretch.judged = true;
}

/// The cover of a newer source over the present key, null if there is none.
const Cover* MergeCursor::cover_over_current() {
  for (size_t i = 0; i < covers_.size() && covers_[i].first_hidden <= current_lane_; ++i) {
    Cover& known = known_covers_[i];
    if (!known.reaches(key())) {
      known = covers_[i].run != nullptr ? covers_[i].run->cover(key(), read_lsn_)
                                        : covers_[i].memory->cover(key(), read_lsn_);
    }
    if (!known.covered) continue;
    first_hidden_ = covers_[i].first_hidden;
    return &known;
  }
  return nullptr;
}

/// Takes all sources that `cover` hides out of it; false when one failed, which ends the walk.
bool MergeCursor::pass_cover(const Cover& cover) {
  // Not further than to the next key outside of the prefix: from there one step leads back in (turn()).
  const std::string_view from = std::max<std::string_view>(cover.from, prefix_);
  const std::string_view to =
      prefix_end_.empty() ? cover.to : std::min<std::string_view>(cover.to, prefix_end_);
  LIGHTNING_INVARIANT("a cover has an end", !cover.to.empty());
  for (size_t lane = first_hidden_; lane < sources_.size(); ++lane) {
    SourceCursor& source = *sources_[lane];
    if (!live_[lane] || !cover.reaches(source.key())) continue;
    if (!backward_) {
      source.seek(to);
    } else {
      source.seek_for_prev(from);
      if (source.valid() && source.key() == from) source.prev();
    }
    if (!note(lane)) return false;
  }
  lead_ = 0;
  choose();
  return true;
}

void MergeCursor::turn(bool backward) {
  // By G1 each source is one step away from its neighbour of the present key on the other side.
  backward_ = backward;
  for (size_t lane = 0; lane < sources_.size(); ++lane) {
    SourceCursor& source = *sources_[lane];
    if (source.valid()) {
      backward ? source.prev() : source.next();
    } else {
      backward ? source.seek_last() : source.seek_first();
    }
    if (!note(lane)) return;
  }
  choose();
}

void MergeCursor::step() {
  if (sources_.size() == 1) {
    backward_ ? current_->prev() : current_->next();
    if (!current_->valid() || !inside(current_->key())) [[unlikely]]
      end();
    return;
  }
  if (lead_ >= kLeadToGallop && ranks_[current_lane_] < gallop_below_) {
    // No other lane has the present key, nor the one after it while the rank stays below.
    if (!move_lane(current_lane_) || ranks_[current_lane_] < gallop_below_) return;
  } else {
    // The present key is read until its own lane has moved; newer lanes do not have it.
    const Uint128 rank = ranks_[current_lane_];
    for (size_t lane = current_lane_ + 1; lane < sources_.size(); ++lane) {
      if (ranks_[lane] != rank || !live_[lane] || sources_[lane]->key() != key()) continue;
      if (!move_lane(lane)) return;
    }
    if (!move_lane(current_lane_)) return;
  }
  choose();
}

bool MergeCursor::move_lane(size_t lane) {
  backward_ ? sources_[lane]->prev() : sources_[lane]->next();
  return note(lane);
}

/// Notes where the source of a lane stands; false when it failed, which ends the walk.
bool MergeCursor::note(size_t lane) {
  const SourceCursor& source = *sources_[lane];
  if (source.valid() && inside(source.key())) [[likely]] {
    const std::string_view rest = source.key().substr(prefix_.size());
    const Uint128 head = key_head_128(rest.data(), rest.size());
    ranks_[lane] = backward_ ? ~head : head;
    live_[lane] = 1;
    return true;
  }
  ranks_[lane] = kLastRank;
  live_[lane] = 0;
  if (source.valid() || source.status().ok()) return true;
  end();
  return false;
}

void MergeCursor::choose() {
  if (sources_.empty()) return end();
  size_t chosen = 0;
  Uint128 least = ranks_[0];
  for (size_t lane = 1; lane < ranks_.size(); ++lane) {
    const bool below = ranks_[lane] < least;
    chosen = below ? lane : chosen;
    least = below ? ranks_[lane] : least;
  }
  for (size_t lane = chosen + 1; lane < ranks_.size(); ++lane) {
    if (ranks_[lane] == least && live_[lane] && (!live_[chosen] || precedes(lane, chosen))) chosen = lane;
  }
  if (!live_[chosen]) return end();
  lead_ = chosen == current_lane_ ? lead_ + 1 : 0;
  current_lane_ = chosen;
  current_ = sources_[chosen].get();
  if (lead_ < kLeadToGallop) return;
  gallop_below_ = kLastRank;
  for (size_t lane = 0; lane < ranks_.size(); ++lane) {
    if (lane != chosen) gallop_below_ = std::min(gallop_below_, ranks_[lane]);
  }
}

bool MergeCursor::precedes(size_t a, size_t b) const {
  const int order = sources_[a]->key().compare(sources_[b]->key());
  return backward_ ? order > 0 : order < 0;
}

namespace {

void append_range(uint64_t lsn, std::vector<Version>* versions) {
  versions->push_back({.lsn = lsn, .kind = EntryKind::remove, .value = {}, .of_range = true});
}

}  // namespace

void MergeCursor::collect_versions(const VersionRanges& ranges, std::vector<Version>* versions) {
  LIGHTNING_INVARIANT("valid", valid());
  const std::string_view present = key();
  const Uint128 rank = ranks_[current_lane_];
  for (size_t lane = 0; lane < sources_.size(); ++lane) {
    SourceCursor& source = *sources_[lane];
    if (lane >= current_lane_ && ranks_[lane] == rank && live_[lane] && source.key() == present) {
      source.collect_versions(versions);
      if (!source.status().ok()) return end();
    }
    if (lane >= ranges.by_source.size()) continue;
    // What is settled hides everything older.
    for (const uint64_t lsn : ranges.by_source[lane]->all(present)) {
      if (versions->empty() || lsn < versions->back().lsn) append_range(lsn, versions);
    }
  }
  if (ranges.by_lsn == nullptr) return;
  const std::span<const uint64_t> over = ranges.by_lsn->all(present);
  if (over.empty()) return;
  for (const uint64_t lsn : over) append_range(lsn, versions);
  std::sort(versions->begin(), versions->end(),
            [](const Version& a, const Version& b) { return a.lsn > b.lsn; });
}

std::vector<std::unique_ptr<SourceCursor>> MergeCursor::stand_still(SourceCursor::Pin* pin) {
  if (valid()) {
    *pin = current_->pin();
    still_ = std::move(sources_[current_lane_]);
  }
  return std::exchange(sources_, {});
}

void MergeCursor::end() {
  current_ = nullptr;
  for (const auto& source : sources_) {
    if (!source->status().ok()) {
      status_ = source->status();
      return;
    }
  }
}

void VersionMerger::seek_first() {
  merge_.seek_first();
  collect();
}

void VersionMerger::seek(std::string_view key) {
  merge_.seek(key);
  collect();
}

void VersionMerger::next() {
  merge_.next();
  collect();
}

void VersionMerger::collect() {
  versions_.clear();
  if (merge_.valid()) merge_.collect_versions(ranges_, &versions_);
  LIGHTNING_INVARIANT("a shown key has a version", !merge_.valid() || !versions_.empty());
}

}  // namespace lightning
