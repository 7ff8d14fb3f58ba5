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
  if (keepers_ == 1) remove_waiting(directory);
  --keepers_;
}

void RetiredFiles::retire(Directory& directory, Ids ids) {
  MutexLock lock(mutex_);
  waiting_.splice(waiting_.end(), ids);
  if (keepers_ == 0) remove_waiting(directory);
}

// What cannot be removed is an orphan of the next open.
void RetiredFiles::remove_waiting(Directory& directory) {
  for (const std::vector<uint64_t>& ids : waiting_) {
    for (const uint64_t id : ids) (void)directory.remove(run_file_name(id));
  }
  waiting_.clear();
}

}  // namespace lightning
