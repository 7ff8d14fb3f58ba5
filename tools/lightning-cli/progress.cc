#include "tools/lightning-cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace lightning::cli {

namespace {
constexpr size_t kBarWidth = 40;
constexpr std::chrono::milliseconds kInterval(100);
}  // namespace

Progress::Progress(uint64_t bytes_total) : bytes_total_(bytes_total), shown_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::update(uint64_t bytes, uint64_t entries) {
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  drawn_ = true;
  if (bytes_total_ == 0) {
    std::fprintf(stderr, "\r%llu entries", static_cast<unsigned long long>(entries));
    return;
  }
  const double share = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(bytes_total_));
  std::string bar(static_cast<size_t>(share * kBarWidth), '#');
  bar.resize(kBarWidth, ' ');
  std::fprintf(stderr, "\r[%s] %3.0f %%  %llu entries", bar.c_str(), share * 100,
               static_cast<unsigned long long>(entries));
}

}  // namespace lightning::cli
