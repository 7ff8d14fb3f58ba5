#include "io/directory_lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/mutex.h"
#include "io/file_handle.h"
#include "io/posix_status.h"
#include "io/process_word.h"

namespace lightning {

namespace {

constexpr off_t kPidBase = off_t{1} << 32;
// How often the lock file may be removed between opening and locking it.
constexpr int kAttemptsMax = 100;

struct Holder;
constinit Mutex g_mutex;
Holder* g_holders GUARDED_BY(g_mutex) = nullptr;

int set_lock(int descriptor, short type, off_t start, off_t length);

// A lock and its node in the registry. `file` is not valid where a read-only file system has no lock file.
struct Holder final : DirectoryLock {
  FileHandle file;
  dev_t device = 0;
  ino_t inode = 0;
  LockMode mode = LockMode::shared;
  Holder* next = nullptr;

  ~Holder() override {
    MutexLock lock(g_mutex);
    Holder** link = &g_holders;
    while (*link != nullptr && *link != this) link = &(*link)->next;
    if (*link == this) *link = next;
    // For a child that was made past fork() and still has the descriptor.
    if (file.valid() && !in_forked_child()) (void)set_lock(file.get(), F_UNLCK, 0, 0);
  }
};

void before_fork() NO_THREAD_SAFETY_ANALYSIS { g_mutex.lock(); }
void after_fork_in_parent() NO_THREAD_SAFETY_ANALYSIS { g_mutex.unlock(); }
void after_fork_in_child() NO_THREAD_SAFETY_ANALYSIS {
  for (Holder* holder = g_holders; holder != nullptr; holder = holder->next) holder->file = FileHandle();
  g_mutex.unlock();
}

bool watch_forks() { return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0; }

bool held_here(const Holder& wanted) REQUIRES(g_mutex) {
  for (const Holder* holder = g_holders; holder != nullptr; holder = holder->next) {
    const bool same = holder->device == wanted.device && holder->inode == wanted.inode;
    if (same && (holder->mode == LockMode::exclusive || wanted.mode == LockMode::exclusive)) return true;
  }
  return false;
}

struct flock range_lock(short type, off_t start, off_t length) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

int set_lock(int descriptor, short type, off_t start, off_t length) {
  struct flock lock = range_lock(type, start, length);
  return fcntl(descriptor, F_OFD_SETLK, &lock);
}

Status busy(const std::string& path, pid_t holder) {
  std::string who = "another process";
  if (holder == getpid()) {
    who = "this process (" + std::to_string(holder) + ")";
  } else if (holder > 0) {
    who = "process " + std::to_string(holder);
  }
  return Status(StatusCode::busy, "in use by " + who, path, Status::kWholeFile);
}

// 0 when it left meanwhile or is about to say who it is.
pid_t holder_elsewhere(int descriptor) {
  struct flock lock = range_lock(F_WRLCK, kPidBase, 0);
  if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return static_cast<pid_t>(lock.l_start - kPidBase);
}

// A reader opens without a wish to write, so that it works in a directory that it may only read.
Result<FileHandle> open_lock_file(int directory, const std::string& path, const std::string& name,
                                  LockMode mode) {
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  if (mode == LockMode::shared) {
    FileHandle file(retry_interrupted([&] { return openat(directory, name.c_str(), O_RDONLY | kFlags); }));
    if (file.valid()) return file;
    if (errno != ENOENT) return status_of_errno(errno, "open " + name, path);
  }
  FileHandle file(
      retry_interrupted([&] { return openat(directory, name.c_str(), O_RDWR | O_CREAT | kFlags, 0600); }));
  if (file.valid()) return file;
  // Nobody can write there, so there is nobody to keep out.
  if (errno == EROFS && mode == LockMode::shared) return FileHandle();
  return status_of_errno(errno, "open " + name, path);
}

bool bears_name(const Holder& holder, int directory, const std::string& name) {
  struct stat named;
  return fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         named.st_dev == holder.device && named.st_ino == holder.inode;
}

Status take(Holder& wanted, const std::string& path) REQUIRES(g_mutex) {
  struct stat status;
  if (fstat(wanted.file.get(), &status) != 0) return status_of_errno(errno, "look at the lock file", path);
  wanted.device = status.st_dev;
  wanted.inode = status.st_ino;
  if (held_here(wanted)) return busy(path, getpid());
  const int descriptor = wanted.file.get();
  if (set_lock(descriptor, wanted.mode == LockMode::exclusive ? F_WRLCK : F_RDLCK, 0, 1) != 0) {
    if (errno == EAGAIN || errno == EACCES) return busy(path, holder_elsewhere(descriptor));
    return status_of_errno(errno == ENOLCK ? EOPNOTSUPP : errno, "lock the directory", path);
  }
  // Only tells others who this is; the lock holds without.
  (void)set_lock(descriptor, F_RDLCK, kPidBase + getpid(), 1);
  return Status();
}

}  // namespace

Result<std::unique_ptr<DirectoryLock>> lock_directory(int directory, const std::string& path,
                                                      const std::string& name, LockMode mode) {
  static const bool forks_watched = watch_forks();
  if (!forks_watched) return Status(StatusCode::out_of_memory, "no memory to watch forks");
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    auto wanted = std::make_unique<Holder>();  // outlives the lock: its destructor takes the mutex too
    MutexLock lock(g_mutex);
    wanted->mode = mode;
    Result<FileHandle> file = open_lock_file(directory, path, name, mode);
    if (!file) return file.status();
    wanted->file = std::move(*file);
    if (wanted->file.valid()) {
      if (Status status = take(*wanted, path); !status.ok()) return status;
      if (!bears_name(*wanted, directory, name)) continue;
    }
    wanted->next = g_holders;
    g_holders = wanted.get();
    return std::unique_ptr<DirectoryLock>(std::move(wanted));
  }
  return Status(StatusCode::busy, "the lock file is removed again and again", path, Status::kWholeFile);
}

}  // namespace lightning
