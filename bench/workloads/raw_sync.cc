#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <vector>

#include "bench/fail.h"
#include "bench/report/machine.h"
#include "bench/report/result.h"
#include "bench/workloads/runner.h"
#include "bench/workloads/writes.h"

namespace lightning::bench {

// The file is written and synced beforehand, so that no write allocates: what the disk takes for a flush.
void run_raw_sync(const Config& config, const std::string& directory) {
  constexpr size_t kBlockBytes = 4096;
  const uint64_t writes = synced_entries(config);
  const int file = ::open((directory + "/raw").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  require(file >= 0, "raw: open failed");
  const std::vector<char> block(kBlockBytes, 'x');
  const auto write_block = [&](uint64_t i) {
    require(::pwrite(file, block.data(), kBlockBytes, static_cast<off_t>(i * kBlockBytes)) == kBlockBytes,
            "raw: pwrite failed");
  };
  for (uint64_t i = 0; i < writes; ++i) write_block(i);
  require(::fsync(file) == 0, "raw: fsync failed");

  Histogram latency;
  const CpuTime cpu = cpu_time();
  const Clock::time_point start = Clock::now();
  for (uint64_t i = 0; i < writes; ++i) {
    const Clock::time_point before = Clock::now();
    write_block(i);
    require(::fdatasync(file) == 0, "raw: fdatasync failed");
    latency.add(nanoseconds_between(before, Clock::now()));
  }
  Result result;
  result.seconds = static_cast<double>(nanoseconds_between(start, Clock::now())) / 1e9;
  const CpuTime cpu_end = cpu_time();
  ::close(file);

  result.workload = kRawWorkload;
  result.engine = kRawEngine;
  result.operations = writes;
  result.set_latency(latency);
  result.set_cpu(cpu, cpu_end, result.seconds);
  result.rss_bytes = resident_bytes();
  result.disk_bytes = disk_use(directory, {}).data_bytes;
  std::cout << encode(result) << std::endl;
}

}  // namespace lightning::bench
