// A file descriptor that closes itself.
//
// Thread safety: externally synchronised. Ownership: whoever holds the object; get() lends.
#pragma once

#include <unistd.h>

#include <utility>

namespace lightning {

class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileHandle() {
    // What close() may report has been asked for by sync(), or nobody relies on it.
    if (descriptor_ >= 0) close(descriptor_);
  }

  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  /// The descriptor, which is the caller's to close from now on.
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

}  // namespace lightning
