// Mutations for the replay of a corpus where libFuzzer is not at hand: the same seed gives the same mutation.
#pragma once

#include <string>

#include "testing/random.h"

namespace lightning::fuzz {

/// Changes `input` in one to four places.
void mutate(Random& random, std::string* input);

}  // namespace lightning::fuzz
