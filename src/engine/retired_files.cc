#include "engine/retired_files.h"

#include "base/check.h"
#include "run/run_file_info.h"

namespace lightning {

void RetiredFiles::keep() {
  MutexLock lock(mutex_);
  ++keepers_;
}

void RetiredFiles::release(Directory& directory) {
  MutexLock lock(mutex_);
  LIGHTNING_INVARIANT("I5", keepers_ > 0);
  if (keepers_ == 1) remove_all(directory);
  --keepers_;
}

void RetiredFiles::retire(Directory& directory, List files) {
  MutexLock lock(mutex_);
  waiting_.splice(waiting_.end(), files);
  if (keepers_ == 0) remove_all(directory);
}

bool RetiredFiles::remove_waiting(Directory& directory) {
  MutexLock lock(mutex_);
  if (keepers_ == 0) remove_all(directory);
  return waiting_.empty();
}

bool RetiredFiles::unless_kept(const std::function<void()>& punch) {
  MutexLock lock(mutex_);
  if (keepers_ != 0) return false;
  punch();
  return true;
}

// What cannot be removed is an orphan of the next open.
void RetiredFiles::remove_all(Directory& directory) {
  for (Files& files : waiting_) {
    for (const uint64_t id : files.runs) (void)directory.remove(run_file_name(id));
    files.runs.clear();
    std::erase_if(files.values, [&](const std::shared_ptr<const ValueFile>& file) {
      if (file->uses() != 0) return false;
      (void)directory.remove(file->name());
      return true;
    });
  }
  waiting_.remove_if([](const Files& files) { return files.values.empty(); });
}

}  // namespace lightning
