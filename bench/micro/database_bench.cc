// A commit and a cursor's step of a whole database.
#include <benchmark/benchmark.h>

#include <cstring>

#include <lightning/database.h>
#include "bench/micro/bounds.h"
#include "io/scratch_directory.h"

namespace lightning::micro {
namespace {

constexpr uint64_t kRecordBytes = 160;  // of a put with a key of 16 and a value of 100 bytes, about

Database open(const ScratchDirectory& scratch) {
  Options options;
  options.durability = Durability::process;
  options.flush_interval_ms = 0;
  return *Database::open(scratch.path("db"), options);
}

void commit(benchmark::State& state) {
  const ScratchDirectory scratch;
  Database db = open(scratch);
  const std::string value(100, 'v');
  std::mt19937_64 random(3);
  std::string key = key_of(0);
  for (auto _ : state) {
    const uint64_t number = random();
    std::memcpy(key.data(), &number, sizeof number);
    if (!db.put(key, value).ok()) return state.SkipWithError("a put failed");
  }
}
BENCHMARK(commit);

// The record's bytes go to two places in memory, each written once.
void commit_bound_copy(benchmark::State& state) {
  constexpr uint64_t kBytes = 64 << 20;
  const std::string record(kRecordBytes, 'r');
  std::vector<char> memory(kBytes), file(kBytes);
  uint64_t at = 0;
  for (auto _ : state) {
    std::memcpy(memory.data() + at, record.data(), record.size());
    std::memcpy(file.data() + at, record.data(), record.size());
    benchmark::ClobberMemory();
    at = at + 2 * kRecordBytes > kBytes ? 0 : at + kRecordBytes;
  }
}
BENCHMARK(commit_bound_copy);

// Beside it stands run_next_bound_read.
void cursor_next(benchmark::State& state) {
  const ScratchDirectory scratch;
  Database db = open(scratch);
  const std::string value(100, 'v');
  const bool settled = state.range(0) != 0;
  for (const uint32_t number : shuffled(100'000)) {
    if (!db.put(key_of(number), value).ok()) return state.SkipWithError("a put failed");
  }
  if (settled && (!db.flush().ok() || !db.compact().ok())) return state.SkipWithError("no run");
  Cursor cursor = db.cursor();
  cursor.seek_first();
  for (auto _ : state) {
    benchmark::DoNotOptimize(cursor.value().data());
    cursor.next();
    if (!cursor.valid()) cursor.seek_first();
  }
  state.SetLabel(settled ? "run" : "memtable");
}
BENCHMARK(cursor_next)->Arg(0)->Arg(1);

}  // namespace
}  // namespace lightning::micro
