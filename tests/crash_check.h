// What a crash may leave of a CrashWorkload, and what is opened then: checks of images of the moments that it
// kept.
//
// Thread safety: functions.
#pragma once

#include "tests/crash_workload.h"

namespace lightning {

struct CrashCheck {
  SimOptions sim;
  CrashGrain grain = {};
  /// Every so many images, crashes during their recovery are checked too, and, of few, crashes during the
  /// recovery from these, to depth three; 0 = never.
  uint64_t nested_every = 0;
  uint64_t depth = 0;   // of the images that are checked: crashes of recoveries before
  uint64_t images = 0;  // counts
  uint64_t nested = 0;  // those of recoveries
};

/// Opens the database, compares, writes, closes, opens again and compares. Empty, or what was wrong.
/// `narrow` is told the states that may be found from then on.
std::string check_opening(Env& env, const std::string& directory, const std::vector<uint64_t>& allowed,
                          const std::function<void(const std::vector<uint64_t>&)>& narrow);

/// check_opening() of the database of a crash image.
std::string check_crash(CrashCheck& check, CrashImage image, const AllowedStates& allowed);

/// Leaves about `moments_max` of the moments, by chance.
void thin_out(std::vector<CrashMoment>& moments, uint64_t moments_max, uint64_t seed);

/// Checks images of the moments, at most `limit` of each.
std::string check_moments(CrashCheck& check, std::vector<CrashMoment>& moments, uint64_t limit);

}  // namespace lightning
