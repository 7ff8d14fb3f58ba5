// FaultScript: which calls of a simulated Env fail, how, and how often.
//
// Example: the third write of any log file fails with a full disk, once:
//   env.faults().add({.call = SimCall::write, .name_part = ".log", .after = 2, .code =
//   StatusCode::no_space});
// Every k: for (uint64_t k = 0;; ++k) { SimEnv env; env.faults().add({.after = k}); run(env); if
// (!env.faults().injected()) break; } Thread safety: externally synchronised.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

/// The calls of Env that can fail. `any` in a fault means each of them.
enum class SimCall : uint8_t {
  any,
  open_directory,
  open,
  create,
  remove,
  rename,
  link,
  list,
  sync_directory,
  lock,
  free_bytes,
  read,
  write,
  sync,
  allocate,
  truncate,
  punch,
  size,
  map,
  populate,
  schedule,
};

std::string_view sim_call_name(SimCall call);

/// What a failing call did before it failed.
enum class FaultEffect : uint8_t {
  none,         // nothing
  half,         // half of the bytes of a transfer, half of the changes of a sync (the others turn clean)
  done,         // everything: only the report is wrong
  pages_clean,  // sync: nothing reached the disk, the pages turn clean, the next sync succeeds without them
};

struct Fault {
  SimCall call = SimCall::any;
  std::string name_part = {};              // of the file or directory; empty matches every name
  uint64_t after = 0;                      // so many matching calls pass first
  uint64_t times = 1;                      // then so many meet the fault
  StatusCode code = StatusCode::io_error;  // ok: the call succeeds, late
  FaultEffect effect = FaultEffect::none;
  uint64_t delay_ns = 0;  // of virtual time
};

inline constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

class FaultScript {
 public:
  void add(Fault fault) { faults_.push_back(std::move(fault)); }
  void clear() { faults_.clear(); }
  /// Calls that met a fault.
  uint64_t injected() const { return injected_; }
  /// The first of them, and the file; empty before.
  const std::string& first() const { return first_; }

  /// What the call meets, if anything; the first fault of the script that is due.
  std::optional<Fault> meet(SimCall call, std::string_view name);

 private:
  std::vector<Fault> faults_;
  uint64_t injected_ = 0;
  std::string first_;
};

}  // namespace lightning
