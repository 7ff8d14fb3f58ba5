#include "format/range_map.h"

#include <algorithm>
#include <functional>
#include <set>

namespace lightning {

namespace {
constexpr size_t kNeighboursMax = 64;  // that an answer is extended over
}

void retain_range_lsns(std::span<const uint64_t> read_lsns, std::vector<uint64_t>* lsns) {
  size_t kept = 0;
  uint64_t newer = UINT64_MAX;
  for (const uint64_t lsn : *lsns) {
    const auto reader = std::upper_bound(read_lsns.begin(), read_lsns.end(), lsn);
    const bool seen = newer == UINT64_MAX || (reader != read_lsns.end() && *reader <= newer);
    newer = lsn;
    if (seen) (*lsns)[kept++] = lsn;
  }
  lsns->resize(kept);
}

RangeMap RangeMap::of(std::span<const RangeRemoval> removals, std::span<const uint64_t> read_lsns) {
  struct Bound {
    std::string_view key;
    uint64_t lsn;
    bool begins;
  };
  std::vector<Bound> bounds;
  bounds.reserve(2 * removals.size());
  for (const RangeRemoval& removal : removals) {
    bounds.push_back({removal.from, removal.lsn, true});
    bounds.push_back({removal.to, removal.lsn, false});
  }
  std::sort(bounds.begin(), bounds.end(), [](const Bound& a, const Bound& b) { return a.key < b.key; });
  RangeMap map;
  std::set<uint64_t, std::greater<>> over;  // the present key; each LSN is of one range removal
  std::vector<uint64_t> lsns;
  for (size_t at = 0; at < bounds.size();) {
    const std::string_view key = bounds[at].key;
    for (; at < bounds.size() && bounds[at].key == key; ++at) {
      bounds[at].begins ? void(over.insert(bounds[at].lsn)) : void(over.erase(bounds[at].lsn));
    }
    if (over.empty()) continue;
    lsns.assign(1, *over.begin());
    // The newest one below each reader; for none of them the walk goes on beyond what it needs.
    for (size_t reader = read_lsns.size(); reader-- > 0;) {
      const auto seen = over.upper_bound(read_lsns[reader]);  // falling: the first below it
      if (seen != over.end() && *seen < lsns.back()) lsns.push_back(*seen);
    }
    map.append(key, bounds[at].key, lsns);
  }
  return map;
}

RangeMap RangeMap::merge(std::span<const RangeMap* const> sources, std::span<const uint64_t> read_lsns) {
  std::vector<std::string_view> bounds;
  for (const RangeMap* source : sources) {
    for (const Fragment& fragment : source->fragments_) {
      bounds.push_back(fragment.from);
      bounds.push_back(fragment.to);
    }
  }
  std::sort(bounds.begin(), bounds.end());
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  std::vector<size_t> at(sources.size(), 0);
  RangeMap map;
  std::vector<uint64_t> lsns;
  for (size_t bound = 0; bound + 1 < bounds.size(); ++bound) {
    const std::string_view key = bounds[bound];
    lsns.clear();
    for (size_t i = 0; i < sources.size(); ++i) {
      const RangeMap& source = *sources[i];
      while (at[i] < source.size() && source.to(at[i]) <= key) ++at[i];
      if (at[i] == source.size() || source.from(at[i]) > key) continue;
      for (const uint64_t lsn : source.lsns(at[i])) {
        if (lsns.empty() || lsn < lsns.back()) lsns.push_back(lsn);
      }
    }
    if (lsns.empty()) continue;
    retain_range_lsns(read_lsns, &lsns);
    map.append(key, bounds[bound + 1], lsns);
  }
  return map;
}

void RangeMap::append(std::string_view from, std::string_view to, std::span<const uint64_t> lsns) {
  if (!fragments_.empty() && fragments_.back().to == from) {
    const std::span<const uint64_t> before = this->lsns(fragments_.size() - 1);
    if (std::equal(before.begin(), before.end(), lsns.begin(), lsns.end())) {
      fragments_.back().to = to;
      return;
    }
  }
  fragments_.push_back({.from = from,
                        .to = to,
                        .first = static_cast<uint32_t>(lsns_.size()),
                        .count = static_cast<uint32_t>(lsns.size())});
  lsns_.insert(lsns_.end(), lsns.begin(), lsns.end());
}

size_t RangeMap::find(std::string_view key) const {
  const auto at = std::partition_point(fragments_.begin(), fragments_.end(),
                                       [key](const Fragment& fragment) { return fragment.to <= key; });
  return static_cast<size_t>(at - fragments_.begin());
}

std::span<const uint64_t> RangeMap::all(std::string_view key) const {
  const size_t at = find(key);
  return at == size() || from(at) > key ? std::span<const uint64_t>() : lsns(at);
}

uint64_t RangeMap::newest(std::string_view key, uint64_t read_lsn) const {
  const std::span<const uint64_t> over = all(key);
  const auto seen =
      std::partition_point(over.begin(), over.end(), [&](uint64_t lsn) { return lsn >= read_lsn; });
  return seen == over.end() ? 0 : *seen;
}

Cover RangeMap::cover(std::string_view key, uint64_t read_lsn) const {
  Cover cover;
  const size_t at = find(key);
  cover.covered = at < size() && from(at) <= key && visible(at, read_lsn);
  if (!cover.covered) {
    // Up to the visible fragments around it; one that is not visible is as good as a gap.
    size_t behind = at;
    const size_t behind_max = std::min(size(), at + kNeighboursMax);
    while (behind < behind_max && !visible(behind, read_lsn)) ++behind;
    if (behind < size()) cover.to = from(behind);
    size_t before = at;
    const size_t before_min = at > kNeighboursMax ? at - kNeighboursMax : 0;
    while (before > before_min && !visible(before - 1, read_lsn)) --before;
    if (before > 0) cover.from = to(before - 1);
    return cover;
  }
  size_t first = at;
  size_t last = at;
  const size_t first_min = at > kNeighboursMax ? at - kNeighboursMax : 0;
  const size_t last_max = std::min(size() - 1, at + kNeighboursMax);
  while (first > first_min && to(first - 1) == from(first) && visible(first - 1, read_lsn)) --first;
  while (last < last_max && to(last) == from(last + 1) && visible(last + 1, read_lsn)) ++last;
  cover.from = from(first);
  cover.to = to(last);
  return cover;
}

}  // namespace lightning
