// Named steps of the commit and read protocol at which a simulated executor may switch threads.
//
// INTERLEAVE("commit.reserved") is nothing in a product build. In the `sim` preset (LIGHTNING_SIM) it hands
// control to the Parker of the thread, which may run any other thread there and may crash the simulated
// machine.
#pragma once

#ifdef LIGHTNING_SIM
#include "base/park.h"
#define INTERLEAVE(step)                                                                                     \
  do {                                                                                                       \
    if (::lightning::Parker* parker_here = ::lightning::this_thread_parker()) parker_here->interleave(step); \
  } while (0)
#else
#define INTERLEAVE(step) \
  do {                   \
  } while (0)
#endif
