#include "bench/report/machine.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace lightning::bench {
namespace {

constexpr int64_t kTmpfsMagic = 0x0102'1994;

int64_t file_system_magic(const std::string& directory) {
  struct statfs info{};
  return statfs(directory.c_str(), &info) == 0 ? static_cast<int64_t>(info.f_type) : -1;
}

std::string file_system_name(const std::string& directory) {
  switch (const int64_t magic = file_system_magic(directory)) {
    case 0xef53:
      return "ext4";
    case 0x5846'5342:
      return "xfs";
    case 0x9123'683e:
      return "btrfs";
    case 0x2fc1'2fc1:
      return "zfs";
    case 0xf2f5'2010:
      return "f2fs";
    case 0x794c'7630:
      return "overlayfs";
    case 0x6969:
      return "nfs";
    case kTmpfsMagic:
      return "tmpfs";
    default: {
      std::ostringstream text;
      text << "0x" << std::hex << magic;
      return text.str();
    }
  }
}

// What follows `name` and a colon in a file of such lines; empty if there is none.
std::string line_of(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (!line.starts_with(name) || colon == std::string::npos) continue;
    const size_t text = line.find_first_not_of(" \t", colon + 1);
    return text == std::string::npos ? "" : line.substr(text);
  }
  return "";
}

}  // namespace

std::string describe_machine(const std::string& directory) {
  struct utsname system{};
  uname(&system);
  std::ostringstream text;
  text << "cpu          " << line_of("/proc/cpuinfo", "model name") << ", "
       << std::thread::hardware_concurrency() << " cores\n"
       << "memory       " << line_of("/proc/meminfo", "MemTotal") << "\n"
       << "kernel       " << system.sysname << " " << system.release << "\n"
       << "file system  " << file_system_name(directory) << " (" << directory << ")";
  return text.str();
}

bool is_memory_file_system(const std::string& directory) {
  return file_system_magic(directory) == kTmpfsMagic;
}

uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t total_pages = 0, resident_pages = 0;
  in >> total_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

CpuTime cpu_time() {
  struct rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  CpuTime time;
  time.own = seconds(usage.ru_utime) + seconds(usage.ru_stime);

  std::ifstream in("/proc/stat");
  std::string label;
  uint64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  in >> label >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  const uint64_t busy_ticks = user + nice + system + irq + softirq + steal;
  time.others = static_cast<double>(busy_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK)) - time.own;
  return time;
}

DiskUse disk_use(const std::string& directory, std::string_view log_name) {
  DiskUse use;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat info{};
    if (stat(file.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const uint64_t bytes = static_cast<uint64_t>(info.st_blocks) * 512;
    const bool log = !log_name.empty() && file.path().filename().string().find(log_name) != std::string::npos;
    (log ? use.log_bytes : use.data_bytes) += bytes;
  }
  return use;
}

}  // namespace lightning::bench
