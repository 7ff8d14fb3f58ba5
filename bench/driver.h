// The planning side: runs each unit on each engine in a process of its own, in rotating order.
//
// A slow minute of the machine then falls on all engines: what is compared is measured one right after the
// other, and who is first changes. No engine finds the heap, the caches or the threads of another.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/config.h"
#include "bench/report/result.h"

namespace lightning::bench {

// A directory that is removed with all that is in it.
class ScratchDirectory {
 public:
  // Below `parent`; empty: $TMPDIR or /tmp. Ends the process if it cannot be made.
  explicit ScratchDirectory(std::string parent);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What a child is told beside the user's own arguments.
struct ChildTask {
  std::string engine;  // empty: this is not a child
  size_t unit = 0;     // in plan(config)
  std::string directory;
};

// The results of all children; nothing if one failed (it said why) or a signal came.
// `arguments`: the user's, the program's name first.
std::optional<std::vector<Result>> run_children(const Config& config,
                                                const std::vector<std::string>& arguments,
                                                const std::string& directory);

}  // namespace lightning::bench
