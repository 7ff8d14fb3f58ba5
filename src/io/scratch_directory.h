// Test support: a directory of its own under TMPDIR (/tmp), a small file system mounted on one, and child
// processes.
//
// Everything is removed or unmounted by the destructors. Only for tests.
// Thread safety: externally synchronised.
#pragma once

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

namespace lightning {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    const char* root = std::getenv("TMPDIR");
    path_ = std::string(root != nullptr ? root : "/tmp") + "/lightning_test_XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Can this process mount file systems? Where it can, a test that does not come to it has failed.
inline bool can_mount() { return geteuid() == 0 && access("/dev/loop-control", W_OK) == 0; }

/// A file system on a directory of its own. Needs root: without it, or without the tools, mounted() is false
/// and the test skips itself unless can_mount().
class ScratchMount {
 public:
  ScratchMount() = default;
  ~ScratchMount() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }

  bool mount_tmpfs(const std::string& size) {
    const std::string options = "size=" + size;
    mounted_ = mount("none", directory_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
    return mounted_;
  }
  /// A file of `bytes`, formatted by `mkfs` (a command line to which its path is added), mounted through a
  /// loop device.
  bool mount_image(const std::string& mkfs, uint64_t bytes) {
    const std::string image = image_directory_.path("image");
    return run("truncate -s " + std::to_string(bytes) + " " + image) && run(mkfs + " " + image) &&
           mount_again();
  }
  /// Of an image: as after a power cut, when shut_down() came before.
  bool mount_again() {
    if (mounted_ && umount2(directory_.path().c_str(), 0) != 0) return false;
    mounted_ = run("mount -o loop " + image_directory_.path("image") + " " + directory_.path());
    return mounted_;
  }
  /// Loses what was not synced (ext4, XFS); every call fails from then on.
  bool shut_down() { return run("xfs_io -x -c shutdown " + directory_.path()); }
  bool remount_read_only() {
    return mount("none", directory_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

  bool mounted() const { return mounted_; }
  const std::string& path() const { return directory_.path(); }

 private:
  static bool run(const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
  }

  ScratchDirectory image_directory_;
  ScratchDirectory directory_;
  bool mounted_ = false;
};

/// Runs `body` in a forked child; the child's exit code, or minus the signal that ended it.
inline int run_in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) std::abort();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace lightning
