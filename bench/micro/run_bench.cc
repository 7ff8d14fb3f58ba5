// A run file's parts: search in one leaf page, packing and unpacking one, a point read, a walk, the checksum
// of a page.
#include <benchmark/benchmark.h>

#include <cstring>

#include "base/hash.h"
#include "bench/micro/bounds.h"
#include "run/leaf_builder.h"
#include "run/leaf_page.h"
#include "run/run_test_support.h"
#include "run/stored_page.h"
#include "testing/random.h"

namespace lightning::micro {
namespace {

constexpr uint32_t kKeys = 1'000'000;
const std::string kValue(100, 'v');

std::string internal(uint64_t number) {
  const InternalKey key(kDefaultKeyspaceId, key_of(number));
  return std::string(key.view());
}

/// A run of all keys, in memory.
struct Run {
  Run() {
    std::unique_ptr<RunWriter> writer = *RunWriter::create(directory, kTestRunId, {});
    for (uint32_t i = 0; i < kKeys; ++i) {
      const Version version{kSettledLsn, EntryKind::put, kValue};
      if (!writer->add(internal(i), {&version, 1}).ok()) std::abort();
    }
    file = *open_run(directory, *writer->finish(1, 1000), true);
    // Every page is verified.
    const std::unique_ptr<SourceCursor> cursor = file->cursor(kReadAllLsn);
    for (cursor->seek_first(); cursor->valid(); cursor->next()) {
    }
  }
  MemoryDirectory directory;
  std::shared_ptr<const RunFile> file;
};

const RunFile& run() {
  static const Run made;
  return *made.file;
}

struct Page {
  Page() {
    LeafBuilder builder;
    std::vector<std::string> added;
    for (uint64_t i = 0;; ++i) {
      const std::string key = internal(i * 7);
      if (builder.size_with(key, 100, 100) > sizeof(bytes)) break;
      builder.add(key, hash_key(key), static_cast<uint8_t>(EntryKind::put), 100, kValue);
      added.push_back(key);
    }
    std::memset(bytes, 0, sizeof(bytes));
    builder.build(bytes, PageKind::leaf, 1, kTestRunId, 1);
    for (const uint32_t number : shuffled(static_cast<uint32_t>(added.size()))) keys.push_back(added[number]);
    if (!page.parse(bytes, sizeof(bytes))) std::abort();
  }
  alignas(64) char bytes[kSmallLeafBytes];
  LeafPage page;
  std::vector<std::string> keys;
};

void page_search(benchmark::State& state) {
  const Page leaf;
  size_t at = 0;
  for (auto _ : state) {
    bool exact = false;
    benchmark::DoNotOptimize(leaf.page.lower_bound(leaf.keys[at++ % leaf.keys.size()], &exact));
  }
  state.counters["entries"] = static_cast<double>(leaf.keys.size());
}
BENCHMARK(page_search);

// The comparison of as many numbers, all of them, as a compiler arranges it.
void page_search_bound_count(benchmark::State& state) {
  const Page leaf;
  std::vector<uint32_t> heads;
  for (const std::string& key : leaf.keys) heads.push_back(leaf_head(std::string_view(key).substr(13)));
  size_t at = 0;
  for (auto _ : state) {
    const uint32_t head = heads[at++ % heads.size()];
    benchmark::DoNotOptimize(
        std::count_if(heads.begin(), heads.end(), [&](uint32_t one) { return one < head; }));
  }
}
BENCHMARK(page_search_bound_count);

/// A large leaf of entries with values of such a size, and what stands for it in a compressed file.
struct Stored {
  Stored(Compression compression, size_t value_size) : page(kLargeLeafBytes, '\0') {
    LeafBuilder builder;
    Random random(1);
    for (uint64_t i = 0;; ++i) {
      const std::string key = internal(i * 7);
      if (builder.size_with(key, static_cast<uint32_t>(value_size), value_size) > page.size()) break;
      std::string value(value_size, 'v');
      for (size_t at = 0; at < value_size / 2; ++at) value[at] = static_cast<char>(random.next());
      builder.add(key, hash_key(key), static_cast<uint8_t>(EntryKind::put), static_cast<uint32_t>(value_size),
                  value);
      ++entries;
    }
    builder.build(page.data(), PageKind::leaf, kLargeLeafBytes / kUnitBytes, kTestRunId, 0);
    const Result<const Codec*> codec = codec_of(codec_id(compression));
    if (!codec) return;
    PagePacker packer(**codec, 0);
    bytes = packer.pack(page.data(), page.size(), kTestRunId, 0);
    if (!StoredPage::parse(bytes, kTestRunId, 0, page.size(), &stored).ok()) std::abort();
    if (stored.header.dense == 0) std::abort();
  }
  std::string page;
  std::string bytes;
  StoredPage stored;
  uint64_t entries = 0;
};

void page_pack(benchmark::State& state) {
  const auto compression = static_cast<Compression>(state.range(0));
  const Stored leaf(compression, static_cast<size_t>(state.range(1)));
  if (leaf.bytes.empty()) return state.SkipWithError("a build without the codec");
  PagePacker packer(**codec_of(codec_id(compression)), 0);
  for (auto _ : state)
    benchmark::DoNotOptimize(packer.pack(leaf.page.data(), leaf.page.size(), kTestRunId, 0));
  state.counters["bytes"] = static_cast<double>(leaf.bytes.size());
}
BENCHMARK(page_pack)->ArgsProduct({{1, 2}, {8, 100, 400}})->ArgNames({"codec", "value"});

void page_unpack(benchmark::State& state) {
  const Stored leaf(static_cast<Compression>(state.range(0)), static_cast<size_t>(state.range(1)));
  if (leaf.bytes.empty()) return state.SkipWithError("a build without the codec");
  std::string page(kLargeLeafBytes, '\0');
  for (auto _ : state) {
    if (!leaf.stored.unpack(page.data()).ok()) return state.SkipWithError("a page does not unpack");
    benchmark::ClobberMemory();
  }
  state.counters["entries"] = static_cast<double>(leaf.entries);
}
BENCHMARK(page_unpack)->ArgsProduct({{1, 2}, {8, 100, 400}})->ArgNames({"codec", "value"});

// What the codec alone takes of it.
void page_unpack_bound_codec(benchmark::State& state) {
  const Stored leaf(static_cast<Compression>(state.range(0)), static_cast<size_t>(state.range(1)));
  if (leaf.bytes.empty()) return state.SkipWithError("a build without the codec");
  std::string dense(leaf.stored.header.dense, '\0');
  for (auto _ : state) {
    if (!leaf.stored.codec->decompress(leaf.stored.payload, dense.data(), dense.size()).ok())
      return state.SkipWithError("a page does not decompress");
    benchmark::ClobberMemory();
  }
}
BENCHMARK(page_unpack_bound_codec)->ArgsProduct({{1, 2}, {8, 100, 400}})->ArgNames({"codec", "value"});

void run_get(benchmark::State& state) {
  const std::vector<uint32_t> numbers = shuffled(kKeys);
  std::vector<std::string> keys;
  std::vector<uint64_t> hashes;
  for (const uint32_t number : numbers) {
    keys.push_back(internal(number));
    hashes.push_back(hash_key(keys.back()));
  }
  const RunFile& file = run();
  RunFile::Hit hit;
  size_t at = 0;
  for (auto _ : state) {
    if (file.find(keys[at], hashes[at], kReadAllLsn, &hit) != RunFile::Found::found) {
      return state.SkipWithError("a key is absent");
    }
    benchmark::DoNotOptimize(hit.value.front());
    at = at + 1 == keys.size() ? 0 : at + 1;
  }
  state.counters["bytes"] = static_cast<double>(file.info().size);
}
BENCHMARK(run_get);

// Two dependent cache misses in as much memory.
void run_get_bound_chase(benchmark::State& state) {
  Chase chase(run().info().size);
  for (auto _ : state) {
    chase.follow(2);
    benchmark::DoNotOptimize(chase.at());
  }
}
BENCHMARK(run_get_bound_chase);

void run_next(benchmark::State& state) {
  const std::unique_ptr<SourceCursor> cursor = run().cursor(kReadAllLsn);
  cursor->seek_first();
  for (auto _ : state) {
    benchmark::DoNotOptimize(cursor->value().data());
    cursor->next();
    if (!cursor->valid()) cursor->seek_first();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * 116);
}
BENCHMARK(run_next);

// Reading as many bytes in order, once from each cache line.
void run_next_bound_read(benchmark::State& state) {
  const std::vector<char> bytes(run().info().size);
  const uint64_t entry = bytes.size() / kKeys;
  uint64_t at = 0;
  for (auto _ : state) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < entry; i += 64) sum += static_cast<unsigned char>(bytes[at + i]);
    benchmark::DoNotOptimize(sum);
    at = at + 2 * entry > bytes.size() ? 0 : at + entry;
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * entry));
}
BENCHMARK(run_next_bound_read);

void checksum_of(benchmark::State& state) {
  const std::vector<char> bytes(static_cast<size_t>(state.range(0)), 'c');
  uint64_t seed = 0;
  for (auto _ : state) seed = checksum(bytes.data(), bytes.size(), seed);
  benchmark::DoNotOptimize(seed);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(checksum_of)->Name("checksum")->Arg(144)->Arg(4096)->Arg(1 << 20);

void checksum_bound_copy(benchmark::State& state) {
  const std::vector<char> bytes(static_cast<size_t>(state.range(0)), 'c');
  std::vector<char> copy(bytes.size());
  for (auto _ : state) {
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    benchmark::DoNotOptimize(copy.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(checksum_bound_copy)->Arg(144)->Arg(4096)->Arg(1 << 20);

}  // namespace
}  // namespace lightning::micro
