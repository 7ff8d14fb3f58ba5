// RetiredFiles: files that no state names any more, run files and value files. They are removed at once, or,
// while somebody copies the database, when the last copy has ended. A value file waits, too, until no View
// that somebody still reads by leads to it (value/value_file.h, V3).
//
// A process that ends before leaves them to the next open, which removes what the state does not name.
// Thread safety: internally synchronised.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"
#include "value/value_file.h"

namespace lightning {

class RetiredFiles {
 public:
  struct Files {
    std::vector<uint64_t> runs;  // ids
    std::vector<std::shared_ptr<const ValueFile>> values;
  };
  /// A list, so that retire() cannot fail.
  using List = std::list<Files>;

  /// Until release() no file is removed, and no hole is punched.
  void keep() EXCLUDES(mutex_);
  void release(Directory& directory) EXCLUDES(mutex_);
  /// The state that does not name them is durable, and the View that does not is installed.
  void retire(Directory& directory, List files) EXCLUDES(mutex_);
  /// Removes what can be removed; false when something waits on.
  bool remove_waiting(Directory& directory) EXCLUDES(mutex_);
  /// Calls `punch`, and no copy begins meanwhile; false when there is one.
  bool unless_kept(const std::function<void()>& punch) EXCLUDES(mutex_);

 private:
  void remove_all(Directory& directory) REQUIRES(mutex_);

  Mutex mutex_;
  uint64_t keepers_ GUARDED_BY(mutex_) = 0;
  List waiting_ GUARDED_BY(mutex_);
};

}  // namespace lightning
