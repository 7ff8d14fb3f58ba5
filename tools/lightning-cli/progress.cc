#include "tools/lightning-cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "tools/lightning-cli/text.h"

namespace lightning::cli {

namespace {
constexpr size_t kBarWidth = 40;
constexpr std::chrono::milliseconds kInterval(100);
}  // namespace

Progress::Progress(uint64_t bytes_total) : bytes_total_(bytes_total), shown_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::update(uint64_t bytes, std::string_view note) {
  if (!shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  drawn_ = true;
  std::string line = "\r";
  if (bytes_total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(bytes_total_));
    std::string bar(static_cast<size_t>(share * kBarWidth), '#');
    bar.resize(kBarWidth, ' ');
    const std::string percent = std::to_string(static_cast<int>(share * 100));
    line.append("[").append(bar).append("] ").append(3 - percent.size(), ' ').append(percent).append(" %  ");
  }
  line.append(note).append("\x1b[K");
  std::fputs(line.c_str(), stderr);
}

std::function<void(const AdminProgress&)> shown_on(std::optional<Progress>& bar) {
  return [&bar](const AdminProgress& progress) {
    if (!bar) bar.emplace(progress.bytes_total);
    bar->update(progress.bytes_done,
                is_utf8(progress.file) ? std::string(progress.file) : escape(progress.file));
  };
}

}  // namespace lightning::cli
