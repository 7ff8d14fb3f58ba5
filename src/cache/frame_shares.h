// FrameShares: how many groups of a cache's memory should be small frames, and how many large ones.
//
// A group is one large frame or kSmallInLarge small ones. While there are groups that nobody used, whoever
// comes takes. Then a page that comes back soon after it was evicted says that its size was cut too short,
// and moves the target towards that: by what its read costs, and by how much longer the other size's memory
// of ghosts is, so that both are judged by what a byte more would have saved. (As ARC moves its target
// between recent and frequent pages.)
//
// A size that has less than its share by more than a slack takes groups from the other one; so noise moves
// none. Each size keeps a small share, as one without pages could not show that it needs them.
//
// Thread safety: externally synchronised. Costs: some additions for a page that comes back.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace lightning {

enum class FrameSize : uint8_t { small, large };
inline constexpr uint32_t kSmallInLarge = 4;
inline FrameSize other_size(FrameSize size) {
  return size == FrameSize::small ? FrameSize::large : FrameSize::small;
}

class FrameShares {
 public:
  explicit FrameShares(uint32_t groups)
      : groups_(groups), least_(groups < 2 ? 0 : std::max(1u, groups / kLeastShares)) {}

  uint32_t has(FrameSize size) const { return has_[static_cast<size_t>(size)]; }
  /// How many groups it should have.
  double target(FrameSize size) const {
    const double small = std::clamp<double>(small_, least_, groups_ - least_);
    return size == FrameSize::small ? small : groups_ - small;
  }

  /// A group that nobody had.
  void start(FrameSize size) {
    ++has_[static_cast<size_t>(size)];
    small_ += size == FrameSize::small ? 1 : 0;
  }
  /// A group of the other size becomes one of this.
  void move(FrameSize to) {
    ++has_[static_cast<size_t>(to)];
    --has_[static_cast<size_t>(other_size(to))];
  }
  /// A page came back of which its size still had a ghost; these and the other's ghosts, in bytes.
  void came_back(FrameSize size, uint64_t own_ghost_bytes, uint64_t other_ghost_bytes) {
    const double longer =
        static_cast<double>(other_ghost_bytes) / static_cast<double>(std::max<uint64_t>(own_ghost_bytes, 1));
    const double step =
        std::min(std::clamp(longer, 1.0, kLongerMax), std::max(1.0, groups_ / kStepShares)) / kSmallInLarge;
    small_ = target(FrameSize::small) + (size == FrameSize::small ? step * kSmallReadCost : -step);
  }
  /// How many groups it should take from the other one now.
  uint32_t wants(FrameSize size) const {
    const double lacks = target(size) - has(size);
    return lacks < 1.0 + groups_ / kSlackShares ? 0 : static_cast<uint32_t>(lacks);
  }

 private:
  static constexpr uint32_t kLeastShares = 32;
  static constexpr uint32_t kSlackShares = 128;
  static constexpr double kLongerMax = 16;
  static constexpr double kStepShares = 32;       // small caches go by small steps
  static constexpr double kSmallReadCost = 0.75;  // a read of 4 KiB against one of 16 KiB

  const uint32_t groups_;
  const uint32_t least_;  // of each size
  std::array<uint32_t, 2> has_ = {};
  double small_ = 0;  // groups that should be small frames, but for the least
};

}  // namespace lightning
