#include "tests/system_call_script.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <mutex>

#include "testing/fault_script.h"

namespace lightning {

namespace {

std::mutex g_mutex;
SystemCallScript g_script;
uint64_t g_failed = 0;

/// Does this call fail? Then `*error` says how.
bool fails(SystemCall call, int* error) {
  const std::lock_guard lock(g_mutex);
  if (g_script.times == 0 || g_script.call != call) return false;
  if (g_script.after > 0) {
    --g_script.after;
    return false;
  }
  if (g_script.times != kForever) --g_script.times;
  ++g_failed;
  *error = g_script.error;
  return true;
}

/// `failure` with errno set, or what the call itself answers.
template <typename Answer, typename Fn>
Answer scripted(SystemCall call, Answer failure, Fn&& real) {
  int error = 0;
  if (!fails(call, &error)) return real();
  errno = error;
  return failure;
}

template <typename Fn>
ssize_t scripted_transfer(SystemCall call, size_t size, Fn&& real) {
  int error = 0;
  if (!fails(call, &error)) return real(size);
  if (error == 0) return real(size < 2 ? size : size / 2);
  errno = error;
  return -1;
}

}  // namespace

void set_system_call_script(const SystemCallScript& script) {
  const std::lock_guard lock(g_mutex);
  g_script = script;
  g_failed = 0;
}

uint64_t end_system_call_script() {
  const std::lock_guard lock(g_mutex);
  g_script = {};
  return g_failed;
}

}  // namespace lightning

using lightning::scripted;
using lightning::scripted_transfer;
using lightning::SystemCall;

extern "C" {

int __real_openat(int directory, const char* name, int flags, mode_t mode);
int __wrap_openat(int directory, const char* name, int flags, mode_t mode) {
  return scripted(SystemCall::openat, -1, [&] { return __real_openat(directory, name, flags, mode); });
}

int __real_close(int file);
int __wrap_close(int file) {
  const int answer = __real_close(file);
  return scripted(SystemCall::close, -1, [&] { return answer; });
}

ssize_t __real_pread(int file, void* to, size_t size, off_t offset);
ssize_t __wrap_pread(int file, void* to, size_t size, off_t offset) {
  return scripted_transfer(SystemCall::pread, size,
                           [&](size_t part) { return __real_pread(file, to, part, offset); });
}

ssize_t __real_pwrite(int file, const void* from, size_t size, off_t offset);
ssize_t __wrap_pwrite(int file, const void* from, size_t size, off_t offset) {
  return scripted_transfer(SystemCall::pwrite, size,
                           [&](size_t part) { return __real_pwrite(file, from, part, offset); });
}

int __real_fdatasync(int file);
int __wrap_fdatasync(int file) {
  return scripted(SystemCall::fdatasync, -1, [&] { return __real_fdatasync(file); });
}

int __real_fsync(int file);
int __wrap_fsync(int file) {
  return scripted(SystemCall::fsync, -1, [&] { return __real_fsync(file); });
}

int __real_fallocate(int file, int mode, off_t offset, off_t size);
int __wrap_fallocate(int file, int mode, off_t offset, off_t size) {
  return scripted(SystemCall::fallocate, -1, [&] { return __real_fallocate(file, mode, offset, size); });
}

int __real_ftruncate(int file, off_t size);
int __wrap_ftruncate(int file, off_t size) {
  return scripted(SystemCall::ftruncate, -1, [&] { return __real_ftruncate(file, size); });
}

int __real_fstat(int file, struct stat* status);
int __wrap_fstat(int file, struct stat* status) {
  return scripted(SystemCall::fstat, -1, [&] { return __real_fstat(file, status); });
}

int __real_fstatat(int directory, const char* name, struct stat* status, int flags);
int __wrap_fstatat(int directory, const char* name, struct stat* status, int flags) {
  return scripted(SystemCall::fstatat, -1, [&] { return __real_fstatat(directory, name, status, flags); });
}

int __real_fstatfs(int file, struct statfs* system);
int __wrap_fstatfs(int file, struct statfs* system) {
  return scripted(SystemCall::fstatfs, -1, [&] { return __real_fstatfs(file, system); });
}

void* __real_mmap(void* at, size_t size, int protection, int flags, int file, off_t offset);
void* __wrap_mmap(void* at, size_t size, int protection, int flags, int file, off_t offset) {
  return scripted(SystemCall::mmap, MAP_FAILED,
                  [&] { return __real_mmap(at, size, protection, flags, file, offset); });
}

int __real_madvise(void* at, size_t size, int advice);
int __wrap_madvise(void* at, size_t size, int advice) {
  return scripted(SystemCall::madvise, -1, [&] { return __real_madvise(at, size, advice); });
}

int __real_unlinkat(int directory, const char* name, int flags);
int __wrap_unlinkat(int directory, const char* name, int flags) {
  return scripted(SystemCall::unlinkat, -1, [&] { return __real_unlinkat(directory, name, flags); });
}

int __real_renameat(int from, const char* name, int to, const char* to_name);
int __wrap_renameat(int from, const char* name, int to, const char* to_name) {
  return scripted(SystemCall::renameat, -1, [&] { return __real_renameat(from, name, to, to_name); });
}

int __real_mkdir(const char* path, mode_t mode);
int __wrap_mkdir(const char* path, mode_t mode) {
  return scripted(SystemCall::mkdir, -1, [&] { return __real_mkdir(path, mode); });
}

DIR* __real_fdopendir(int file);
DIR* __wrap_fdopendir(int file) {
  return scripted(SystemCall::fdopendir, static_cast<DIR*>(nullptr), [&] { return __real_fdopendir(file); });
}

dirent* __real_readdir(DIR* stream);
dirent* __wrap_readdir(DIR* stream) {
  return scripted(SystemCall::readdir, static_cast<dirent*>(nullptr), [&] { return __real_readdir(stream); });
}

int __real_fcntl(int file, int command, void* argument);
int __wrap_fcntl(int file, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return scripted(SystemCall::fcntl, -1, [&] { return __real_fcntl(file, command, argument); });
}

ssize_t __real_getrandom(void* to, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void* to, size_t size, unsigned flags) {
  return scripted(SystemCall::getrandom, ssize_t{-1}, [&] { return __real_getrandom(to, size, flags); });
}

int __real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                          void* argument);
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                          void* argument) {
  return scripted(SystemCall::pthread_create, EAGAIN,
                  [&] { return __real_pthread_create(thread, attributes, body, argument); });
}
}
