// What the real Env makes of system calls that fail: a life of a database on a file system in memory in
// which the k-th call of a kind fails, for every k, with each error that it may plausibly answer, or
// transfers half. Each call of the database answers success or an error that this explains; afterwards the
// database opens and holds what it may hold.
//
// LIGHTNING_SYSTEM_CALL_STRIDE=n  every n-th k
// LIGHTNING_SYSTEM_CALL_SEED=s    another life, short and of steps by chance, and the k at which the strides
//                                 begin
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "io/env.h"
#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/fault_script.h"
#include "tests/crash_workload.h"
#include "tests/system_call_script.h"

namespace lightning {
namespace {

#if defined(NDEBUG)
constexpr uint64_t kDefaultStride = 3;
#else
constexpr uint64_t kDefaultStride = 41;  // slow builds: sanitizers
#endif
constexpr int kHalf = 0;  // in place of an error

struct Kind {
  const char* name;
  SystemCall call;
  std::vector<int> errors;
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

constexpr uint64_t kUsualSeed = 11;

std::vector<CrashStep> life(uint64_t seed) {
  using enum CrashStep;
  if (seed != kUsualSeed) return short_life(seed);
  return {put_power, keyspace,     batch, read, burst,  flush,     batch, compact, ingest,
          remove,    put_oversize, read,  copy, reopen, put_power, read,  copy};
}

std::vector<StatusCode> permitted() {
  using enum StatusCode;
  return {io_error, no_space, out_of_memory, not_supported, unknown_outcome, busy};
}

size_t open_files() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

std::string live(const std::string& directory, uint64_t seed, const SystemCallScript& script, uint64_t* met) {
  std::filesystem::remove_all(directory);
  const size_t files = open_files();
  std::string said;
  {
    CrashWorkload workload(posix_env(), directory, seed);
    workload.permit(permitted());
    set_system_call_script(script);
    said = workload.run(life(seed));
    *met = end_system_call_script();
    if (said.empty()) said = workload.recover();
  }
  if (said.empty() && open_files() != files) said = "files are left open";
  return said;
}

class SystemCalls : public testing::TestWithParam<Kind> {};

TEST_P(SystemCalls, FailAndLoseNothingThatWasAcknowledged) {
  const uint64_t stride = uint_from_environment("LIGHTNING_SYSTEM_CALL_STRIDE", kDefaultStride);
  const uint64_t seed = uint_from_environment("LIGHTNING_SYSTEM_CALL_SEED", kUsualSeed);
  ScratchMount memory;
  ScratchDirectory otherwise;
  const std::string directory = (memory.mount_tmpfs("64m") ? memory.path() : otherwise.path()) + "/db";
  for (const int error : GetParam().errors) {
    for (const uint64_t times : {uint64_t{1}, uint64_t{3}, kForever}) {
      if (times == kForever && (error == EINTR || error == kHalf)) continue;  // that is no failure, or no end
      uint64_t met = 1;
      for (uint64_t k = seed % stride; met != 0; k += stride) {
        ASSERT_EQ(live(directory, seed, {.call = GetParam().call, .after = k, .times = times, .error = error},
                       &met),
                  "")
            << "errno " << error << ", k = " << k << ", " << times << " times, seed " << seed;
        count("syscalls", met != 0 ? 1 : 0);
      }
    }
  }
}

// Whoever made it may have been killed before that: nothing in it would outlive a power cut.
TEST(SystemCallsOfADirectory, TheNameOfAnEmptyOneIsSynced) {
  const ScratchDirectory scratch;
  const auto open = [&](const std::string& path) {
    return posix_env().files().open_directory(scratch.path() + path, true).status();
  };
  std::filesystem::create_directory(scratch.path() + "/made");
  for (const char* path : {"/made", "/made/below/it"}) {
    set_system_call_script({.call = SystemCall::fsync, .after = 0, .times = 1, .error = EIO});
    EXPECT_TRUE(open(path).is(StatusCode::io_error)) << path;
    EXPECT_EQ(end_system_call_script(), 1u) << path;
    EXPECT_FALSE(std::filesystem::exists(scratch.path() + "/made/below"));
  }
  EXPECT_TRUE(open("/made/below/it/").ok());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SystemCalls,
    testing::Values(Kind{"openat", SystemCall::openat, {EIO, EMFILE, ENFILE, EACCES, ENOSPC, ENOMEM, EINTR}},
                    Kind{"close", SystemCall::close, {EIO}},
                    Kind{"pread", SystemCall::pread, {EIO, EINTR, kHalf}},
                    Kind{"pwrite", SystemCall::pwrite, {EIO, ENOSPC, EDQUOT, EINTR, kHalf}},
                    Kind{"fdatasync", SystemCall::fdatasync, {EIO, ENOSPC}},
                    Kind{"fsync", SystemCall::fsync, {EIO, ENOSPC}},
                    Kind{"fallocate", SystemCall::fallocate, {ENOSPC, EIO, EOPNOTSUPP, EINTR}},
                    Kind{"ftruncate", SystemCall::ftruncate, {EIO, EINTR}},
                    Kind{"fstat", SystemCall::fstat, {EIO}}, Kind{"fstatat", SystemCall::fstatat, {EIO}},
                    Kind{"fstatfs", SystemCall::fstatfs, {EIO}}, Kind{"mmap", SystemCall::mmap, {ENOMEM}},
                    Kind{"madvise", SystemCall::madvise, {ENOMEM, EFAULT, EINVAL}},
                    Kind{"unlinkat", SystemCall::unlinkat, {EIO, EACCES}},
                    Kind{"renameat", SystemCall::renameat, {EIO, ENOSPC}},
                    Kind{"mkdir", SystemCall::mkdir, {EACCES, ENOSPC}},
                    Kind{"fdopendir", SystemCall::fdopendir, {ENOMEM}},
                    Kind{"readdir", SystemCall::readdir, {EIO}},
                    Kind{"fcntl", SystemCall::fcntl, {ENOLCK, EAGAIN}},
                    Kind{"getrandom", SystemCall::getrandom, {ENOSYS, EINTR}},
                    Kind{"pthread_create", SystemCall::pthread_create, {EAGAIN}}),
    [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace lightning
