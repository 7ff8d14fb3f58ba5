#include "view/merge_cursor.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace lightning {

namespace {

constexpr uint64_t kLastRank = UINT64_MAX;  // of lanes without a key; a key may have it too

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
    if (sources_.size() == 1) {
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
  while (valid() && !show_removals_ && kind() != EntryKind::put && hidden()) step();
}

bool MergeCursor::hidden() const {
  if (kind() == EntryKind::remove) return true;
  return judge_ != nullptr && judge_->has_expired(expiry());
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
    const uint64_t rank = ranks_[current_lane_];
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
    const uint64_t head = key_head(rest.data(), rest.size());
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
  uint64_t least = ranks_[0];
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

void MergeCursor::collect_versions(std::vector<Version>* versions) {
  LIGHTNING_INVARIANT("valid", valid());
  const std::string_view present = key();
  for (size_t lane = current_lane_; lane < sources_.size(); ++lane) {
    SourceCursor& source = *sources_[lane];
    if (!live_[lane] || source.key() != present) continue;
    source.collect_versions(versions);
    if (!source.status().ok()) return end();
  }
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
  if (merge_.valid()) merge_.collect_versions(&versions_);
  LIGHTNING_INVARIANT("a shown key has a version", !merge_.valid() || !versions_.empty());
}

}  // namespace lightning
