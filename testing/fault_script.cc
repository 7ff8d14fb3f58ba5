#include "testing/fault_script.h"

#include <array>

namespace lightning {

std::string_view sim_call_name(SimCall call) {
  static constexpr std::array<std::string_view, 21> kNames = {
      "any",      "open_directory", "open",  "create",     "remove", "rename",   "link",
      "list",     "sync_directory", "lock",  "free_bytes", "read",   "write",    "sync",
      "allocate", "truncate",       "punch", "size",       "map",    "populate", "schedule"};
  static_assert(static_cast<size_t>(SimCall::schedule) + 1 == kNames.size());
  return kNames[static_cast<size_t>(call)];
}

std::optional<Fault> FaultScript::meet(SimCall call, std::string_view name) {
  std::optional<Fault> met;
  for (Fault& fault : faults_) {
    if (fault.call != SimCall::any && fault.call != call) continue;
    if (name.find(fault.name_part) == std::string_view::npos) continue;
    if (fault.after > 0) {
      --fault.after;
      continue;
    }
    if (fault.times == 0 || met) continue;
    if (fault.times != kForever) --fault.times;
    if (injected_++ == 0) first_ = std::string(sim_call_name(call)).append(" ").append(name);
    met = fault;
  }
  return met;
}

}  // namespace lightning
