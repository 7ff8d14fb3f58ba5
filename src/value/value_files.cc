#include "value/value_files.h"

namespace lightning {

Result<std::shared_ptr<const ValueFile>> ValueFiles::open(uint64_t number) {
  MutexLock lock(mutex_);
  const auto known = files_.find(number);
  if (known != files_.end()) {
    if (std::shared_ptr<const ValueFile> file = known->second.lock()) return file;
  }
  std::erase_if(files_, [](const auto& one) { return one.second.expired(); });
  Result<std::shared_ptr<const ValueFile>> file =
      ValueFile::open(directory_, number, name_of_(number), mapped_);
  if (file) files_[number] = *file;
  return file;
}

}  // namespace lightning
