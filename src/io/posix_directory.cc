#include "io/posix_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/directory_lock.h"
#include "io/file_handle.h"
#include "io/posix_file.h"
#include "io/posix_status.h"

namespace lightning {

namespace {

// Linux 6.8; the id that older kernels give is used again after an unmount.
constexpr unsigned kStatxUniqueMountId = 0x4000;

Status check_name(const std::string& name) {
  const bool component = !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
                         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  if (component) return Status();
  return Status(StatusCode::invalid_argument, "a file name is one component of at most 255 bytes", name,
                Status::kWholeFile);
}

FileHandle open_at(int directory, const char* name, int flags) {
  return FileHandle(retry_interrupted([&] { return openat(directory, name, flags | O_CLOEXEC, 0600); }));
}

class PosixDirectory final : public Directory {
 public:
  PosixDirectory(FileHandle handle, std::string path) : handle_(std::move(handle)), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(const std::string& name, OpenMode mode) override {
    if (Status status = check_name(name); !status.ok()) return status;
    int flags = O_NOFOLLOW | O_NONBLOCK;  // a FIFO must not make us wait for its other end
    flags |= mode == OpenMode::read ? O_RDONLY : O_RDWR;
    if (mode == OpenMode::create) flags |= O_CREAT | O_EXCL;
    FileHandle file = open_at(descriptor(), name.c_str(), flags);
    if (!file.valid()) return status_of_errno(errno, mode == OpenMode::create ? "create" : "open", name);
    struct stat status;
    if (fstat(file.get(), &status) != 0) return status_of_errno(errno, "look at", name);
    if (!S_ISREG(status.st_mode)) {
      return Status(StatusCode::invalid_argument, "not a regular file", name, Status::kWholeFile);
    }
    return make_posix_file(std::move(file), name);
  }

  Status remove(const std::string& name) override {
    if (Status status = check_name(name); !status.ok()) return status;
    if (unlinkat(descriptor(), name.c_str(), 0) != 0) return status_of_errno(errno, "remove", name);
    return Status();
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (Status status = check_name(from); !status.ok()) return status;
    if (Status status = check_name(to); !status.ok()) return status;
    if (renameat(descriptor(), from.c_str(), descriptor(), to.c_str()) != 0) {
      return status_of_errno(errno, "rename to " + to, from);
    }
    return Status();
  }

  Status link(const std::string& name, Directory& to, const std::string& to_name) override {
    if (Status status = check_name(name); !status.ok()) return status;
    if (Status status = check_name(to_name); !status.ok()) return status;
    auto* const target = dynamic_cast<PosixDirectory*>(&to);
    if (target == nullptr) return Status(StatusCode::invalid_argument, "a directory of another file system");
    if (linkat(descriptor(), name.c_str(), target->descriptor(), to_name.c_str(), 0) == 0) return Status();
    // EPERM is how file systems without hard links answer.
    return status_of_errno(errno == EPERM ? EOPNOTSUPP : errno, "link as " + to_name, name);
  }

  Result<std::vector<FileInfo>> list() override {
    FileHandle handle = open_at(descriptor(), ".", O_RDONLY | O_DIRECTORY);
    if (!handle.valid()) return failure("list");
    DIR* const raw = fdopendir(handle.get());
    if (raw == nullptr) return failure("list");
    handle.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(raw, closedir);

    std::vector<FileInfo> files;
    for (;;) {
      errno = 0;
      const dirent* const entry = readdir(stream.get());
      if (entry == nullptr && errno != 0) return failure("list");
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat status;
      if (fstatat(descriptor(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        return status_of_errno(errno, "look at", name);
      }
      files.push_back({std::string(name), static_cast<uint64_t>(status.st_size), S_ISDIR(status.st_mode)});
    }
    std::sort(files.begin(), files.end(),
              [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
    return files;
  }

  Status sync() override {
    if (retry_interrupted([&] { return fsync(descriptor()); }) != 0) return failure("sync the directory");
    return Status();
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& name, LockMode mode) override {
    if (Status status = check_name(name); !status.ok()) return status;
    return lock_directory(descriptor(), path_, name, mode);
  }

  Result<uint64_t> free_bytes() override {
    struct statvfs system;
    if (fstatvfs(descriptor(), &system) != 0) return failure("look at");
    return uint64_t{system.f_bavail} * system.f_frsize;
  }

  uint64_t mount_id() override {
    struct statx status;
    if (statx(descriptor(), "", AT_EMPTY_PATH, kStatxUniqueMountId, &status) != 0) return 0;
    return (status.stx_mask & kStatxUniqueMountId) != 0 ? status.stx_mnt_id : 0;
  }

  const std::string& path() const override { return path_; }

 private:
  int descriptor() const { return handle_.get(); }
  Status failure(std::string_view verb) const { return status_of_errno(errno, verb, path_); }

  const FileHandle handle_;
  const std::string path_;
};

FileHandle open_path(const std::string& path) {
  return open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  const size_t end = path.find_last_not_of('/', slash);  // "a//b"
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

Status sync_path(const std::string& path) {
  const FileHandle directory = open_path(path);
  if (!directory.valid()) return status_of_errno(errno, "open the directory", path);
  if (retry_interrupted([&] { return fsync(directory.get()); }) != 0) {
    return status_of_errno(errno, "sync the directory", path);
  }
  return Status();
}

// One that cannot be read counts as empty.
bool is_empty(const FileHandle& directory) {
  FileHandle handle = open_at(directory.get(), ".", O_RDONLY | O_DIRECTORY);
  DIR* const raw = handle.valid() ? fdopendir(handle.get()) : nullptr;
  if (raw == nullptr) return true;
  handle.release();
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(raw, closedir);
  for (const dirent* entry = readdir(raw); entry != nullptr; entry = readdir(raw)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

Status path_error(int error, std::string_view verb, const std::string& path) {
  if (error != ENOTDIR) return status_of_errno(error, verb, path);
  return Status(StatusCode::invalid_argument, "a file stands where a directory is expected", path,
                Status::kWholeFile);
}

// Who made `path` may have been killed, or failed, before the name was synced.
Status sync_name(const std::string& path) {
  const std::string parent = parent_of(path);
  if (access(parent.c_str(), R_OK) != 0 && errno == EACCES) return Status();  // may only be passed through
  return sync_path(parent);
}

// Makes `path`, which has no slash at its end, and what is missing above it.
Status make_directories(const std::string& path) {
  std::vector<std::string> missing = {path};  // lowest first
  struct stat status;
  std::string at = parent_of(path);
  for (; stat(at.c_str(), &status) != 0; at = parent_of(at)) {
    if (errno != ENOENT) return path_error(errno, "look at", at);
    missing.push_back(at);
  }
  if (Status synced = sync_name(at); !synced.ok()) return synced;
  for (; !missing.empty(); missing.pop_back()) {
    const std::string& directory = missing.back();
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return path_error(errno, "make the directory", directory);
    }
    if (Status synced = sync_path(parent_of(directory)); !synced.ok()) return synced;
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<Directory>> PosixFileSystem::open_directory(const std::string& path, bool create) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return Status(StatusCode::invalid_argument, "a directory needs a path", path, Status::kWholeFile);
  }
  const std::string without_slash = path.substr(0, path.find_last_not_of('/') + 1);
  FileHandle directory = open_path(path);
  if (!directory.valid() && errno == ENOENT && create) {
    if (Status status = make_directories(without_slash); !status.ok()) return status;
    directory = open_path(path);
  }
  if (!directory.valid()) return path_error(errno, "open the directory", path);
  // Nothing was put into it before its name was synced.
  if (create && is_empty(directory)) {
    if (Status status = sync_name(without_slash); !status.ok()) return status;
  }
  return std::unique_ptr<Directory>(std::make_unique<PosixDirectory>(std::move(directory), path));
}

}  // namespace lightning
