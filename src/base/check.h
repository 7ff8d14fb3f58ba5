// Assertions on invariants: they stop a debug, sanitizer or sim build and cost nothing in a release one.
//
// Library code never ends the user's process: what can happen because of input, disk or memory is a Status,
// never a CHECK. LIGHTNING_INVARIANT is for what only a bug of ours can break; it names the invariant
// (docs/ARCHITECTURE.md).
#pragma once

#include <cassert>

#define LIGHTNING_INVARIANT(name, condition) assert((condition) && name)
