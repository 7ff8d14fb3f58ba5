// What the writer of the kill test writes: operation `number` of a thread follows from the seed, so that the
// test knows which state each number of operations leaves. Each thread has keys of its own.
#pragma once

#include <lightning/options.h>

#include <cstdint>
#include <string>
#include <vector>

#include "testing/model.h"
#include "testing/random.h"

namespace lightning {

inline constexpr char kKillKeyspace[] = "second";
inline constexpr uint32_t kKillThreadsMax = 4;

/// What a thread of the writer says, in one write to its standard output.
struct KillMessage {
  static constexpr uint32_t kOpened = UINT32_MAX;
  static constexpr uint32_t kFailed = UINT32_MAX - 1;
  uint32_t thread = 0;
  uint32_t operations = 0;  // acknowledged so far
};

struct KillOperation {
  std::vector<ModelWrite> writes;  // one is a put or a removal, several are a batch
  Durability durability = Durability::process;
};

inline std::string kill_key_prefix(uint32_t thread) { return "thread" + std::to_string(thread) + "/"; }

inline KillOperation kill_operation(uint64_t seed, uint32_t thread, uint32_t number) {
  Random random(mix_seed(mix_seed(seed, thread), number));
  KillOperation operation;
  operation.durability = random.chance(0.1) ? Durability::power : Durability::process;
  const uint64_t count = random.chance(0.3) ? 2 + random.below(8) : 1;
  for (uint64_t i = 0; i < count; ++i) {
    ModelWrite write;
    if (random.chance(0.3)) write.keyspace = kKillKeyspace;
    write.key = kill_key_prefix(thread) + std::to_string(random.below(60));
    if (!random.chance(0.15)) {
      const uint64_t size = random.chance(0.002) ? 300'000
                            : random.chance(0.1) ? random.below(8000)
                                                 : random.below(300);
      write.value = std::to_string(seed) + "/" + std::to_string(number) + "/";
      write.value->resize(write.value->size() + size, static_cast<char>('a' + number % 26));
    }
    operation.writes.push_back(std::move(write));
  }
  return operation;
}

}  // namespace lightning
