// AllocationTruce: the stretches of a test that tests itself: where memory is refused by script
// (tests/allocation_test.cc), the simulator and the oracle still get theirs.
//
// A thread begins at risk. AllocationTruce ends the risk while it lives, AllocationRisk brings it back
// inside a truce, for a call of the database; they nest.
// Thread safety: of the calling thread alone.
#pragma once

namespace lightning {

class AllocationTruce {
 public:
  AllocationTruce() { ++depth_; }
  AllocationTruce(const AllocationTruce&) { ++depth_; }
  AllocationTruce& operator=(const AllocationTruce&) = default;
  ~AllocationTruce() { --depth_; }

  static bool holds() { return depth_ > 0; }

 private:
  friend class AllocationRisk;
  static inline thread_local int depth_ = 0;
};

class AllocationRisk {
 public:
  AllocationRisk() : before_(AllocationTruce::depth_) { AllocationTruce::depth_ = 0; }
  ~AllocationRisk() { AllocationTruce::depth_ = before_; }
  AllocationRisk(const AllocationRisk&) = delete;
  AllocationRisk& operator=(const AllocationRisk&) = delete;

 private:
  const int before_;
};

}  // namespace lightning
