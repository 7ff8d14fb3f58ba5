// What libFuzzer asks of a program: one input, and a mutator that mends checksums half of the time.
//
//   fuzz_NAME --seeds FOLDER   writes the seeds instead
#include <algorithm>
#include <cstddef>

#include "fuzz/seeds.h"
#include "fuzz/target.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::string_view((*argv)[1]) == "--seeds") {
    lightning::fuzz::write_seeds((*argv)[2]);
    std::exit(0);
  }
  return 0;
}

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
