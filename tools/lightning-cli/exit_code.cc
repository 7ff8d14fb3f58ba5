#include "tools/lightning-cli/exit_code.h"

namespace lightning::cli {

ExitCode exit_code(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok:
      return kExitOk;
    case StatusCode::not_found:
      return kExitNotFound;
    case StatusCode::invalid_argument:
      return kExitUsage;
    case StatusCode::corruption:
      return kExitCorruption;
    case StatusCode::busy:
      return kExitBusy;
    case StatusCode::conflict:
    case StatusCode::deadlock:
      return kExitConflict;
    default:
      return kExitIo;
  }
}

}  // namespace lightning::cli
