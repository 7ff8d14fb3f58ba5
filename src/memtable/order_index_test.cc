#include "memtable/order_index.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "memtable/memtable_test_util.h"

namespace {
int64_t allocations_left = INT64_MAX;  // before memory is refused
}

// GoogleTest allocates too: refuse only while a test asks for it. Not inlined: the compiler pairs new with
// delete.
[[gnu::noinline]] void* operator new(size_t size) {
  if (--allocations_left < 0) throw std::bad_alloc();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return --allocations_left < 0 ? nullptr : std::malloc(size);
}
[[gnu::noinline]] void* operator new(size_t size, std::align_val_t alignment) {
  if (--allocations_left < 0) throw std::bad_alloc();
  const auto bytes = static_cast<size_t>(alignment);
  if (void* memory = std::aligned_alloc(bytes, (size + bytes - 1) / bytes * bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace lightning {
namespace {

/// Appends `count` entries of random keys.
void fill(LogBuffer* log, const KeyMaker& make_key, size_t count, std::mt19937_64& random) {
  for (size_t i = 0; i < count; ++i) {
    const std::string key = make_key(random);
    ASSERT_TRUE(log->fits(key, "v"));
    ASSERT_NE(log->append(EntryKind::put, key, "v"), 0u);
  }
}

/// O1 and O2: each key's newest name below the position is what its newest array says.
void check_complete(const LogBuffer& log, const ArraySet& set) {
  ASSERT_LE(set.count, kOrderArraysMax);
  std::vector<uint32_t> names;
  log.collect(0, set.position, &names);
  std::map<std::string_view, uint32_t> expected;
  for (const uint32_t name : names) expected[log.table().entry(name).key] = name;
  std::map<std::string_view, uint32_t> found;
  for (uint32_t i = 0; i < set.count; ++i) {
    ASSERT_NE(set.arrays[i], nullptr);
    for (uint32_t at = 0; at < set.arrays[i]->size(); ++at) {
      found.emplace(set.arrays[i]->key(at), set.arrays[i]->name(at));  // the newest array comes first
    }
  }
  ASSERT_EQ(found, expected);
}

TEST(OrderIndex, FollowsTheLogInStepsOfAnySize) {
  for (const size_t step : {1, 2, 5, 63, 64, 65, 200, 1'000, 4'095, 4'096, 4'097, 30'000}) {
    SCOPED_TRACE("step " + std::to_string(step));
    std::mt19937_64 random(step);
    const auto log = LogBuffer::create(16 << 20, 1'000'000);
    ASSERT_NE(log, nullptr);
    const KeyMaker make_key(KeyMaker::Shape::two_keyspaces, 100'000);
    const size_t steps = std::min<size_t>(500, 120'000 / step);
    for (size_t i = 0; i < steps; ++i) {
      fill(log.get(), make_key, step, random);
      ASSERT_TRUE(log->catch_up(log->published()).ok());
      ASSERT_LE(log->table().order_index().arrays()->count, kOrderArraysMax);
      if (i % (steps / 4 + 1) == 0) check_complete(*log, *log->table().order_index().arrays());
    }
    ASSERT_EQ(log->table().order_index().ordered_position(), log->published());
    check_complete(*log, *log->table().order_index().arrays());
  }
}

TEST(OrderIndex, TakesStepsOfMixedSizesAndThenSettles) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto log = LogBuffer::create(32 << 20, 0);
    ASSERT_NE(log, nullptr);
    const KeyMaker make_key(KeyMaker::kShapes[seed % 2 == 0 ? 0 : 2], seed % 3 == 0 ? 50 : 200'000);
    for (int i = 0; i < 60; ++i) {
      fill(log.get(), make_key, random() % (random() % 8 == 0 ? 9'000 : 100), random);
      ASSERT_TRUE(log->catch_up(log->published()).ok());
    }
    const auto before = log->table().order_index().arrays();
    check_complete(*log, *before);
    ASSERT_TRUE(log->table().order_index().settle().ok());
    const auto settled = log->table().order_index().arrays();
    EXPECT_EQ(settled->count, 1u);
    EXPECT_EQ(settled->position, before->position);
    check_complete(*log, *settled);
    check_complete(*log, *before);  // a set that somebody holds does not change
  }
}

TEST(OrderIndex, KeepsAtMostEightArrays) {
  std::mt19937_64 random(1);
  const auto log = LogBuffer::create(32 << 20, 0);
  ASSERT_NE(log, nullptr);
  const KeyMaker make_key(KeyMaker::Shape::decimal, 1'000'000'000);
  // None of these outgrows the one before.
  for (const size_t count : {300'000, 140'000, 66'000, 31'000, 14'500, 6'800, 3'000, 400, 40}) {
    fill(log.get(), make_key, count, random);
    ASSERT_TRUE(log->catch_up(log->published()).ok());
    ASSERT_LE(log->table().order_index().arrays()->count, kOrderArraysMax);
  }
}

TEST(OrderIndex, OverwritesOfFewKeysStaySmall) {
  std::mt19937_64 random(1);
  const auto log = LogBuffer::create(32 << 20, 0);
  ASSERT_NE(log, nullptr);
  const KeyMaker make_key(KeyMaker::Shape::decimal, 100);
  for (int i = 0; i < 50; ++i) {
    fill(log.get(), make_key, 4'096, random);
    ASSERT_TRUE(log->catch_up(log->published()).ok());
  }
  EXPECT_LT(log->table().order_index().memory_bytes(), 100'000u);
}

TEST(OrderIndex, OlderPositionsAreNoWork) {
  std::mt19937_64 random(1);
  const auto log = LogBuffer::create(1 << 20, 0);
  ASSERT_NE(log, nullptr);
  fill(log.get(), KeyMaker(KeyMaker::Shape::decimal, 100), 10, random);
  ASSERT_TRUE(log->catch_up(log->published()).ok());
  const auto set = log->table().order_index().arrays();
  const auto refuse = [](uint64_t, uint64_t, std::vector<uint32_t>*) { FAIL() << "collects again"; };
  EXPECT_TRUE(log->table().order_index().catch_up(log->published(), refuse).ok());
  EXPECT_TRUE(log->table().order_index().catch_up(LogBuffer::kFirstPosition, refuse).ok());
  EXPECT_EQ(log->table().order_index().arrays(), set);
}

/// Lets `action` fail at its first allocation, at its second, and so on until it succeeds; the index stays as
/// it was.
template <typename Action>
void fail_until_ok(const OrderIndex& index, Action action) {
  const auto before = index.arrays();
  const uint64_t position = index.ordered_position();
  int64_t allowed = 0;
  for (;; ++allowed) {
    ASSERT_LT(allowed, 100'000);
    allocations_left = allowed;
    const Status status = action();
    allocations_left = INT64_MAX;
    if (status.ok()) break;
    ASSERT_TRUE(status.is(StatusCode::out_of_memory)) << status.to_string();
    ASSERT_EQ(index.arrays(), before);
    ASSERT_EQ(index.ordered_position(), position);
  }
  ASSERT_GT(allowed, 0);
}

TEST(OrderIndex, RefusedMemoryLeavesItAsItWas) {
  std::mt19937_64 random(3);
  const auto log = LogBuffer::create(16 << 20, 0);
  ASSERT_NE(log, nullptr);
  const KeyMaker make_key(KeyMaker::Shape::url, 100'000);
  const OrderIndex& index = log->table().order_index();
  for (const size_t count : {1, 60, 10, 5'000, 3'000, 2'000, 6'000, 1}) {
    fill(log.get(), make_key, count, random);
    fail_until_ok(index, [&] { return log->catch_up(log->published()); });
    check_complete(*log, *index.arrays());
  }
  ASSERT_GT(index.arrays()->count, 1u);
  fail_until_ok(index, [&] { return log->table().order_index().settle(); });
  check_complete(*log, *index.arrays());
}

}  // namespace
}  // namespace lightning
