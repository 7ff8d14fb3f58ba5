#include <fcntl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/barrier.h"
#include "base/hash.h"
#include "io/env.h"
#include "io/file_handle.h"
#include "io/machine_limits.h"
#include "io/mapping_guard.h"
#include "io/posix_directory.h"
#include "io/posix_executor.h"
#include "io/posix_status.h"
#include "io/process_word.h"

namespace lightning {

namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

class PosixClock final : public Clock {
 public:
  uint64_t monotonic_ns() override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
  }
  int64_t unix_micros() override {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  }
};

class PosixEnv final : public Env {
 public:
  // Before a thread of ours runs: registering for heavy barriers takes a process of one thread no time, a
  // process of several 10 ms and more (the kernel then waits for every processor).
  PosixEnv() { (void)heavy_barrier_available(); }

  FileSystem& files() override { return files_; }
  Executor& executor() override { return executor_; }
  Clock& clock() override { return clock_; }

  uint64_t random() override {
    uint64_t number;
    const ssize_t count = retry_interrupted([&] { return getrandom(&number, sizeof(number), 0); });
    if (count == sizeof(number)) return number;
    // A system without a source of random numbers (a sandbox that forbids the call): unequal is what counts
    // most.
    const uint64_t turn = turns_.fetch_add(1, std::memory_order_relaxed);
    const uint64_t here = mix_seed(static_cast<uint64_t>(getpid()), reinterpret_cast<uint64_t>(&number));
    return mix_seed(mix_seed(clock_.monotonic_ns(), static_cast<uint64_t>(clock_.unix_micros())),
                    mix_seed(here, turn));
  }

  uint64_t boot_id() override { return boot_id_; }
  const std::atomic<uint32_t>& process_word() override { return lightning::process_word(); }
  uint64_t memory_bytes() override { return memory_bytes_; }
  uint64_t open_files_max() override { return machine_open_files_max(); }
  size_t processors() override { return processors_; }
  bool guards_mappings() override { return mapping_guard_in_force(); }

 private:
  // Where the system does not say, no two processes agree: then nothing is concluded from an equal boot.
  uint64_t read_boot_id() {
    const FileHandle file(
        retry_interrupted([] { return ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC); }));
    char text[64];
    const ssize_t count =
        file.valid() ? retry_interrupted([&] { return read(file.get(), text, sizeof(text)); }) : -1;
    return count > 0 ? hash_bytes(std::string_view(text, static_cast<size_t>(count)), 0) : random();
  }

  PosixClock clock_;
  PosixFileSystem files_;
  PosixExecutor executor_{clock_};
  std::atomic<uint64_t> turns_{0};
  const uint64_t boot_id_ = read_boot_id();
  const uint64_t memory_bytes_ = machine_memory_bytes();
  const size_t processors_ = machine_processors();
};

}  // namespace

Env& posix_env() {
  static Env* const env = new PosixEnv;
  return *env;
}

}  // namespace lightning
