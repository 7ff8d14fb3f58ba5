// SystemCallScript: which system calls of the library fail, in a program whose linker wraps them (--wrap, see
// CMakeLists.txt).
//
// Thread safety: set while no database is open; the calls themselves come from any threads.
#pragma once

#include <cstdint>
#include <string_view>

namespace lightning {

enum class SystemCall : uint8_t {
  openat,
  close,  // closes all the same, as the kernel does
  pread,
  pwrite,
  fdatasync,
  fsync,
  fallocate,
  ftruncate,
  fstat,
  fstatat,
  fstatfs,
  mmap,
  madvise,
  unlinkat,
  renameat,
  mkdir,
  fdopendir,
  readdir,
  fcntl,
  getrandom,
  pthread_create,
};

struct SystemCallScript {
  SystemCall call = SystemCall::openat;
  uint64_t after = 0;  // so many pass
  uint64_t times = 0;  // then so many fail; kForever
  int error = 0;       // 0: they transfer half of what they were asked to
};

void set_system_call_script(const SystemCallScript& script);
/// Ends the script; how many calls it failed.
uint64_t end_system_call_script();

}  // namespace lightning
