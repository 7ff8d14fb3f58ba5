// RetiredFiles: run files that no state names any more. They are removed at once, or, while somebody copies
// the database, when the last copy has ended.
//
// A process that ends before leaves them to the next open, which removes what the state does not name.
// Thread safety: internally synchronised.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"

namespace lightning {

class RetiredFiles {
 public:
  /// Ids, in a list so that retire() cannot fail.
  using Ids = std::list<std::vector<uint64_t>>;

  /// Until release() no file is removed.
  void keep() EXCLUDES(mutex_);
  void release(Directory& directory) EXCLUDES(mutex_);
  /// The state that does not name them is durable, and the View that does not is installed.
  void retire(Directory& directory, Ids ids) EXCLUDES(mutex_);

 private:
  void remove_waiting(Directory& directory) REQUIRES(mutex_);

  Mutex mutex_;
  uint64_t keepers_ GUARDED_BY(mutex_) = 0;
  Ids waiting_ GUARDED_BY(mutex_);
};

}  // namespace lightning
