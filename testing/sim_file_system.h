// SimFileSystem: the FileSystem of a simulation, on a SimDisk.
//
// Every call first enters a gate, where other threads may run, watchers look, and faults are met; the call
// then happens as a whole, except sync, which lets others run between its two ends: what they change
// meanwhile stays un-synced. It is stricter than Linux where that finds bugs: a mapping may not reach beyond
// the end of the file, and two live mappings of a file may not overlap in part. Ownership: files,
// directories, regions and locks refer to the file system and die before it. Thread safety: for threads of
// one simulation, of which one runs at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io/env.h"
#include "testing/allocation_truce.h"
#include "testing/fault_script.h"
#include "testing/order_checker.h"
#include "testing/sim_disk.h"

namespace lightning {

/// How a call goes: its status, and which part of it happens. It lives as long as the call, which gets its
/// memory.
struct SimOutcome {
  Status status = {};
  FaultEffect effect = FaultEffect::done;
  AllocationTruce truce = {};

  bool happens() const { return effect == FaultEffect::done; }
  /// The bytes of a transfer of `size` that happen.
  uint64_t part(uint64_t size) const {
    return effect == FaultEffect::done ? size : effect == FaultEffect::half ? size / 2 : 0;
  }
};

/// Where every call of a simulated Env enters; SimEnv is it.
class SimGate {
 public:
  virtual ~SimGate() = default;
  virtual SimOutcome enter(SimCall call, std::string_view name, uint64_t detail = 0) = 0;
  /// A moment inside a call at which others may run.
  virtual void pause() = 0;
};

class SimFileSystem final : public FileSystem {
 public:
  struct Options {
    bool supports_allocate = true;
    bool supports_punch = true;
    uint64_t open_files_max = UINT64_MAX;
  };
  SimFileSystem(const Options& options, SimDisk disk, SimGate& gate)
      : options_(options), disk_(std::move(disk)), gate_(gate) {}

  Result<std::unique_ptr<Directory>> open_directory(const std::string& path, bool create) override;

  SimDisk& disk() { return disk_; }
  OrderChecker& order() { return order_; }
  /// File objects alive: 0 when everything was closed.
  uint64_t open_files() const { return open_files_; }

 private:
  friend class SimDirectory;
  friend class SimFile;
  friend class SimRegion;

  const Options options_;
  SimDisk disk_;
  SimGate& gate_;
  OrderChecker order_;
  uint64_t open_files_ = 0;
};

}  // namespace lightning
