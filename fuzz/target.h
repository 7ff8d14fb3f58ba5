// Target: a reader of hostile bytes, as fuzzers and the replay of corpora see it. Each program has one.
//
// An input is the bytes as they would come, or pages (pages.h) where they are a file of mostly zeros. A wrong
// answer ends the process (expect()); so do a sanitizer's report, an invariant of ours and a leak.
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

namespace lightning::fuzz {

using SeedSink = std::function<void(std::string_view name, std::string_view input)>;

struct Target {
  /// Takes one input; true when it was accepted as sound.
  bool (*run)(std::string_view input);
  /// Puts right checksums into `input`, which leaves a sound one as it is; null where there are none.
  void (*mend)(std::string* input);
  /// Sound inputs, made of real files, the same on every machine.
  void (*seeds)(const SeedSink& sink);
};

/// Defined by each target's own file.
extern const Target kTarget;

/// Takes an input apart from its front; zeros behind its end.
class Bytes {
 public:
  explicit Bytes(std::string_view input) : left_(input) {}
  bool done() const { return left_.empty(); }
  uint8_t byte() {
    if (left_.empty()) return 0;
    const char first = left_.front();
    left_.remove_prefix(1);
    return static_cast<uint8_t>(first);
  }
  uint32_t word() {
    const uint32_t low = byte();
    return low | static_cast<uint32_t>(byte()) << 8;
  }
  /// At most `size` bytes.
  std::string_view take(size_t size) {
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() const { return left_; }

 private:
  std::string_view left_;
};

/// Ends the process: a wrong answer.
[[noreturn]] inline void fail(std::string_view what) {
  std::fprintf(stderr, "wrong answer: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline void expect(bool good, std::string_view what) {
  if (!good) fail(what);
}

}  // namespace lightning::fuzz
