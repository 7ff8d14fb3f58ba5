#include <lightning/admin.h>

#include "admin/copy.h"
#include "admin/repair.h"
#include "admin/verify.h"
#include "api/guarded.h"

namespace lightning {

Result<VerifyReport> verify(const std::string& directory, const VerifyOptions& options) {
  return guarded([&] { return verify_in(posix_env(), directory, options); });
}

Result<RepairReport> repair(const std::string& from, const std::string& into, const RepairOptions& options) {
  return guarded([&] { return repair_in(posix_env(), from, into, options); });
}

Result<CopyReport> restore(const std::string& backup, const std::string& into, const BackupOptions& options) {
  return guarded([&] { return restore_in(posix_env(), backup, into, options); });
}

}  // namespace lightning
