// RangeMap: the range removals of one source, as disjoint fragments in key order.
//
// A range removal at LSN R hides the versions below R of the keys in [from, to), in its own source and in all
// older ones. Where several cover a key its fragment has the LSNs of all that some reader may need, the
// newest first; LSN kSettledRangeLsn is one that every reader sees.
//
// Invariants
//  R1  Fragments ascend and do not overlap; neighbours that touch differ in their LSNs.
//  R2  A fragment has at least one LSN; they fall.
// Thread safety: immutable once built.
// Ownership: refers to the bytes of bounds, which whoever builds it keeps.
// Costs: a question is one binary search; building sorts the bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "format/version.h"

namespace lightning {

struct RangeRemoval {
  std::string_view from;
  std::string_view to;
  uint64_t lsn = 0;
};

/// What is true of a key, and of every other key in [from, to): is there a visible range removal over it? An
/// empty bound is none.
struct Cover {
  bool covered = false;
  std::string_view from;
  std::string_view to;

  bool reaches(std::string_view key) const { return key >= from && (to.empty() || key < to); }
  /// Takes the part that begins behind a range of other keys, or ends before it.
  void avoid(std::string_view other_from, std::string_view other_to, std::string_view key) {
    if (other_to <= key) {
      if (other_to > from) from = other_to;
    } else if (to.empty() || other_from < to) {
      to = other_from;
    }
  }
};

/// Of the LSNs of the range removals over one key, falling, those that are needed: the newest, and each
/// that a registered reader (`read_lsns`, ascending) sees and not the next newer one.
void retain_range_lsns(std::span<const uint64_t> read_lsns, std::vector<uint64_t>* lsns);

class RangeMap {
 public:
  /// Of any range removals, in any order. Throws std::bad_alloc.
  static RangeMap of(std::span<const RangeRemoval> removals, std::span<const uint64_t> read_lsns);
  /// Of several sources, newest first: of a newer one each LSN counts as newer than all of an older one.
  /// Throws std::bad_alloc.
  static RangeMap merge(std::span<const RangeMap* const> sources, std::span<const uint64_t> read_lsns);

  /// At the end; joins a neighbour that touches and has the same LSNs. Throws std::bad_alloc.
  void append(std::string_view from, std::string_view to, std::span<const uint64_t> lsns);

  bool empty() const { return fragments_.empty(); }
  size_t size() const { return fragments_.size(); }
  std::string_view from(size_t i) const { return fragments_[i].from; }
  std::string_view to(size_t i) const { return fragments_[i].to; }
  std::span<const uint64_t> lsns(size_t i) const {
    return std::span(lsns_).subspan(fragments_[i].first, fragments_[i].count);
  }
  /// The first fragment that ends behind `key`, size() if there is none.
  size_t find(std::string_view key) const;

  /// The LSN of the newest range removal over `key` that a read at `read_lsn` sees, 0 if there is none.
  uint64_t newest(std::string_view key, uint64_t read_lsn) const;
  /// The LSNs of all over `key`.
  std::span<const uint64_t> all(std::string_view key) const;
  /// The answer holds in the fragment around `key`, and some that touch it and are as visible.
  Cover cover(std::string_view key, uint64_t read_lsn) const;

  uint64_t memory_bytes() const {
    return fragments_.capacity() * sizeof(Fragment) + lsns_.capacity() * sizeof(uint64_t);
  }

 private:
  struct Fragment {
    std::string_view from;
    std::string_view to;
    uint32_t first = 0;
    uint32_t count = 0;
  };

  bool visible(size_t i, uint64_t read_lsn) const {
    const Fragment& fragment = fragments_[i];
    return lsns_[fragment.first + fragment.count - 1] < read_lsn;
  }

  std::vector<Fragment> fragments_;
  std::vector<uint64_t> lsns_;
};

}  // namespace lightning
