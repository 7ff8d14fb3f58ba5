#include "admin/empty_directory.h"

#include <utility>

#include "base/interleave.h"
#include "view/state_store.h"

namespace lightning {

namespace {
constexpr char kLockFileName[] = "LOCK";

Status check_empty(Directory& directory) {
  Result<std::vector<FileInfo>> files = directory.list();
  if (!files) return files.status();
  for (const FileInfo& file : *files) {
    if (file.name == kLockFileName || file.name == kUnfinishedSuperName) continue;
    return Status(StatusCode::already_exists, "the directory is not empty, there is " + file.name,
                  directory.path(), Status::kWholeFile);
  }
  return {};
}
}  // namespace

Result<EmptyDirectory> EmptyDirectory::open(Env& env, const std::string& path) {
  EmptyDirectory empty;
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(path, true);
  if (!directory) return directory.status();
  empty.directory = *std::move(directory);
  // Before the lock, whose file is not put into a directory of somebody else, and under it.
  if (Status status = check_empty(*empty.directory); !status.ok()) return status;
  INTERLEAVE("copy.before_lock");
  Result<std::unique_ptr<DirectoryLock>> lock = empty.directory->lock(kLockFileName, LockMode::exclusive);
  if (!lock) return lock.status();
  empty.lock = *std::move(lock);
  if (Status status = check_empty(*empty.directory); !status.ok()) return status;
  return empty;
}

}  // namespace lightning
