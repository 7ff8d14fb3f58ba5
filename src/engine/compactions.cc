#include "engine/compactions.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lightning {

namespace {

bool within(const Compactions::Range& inner, const Compactions::Range& outer) {
  return outer.from <= inner.from && (outer.to.empty() || (!inner.to.empty() && inner.to <= outer.to));
}

}  // namespace

void Compactions::add(Range range) {
  MutexLock lock(mutex_);
  if (std::ranges::any_of(ranges_, [&](const Range& known) { return within(range, known); })) return;
  ranges_.reserve(kRangesMax);
  std::erase_if(ranges_, [&](const Range& known) { return within(known, range); });
  if (ranges_.size() == kRangesMax) {
    for (Range& known : ranges_) {
      if (known.from < range.from) range.from = std::move(known.from);
      if (known.to.empty() || (!range.to.empty() && range.to < known.to)) range.to = std::move(known.to);
    }
    ranges_.clear();
  }
  ranges_.push_back(std::move(range));
  count_.store(ranges_.size(), std::memory_order_release);
}

Compactions::Range Compactions::first() const {
  MutexLock lock(mutex_);
  LIGHTNING_INVARIANT("compactions", !ranges_.empty());
  return ranges_.front();
}

void Compactions::remove(const Range& range) {
  MutexLock lock(mutex_);
  std::erase(ranges_, range);
  count_.store(ranges_.size(), std::memory_order_release);
}

}  // namespace lightning
