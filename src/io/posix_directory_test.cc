#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "io/env.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

Result<std::unique_ptr<Directory>> open_directory(const std::string& path, bool create) {
  return posix_env().files().open_directory(path, create);
}

mode_t mode_of(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

TEST(PosixFileSystem, MakesADirectoryWithItsParents) {
  ScratchDirectory scratch;
  Result<std::unique_ptr<Directory>> directory = open_directory(scratch.path("a//b/../b/c/"), true);
  ASSERT_TRUE(directory) << directory.status().to_string();
  EXPECT_EQ((*directory)->path(), scratch.path("a//b/../b/c/"));
  for (const char* made : {"a", "a/b", "a/b/c"}) EXPECT_EQ(mode_of(scratch.path(made)), 0700u) << made;
  ASSERT_TRUE((*directory)->open("f", OpenMode::create));
  EXPECT_EQ(mode_of(scratch.path("a/b/c/f")), 0600u);
  EXPECT_TRUE((*directory)->sync().ok());
  EXPECT_TRUE(open_directory(scratch.path("a/b/c"), true)) << "it exists by now";
}

TEST(PosixFileSystem, MakesADirectoryBelowTheWorkingOne) {
  ScratchDirectory scratch;
  EXPECT_EQ(run_in_child([&] {
              if (chdir(scratch.path().c_str()) != 0) return 1;
              if (!open_directory("x/y", true)) return 2;
              return open_directory("./z", true) ? 0 : 3;
            }),
            0);
  EXPECT_EQ(mode_of(scratch.path("x/y")), 0700u);
  EXPECT_EQ(mode_of(scratch.path("z")), 0700u);
}

TEST(PosixFileSystem, SaysWhyItCannotOpen) {
  ScratchDirectory scratch;
  Result<std::unique_ptr<Directory>> directory = open_directory(scratch.path(), false);
  ASSERT_TRUE(directory);
  ASSERT_TRUE((*directory)->open("file", OpenMode::create));

  EXPECT_TRUE(open_directory(scratch.path("none"), false).status().is(StatusCode::not_found));
  EXPECT_TRUE(open_directory("", true).status().is(StatusCode::invalid_argument));
  for (const char* path : {"file", "file/below"}) {
    for (bool create : {false, true}) {
      const Status status = open_directory(scratch.path(path), create).status();
      EXPECT_TRUE(status.is(StatusCode::invalid_argument)) << status.to_string();
      EXPECT_EQ(status.file(), scratch.path(path));
    }
  }
  const Status forbidden = open_directory("/proc/lightning", true).status();
  EXPECT_FALSE(forbidden.ok());
}

class PosixDirectory : public testing::Test {
 protected:
  ScratchDirectory scratch_;
  std::unique_ptr<Directory> directory_ = *open_directory(scratch_.path(), false);
};

TEST_F(PosixDirectory, TakesOnlySingleNames) {
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("a/b"),
                                  std::string("a\0b", 3), std::string(256, 'x')}) {
    EXPECT_TRUE(directory_->open(name, OpenMode::create).status().is(StatusCode::invalid_argument)) << name;
    EXPECT_TRUE(directory_->remove(name).is(StatusCode::invalid_argument)) << name;
    EXPECT_TRUE(directory_->rename("x", name).is(StatusCode::invalid_argument)) << name;
    EXPECT_TRUE(directory_->link(name, *directory_, "x").is(StatusCode::invalid_argument)) << name;
    EXPECT_TRUE(directory_->lock(name, LockMode::shared).status().is(StatusCode::invalid_argument)) << name;
  }
}

TEST_F(PosixDirectory, OpenModesSayWhatMustExist) {
  EXPECT_TRUE(directory_->open("a", OpenMode::read).status().is(StatusCode::not_found));
  EXPECT_TRUE(directory_->open("a", OpenMode::read_write).status().is(StatusCode::not_found));
  ASSERT_TRUE(directory_->open("a", OpenMode::create));
  EXPECT_TRUE(directory_->open("a", OpenMode::create).status().is(StatusCode::already_exists));
  EXPECT_TRUE(directory_->open("a", OpenMode::read));
  EXPECT_TRUE(directory_->open("a", OpenMode::read_write));
}

TEST_F(PosixDirectory, OpensOnlyRegularFiles) {
  ASSERT_EQ(mkdir(scratch_.path("directory").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo(scratch_.path("fifo").c_str(), 0600), 0);
  ASSERT_TRUE(directory_->open("a", OpenMode::create));
  ASSERT_EQ(symlink("a", scratch_.path("symlink").c_str()), 0);
  for (const char* name : {"directory", "fifo", "symlink"}) {
    const Status status = directory_->open(name, OpenMode::read).status();
    EXPECT_FALSE(status.ok()) << name;
    EXPECT_EQ(status.file(), name);
  }
}

TEST_F(PosixDirectory, RenamesRemovesLinksAndLists) {
  Result<std::unique_ptr<File>> file = directory_->open("b", OpenMode::create);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write(0, "four").ok());
  ASSERT_TRUE(directory_->open("a", OpenMode::create));
  Result<std::unique_ptr<Directory>> other = open_directory(scratch_.path("other"), true);
  ASSERT_TRUE(other);
  ASSERT_TRUE(directory_->link("b", **other, "linked").ok());
  EXPECT_TRUE(directory_->link("b", **other, "linked").is(StatusCode::already_exists));
  ASSERT_TRUE(directory_->rename("b", "a").ok());
  EXPECT_TRUE(directory_->rename("b", "a").is(StatusCode::not_found));

  Result<std::vector<FileInfo>> files = directory_->list();
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].name, "a");
  EXPECT_EQ((*files)[0].size, 4u);
  EXPECT_FALSE((*files)[0].is_directory);
  EXPECT_EQ((*files)[1].name, "other");
  EXPECT_TRUE((*files)[1].is_directory);

  ASSERT_TRUE(directory_->remove("a").ok());
  EXPECT_TRUE(directory_->remove("a").is(StatusCode::not_found));
  EXPECT_EQ(directory_->list()->size(), 1u);
  EXPECT_EQ((*other)->list()->size(), 1u);
}

TEST_F(PosixDirectory, StaysTheSameWhereverItMoves) {
  Result<std::unique_ptr<Directory>> moved = open_directory(scratch_.path("here"), true);
  ASSERT_TRUE(moved);
  ASSERT_TRUE(directory_->rename("here", "there").ok());
  ASSERT_TRUE((*moved)->open("f", OpenMode::create));
  EXPECT_EQ(mode_of(scratch_.path("there/f")), 0600u);
}

TEST_F(PosixDirectory, WithoutDescriptorsItSaysSo) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {0, before.rlim_max};
  // The sanitizer that looks at an object's type needs a descriptor when it first meets the type.
  ASSERT_TRUE(directory_->open("before", OpenMode::create).ok());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Status status = directory_->open("a", OpenMode::create).status();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(status.is(StatusCode::io_error));
  EXPECT_NE(status.message().find("Too many open files"), std::string_view::npos) << status.to_string();
}

TEST(PosixDirectoryOfOthers, AnswersNoPermission) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  ScratchDirectory scratch;
  EXPECT_EQ(run_in_child([&] {
              if (seteuid(65534) != 0) return 1;
              const Status status = open_directory(scratch.path("x"), true).status();
              const bool says_so = status.message().find("Permission denied") != std::string_view::npos;
              return status.is(StatusCode::io_error) && says_so ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace lightning
