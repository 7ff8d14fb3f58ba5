// The replay of a corpus, with any compiler: its inputs, the target's seeds, and mutations of both.
//
//   replay_NAME CORPUS [MUTATIONS [KEEP]]   runs all, and MUTATIONS of each input, half of them mended; each
//                                           is first written to the file KEEP: the culprit
//   replay_NAME --input FILE                runs one
//
// Of each seed it also holds that mending leaves it alone and that it is accepted: else a format has changed
// and the target no longer reaches what it is for.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "fuzz/mutate.h"
#include "fuzz/seeds.h"
#include "fuzz/target.h"

namespace lightning::fuzz {
namespace {

using Inputs = std::map<std::string, std::string>;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  expect(file.is_open(), "cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

Inputs corpus(const std::filesystem::path& folder) {
  Inputs inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    inputs[entry.path().filename().string()] = read_file(entry.path());
  }
  return inputs;
}

Inputs seeds() {
  Inputs inputs;
  kTarget.seeds([&](std::string_view name, std::string_view input) { inputs[std::string(name)] = input; });
  return inputs;
}

void check_seed(const std::string& name, const std::string& seed) {
  std::string mended = seed;
  if (kTarget.mend != nullptr) kTarget.mend(&mended);
  expect(mended == seed, "mending changes the seed " + name);
  expect(kTarget.run(seed), "the seed " + name + " is not accepted");
}

class Replay {
 public:
  explicit Replay(std::string keep) : keep_(std::move(keep)) {}

  void run(const std::string& input) {
    if (!keep_.empty()) write_file(keep_, input);
    accepted_ += kTarget.run(input) ? 1 : 0;
    ++runs_;
  }

  void run_mutations(const std::string& input, uint64_t mutations) {
    for (uint64_t number = 0; number < mutations; ++number) {
      Random random(number);
      std::string mutation = input;
      mutate(random, &mutation);
      if (kTarget.mend != nullptr && number % 2 == 1) kTarget.mend(&mutation);
      run(mutation);
    }
  }

  void print() const {
    std::printf("%llu runs, %llu accepted\n", static_cast<unsigned long long>(runs_),
                static_cast<unsigned long long>(accepted_));
  }

 private:
  const std::string keep_;
  uint64_t runs_ = 0;
  uint64_t accepted_ = 0;
};

void replay(const std::filesystem::path& folder, uint64_t mutations, const std::string& keep) {
  Inputs inputs = corpus(folder);
  expect(!inputs.empty(), "there is no corpus in " + folder.string());
  for (const auto& [name, seed] : seeds()) {
    check_seed(name, seed);
    inputs["seed " + name] = seed;
  }
  Replay replay(keep);
  for (const auto& [name, input] : inputs) {
    std::printf("%s\n", name.c_str());  // the last line names what failed
    std::fflush(stdout);
    replay.run(input);
    replay.run_mutations(input, mutations);
  }
  replay.print();
}

}  // namespace
}  // namespace lightning::fuzz

int main(int argc, char** argv) {
  using namespace lightning::fuzz;
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "--input" && argc == 3) {
    std::printf("%s\n", kTarget.run(read_file(argv[2])) ? "accepted" : "refused");
  } else if (!first.empty() && argc <= 4) {
    replay(first, argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0, argc > 3 ? argv[3] : "");
  } else {
    std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS [KEEP]] | --input FILE\n", argv[0]);
    return 2;
  }
  return 0;
}
