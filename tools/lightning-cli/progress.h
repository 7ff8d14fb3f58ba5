// Progress: a bar on standard error for a person who waits; nothing where standard error is no terminal.
//
// Thread safety: one thread at a time.
#pragma once

#include <lightning/admin.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace lightning::cli {

class Progress {
 public:
  /// `bytes_total` = 0: not known, then the note alone is shown.
  explicit Progress(uint64_t bytes_total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Draws at most ten times a second, the note behind the bar.
  void update(uint64_t bytes, std::string_view note);

 private:
  const uint64_t bytes_total_;
  const bool shown_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_{};
};

/// Shows a bar once the size of the work is known.
std::function<void(const AdminProgress&)> shown_on(std::optional<Progress>& bar);

}  // namespace lightning::cli
