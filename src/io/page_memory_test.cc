#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "io/env.h"
#include "io/page_size.h"
#include "io/process_word.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

TEST(PageMemory, IsZeroAlignedAndAtLeastAsLargeAsAsked) {
  for (uint64_t size : {uint64_t{1}, page_bytes(), kHugePageBytes, kHugePageBytes * 3 + 1}) {
    Result<PageMemory> memory = PageMemory::map(size);
    ASSERT_TRUE(memory) << memory.status().to_string();
    EXPECT_GE(memory->size(), size);
    const uint64_t alignment = size < kHugePageBytes ? page_bytes() : kHugePageBytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % alignment, 0u);
    for (uint64_t at = 0; at < memory->size(); at += page_bytes()) ASSERT_EQ(memory->data()[at], 0);
    std::memset(memory->data(), 1, memory->size());
  }
}

TEST(PageMemory, RefusesWhatNobodyCanMean) {
  EXPECT_TRUE(PageMemory::map(0).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(PageMemory::map(UINT64_MAX).status().is(StatusCode::invalid_argument));
  EXPECT_TRUE(PageMemory::map(uint64_t{1} << 60).status().is(StatusCode::out_of_memory));
}

TEST(PageMemory, ReleasedPagesReadAsZerosAndOthersStay) {
  Result<PageMemory> memory = PageMemory::map(4 * page_bytes());
  ASSERT_TRUE(memory);
  std::memset(memory->data(), 7, memory->size());
  memory->release(1, 3 * page_bytes() - 1);  // only pages 1 and 2 are wholly inside
  EXPECT_EQ(memory->data()[page_bytes() - 1], 7);
  EXPECT_EQ(memory->data()[page_bytes()], 0);
  EXPECT_EQ(memory->data()[3 * page_bytes() - 1], 0);
  EXPECT_EQ(memory->data()[3 * page_bytes()], 7);
  memory->release(10, 20);
  EXPECT_EQ(memory->data()[15], 7);
}

TEST(PageMemory, MovesItsPages) {
  Result<PageMemory> mapped = PageMemory::map(1);
  ASSERT_TRUE(mapped);
  PageMemory memory = *std::move(mapped);
  char* const data = memory.data();
  PageMemory other;
  other = std::move(memory);
  EXPECT_EQ(other.data(), data);
  data[0] = 1;
}

TEST(PageMemory, IsNotInheritedAndAChildUnmapsNothing) {
  Result<PageMemory> memory = PageMemory::map(page_bytes());
  ASSERT_TRUE(memory);
  EXPECT_EQ(run_in_child([&] {
              signal(SIGSEGV, SIG_DFL);
              return static_cast<volatile char*>(memory->data())[0];
            }),
            -SIGSEGV);
  EXPECT_EQ(run_in_child([&] {
              // The child has memory of its own where the parent's was.
              void* const own = mmap(memory->data(), page_bytes(), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
              if (own != memory->data()) return 1;
              static_cast<char*>(own)[0] = 5;
              {
                const PageMemory destroyed = *std::move(memory);
              }
              return static_cast<volatile char*>(own)[0] == 5 ? 0 : 2;
            }),
            0);
}

TEST(ProcessWord, IsOneHereAndZeroInAChild) {
  const std::atomic<uint32_t>& word = posix_env().process_word();
  EXPECT_EQ(word.load(), 1u);
  EXPECT_FALSE(in_forked_child());
  EXPECT_EQ(run_in_child([&] { return word.load() == 0 && in_forked_child() ? 0 : 1; }), 0);
  EXPECT_EQ(word.load(), 1u);
}

TEST(PosixEnv, KnowsTimeBootAndChance) {
  Env& env = posix_env();
  EXPECT_EQ(&env, &posix_env());
  const uint64_t before = env.clock().monotonic_ns();
  EXPECT_GE(env.clock().monotonic_ns(), before);
  EXPECT_GT(env.clock().unix_micros(), int64_t{1'700'000'000} * 1'000'000);
  EXPECT_NE(env.random(), env.random());
  const uint64_t boot = env.boot_id();
  EXPECT_EQ(env.boot_id(), boot);
}

}  // namespace
}  // namespace lightning
