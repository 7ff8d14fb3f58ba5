#include "engine/latency.h"

namespace lightning {

namespace {
// Two readings of the clock take a third of a get or put: so seldom, below 1 percent of them all.
constexpr uint32_t kShortCallsPerTimed = 64;
constexpr uint32_t kLongCallsPerTimed = 16;

thread_local uint64_t t_random = 0;

uint32_t mean_of(Timed kind) {
  switch (kind) {
    case Timed::get:
    case Timed::commit:
      return kShortCallsPerTimed;
    case Timed::get_many:
    case Timed::seek:
      break;
  }
  return kLongCallsPerTimed;
}
}  // namespace

namespace latency_detail {
thread_local std::array<Countdown, kKinds> t_countdowns __attribute__((tls_model("initial-exec"))) = {};
}

// A linear congruential generator (D. Knuth, MMIX), of which the upper bits are good.
uint32_t random_below(uint32_t bound) {
  t_random = t_random * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>((t_random >> 32) * bound >> 32);
}

uint64_t begin_timed(Timed kind, bool asks_again) {
  latency_detail::Countdown& countdown = latency_detail::t_countdowns[static_cast<size_t>(kind)];
  const uint32_t stands_for = std::max(countdown.interval, 1u);  // a thread's first one: for itself
  countdown.interval = random_interval(mean_of(kind));
  countdown.left = countdown.interval - (asks_again ? 0 : 1);
  return stands_for;
}

}  // namespace lightning
