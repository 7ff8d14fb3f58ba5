#include "fuzz/mutate.h"

#include <algorithm>

#include "base/coding.h"

namespace lightning::fuzz {

namespace {

constexpr size_t kPieceMax = 64;
constexpr uint64_t kInteresting[] = {0, 1, 7, 8, 63, 64, 127, 128, 255, 4095, 4096, UINT32_MAX, UINT64_MAX};

/// A number of one to eight bytes near an interesting one, a neighbour of what stood there, or at random.
void put_number(Random& random, std::string* input, size_t at) {
  const size_t size = std::min<size_t>(size_t{1} << random.below(4), input->size() - at);
  uint64_t number = 0;
  std::copy_n(input->data() + at, size, reinterpret_cast<char*>(&number));
  switch (random.below(3)) {
    case 0:
      number = kInteresting[random.below(std::size(kInteresting))] + random.below(3) - 1;
      break;
    case 1:
      number += random.below(17) - 8;
      break;
    default:
      number = random.next();
  }
  std::copy_n(reinterpret_cast<const char*>(&number), size, input->data() + at);
}

void change(Random& random, std::string* input) {
  const size_t at = random.below(input->size());
  const size_t piece = 1 + random.below(std::min(kPieceMax, input->size() - at));
  switch (random.below(7)) {
    case 0:
    case 1:
      (*input)[at] = static_cast<char>((*input)[at] ^ 1 << random.below(8));
      return;
    case 2:
      return put_number(random, input, at);
    case 3:
      input->erase(at, piece);
      return;
    case 4:
      input->insert(random.below(input->size() + 1), input->substr(at, piece));
      return;
    case 5: {
      const std::string copied = input->substr(at, piece);
      const size_t to = random.below(input->size() - piece + 1);
      input->replace(to, piece, copied);
      return;
    }
    default:
      if (random.chance(0.1)) input->resize(at);
      std::fill_n(input->begin() + static_cast<ptrdiff_t>(std::min(at, input->size())),
                  std::min(piece, input->size() - std::min(at, input->size())),
                  random.chance(0.5) ? '\0' : '\xff');
  }
}

}  // namespace

void mutate(Random& random, std::string* input) {
  for (uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
    if (input->empty()) input->push_back(static_cast<char>(random.next()));
    change(random, input);
  }
}

}  // namespace lightning::fuzz
