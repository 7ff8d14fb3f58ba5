#include "admin/empty_directory.h"

#include <utility>

#include "view/state_store.h"

namespace lightning {

namespace {
constexpr char kLockFileName[] = "LOCK";
}  // namespace

Result<EmptyDirectory> EmptyDirectory::open(Env& env, const std::string& path) {
  EmptyDirectory empty;
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(path, true);
  if (!directory) return directory.status();
  empty.directory = *std::move(directory);
  Result<std::vector<FileInfo>> files = empty.directory->list();
  if (!files) return files.status();
  for (const FileInfo& file : *files) {
    if (file.name == kLockFileName || file.name == kUnfinishedSuperName) continue;
    return Status(StatusCode::already_exists, "the directory is not empty, there is " + file.name, path,
                  Status::kWholeFile);
  }
  Result<std::unique_ptr<DirectoryLock>> lock = empty.directory->lock(kLockFileName, LockMode::exclusive);
  if (!lock) return lock.status();
  empty.lock = *std::move(lock);
  return empty;
}

}  // namespace lightning
