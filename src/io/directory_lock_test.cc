#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>

#include "io/env.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

using Lock = Result<std::unique_ptr<DirectoryLock>>;

Lock lock_directory_at(const std::string& path, LockMode mode) {
  Result<std::unique_ptr<Directory>> directory = posix_env().files().open_directory(path, false);
  if (!directory) return directory.status();
  return (*directory)->lock("LOCK", mode);
}

/// A child process that runs `body` and then waits until it is let go.
class Child {
 public:
  explicit Child(const std::function<bool()>& body) {
    if (pipe(ready_) != 0 || pipe(go_) != 0) std::abort();
    process_ = fork();
    if (process_ == 0) {
      close(go_[1]);
      const char answer = body() ? 'y' : 'n';
      char end;
      _exit(write(ready_[1], &answer, 1) == 1 && read(go_[0], &end, 1) == 0 ? 0 : 1);
    }
    char answer = 0;
    succeeded_ = read(ready_[0], &answer, 1) == 1 && answer == 'y';
  }
  ~Child() {
    for (int end : {ready_[0], ready_[1], go_[0], go_[1]}) close(end);
    waitpid(process_, nullptr, 0);
  }
  bool succeeded() const { return succeeded_; }
  pid_t process() const { return process_; }

 private:
  int ready_[2];
  int go_[2];
  pid_t process_ = 0;
  bool succeeded_ = false;
};

TEST(DirectoryLock, ExcludesInThisProcess) {
  ScratchDirectory scratch;
  {
    const Lock held = lock_directory_at(scratch.path(), LockMode::exclusive);
    ASSERT_TRUE(held) << held.status().to_string();
    for (LockMode mode : {LockMode::shared, LockMode::exclusive}) {
      const Status status = lock_directory_at(scratch.path(), mode).status();
      EXPECT_TRUE(status.is(StatusCode::busy));
      EXPECT_EQ(status.message(), "in use by this process (" + std::to_string(getpid()) + ")");
      EXPECT_EQ(status.file(), scratch.path());
    }
  }
  {
    const Lock one = lock_directory_at(scratch.path(), LockMode::shared);
    const Lock two = lock_directory_at(scratch.path(), LockMode::shared);
    EXPECT_TRUE(one);
    EXPECT_TRUE(two);
    EXPECT_TRUE(lock_directory_at(scratch.path(), LockMode::exclusive).status().is(StatusCode::busy));
  }
  EXPECT_TRUE(lock_directory_at(scratch.path(), LockMode::exclusive));
}

TEST(DirectoryLock, ExcludesOtherProcessesByTheirIds) {
  ScratchDirectory scratch;
  for (LockMode theirs : {LockMode::exclusive, LockMode::shared}) {
    {
      Lock child_lock = Status(StatusCode::closed, "");
      const Child child([&] {
        child_lock = lock_directory_at(scratch.path(), theirs);
        return child_lock.ok();
      });
      ASSERT_TRUE(child.succeeded());
      const Status status = lock_directory_at(scratch.path(), LockMode::exclusive).status();
      EXPECT_TRUE(status.is(StatusCode::busy)) << status.to_string();
      EXPECT_EQ(status.message(), "in use by process " + std::to_string(child.process()));
      EXPECT_EQ(lock_directory_at(scratch.path(), LockMode::shared).ok(), theirs == LockMode::shared);
    }
    EXPECT_TRUE(lock_directory_at(scratch.path(), LockMode::exclusive)) << "the lock ends with its process";
  }
}

TEST(DirectoryLock, OutlivesOtherDescriptorsOfItsFile) {
  ScratchDirectory scratch;
  int held_now[2];
  ASSERT_EQ(pipe(held_now), 0);
  const auto is_refused = [&] {
    return lock_directory_at(scratch.path(), LockMode::exclusive).status().is(StatusCode::busy);
  };
  // Of before the lock, so that it knows of that what the system says.
  const pid_t other = fork();
  if (other == 0) {
    char word;
    _exit(read(held_now[0], &word, 1) == 1 && is_refused() ? 0 : 1);
  }
  const Lock held = lock_directory_at(scratch.path(), LockMode::exclusive);
  EXPECT_TRUE(held);
  EXPECT_TRUE(is_refused());                             // which opened the file and closed it
  (void)std::ifstream(scratch.path() + "/LOCK").peek();  // as whoever copies the directory does
  EXPECT_EQ(write(held_now[1], "!", 1), 1);
  int code = -1;
  EXPECT_EQ(waitpid(other, &code, 0), other);
  EXPECT_EQ(code, 0) << "let in beside this process";
  close(held_now[0]);
  close(held_now[1]);
}

TEST(DirectoryLock, AForkedChildHoldsNothing) {
  ScratchDirectory scratch;
  Lock held = lock_directory_at(scratch.path(), LockMode::exclusive);
  ASSERT_TRUE(held);
  // The child destroys its copy: that must not free the parent's.
  EXPECT_EQ(run_in_child([&] {
              held = Status(StatusCode::closed, "");
              return 0;
            }),
            0);
  EXPECT_EQ(run_in_child([&] {
              return lock_directory_at(scratch.path(), LockMode::exclusive).status().is(StatusCode::busy) ? 0
                                                                                                          : 1;
            }),
            0);
  // A child that lives on keeps nobody out.
  const Child child([] { return true; });
  held = Status(StatusCode::closed, "");
  EXPECT_TRUE(lock_directory_at(scratch.path(), LockMode::exclusive));
}

TEST(DirectoryLock, EndsWithItsProcessThoughAForkedChildLivesOn) {
  ScratchDirectory scratch;
  int lifeline[2];
  int born[2];
  ASSERT_EQ(pipe(lifeline), 0);
  ASSERT_EQ(pipe(born), 0);
  ASSERT_EQ(run_in_child([&] {
              const Lock held = lock_directory_at(scratch.path(), LockMode::exclusive);
              if (!held) return 1;
              char byte = 0;
              if (fork() == 0) {
                close(lifeline[1]);
                // Until the test closes its end.
                _exit(write(born[1], &byte, 1) == 1 && read(lifeline[0], &byte, 1) == 0 ? 0 : 1);
              }
              _exit(read(born[0], &byte, 1) == 1 ? 0 : 2);  // as if killed: nothing is unlocked
            }),
            0);
  const Lock lock = lock_directory_at(scratch.path(), LockMode::exclusive);
  EXPECT_TRUE(lock) << lock.status().to_string();
  for (int end : {lifeline[0], lifeline[1], born[0], born[1]}) close(end);
}

TEST(DirectoryLock, ReadersNeedNoRightToWrite) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  ScratchDirectory scratch;
  {
    ASSERT_TRUE(lock_directory_at(scratch.path(), LockMode::exclusive));
  }
  ASSERT_EQ(chmod(scratch.path().c_str(), 0555), 0);
  ASSERT_EQ(chmod(scratch.path("LOCK").c_str(), 0444), 0);
  EXPECT_EQ(run_in_child([&] {
              if (seteuid(65534) != 0) return 1;
              const Lock one = lock_directory_at(scratch.path(), LockMode::shared);
              const Lock two = lock_directory_at(scratch.path(), LockMode::shared);
              if (!one || !two) return 2;
              return lock_directory_at(scratch.path(), LockMode::exclusive).status().is(StatusCode::io_error)
                         ? 0
                         : 3;
            }),
            0);
  const Lock reader = lock_directory_at(scratch.path(), LockMode::shared);
  ASSERT_TRUE(reader);
  EXPECT_EQ(run_in_child([&] {
              return lock_directory_at(scratch.path(), LockMode::exclusive).status().is(StatusCode::busy) ? 0
                                                                                                          : 1;
            }),
            0);
  struct stat status;
  ASSERT_EQ(stat(scratch.path("LOCK").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 0) << "nothing is written into the lock file";
}

TEST(DirectoryLock, AReadOnlyFileSystemHasReadersOnly) {
  ScratchMount mount;
  if (!mount.mount_tmpfs("1m") || !mount.remount_read_only()) GTEST_SKIP() << "needs root to mount a tmpfs";
  EXPECT_TRUE(lock_directory_at(mount.path(), LockMode::shared));
  EXPECT_TRUE(lock_directory_at(mount.path(), LockMode::exclusive).status().is(StatusCode::io_error));
}

}  // namespace
}  // namespace lightning
