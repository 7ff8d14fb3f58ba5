// ValueFiles: the value files of a directory that somebody has open, each opened once.
//
// Thread safety: internally synchronised.
// Ownership: refers to files, does not keep them open. The Directory must outlive it.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "io/env.h"
#include "value/value_file.h"

namespace lightning {

class ValueFiles {
 public:
  using NameOf = std::string (*)(uint64_t number);

  ValueFiles(Directory& directory, NameOf name_of, bool mapped)
      : directory_(directory), name_of_(name_of), mapped_(mapped) {}

  Result<std::shared_ptr<const ValueFile>> open(uint64_t number) EXCLUDES(mutex_);

 private:
  Directory& directory_;
  const NameOf name_of_;
  const bool mapped_;
  Mutex mutex_;
  std::map<uint64_t, std::weak_ptr<const ValueFile>> files_ GUARDED_BY(mutex_);
};

}  // namespace lightning
