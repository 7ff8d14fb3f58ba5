// What libFuzzer asks of a program: one input, and a mutator that mends checksums half of the time.
#include <algorithm>
#include <cstddef>

#include "fuzz/target.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lightning::fuzz::kTarget.run({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (lightning::fuzz::kTarget.mend == nullptr || seed % 2 == 0) return size;
  std::string input(reinterpret_cast<const char*>(data), size);
  lightning::fuzz::kTarget.mend(&input);
  if (input.size() > max_size) return size;
  std::ranges::copy(input, data);
  return input.size();
}
