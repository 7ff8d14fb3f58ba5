#include "testing/crash_images.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <vector>

#include "testing/random.h"

namespace lightning {

namespace {

constexpr size_t kAllSubsetsMax = 8;  // units of which every subset is tried

using Kept = std::vector<bool>;

/// Chooses the subsets for one moment; each at most once.
class Subsets {
 public:
  Subsets(const std::vector<PendingUnit>& units, const CrashOptions& options)
      : size_(units.size()), limit_(options.limit), random_(options.seed) {
    std::map<uint64_t, size_t> numbers;  // of owners, by first appearance
    for (const PendingUnit& unit : units)
      owner_.push_back(numbers.emplace(unit.owner(), numbers.size()).first->second);
    owners_ = numbers.size();
  }

  std::vector<Kept> choose() {
    add(Kept(size_, false));
    add(Kept(size_, true));
    if (size_ <= kAllSubsetsMax) {
      for (uint64_t bits = 1; bits + 1 < 1ull << size_; ++bits) {
        Kept kept(size_);
        for (size_t i = 0; i < size_; ++i) kept[i] = (bits >> i & 1) != 0;
        add(kept);
      }
      return std::move(chosen_);
    }
    add_systematic();
    // Random subsets repeat themselves when there are few units left to vary: stop asking at some point.
    for (uint64_t tries = 0; chosen_.size() < limit_ && tries < 8 * limit_; ++tries) add(random_subset());
    return std::move(chosen_);
  }

 private:
  void add(const Kept& kept) {
    if (chosen_.size() < limit_ && seen_.insert(kept).second) chosen_.push_back(kept);
  }

  // All when they fit into half of the limit, else random ones.
  void add_systematic() {
    const uint64_t half = limit_ / 2;
    const bool all = 3 * size_ <= half;
    for (uint64_t i = 0; i < (all ? size_ : half / 3); ++i) {
      const size_t at = all ? i : random_.below(size_);
      Kept kept(size_, true);
      kept[at] = false;
      add(kept);
      kept.flip();
      add(kept);
      std::fill(kept.begin(), kept.begin() + static_cast<ptrdiff_t>(at), true);
      kept[at] = false;
      add(kept);
    }
  }

  Kept random_subset() {
    Kept kept(size_);
    const uint64_t style = random_.below(3);
    if (style == 0) {
      const double share = std::array{0.1, 0.5, 0.9}[random_.below(3)];
      for (size_t i = 0; i < size_; ++i) kept[i] = random_.chance(share);
    } else if (style == 1) {
      std::vector<bool> whole(owners_);
      for (size_t i = 0; i < owners_; ++i) whole[i] = random_.chance(0.5);
      for (size_t i = 0; i < size_; ++i) kept[i] = whole[owner_[i]];
    } else {
      std::vector<size_t> prefix(owners_);
      for (size_t& length : prefix) length = random_.below(size_ + 1);
      for (size_t i = 0; i < size_; ++i) kept[i] = i < prefix[owner_[i]];
    }
    return kept;
  }

  const size_t size_;
  const uint64_t limit_;
  Random random_;
  std::vector<size_t> owner_;
  size_t owners_ = 0;
  std::set<Kept> seen_;
  std::vector<Kept> chosen_;
};

std::string describe(const SimDisk& moment, const std::vector<PendingUnit>& units, const Kept& kept) {
  constexpr size_t kNamedMax = 6;
  const size_t losses = static_cast<size_t>(std::ranges::count(kept, false));
  std::string text = "power cut that loses " + std::to_string(losses) + " of " + std::to_string(units.size());
  const bool name_losses = losses <= units.size() / 2;
  text += name_losses ? ", lost:" : ", kept:";
  size_t named = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    if (kept[i] == name_losses) continue;
    if (++named > kNamedMax) return text + " ...";
    text += (named > 1 ? ", " : " ") + moment.describe(units[i]);
  }
  return text;
}

}  // namespace

uint64_t for_each_crash_image(SimDisk& moment, const CrashOptions& options,
                              const std::function<void(CrashImage image)>& check) {
  uint64_t images = 0;
  if (options.with_kill) {
    ++images;
    check({.disk = moment.kill_image(), .what = "kill of the process", .killed_only = true});
  }
  const std::vector<PendingUnit> units = moment.pending_units(options.grain);
  for (const Kept& kept : Subsets(units, options).choose()) {
    std::vector<PendingUnit> kept_units;
    for (size_t i = 0; i < units.size(); ++i) {
      if (kept[i]) kept_units.push_back(units[i]);
    }
    ++images;
    check({.disk = moment.power_cut_image(kept_units), .what = describe(moment, units, kept)});
  }
  return images;
}

}  // namespace lightning
